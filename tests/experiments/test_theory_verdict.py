"""Verdicts by rule."""

from __future__ import annotations

import math

import pytest

from raylab.core.statistics import Estimate
from raylab.experiments.theory.targets import Rule, Target
from raylab.experiments.theory.verdict import Code, Comparison, answer, counts, unmatched, wanted
from raylab.report.numbers import basis
from raylab.report.per_seed import PerSeed
from raylab.report.values import Significant, fields, format_value

NOTHING = PerSeed({}).mean
EXACT = Comparison(Target("q", 1.0, 0.1, "s"), Estimate(1.0, 0.0, 0, 1))
MISSING = Comparison(Target("q", 1.0, 0.1, "s"), NOTHING, reason="no files")
FAR = Comparison(Target("far", 1.0, 0.1, "s"), Estimate(2.0, 0.01, 100, 1), protocol="smaller", run_once=True)


def verdict(mean: float, se: float, n: int, seeds: int = 1, rule: Rule = "equal", value: float = 0.9) -> Code:
    return Comparison(Target("q", value, 0.02, "s", rule), Estimate(mean, se, n, seeds), run_once=seeds == 1).code


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (verdict(0.91, 0.0, 0), "exact"),
        (verdict(0.93, 0.0, 0), "outside"),
        (verdict(0.91, 0.001, 100), "within"),
        (verdict(0.91, 0.01, 100), "inconclusive"),  # 1.96 x .01 reaches beyond .92
        (verdict(0.95, 0.01, 100), "outside"),
        (verdict(0.935, 0.01, 100), "inconclusive"),
        (verdict(0.91, math.nan, 100), "within"),  # nothing was sampled anew
        (verdict(math.nan, 0.1, 100), "not_run"),
        (verdict(0.95, 0.02, 100, rule="at_least"), "met"),
        (verdict(0.95, 0.03, 100, rule="at_least"), "inconclusive"),
        (verdict(0.85, 0.02, 100, rule="at_least"), "outside"),
        (verdict(0.85, 0.02, 100, rule="at_most"), "met"),
        (verdict(0.95, 0.02, 100, rule="at_most"), "outside"),
        (verdict(0.9, 0.0, 0, rule="at_least"), "met"),
    ],
)
def test_a_verdict_follows_from_the_interval(code: Code, expected: Code) -> None:
    assert code == expected


def test_one_seed_of_a_world_that_has_several_decides_nothing() -> None:
    """Its samples know nothing of other networks; what is computed needs none."""
    trained = Estimate(0.91, 0.001, 100_000, 1)
    assert Comparison(Target("q", 0.9, 0.02, "s"), trained).code == "inconclusive"
    assert Comparison(Target("q", 0.9, 0.02, "s"), trained, run_once=True).code == "within"
    assert Comparison(Target("q", 0.9, 0.02, "s"), Estimate(0.91, 0.0, 0, 1)).code == "exact"


def test_few_seeds_make_a_wide_interval() -> None:
    """Three seeds: 4.303 standard errors, not 1.96."""
    assert verdict(0.91, 0.004, 300, seeds=3) == "inconclusive"
    assert verdict(0.91, 0.004, 300, seeds=30) == "within"
    for seeds, reach in ((2, 12.706), (31, 2.042), (32, 2.040)):  # the table that was here ended at 30 degrees
        ours = Comparison(Target("q", 0, 1, "s"), Estimate(0, 1.0, 9, seeds)).interval
        assert ours == pytest.approx((-reach, reach), abs=5e-4)


def test_what_was_not_run_is_said_so() -> None:
    assert MISSING.code == "not_run"
    assert (format_value(MISSING.shown), basis(MISSING.ours)) == ("–", "–")
    assert [(one.badge.words, one.sentence) for one in unmatched([MISSING, EXACT])] == [("not run", "no files.")]


def test_verdicts_are_counted_and_the_answer_names_what_is_not_within() -> None:
    assert counts([MISSING, EXACT, EXACT]) == {"exact": 2, "not_run": 1}
    good, bad = answer([EXACT, MISSING]), answer([EXACT, FAR])
    assert (good.badge.look, good.badge.words) == ("good", "1 of 1 agree")
    assert (bad.badge.look, bad.badge.words) == ("warn", "1 of 2 agree")
    assert "1 is not within (far)" in bad.sentence
    assert answer([MISSING]).badge.words == "not built"
    (far,) = unmatched([FAR])
    assert far.sentence == "Ours: 2.0000 ± 0.01, n = 100, 1 seed, smaller. Asked: 1 ± 0.1; s."


def test_numbers_are_written_as_people_read_them() -> None:
    assert wanted(Target("q", -0.99, 0.03, "s")) == "−0.99 ± 0.03"
    assert wanted(Target("q", 0.9, 0, "s", "at_most")) == "≤ 0.9"
    assert format_value(Significant(Estimate(0.99312, 0.00261, 1000, 5))) == "0.9931 ± 0.0026"
    assert format_value(Significant(Estimate(0.99299997, math.nan, 1000, 1))) == "0.9930"
    assert format_value(Significant(Estimate(2.25, 0.0, 0, 1))) == "2.25"
    assert basis(Estimate(0.5, 0.1, 12_700, 1)) == "n = 12\u202f700, 1 seed"
    assert basis(Estimate(0.5, 0.1, 500, 3)) == "n = 500, 3 seeds"
    assert fields("λ", Significant(233.41643552514867)) == {"λ": "233.416435525"}
    assert fields("x", EXACT.shown)["x high"] == fields("x", EXACT.shown)["x low"] == "1"
