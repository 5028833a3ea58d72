"""Every verdict, and what none of them may say."""

from __future__ import annotations

import math
from typing import Any

import pytest
from rows import below, beside, matrix, rates, robust, row, shares, strong

from raylab.experiments.transfer import CARRIES, EVIDENCE, FLIPS, STANDS, failed_conditions, verdict
from raylab.experiments.transfer.verdict import (
    LEAKAGE,
    NO_CONTROLS,
    NO_EFFECT,
    NONE_EXISTS,
    NOT_BUILT,
    ONE_SEED,
    TRUE,
    UNCLEAR,
    answer,
    of_robust_source,
    source_is_robust,
    truth,
)
from raylab.report.per_seed import PerSeed
from raylab.report.values import Badge
from raylab.stages.dataset import DigitsData, SeeFarData

SEEFAR = SeeFarData(name="seefar")
SAYS_NOTHING = SeeFarData(name="seefar", toogit_reliability=0.1)
CLEAN, UNKNOWN = shares(0.98), shares(math.nan, math.nan)
FOLLOWS = {"non_robust": shares(0.93), "robust": below(0.92, of=shares(0.93))}
READ = {"turned": shares(0.99, 0.001), "kept": shares(0.98)}


@pytest.mark.parametrize(
    ("changed", "badge"),
    [
        ({"controls": {}}, NO_CONTROLS),
        ({"accuracy": PerSeed({0: shares(0.9)[0]})}, ONE_SEED),
        (beside("unperturbed", 0.01, 0.01), NO_EFFECT),
        (beside("unperturbed", -0.2, 0.01), NO_EFFECT),
        (beside("robust", 0.03, 0.01), NO_EFFECT),
        ({"robust": None}, LEAKAGE),
        ({}, EVIDENCE),
        ({"accuracy": PerSeed({})}, NOT_BUILT),
        ({"controls": {"untrained": PerSeed({})}}, NOT_BUILT),
        ({"success": PerSeed({})}, NOT_BUILT),
        ({"transfer": {}}, NOT_BUILT),
        ({"robust": robust(success=PerSeed({}))}, NOT_BUILT),
    ],
)
def test_each_case_has_its_badge_and_what_is_true_never_changes_it(changed: dict[str, Any], badge: Badge) -> None:
    assert verdict(strong(**changed), CLEAN).badge == badge
    assert verdict(strong(reliance=FOLLOWS, oracles=READ, **changed), CLEAN).badge == badge


@pytest.mark.parametrize(
    ("changed", "words", "numbers"),
    [
        ({"robust": None}, "no robust source was trained beside it", ""),
        ({"robust": robust(warnings=("seed 1: collapsed",))}, "the robust source does not count", "seed 1: collapsed"),
        ({"p1": below(0.0)}, "the next-class rate is as high", "next-class rate (p1) 88.0 ± 1."),
        ({"chance": 0.88}, "it is not shown to exceed chance", "points above chance"),
        (
            {"success": shares(FLIPS - 0.01), "robust": robust(success=shares(0.0, 0.0))},
            "the attack success rate on its source is too low",
            "the attack success rate on its source is 24.0 ± 1.0 %, where 25 % are asked",
        ),
        (
            {"robust": robust(success=shares(0.9 * STANDS + 0.01))},
            "the robust source is not robust at this radius",
            "more than 25 % of that on the standard one (90.0 ± 1.0 %)",
        ),
        (
            {"robust": robust(success=UNKNOWN)},
            "whether the robust source is robust at this radius is undecided",
            "the attack success rate on the robust source is –",
        ),
        (
            {"transfer": rates(CARRIES - 0.01)},
            "targeted transfer to an independent network is too low",
            "is 14.0 ± 1.0 %, where 15 % are asked",
        ),
        ({"kind": "rand"}, "rand is too weak a test for more", ""),
        ({"kind": "other"}, "other is too weak a test for more", ""),
    ],
)
def test_every_condition_of_evidence_is_needed_and_named_where_it_fails(
    changed: dict[str, Any], words: str, numbers: str
) -> None:
    assert verdict(strong(), CLEAN).badge == EVIDENCE
    found = verdict(strong(**changed), CLEAN)
    assert found.badge == LEAKAGE
    assert f"leakage of robust features is not excluded: {words}" in found.sentence
    assert numbers in found.numbers
    assert found.sentence.count(";") == 1, "one reason, and no other"
    assert len(list(failed_conditions(strong(**changed)))) == 1


def test_thresholds_are_met_where_they_are_reached() -> None:
    reached = strong(success=shares(FLIPS), robust=robust(success=shares(STANDS * FLIPS)), transfer=rates(CARRIES))
    assert verdict(reached).badge == EVIDENCE


def test_unknown_success_is_no_evidence() -> None:
    assert verdict(strong(success=UNKNOWN)).badge == LEAKAGE
    assert verdict(strong(robust=robust(success=UNKNOWN))).badge == LEAKAGE


def test_all_reasons_are_given_at_once() -> None:
    found = verdict(strong(success=shares(0.1), transfer=rates(0.01), robust=None), CLEAN)
    assert found.sentence.count(";") == 3


