"""When a difference counts."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from raylab.core.statistics import Estimate
from raylab.report.per_seed import bounds_of


def exceeds(difference: Estimate) -> bool:
    return bounds_of(difference)[0] > 0


@pytest.mark.parametrize("seeds", [2, 3, 5, 30])
def test_a_difference_counts_beyond_the_quantile_of_student_for_its_seeds(seeds: int) -> None:
    quantile = float(stats.t.ppf(0.975, seeds - 1))
    assert exceeds(Estimate(1.001 * quantile * 0.02, 0.02, 100, seeds))
    assert not exceeds(Estimate(0.999 * quantile * 0.02, 0.02, 100, seeds))


def test_two_standard_errors_are_not_enough_with_three_seeds() -> None:
    assert not exceeds(Estimate(0.04, 0.02, 100, 3))
    assert not exceeds(Estimate(0.08, 0.02, 100, 3))
    assert exceeds(Estimate(0.09, 0.02, 100, 3))  # t of 2 degrees of freedom: 4.303


def test_one_seed_never_exceeds_and_neither_does_an_unknown_difference() -> None:
    assert not exceeds(Estimate(0.9, 0.0, 100, 1))
    assert not exceeds(Estimate(math.nan, math.nan, 0, 3))
