"""Every verdict, and what none of them may say."""

from __future__ import annotations

import math
from typing import Any

import pytest
import rows
from rows import above, estimate, row
from scipy import stats

from raylab.core.statistics import Estimate
from raylab.report.verdict import BADGES, exceeds, verdict
from raylab.stages.dataset import DigitsData, SeeFarData

DIGITS = DigitsData()
SEEFAR = SeeFarData(name="seefar")
NO_TOOGITS = SeeFarData(name="seefar", toogit_reliability=0.1)
CLEAN = estimate(0.98)
USAGE = {
    "toogit_is_target": estimate(1.0, 0.0),
    "shape_kept": estimate(0.99),
    "follow_n": estimate(0.93),
    "follow_r": estimate(0.01),
}


@pytest.mark.parametrize(
    ("changed", "data", "code"),
    [
        ({"controls": {}, "above": {}}, DIGITS, "no_controls"),
        ({"accuracy": estimate(0.9, seeds=1)}, DIGITS, "one_seed"),
        (above("unperturbed", 0.01, 0.01), DIGITS, "no_effect"),
        (above("unperturbed", -0.2, 0.01), DIGITS, "no_effect"),
        ({}, DIGITS, "above_controls"),
        ({}, SEEFAR, "above_controls"),  # nothing was read by the oracles
        ({"usage": USAGE}, SEEFAR, "true_features"),
        ({"usage": USAGE | {"follow_n": estimate(0.3), "follow_r": estimate(0.4)}}, SEEFAR, "above_controls"),
        ({"usage": USAGE | {"toogit_is_target": estimate(0.27)}}, SEEFAR, "above_controls"),
        ({"usage": USAGE, "controls": {}, "above": {}}, SEEFAR, "no_controls"),
        ({"usage": USAGE, **above("unperturbed", 0.0, 0.01)}, SEEFAR, "no_effect"),
    ],
)
def test_each_case_has_its_code(changed: dict[str, Any], data: object, code: str) -> None:
    assert verdict(row(**changed), data, CLEAN).code == code


def test_an_effect_must_beat_every_control_and_the_one_that_it_does_not_beat_is_named() -> None:
    controls = {"unperturbed": estimate(0.10), "random_labels": estimate(0.11), "untrained": estimate(0.12)}
    beaten = {"unperturbed": estimate(0.78), "random_labels": estimate(0.77), "untrained": estimate(0.76)}
    assert verdict(row(controls=controls, above=beaten), DIGITS, CLEAN).code == "above_controls"
    # The difference to random labels is the larger one, but so uncertain that it may be nothing.
    missed = beaten | {"random_labels": estimate(0.80, 0.30)}
    found = verdict(row(controls=controls, above=missed), DIGITS, CLEAN)
    assert found.code == "no_effect"
    assert "a source fitted to random labels gives 11.0 ± 1.0 %" in found.sentence


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


@pytest.mark.parametrize("accuracy", [0.01, 0.3, 0.6, 0.99])
@pytest.mark.parametrize("kind", ["rand", "det"])
def test_a_world_without_toogits_claims_nothing_whatever_the_accuracy(accuracy: float, kind: str) -> None:
    strong = row(
        kind=kind, accuracy=estimate(accuracy), p1=estimate(0.0), success=estimate(1.0), usage=USAGE, transfer={}
    )
    found = verdict(strong, NO_TOOGITS, CLEAN)
    assert found.code == "no_features_exist"
    assert "no claim is made" in found.sentence


def test_det_is_set_against_the_visible_rule_and_rand_is_not() -> None:
    assert "but no more than the visible rule" in verdict(row(kind="det", p1=estimate(0.9)), DIGITS, CLEAN).sentence
    assert "and more than the visible rule" in verdict(row(kind="det", p1=estimate(0.2)), DIGITS, CLEAN).sentence
    assert "visible rule" not in verdict(row(kind="rand"), DIGITS, CLEAN).sentence


def test_missing_controls_are_counted() -> None:
    assert "(1 of 3 controls run)" in verdict(row(), DIGITS, CLEAN).sentence


def test_neighbours_are_only_quoted_where_they_work_and_see_a_target() -> None:
    visible = row(neighbours_target=estimate(0.21))
    assert "by 1-NN 21.0 ± 1.0 % of the images look like their target" in verdict(visible, DIGITS, CLEAN).sentence
    assert "1-NN" not in verdict(row(), DIGITS, CLEAN).sentence
    assert "1-NN" not in verdict(visible, DIGITS, estimate(0.36)).sentence
    assert "1-NN" not in verdict(visible, DIGITS, None).sentence
    assert "1-NN" not in verdict(row(neighbours_target=None), DIGITS, CLEAN).sentence


def test_nothing_is_ever_called_evidence_and_leakage_is_never_excluded() -> None:
    perfect = row(kind="det", accuracy=estimate(0.99), p1=estimate(0.0), success=estimate(1.0))
    found = verdict(perfect, DIGITS, CLEAN)
    assert "leakage of robust features is not excluded" in found.sentence
    for changed in ({}, {"usage": USAGE}, {"controls": {}, "above": {}}, above("untrained", 0.0, 0.1)):
        for data in (DIGITS, SEEFAR, NO_TOOGITS):
            sentence = verdict(rows.row(kind="det", **changed), data, CLEAN).sentence
            assert "evidence" not in sentence
            assert sentence.count(". ") == 0, "one sentence"
            assert sentence.endswith(".")


def test_every_code_has_a_badge() -> None:
    assert set(BADGES) == {
        "no_controls", "one_seed", "no_effect", "above_controls", "true_features", "no_features_exist"
    }  # fmt: skip


def test_a_source_that_did_not_fit_its_noise_is_no_control() -> None:
    changed = row(
        controls={"unperturbed": estimate(0.1), "random_labels": estimate(0.1)},
        above={"unperturbed": estimate(0.78)},
        noise_fit=estimate(0.3),
    )
    assert not changed.noise_is_fitted
    said = verdict(changed, DigitsData(), None).sentence
    assert "learned only 30.0" in said
    assert "1 of 3 controls run" in said
