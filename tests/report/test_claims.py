"""The rule of verdicts: intervals beside bounds, and what cannot be decided."""

from __future__ import annotations

import math

import pytest

from raylab.core.statistics import Estimate, Range
from raylab.report.claims import INF, NOT_BUILT, ONE_SEED, not_built, one_seed, within
from raylab.report.per_seed import PerSeed


@pytest.mark.parametrize(
    ("interval", "low", "high", "inside"),
    [
        ((0.2, 0.4), 0.2, 0.4, True),  # a bound belongs to the inside
        ((0.2, 0.4), 0.1, INF, True),
        ((0.2, 0.4), -INF, 0.3, None),
        ((0.2, 0.4), 0.4, 1.0, None),
        ((0.2, 0.4), 0.41, 1.0, False),
        ((0.2, 0.4), -INF, 0.19, False),
        ((0.0, 1.0), 0.4, 0.6, None),  # across both
        ((math.nan, math.nan), -INF, INF, None),
        ((math.nan, math.nan), 0.0, 1.0, None),
    ],
)
def test_an_interval_is_inside_outside_or_across(interval: Range, low: float, high: float, inside: bool | None) -> None:
    assert within(interval, low, high) is inside


def test_one_seed_decides_nothing_and_two_seeds_are_counted_after_pairing() -> None:
    one, two = (PerSeed({seed: Estimate(0.5, 0.1, 100, 1) for seed in range(seeds)}) for seeds in (1, 2))
    assert one_seed("a", "Numbers", [two, two]) is None
    undecided = one_seed("a", "Numbers", [two, two - one])
    assert undecided is not None
    assert (undecided.badge, undecided.sentence) == (ONE_SEED, "Numbers. One seed says nothing of other networks.")


def test_what_was_not_built_is_named() -> None:
    assert not_built("a", "A set")[:3] == ("a", NOT_BUILT, "A set that this verdict needs was not built.")
