"""The mean over all pairs of a matrix: both of its intervals against matrices with a known truth."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path

import crossed_matrices as crossed
import numpy as np
import pytest
from scipy import stats

from raylab.core.statistics import Estimate
from raylab.report.per_seed import PerSeed
from raylab.report.pooled import over_architectures, over_pairs

MEASURED = Path(__file__).parents[2] / "docs" / "coverage.csv"
REPEATS = 300
DECIDED = ("architectures differ", "sources differ", "seeds differ")  # by what the hierarchical levels draw


def kept(**wanted: str) -> list[dict[str, str]]:
    with MEASURED.open() as file:
        return [row for row in csv.DictReader(file) if all(row[name] == value for name, value in wanted.items())]


def grid(values: np.ndarray) -> dict[tuple[str, str], PerSeed]:
    """Of (sources, students, seeds) differences, of images of a seed's own."""
    return {
        (f"s{s}", f"t{t}"): PerSeed(
            {r: Estimate(float(v), 0.0, 1000, 1, within=(-1.0, 1.0)) for r, v in enumerate(values[s, t])}
        )
        for s in range(values.shape[0])
        for t in range(values.shape[1])
    }


def test_the_measured_coverage_is_that_of_2000_repetitions_and_within_2_points_where_it_is_claimed() -> None:
    assert {int(row["repetitions"]) for row in kept()} == {2000}
    claimed = [row for name in DECIDED for row in kept(case=name, interval=crossed.T)]
    claimed += kept(interval=crossed.SEEDS, truth=crossed.SAME)
    assert len(claimed) >= 30
    for row in claimed:
        assert 0.93 - 0.005 <= float(row["coverage"]) <= 0.97 + 0.005, row  # .005: one standard error


def test_percentiles_of_a_hierarchical_bootstrap_cover_too_little_where_three_units_decide() -> None:
    for row in kept(case="seeds differ", seeds="3", interval=crossed.HIERARCHICAL, truth=crossed.SAME):
        assert float(row["coverage"]) < 0.85


@pytest.mark.slow
@pytest.mark.parametrize("case", ["sources differ", "only networks differ"])
@pytest.mark.parametrize("shared", [False, True])
def test_a_shorter_simulation_gives_the_coverage_that_was_measured(case: str, shared: bool) -> None:
    found = crossed.coverage(crossed.CASES[case], (3, 3, 3), 200, shared, REPEATS, seed=1)
    for (method, truth), (covered, _) in found.items():
        (row,) = kept(case=case, sources="3", of_all_seeds=str(shared), interval=method, truth=truth)
        expected = float(row["coverage"])
        error = (max(expected * (1 - expected), 1 / REPEATS) * (1 / REPEATS + 1 / 2000)) ** 0.5
        assert covered == pytest.approx(expected, abs=4 * error)


def test_each_level_adds_the_variance_of_its_bootstrap_as_scipy_draws_it() -> None:
    values = np.random.default_rng(4).normal(0.3, 0.05, (5, 4, 3)) + np.linspace(0, 0.3, 5)[:, None, None]
    found = over_architectures(grid(values))
    assert found is not None
    drawn = 0.0
    for level, k in enumerate(values.shape):
        means = values.mean(axis=tuple(other for other in range(3) if other != level))
        rng = np.random.default_rng(level)
        of = stats.bootstrap((means,), np.mean, n_resamples=20_000, rng=rng, method="percentile")
        drawn += of.standard_error**2 * k / (k - 1)
    assert found.mean == pytest.approx(values.mean())
    assert found.se == pytest.approx(drawn**0.5, rel=0.03)


def test_over_seeds_the_mean_of_all_pairs_has_the_interval_of_the_house() -> None:
    values = np.random.default_rng(5).normal(0.3, 0.05, (2, 2, 3))
    by_seed = PerSeed({r: Estimate(float(v), 0.0, 1000, 1) for r, v in enumerate(values.mean(axis=(0, 1)))})
    assert over_pairs(grid(values)).interval == pytest.approx(by_seed.interval)


def test_pairs_of_the_same_images_err_together() -> None:
    """Two students that answer alike are one: their mean is as uncertain by its images as either."""
    rng = np.random.default_rng(6)
    of = rng.random((1, 1, 3, 400)) < 0.6
    controls = rng.random((1, 3, 400)) < 0.1
    make = partial(crossed.pairs, shared=True)
    one = make(crossed.Matrix(of, controls, 0.5))
    twice = make(crossed.Matrix(of.repeat(2, axis=1), controls.repeat(2, axis=0), 0.5))
    assert over_pairs(twice)[0].se == pytest.approx(next(iter(one.values()))[0].se, rel=1e-5)
    assert over_pairs(twice).interval == pytest.approx(over_pairs(one).interval, rel=1e-4)


@pytest.mark.parametrize("shape", [(2, 3, 3), (3, 2, 3), (3, 3, 2)])
def test_two_of_a_level_have_no_interval_for_others(shape: tuple[int, int, int]) -> None:
    assert over_architectures(grid(np.full(shape, 0.3))) is None


def test_a_pair_that_lacks_leaves_no_interval_for_others() -> None:
    pairs = grid(np.random.default_rng(7).normal(0.3, 0.05, (3, 3, 3)))
    del pairs["s1", "t1"]
    assert over_architectures(pairs) is None
