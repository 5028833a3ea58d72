"""Tests of many differences at once, and the smallest effect that a plan can detect."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from raylab.report.later import special
from raylab.report.per_seed import TAIL

POWER = 0.8  # of "can detect"


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
