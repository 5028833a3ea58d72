"""Statistics against scipy, closed forms, and the coverage that an interval promises."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import scipy.stats

from raylab.core import statistics
from raylab.core.statistics import VIEWS, correlate, over_seeds, pearson, proportion, spearman


def test_a_proportion_has_its_binomial_error() -> None:
    estimate = proportion(3, 12)
    assert (estimate.mean, estimate.n, estimate.seeds) == (0.25, 12, 1)
    draws = np.random.default_rng(0).binomial(12, 0.25, 200_000) / 12
    assert estimate.se == pytest.approx(draws.std(), rel=0.01)  # 200,000 draws: .2 % is one standard error
    assert proportion(5, 5).se == 0.0


def test_a_proportion_of_nothing_is_nan_and_of_too_much_an_error() -> None:
    empty = proportion(0, 0)
    assert math.isnan(empty.mean)
    assert math.isnan(empty.se)
    assert empty.n == 0
    with pytest.raises(ValueError, match="got 3 of 2"):
        proportion(3, 2)


def test_over_seeds_is_mean_and_standard_error_of_the_mean() -> None:
    values = [0.2, 0.5, 0.3, 0.1]
    estimate = over_seeds(values, n=400)
    assert estimate.mean == pytest.approx(np.mean(values))
    assert estimate.se == pytest.approx(scipy.stats.sem(values))
    assert (estimate.n, estimate.seeds) == (400, 4)


def test_one_seed_has_no_error_and_seeds_without_data_do_not_count() -> None:
    one = over_seeds([0.4], n=100)
    assert (one.mean, one.seeds) == (0.4, 1)
    assert math.isnan(one.se)
    assert over_seeds([0.2, math.nan, 0.4], n=20) == over_seeds([0.2, 0.4], n=20)
    none = over_seeds([math.nan], n=0)
    assert math.isnan(none.mean)
    assert none.seeds == 0


@pytest.mark.parametrize("digits", [8, 1])  # one digit: many ties
def test_correlations_agree_with_scipy(digits: int) -> None:
    generator = np.random.default_rng(0)
    for n in (3, 4, 10, 100):
        x = np.round(generator.normal(size=n), digits)
        y = np.round(0.5 * x + generator.normal(size=n), digits)
        assert pearson(x, y) == pytest.approx(scipy.stats.pearsonr(x, y).statistic, abs=1e-10)
        assert spearman(x, y) == pytest.approx(scipy.stats.spearmanr(x, y).statistic, abs=1e-10)


@pytest.mark.parametrize("measure", [pearson, spearman])
def test_correlations_without_information_are_nan(measure) -> None:
    assert math.isnan(measure([0.1, 0.1, 0.1], [1.0, 2.0, 3.0]))  # the mean of three .1 is not .1
    assert math.isnan(measure([0.0, 0.0, 0.0], [1.0, 2.0, 3.0]))
    assert math.isnan(measure([1.0, 2.0], [1.0, 2.0]))
    assert math.isnan(measure([], []))
    assert math.isnan(measure([1.0, math.nan, 2.0], [1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match="one length"):
        measure([1.0, 2.0], [1.0])


NETS = ["a", "b", "c", "d", "e", "f"]


def _grid(sources=NETS, targets=NETS) -> tuple[list[str], list[str]]:
    source, target = zip(*product(sources, targets), strict=True)
    return list(source), list(target)


def test_views_are_what_their_names_say() -> None:
    source, target = _grid()
    x, y = np.random.default_rng(1).normal(size=(2, 36))
    result = correlate(source, target, x, y, seed=0, resamples=2)
    off = np.array(source) != np.array(target)
    for name, rows in (("pooled", off | True), ("off_diagonal", off)):
        assert result[name].n == rows.sum()
        assert result[name].pearson.value == pytest.approx(pearson(x[rows], y[rows]))
        assert result[name].spearman.value == pytest.approx(spearman(x[rows], y[rows]))
    for name, rows in (("within_source", off | True), ("within_source_off_diagonal", off)):
        deviations = []
        for values in (x, y):
            table = np.where(rows, values, np.nan).reshape(6, 6)
            deviations.append((table - np.nanmean(table, axis=1, keepdims=True)).ravel()[rows])
        assert result[name].n == rows.sum()
        assert result[name].pearson.value == pytest.approx(pearson(*deviations))
        assert result[name].spearman.value == pytest.approx(spearman(*deviations))


def test_strong_sources_alone_correlate_pooled_and_not_within() -> None:
    """The trap the views are for: a source's strength moves x and y together, nothing else does."""
    source, target = _grid()
    strength = np.repeat(np.arange(6.0), 6)
    generator = np.random.default_rng(2)
    x, y = strength + 0.3 * generator.normal(size=(2, 36))
    result = correlate(source, target, x, y, seed=0, resamples=200)
    assert result["pooled"].pearson.value > 0.9
    assert abs(result["within_source"].pearson.value) < 0.4  # 1 / sqrt(30) = .18 is one standard error
    assert result["within_source"].pearson.low < 0.0 < result["within_source"].pearson.high


def test_centring_is_within_each_teacher_where_an_architecture_was_trained_twice() -> None:
    source, target = _grid()
    x, y = np.random.default_rng(3).normal(size=(2, 36))
    teacher = [0] * 36 + [1] * 36
    twice = correlate(source * 2, target * 2, [*x, *(x + 5)], [*y, *(y - 5)], 0, teacher=teacher, resamples=2)
    once = correlate(source, target, x, y, seed=0, resamples=2)
    assert twice["within_source"].n == 72
    assert twice["within_source"].pearson.value == pytest.approx(once["within_source"].pearson.value)
    merged = correlate(source * 2, target * 2, [*x, *(x + 5)], [*y, *(y - 5)], 0, resamples=2)
    assert merged["within_source"].pearson.value < -0.8


