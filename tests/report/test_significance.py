"""p-values of the one rule, Holm over a table, and the smallest effect that a plan can detect."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from raylab.core.statistics import Estimate, proportion, sampled
from raylab.engine.study import Study
from raylab.experiments.poison import PoisonStudy
from raylab.report.per_seed import PerSeed
from raylab.report.significance import detectable, holm, in_deviations, paired_tests


def of_worlds(values: np.ndarray) -> PerSeed:
    """Differences of shares, of images of a seed's own."""
    return PerSeed({s: Estimate(float(v), 0.01, 1000, 1, within=(-1.0, 1.0)) for s, v in enumerate(values)})


@pytest.mark.parametrize("k", [2, 3, 5, 8])
def test_with_images_of_a_seeds_own_the_p_value_is_that_of_students_paired_t(k: int) -> None:
    rng = np.random.default_rng(k)
    for shift in (0.0, 0.02, -0.1):
        one, two = rng.normal(0.5 + shift, 0.02, k), rng.normal(0.5, 0.02, k)
        expected = stats.ttest_rel(one, two).pvalue
        assert of_worlds(one - two).p_value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("images", ["test", "world {}"])
def test_a_p_value_is_below_5_percent_just_where_the_interval_leaves_0_out(images: str) -> None:
    rng = np.random.default_rng(3)
    decided = []
    for shift in np.linspace(0.0, 0.08, 60):
        hard = rng.random(200) * 0.4
        one, two = ({s: rng.random(200) < base + hard for s in range(3)} for base in (0.3 + shift, 0.3))
        first, second = (
            {s: sampled(of, np.arange(200), images.format(s)) for s, of in each.items()} for each in (one, two)
        )
        difference = PerSeed(first) - second
        low, high = difference.interval
        assert (difference.p_value < 0.05) == (low > 0 or high < 0)
        decided.append(difference.p_value < 0.05)
    assert any(decided)
    assert not all(decided)


def test_one_seed_has_no_p_value_and_no_difference_has_that_of_1() -> None:
    assert np.isnan(of_worlds(np.array([0.3])).p_value)
    assert of_worlds(np.array([0.1, -0.1])).p_value == 1.0
    none = dict.fromkeys(range(3), proportion(0, 50))
    assert (PerSeed(none) - none).p_value == 1.0


def test_holm_is_bonferroni_closed_over_all_sets_of_hypotheses() -> None:
    """The closed testing procedure (Marcus, Peritz and Gabriel 1976), by brute force."""
    rng = np.random.default_rng(1)
    for m in (1, 2, 5):
        p = rng.random(m) ** 3
        p[-1] = p[0]
        sets = [of for n in range(1, m + 1) for of in combinations(range(m), n)]
        closed = [max(min(1.0, len(of) * min(p[list(of)])) for of in sets if i in of) for i in range(m)]
        assert holm(p) == pytest.approx(closed)


def test_what_is_no_test_does_not_count_for_holm() -> None:
    adjusted = holm([0.01, float("nan"), 0.04])
    assert adjusted[0] == pytest.approx(0.02)
    assert np.isnan(adjusted[1])
    assert adjusted[2] == pytest.approx(0.04)
    assert holm([]) == []


@pytest.mark.parametrize(("k", "tests"), [(3, 1), (5, 1), (5, 10)])
def test_an_effect_of_the_smallest_detectable_size_is_found_in_four_of_five_runs(k: int, tests: int) -> None:
    runs = 20_000
    effect = detectable(k, 0.03, tests)
    drawn = np.random.default_rng(2).normal(effect, 0.03, (runs, k))
    p = stats.ttest_1samp(drawn, 0.0, axis=1).pvalue
    assert (p < 0.05 / tests).mean() == pytest.approx(0.8, abs=4 * (0.16 / runs) ** 0.5)


def test_one_seed_detects_nothing() -> None:
    assert detectable(1, 0.03) == float("inf")


def test_a_table_has_a_line_for_each_difference_that_was_measured_and_adjusts_all_of_them() -> None:
    rng = np.random.default_rng(0)
    made = {("a", str(k)): of_worlds(rng.normal(0.1, 0.05, 3)) for k in range(4)} | {("b", "none"): PerSeed({})}
    table = paired_tests("One minus other", ("First", "Second"), made.items(), 3)
    measured = [of for of in made.values() if of]
    assert [line[:2] for line in table.rows] == list(made)[:4]
    assert [line[2].of for line in table.rows] == measured
    assert [line[4].of for line in table.rows] == holm([of.p_value for of in measured])
    assert "with 3 seeds few" in table.caption
    assert not paired_tests("One minus other", ("First",), [], 5).rows


def test_a_dry_run_says_in_deviations_what_a_number_of_seeds_finds() -> None:
    told = ["".join(in_deviations(Study(PoisonStudy(seeds=tuple(range(k))), {}))) for k in (1, 3)]
    assert "One seed detects no difference" in told[0]
    assert "that 3 seeds find in 4 of 5 runs (paired test of 5 %) is 3.3 times" in told[1]