@pytest.mark.parametrize(
    ("data", "follows", "read", "badge"),
    [
        (DigitsData(), FOLLOWS, READ, None),
        (SEEFAR, {}, {}, None),
        (SEEFAR, FOLLOWS, READ, TRUE),
        (SEEFAR, {"non_robust": shares(0.3), "robust": shares(0.4)}, READ, UNCLEAR),
        (SEEFAR, FOLLOWS, READ | {"turned": shares(0.27)}, UNCLEAR),
        (SEEFAR, FOLLOWS, READ | {"turned": PerSeed({})}, NOT_BUILT),
        (SAYS_NOTHING, FOLLOWS, READ, NONE_EXISTS),
        (SAYS_NOTHING, {}, {}, NONE_EXISTS),
        (SeeFarData(name="seefar", toogit_amplitude=0.0), FOLLOWS, READ, NONE_EXISTS),
    ],
)
def test_what_is_true_stands_beside_the_verdict(
    data: object, follows: dict[str, PerSeed], read: dict[str, PerSeed], badge: Badge | None
) -> None:
    found = truth(strong(reliance=follows, oracles=read), data)
    assert (found.badge if found else None) == badge


def test_an_effect_must_beat_every_control_and_the_one_that_it_does_not_beat_is_named() -> None:
    beaten = {"unperturbed": below(0.78), "random_labels": below(0.77), "untrained": below(0.76)}
    assert verdict(row(controls=beaten)).badge == LEAKAGE
    # The difference to random labels is the larger one, but so uncertain that it may be nothing.
    found = verdict(row(controls=beaten | {"random_labels": below(0.80, 0.30)}))
    assert found.badge == NO_EFFECT
    assert found.sentence == "It is not shown to exceed its controls: a source fitted to random labels."
    assert "a source fitted to random labels gives 8.0 ±" in found.numbers


def test_missing_controls_are_counted() -> None:
    assert "(1 of 5 controls run)" in verdict(row()).numbers


def test_neighbours_are_only_quoted_where_they_work_and_see_a_target() -> None:
    visible = row(neighbours_target=shares(0.21))
    assert "by 1-NN 21.0 ± 1.0 % of the images look like their target" in verdict(visible, CLEAN).numbers
    assert "1-NN" in verdict(visible, CLEAN).sentence
    for one, clean in (
        (row(), CLEAN),
        (visible, shares(0.36)),
        (visible, PerSeed({})),
        (row(neighbours_target=PerSeed({})), CLEAN),
    ):
        assert "1-NN" not in verdict(one, clean).whole


def test_evidence_is_said_of_evidence_alone_and_in_one_sentence() -> None:
    assert "evidence for features that are not robust at this radius" in verdict(strong(), CLEAN).sentence
    for changed in ({"robust": None}, {"controls": {}}, beside("untrained", 0.0, 0.1), {"kind": "rand"}):
        sentence = verdict(strong(**changed), CLEAN).sentence
        assert "evidence" not in sentence
        assert sentence.count(". ") == 0, "one sentence"
        assert sentence.endswith(".")


def test_a_source_that_did_not_fit_its_noise_is_no_control() -> None:
    changed = row(controls={"unperturbed": below(0.78), "random_labels": below(0.78)}, noise_fit=shares(0.3))
    assert not changed.noise_is_fitted
    numbers = verdict(changed).numbers
    assert "learned only 30.0" in numbers
    assert "1 of 5 controls run" in numbers


def test_where_the_attack_succeeds_on_neither_source_it_is_undecided_whether_the_robust_one_is_robust() -> None:
    """0.0 % both, and it is right in 100 %: "does not stand", it said."""
    never = shares(0.0, 0.0)
    neither = strong(success=never, robust=robust(success=never))
    assert source_is_robust(neither) is None
    assert "whether the robust source is robust at this radius is undecided" in verdict(neither).sentence
    assert "is not robust" not in verdict(neither).sentence
    assert source_is_robust(strong(robust=None)) is None
    assert source_is_robust(strong(success=UNKNOWN)) is None
    assert source_is_robust(strong(success=never, robust=robust(success=shares(0.1)))) is False
    assert source_is_robust(strong()) is True


@pytest.mark.parametrize(("success", "taught", "badge", "sentence"), [
    (0.03, 0.08, "robust", "The student of its set is not above chance"),
    (0.03, 0.31, "robust", "The student of its set is above chance: leakage"),
    (0.4, 0.31, "not robust", "The student of its set is above chance: leakage, or features that this source uses too"),
])  # fmt: skip
def test_a_robust_source_is_judged_by_the_attack_and_by_its_set(
    success: float, taught: float, badge: str, sentence: str
) -> None:
    found = of_robust_source(strong(robust=robust(success=shares(success)), controls={"robust": shares(taught)}))
    assert (found.badge.words, found.sentence) == (badge, f"{sentence}.")
    assert f"the student of its set reaches {100 * taught:.1f} ± 1.0 % (next-class rate 60.0 ± 1.0 %)" in found.numbers


def test_equal_sentences_have_no_number_in_them() -> None:
    one, other = (verdict(row(controls={"unperturbed": below(of)})) for of in (0.7, 0.6))
    assert one.sentence == other.sentence
    assert one.numbers != other.numbers


def test_the_answer_counts_the_evidence_and_what_stands_in_the_way() -> None:
    rows = [strong(), strong(target="cnn", robust=None), strong(target="linear", robust=None, p1=below(-0.1))]
    found = answer(matrix(rows))
    assert found.badge == EVIDENCE
    assert found.sentence == (
        "Evidence for non-robust features in 1 of 3 det pairs of source and student (mlp → mlp). What stands in the "
        "way in the others: no robust source was trained beside it (2 of 2); the next-class rate is as high "
        "(1 of 2)."
    )
    weak = answer(matrix([row()]))
    assert weak.badge == LEAKAGE
    assert weak.sentence == (
        "No evidence for non-robust features in 1 rand pair of source and student. What stands in the way: rand is too "
        "weak a test for more, since its labels agree with every faint push. In 1 the student exceeds every control "
        "that was run."
    )
    assert answer(matrix([strong(controls={})])).badge == NO_CONTROLS
    assert answer(matrix([strong(accuracy=PerSeed({}))])).badge == NOT_BUILT
