"""Transfer matrices whose truth is known, and how often the intervals of their pooled difference hold it.

    python tests/crossed_matrices.py > docs/coverage.csv      # all cases, 2,000 repetitions: 10 minutes on one core

Sources and students are drawn architectures, crossed; every seed has a source network of each, a student network of
each pair, and a student of unperturbed images of each student architecture, which all its pairs share.  All are tested
on the same images of a seed, or of all seeds: of each a part is hard for every network.  An answer is right by chance,
with a probability that is the sum of these effects; the truth is the mean difference of student and control over all
architectures, or over those of the matrix.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from raylab.core.statistics import sampled
from raylab.report.per_seed import PerSeed
from raylab.report.pooled import over_architectures, over_pairs

Floats = NDArray[np.float64]
MEAN, CONTROL, HARD = 0.5, 0.1, 0.05  # accuracy of students and controls, and what images add or take
DRAWS = 200  # of the percentile bootstrap
REPETITIONS = 2000


class Case(NamedTuple):
    """Standard deviations of the effects."""

    source: float  # architectures
    student: float
    pair: float
    source_network: float  # of one seed
    student_network: float
    world: float = 0.0  # of one seed, on all of its networks


CASES = {
    "architectures differ": Case(0.08, 0.08, 0.03, 0.02, 0.03),
    "sources differ": Case(0.12, 0.02, 0.02, 0.02, 0.02),
    "seeds differ": Case(0.01, 0.01, 0.01, 0.01, 0.02, 0.08),
    "pairs differ": Case(0.03, 0.03, 0.08, 0.02, 0.03),
    "only networks differ": Case(0.0, 0.0, 0.0, 0.0, 0.05),
}
SIZES = [(3, 3, 3), (4, 4, 3), (6, 5, 3)]  # sources, students, seeds
SEEDS, HIERARCHICAL, T = "seeds, as on the page", "percentiles of a hierarchical bootstrap", "hierarchical, Student's t"
SAME, OTHER = "these architectures", "other architectures"


class Matrix(NamedTuple):
    """One repetition."""

    students: NDArray[np.bool_]  # (sources, students, seeds, images) right answers
    controls: NDArray[np.bool_]  # (students, seeds, images)
    mean_of_these: float  # true, over the architectures of this matrix


def matrix(rng: np.random.Generator, case: Case, size: tuple[int, int, int], images: int, shared: bool) -> Matrix:
    s, t, k = size

    def effect(sd: float, *shape: int) -> Floats:
        return sd * np.clip(rng.standard_normal(shape), -2, 2)

    fixed = effect(case.source, s, 1, 1) + effect(case.student, 1, t, 1) + effect(case.pair, s, t, 1)
    drawn = effect(case.source_network, s, 1, k) + effect(case.student_network, s, t, k) + effect(case.world, 1, 1, k)
    hard = np.where(rng.random((1 if shared else k, images)) < 0.5, HARD, -HARD)
    chance = np.clip((MEAN + fixed + drawn)[..., None] + hard, 0, 1)
    control = (CONTROL + effect(0.01, t, k))[..., None] + hard
    return Matrix(
        rng.random(chance.shape) < chance, rng.random(control.shape) < control, MEAN - CONTROL + float(fixed.mean())
    )


def pairs(of: Matrix, shared: bool) -> dict[tuple[str, str], PerSeed]:
    """The differences, as a report has them."""
    sources, students, seeds, images = of.students.shape
    ids = np.arange(images)

    def by_seed(answers: NDArray[np.bool_]) -> PerSeed:
        return PerSeed({r: sampled(answers[r], ids, "test" if shared else f"world {r}") for r in range(seeds)})

    control = [by_seed(of.controls[t]) for t in range(students)]
    return {(str(s), str(t)): by_seed(of.students[s, t]) - control[t] for s in range(sources) for t in range(students)}


def percentiles(rng: np.random.Generator, of: Matrix, shared: bool, all_levels: bool) -> tuple[float, float]:
    """Of a hierarchical bootstrap that draws seeds and images with replacement, and on all levels architectures too."""
    difference = of.students.astype(np.float32) - of.controls

    def weights(n: int, drawn: bool = True) -> NDArray[np.float32]:  # (DRAWS, n): how often each is drawn, over n
        if not drawn:
            return np.full((DRAWS, n), 1 / n, dtype=np.float32)
        chosen = rng.integers(0, n, (DRAWS, n)) + n * np.arange(DRAWS)[:, None]
        return (np.bincount(chosen.ravel(), minlength=DRAWS * n).reshape(DRAWS, n) / n).astype(np.float32)

    s, t, k, images = difference.shape
    examples = np.stack([weights(images)] * k if shared else [weights(images) for _ in range(k)])
    cells = np.einsum("stki,kbi->stkb", difference, examples, optimize=True)
    cells = np.einsum("stkb,bs,bt,bk->b", cells, weights(s, all_levels), weights(t, all_levels), weights(k))
    low, high = np.quantile(cells, [0.025, 0.975])
    return float(low), float(high)


def coverage(
    case: Case, size: tuple[int, int, int], images: int, shared: bool, repetitions: int, seed: int = 0
) -> dict[tuple[str, str], tuple[float, float]]:
    """By interval and truth: the share of repetitions that are covered, and the median width in points."""
    found: dict[tuple[str, str], list[tuple[bool, float]]] = {}
    for repetition in range(repetitions):
        rng = np.random.default_rng([seed, *size, images, shared, repetition])
        of = matrix(rng, case, size, images, shared)
        each = pairs(of, shared)
        wide = over_architectures(each)
        assert wide is not None
        assert wide.interval is not None
        intervals = {
            (SEEDS, SAME): over_pairs(each).interval,
            (SEEDS, OTHER): over_pairs(each).interval,
            (HIERARCHICAL, SAME): percentiles(rng, of, shared, all_levels=False),
            (HIERARCHICAL, OTHER): percentiles(rng, of, shared, all_levels=True),
            (T, OTHER): wide.interval,
        }
        for (method, truth), (low, high) in intervals.items():
            true = of.mean_of_these if truth == SAME else MEAN - CONTROL
            found.setdefault((method, truth), []).append((low <= true <= high, 100 * (high - low)))
    return {
        name: (float(np.mean([hit for hit, _ in of])), float(np.median([width for _, width in of])))
        for name, of in found.items()
    }


def rows(repetitions: int, images: int = 200) -> Iterator[dict[str, object]]:
    for shared in (False, True):
        for size in SIZES:
            for name, case in CASES.items():
                for (method, truth), (covered, width) in coverage(case, size, images, shared, repetitions).items():
                    yield {
                        "case": name, "sources": size[0], "students": size[1], "seeds": size[2], "images": images,
                        "of_all_seeds": shared, "interval": method, "truth": truth, "repetitions": repetitions,
                        "coverage": covered, "standard_error": round((covered * (1 - covered) / repetitions) ** 0.5, 5),
                        "median_width_points": round(width, 2),
                    }  # fmt: skip


if __name__ == "__main__":
    writer: csv.DictWriter[str] | None = None
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else REPETITIONS):
        if writer is None:
            writer = csv.DictWriter(sys.stdout, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)
        sys.stdout.flush()
