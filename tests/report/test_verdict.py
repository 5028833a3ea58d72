"""Every verdict, and what none of them may say."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
from rows import above, estimate, robust, row, strong
from scipy import stats

from raylab.core.statistics import Estimate
from raylab.report.estimates import exceeds
from raylab.report.transfer.matrix import TRANSFER
from raylab.report.transfer.verdict import BADGES, CARRIES, FLIPS, STANDS, Code, TruthCode, stands, verdict
from raylab.stages.dataset import DigitsData, SeeFarData

DIGITS = DigitsData()
SEEFAR = SeeFarData(name="seefar")
NO_TOOGITS = SeeFarData(name="seefar", toogit_reliability=0.1)
CLEAN = estimate(0.98)
USAGE = {
    "toogit_is_target": estimate(1.0, 0.001),
    "shape_kept": estimate(0.99),
    "follow_n": estimate(0.93),
    "follow_r": estimate(0.01),
}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"controls": {}, "above": {}}, "no_controls"),
        ({"accuracy": estimate(0.9, seeds=1)}, "one_seed"),
        (above("unperturbed", 0.01, 0.01), "no_effect"),
        (above("unperturbed", -0.2, 0.01), "no_effect"),
        (above("robust", 0.03, 0.01), "no_effect"),
        ({"robust": None}, "above_controls"),
        ({}, "evidence"),
    ],
)
@pytest.mark.parametrize("data", [DIGITS, SEEFAR, NO_TOOGITS])
def test_each_case_has_its_code_and_what_is_true_never_changes_it(
    changed: dict[str, Any], data: object, code: str
) -> None:
    assert verdict(strong(**changed), data, CLEAN).code == code
    assert verdict(strong(usage=USAGE, **changed), data, CLEAN).code == code


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"robust": None}, "no robust source was trained beside it"),
        ({"robust": robust(warnings=("seed 1: collapsed",))}, "the robust source does not count (seed 1: collapsed)"),
        ({"above_p1": estimate(0.0), "p1": estimate(0.88)}, "the visible rule explains as much (p1 88.0 ± 1.0 %)"),
        ({"above_p1": None}, "the visible rule explains as much"),
        ({"chance": 0.88}, "it is not shown to exceed chance"),
        (
            {"success": estimate(FLIPS - 0.01), "robust": robust(success=estimate(0.0))},
            "the attack leads its source to the target in",
        ),
        ({"robust": robust(success=estimate(0.9 * STANDS + 0.01))}, "the robust source does not stand at this radius"),
        (
            {"robust": robust(success=estimate(math.nan))},
            "whether the robust source stands at this radius is undecided",
        ),
        ({"transfer": {TRANSFER: estimate(CARRIES - 0.01)}}, "targeted transfer to an independent network is"),
        ({"transfer": {}}, "targeted transfer to an independent network is unknown"),
        ({"kind": "rand"}, "rand is too weak a test for more"),
        ({"kind": "other"}, "other is too weak a test for more"),
    ],
)
def test_every_condition_of_evidence_is_needed_and_named_where_it_fails(changed: dict[str, Any], said: str) -> None:
    assert verdict(strong(), DIGITS, CLEAN).code == "evidence"
    found = verdict(strong(**changed), DIGITS, CLEAN)
    assert found.code == "above_controls"
    assert f"leakage of robust features is not excluded: {said}" in found.sentence
    assert found.sentence.count(";") == 1, "one reason, and no other"


def test_thresholds_are_met_where_they_are_reached() -> None:
    reached = strong(
        success=estimate(FLIPS), robust=robust(success=estimate(STANDS * FLIPS)), transfer={TRANSFER: estimate(CARRIES)}
    )
    assert verdict(reached, DIGITS, CLEAN).code == "evidence"


def test_unknown_success_is_no_evidence() -> None:
    unknown = estimate(math.nan, math.nan)
    assert verdict(strong(success=unknown), DIGITS, CLEAN).code == "above_controls"
    assert verdict(strong(robust=robust(success=unknown)), DIGITS, CLEAN).code == "above_controls"


def test_all_reasons_are_given_at_once() -> None:
    found = verdict(strong(success=estimate(0.1), transfer={}, robust=None), DIGITS, CLEAN)
    assert found.sentence.count(";") == 3


@pytest.mark.parametrize(
    ("data", "usage", "code"),
    [
        (DIGITS, USAGE, None),
        (SEEFAR, {}, None),
        (SEEFAR, USAGE, "true_features"),
        (SEEFAR, USAGE | {"follow_n": estimate(0.3), "follow_r": estimate(0.4)}, "unclear"),
        (SEEFAR, USAGE | {"toogit_is_target": estimate(0.27)}, "unclear"),
        (NO_TOOGITS, USAGE, "no_features_exist"),
        (NO_TOOGITS, {}, "no_features_exist"),
        (SeeFarData(name="seefar", toogit_amplitude=0.0), USAGE, "no_features_exist"),
    ],
)
def test_what_is_true_stands_beside_the_verdict(data: object, usage: dict[str, Estimate], code: str | None) -> None:
    more = usage.get("follow_n", CLEAN).mean - usage.get("follow_r", CLEAN).mean
    truth = verdict(strong(usage=usage, prefers=estimate(more)), data, CLEAN).truth
    assert (truth.code if truth else None) == code


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


def test_missing_controls_are_counted() -> None:
    assert "(1 of 5 controls run)" in verdict(row(), DIGITS, CLEAN).sentence


def test_neighbours_are_only_quoted_where_they_work_and_see_a_target() -> None:
    visible = row(neighbours_target=estimate(0.21))
    assert "by 1-NN 21.0 ± 1.0 % of the images look like their target" in verdict(visible, DIGITS, CLEAN).sentence
    assert "1-NN" not in verdict(row(), DIGITS, CLEAN).sentence
    assert "1-NN" not in verdict(visible, DIGITS, estimate(0.36)).sentence
    assert "1-NN" not in verdict(visible, DIGITS, None).sentence
    assert "1-NN" not in verdict(row(neighbours_target=None), DIGITS, CLEAN).sentence


def test_evidence_is_said_of_evidence_alone_and_in_one_sentence() -> None:
    assert "evidence for features that are not robust at this radius" in verdict(strong(), DIGITS, CLEAN).sentence
    for changed in ({"robust": None}, {"controls": {}, "above": {}}, above("untrained", 0.0, 0.1), {"kind": "rand"}):
        sentence = verdict(strong(**changed), DIGITS, CLEAN).sentence
        assert "evidence" not in sentence
        assert sentence.count(". ") == 0, "one sentence"
        assert sentence.endswith(".")


def test_every_code_has_a_badge() -> None:
    assert set(BADGES) == {*get_args(Code), *get_args(TruthCode)}


def test_a_source_that_did_not_fit_its_noise_is_no_control() -> None:
    changed = row(
        controls={"unperturbed": estimate(0.1), "random_labels": estimate(0.1)},
        above={"unperturbed": estimate(0.78)},
        noise_fit=estimate(0.3),
    )
    assert not changed.noise_is_fitted
    said = verdict(changed, DigitsData(), None).sentence
    assert "learned only 30.0" in said
    assert "1 of 5 controls run" in said


def test_where_neither_source_is_led_astray_it_is_undecided_whether_the_robust_one_stands() -> None:
    """0.0 % both, and it withstands in 100 %: "does not stand", it said."""
    neither = strong(success=estimate(0.0, 0.0), robust=robust(success=estimate(0.0, 0.0)))
    assert stands(neither) is None
    assert "whether the robust source stands at this radius is undecided" in verdict(neither, DIGITS, CLEAN).sentence
    assert "does not stand" not in verdict(neither, DIGITS, CLEAN).sentence
    assert stands(strong(robust=None)) is None
    assert stands(strong(success=estimate(math.nan))) is None
    assert stands(strong(success=estimate(0.0), robust=robust(success=estimate(0.1)))) is False
    assert stands(strong()) is True
