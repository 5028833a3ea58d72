"""Tests of many differences at once, as numbers and as a table, and the smallest effect that a plan can detect."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from raylab.engine.study import AnyStudy
from raylab.report.blocks import Table, each
from raylab.report.later import special
from raylab.report.per_seed import TAIL, PerSeed
from raylab.report.values import Significant, Spanned

POWER = 0.8  # of "can detect"
EVERY_TEST = "Every difference, and its p-value adjusted for all of them"


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted for all of them by Holm (1979): rejecting those below a level errs in any of them with at most that
    probability, however they depend on each other. nan: no test, and not counted as one.

    SciPy adjusts for the rate of false discoveries alone (`stats.false_discovery_control`).
    """
    p = np.asarray(p_values, dtype=np.float64)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    p[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(one) for one in p]


def detectable(seeds: int, sd: float, tests: int = 1) -> float:
    """The smallest true mean difference that a paired t test of 5 % over seeds, whose differences vary with a standard
    deviation of `sd`, finds in 80 % of runs; `tests`: as the first step of Holm's procedure over so many. inf with one
    seed."""
    if seeds < 2:
        return math.inf
    least = -special.stdtrit(seeds - 1, TAIL / tests)  # t that counts
    return sd / math.sqrt(seeds) * float(special.nctdtrinc(seeds - 1, 1.0 - POWER, least))


def in_deviations(study: AnyStudy) -> Iterator[str]:
    """For `--dry-run` of experiments of which it was not measured how much differences vary between seeds."""
    seeds = len(study.config.seeds)
    if seeds == 1:
        yield "One seed detects no difference: it says nothing about another network, split or world."
    else:
        yield (
            f"The smallest difference that {seeds} seeds find in 4 of 5 runs (paired test of 5 %) is "
            f"{detectable(seeds, 1.0):.1f} times the standard deviation by which it varies between seeds."
        )


def paired_tests(
    what: str,  # what is subtracted from what, with which the caption begins
    heads: Sequence[str],  # of the words that tell a difference from the others
    compared: Iterable[tuple[Sequence[str], PerSeed]],  # these words, and the difference; not measured: left out
    seeds: int,
) -> Table:
    """Every difference that a page compares, with its p-value, and that adjusted for all of them."""
    differences = [(words, of) for words, of in compared if of]
    p_values = [of.p_value for _, of in differences]
    return Table.of(
        "tests",
        f"{what}, in points, with the 95 % interval and the two-sided p-value of the same paired rule: below .05 where "
        "the interval leaves 0 out. Holm: adjusted for all tests of this table (Holm 1979), so that those below .05 "
        "are all true in 95 % of such tables. No verdict depends on it"
        + (f"; with {seeds} seeds few differences are large enough for so many tests." if seeds < 5 else "."),
        [(*of, p, after) for of, p, after in zip(differences, p_values, holm(p_values), strict=True)],
        {
            **each(heads, "{}", lambda head, test: test[0][heads.index(head)]),
            "Difference": lambda test: Spanned(test[1]),
            "p": lambda test: Significant(test[2], 2),
            "p, Holm": lambda test: Significant(test[3], 2),
        },
        keys=len(heads),
    )