@pytest.mark.parametrize("digits", [8, 1])  # one digit: many ties
def test_resamples_that_are_computed_together_are_those_that_are_computed_one_by_one(digits: int) -> None:
    source, target = _grid()
    x, y = np.round(np.random.default_rng(10).normal(size=(2, 36)), digits)
    sides = ("source", np.repeat(np.arange(6), 6)), ("target", np.tile(np.arange(6), 6))
    counts = np.prod([statistics._draw_counts(3, f"bootstrap/{side}", 6, 100)[:, of] for side, of in sides], axis=0)
    drawn = [np.repeat(np.arange(36), row) for row in counts]
    result = correlate(source, target, x, y, seed=3, resamples=100)
    for name, left_out in (("pooled", np.zeros(36, bool)), ("off_diagonal", np.array(source) == np.array(target))):
        kept = [rows[~left_out[rows]] for rows in drawn]
        for measure in (pearson, spearman):
            found = getattr(result[name], measure.__name__)
            low, high = np.quantile([measure(x[rows], y[rows]) for rows in kept], [0.5 - 0.95 / 2, 0.5 + 0.95 / 2])
            assert (found.low, found.high) == (low, high)


def test_the_interval_is_a_function_of_the_seed_and_not_of_the_order_of_rows() -> None:
    source, target = _grid()
    x, y = np.random.default_rng(4).normal(size=(2, 36))
    order = np.random.default_rng(5).permutation(36)
    names, others = np.array(source)[order].tolist(), np.array(target)[order].tolist()
    base = correlate(source, target, x, y, seed=0, resamples=100)
    turned = correlate(names, others, x[order], y[order], seed=0, resamples=100)
    for name in VIEWS:
        for measure in ("pearson", "spearman"):
            one, other = getattr(base[name], measure), getattr(turned[name], measure)
            assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-12)
            assert one.low < one.value < one.high
    assert correlate(source, target, x, y, seed=1, resamples=100)["pooled"] != base["pooled"]


@pytest.mark.parametrize("axis", ["source", "target"])
def test_the_interval_resamples_networks_and_not_cells(axis: str) -> None:
    """Where all depends on one side, 36 cells are 6 observations: intervals over cells are too narrow."""
    generator = np.random.default_rng(6)
    source, target = _grid() if axis == "source" else _grid()[::-1]
    missed_by_networks = missed_by_cells = 0
    worlds = 30
    for _ in range(worlds):  # x and y follow that side, independently: the true correlation is 0
        x = np.repeat(generator.normal(size=6), 6) + 0.1 * generator.normal(size=36)
        y = np.repeat(generator.normal(size=6), 6) + 0.1 * generator.normal(size=36)
        pooled = correlate(source, target, x, y, seed=0, resamples=60)["pooled"].pearson
        missed_by_networks += not pooled.low <= 0.0 <= pooled.high
        cells = generator.integers(36, size=(60, 36))
        low, high = np.quantile([pearson(x[rows], y[rows]) for rows in cells], [0.025, 0.975])
        missed_by_cells += not low <= 0.0 <= high
    assert missed_by_cells > 0.4 * worlds
    assert missed_by_networks < 0.25 * worlds  # six networks: rough, yet of another order


@pytest.mark.parametrize(
    ("sources", "targets"), [(["a"], NETS), (NETS, ["a"]), (["a"], ["b"]), ([], []), (["a", "b"], ["a", "b"])]
)
def test_degenerate_tables_give_nan_and_no_crash(sources: list[str], targets: list[str]) -> None:
    source, target = map(list, zip(*product(sources, targets), strict=True)) if sources else ([], [])
    x, y = np.random.default_rng(7).normal(size=(2, len(source)))
    result = correlate(source, target, x, y, seed=0, resamples=20)
    assert set(result) == set(VIEWS)
    for name in VIEWS:
        few_networks = min(len(sources), len(targets)) < 2
        assert math.isnan(result[name].pearson.low) or not few_networks
        assert math.isnan(result[name].pearson.value) or result[name].n >= 3
    assert result["off_diagonal"].n == sum(a != b for a, b in zip(source, target, strict=True))


def test_constant_sides_and_missing_cells_are_told_apart() -> None:
    source, target = _grid()
    x = np.random.default_rng(8).normal(size=36)
    flat = correlate(source, target, x, np.full(36, 0.1), seed=0, resamples=20)
    coefficients = [flat[name].spearman for name in VIEWS]
    assert all(math.isnan(one.value) and math.isnan(one.low) and math.isnan(one.high) for one in coefficients)
    holes = x.copy()
    holes[[3, 17]] = math.nan
    result = correlate(source, target, holes, 2 * x, seed=0, resamples=20)
    assert result["pooled"].n == 34
    assert result["pooled"].pearson.value == pytest.approx(1.0)
    everything = correlate(source, target, np.full(36, math.nan), x, seed=0, resamples=20)
    assert everything["pooled"].n == 0


def test_columns_of_unequal_length_are_an_error() -> None:
    with pytest.raises(ValueError, match="2 sources, 3 targets, 3 values and no teachers"):
        correlate(["a", "b"], ["a", "b", "c"], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0], seed=0)


def test_an_estimate_is_a_value() -> None:
    assert statistics.Estimate(0.5, 0.1, 10, 1) == statistics.Estimate(0.5, 0.1, 10, 1)
