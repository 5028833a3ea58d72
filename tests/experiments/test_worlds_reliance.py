"""What networks must rely on where the truth is known: networks made by hand that do, and that do not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from raylab.experiments.worlds.reliance import (
    Alone,
    CaseAnswers,
    Conflict,
    alone,
    at_all,
    in_conflict,
    leads,
    most,
    outweighed,
)

N = 1000


def conflict(robust: float, non_robust: float, seed: int = 0) -> Conflict:
    """A network that relies on both features in these shares, and else draws any class but the robust feature's."""
    draw = np.random.default_rng(seed)
    r = draw.integers(10, size=N)
    n = (r + 1 + draw.integers(9, size=N)) % 10
    other = (r + 1 + draw.integers(9, size=N)) % 10
    how = draw.random(N)
    return Conflict(np.where(how < robust, r, np.where(how < robust + non_robust, n, other)), r, n)


def by_accident(seed: int) -> Conflict:
    """A network that takes every non-robust feature for some class, drawn once: two of ten happen to be right."""
    found = conflict(0.0, 0.0, seed)
    learned = np.array([0, 1, 3, 4, 5, 6, 7, 8, 9, 2])
    return found._replace(prediction=learned[found.non_robust])


def reading(non_robust: float, seed: int = 0) -> Alone:
    """A network that reads non-robust features alone in this share, and else draws any class."""
    draw = np.random.default_rng(seed)
    n = draw.integers(10, size=N)
    return Alone(np.where(draw.random(N) < non_robust, n, draw.integers(10, size=N)), n)


BLIND, USES = [conflict(0.6, 0.0, s) for s in range(3)], [conflict(0.2, 0.6, s) for s in range(3)]
SEES_NONE, READS = [reading(0.0, s) for s in range(3)], [reading(0.5, s) for s in range(3)]
SHAPE_FIRST = [conflict(0.6, 0.2, s) for s in range(3)]
SHAPE_ALONE = [conflict(1.0, 0.0, s) for s in range(3)]
FAIR = CaseAnswers(USES, USES, READS, READS, [1.0] * 3, [1.0] * 3, says_nothing=False, turned=True, evidence=True)
NOTHING = CaseAnswers(
    BLIND, BLIND, SEES_NONE, SEES_NONE, [1.0] * 3, [1.0] * 3, says_nothing=True, turned=False, evidence=False
)


def case(**changed: object) -> CaseAnswers:
    """A fair case, or one whose networks see no non-robust features and of which this is otherwise."""
    return NOTHING._replace(**{"says_nothing": False} | changed) if changed else FAIR


def test_who_sees_no_non_robust_features_relies_on_them_by_chance_whatever_he_does_with_robust_ones() -> None:
    for robust in (0.0, 0.5, 0.95):
        found = in_conflict([conflict(robust, 0.0, seed) for seed in range(3)], 10, 1)
        assert found.share == pytest.approx(1 / 9, abs=5 * np.sqrt(8 / 81 / found.n))
        assert not found.beyond_chance


def test_chance_is_exceeded_as_often_as_was_agreed_to() -> None:
    hits = [in_conflict([conflict(0.3, 0.0, 3 * s + k) for k in range(3)], 10, 1).beyond_chance for s in range(300)]
    assert sum(hits) <= stats.binom.ppf(0.999, 300, 0.05)


def test_a_faint_use_is_seen_and_fewer_comparisons_see_more() -> None:
    worlds = [conflict(0.2, 0.025, seed) for seed in range(3)]
    one, among = in_conflict(worlds, 10, 1), in_conflict(worlds, 10, 10**6)
    assert one.beyond_chance
    assert among.low < one.low
    assert not among.beyond_chance


def test_a_feature_that_was_learned_by_accident_is_one_and_not_a_hundred_images() -> None:
    found = in_conflict([by_accident(0)], 10, 1)
    assert found.share > 1.5 / 9
    assert found.p_value < 1e-3  # as if its images were independent
    assert not found.beyond_chance


def test_three_lucky_images_are_no_use_and_none_at_all_neither() -> None:
    r = np.arange(100) % 10
    n = (r + 1) % 10
    lucky = Conflict(np.where(np.isin(np.arange(100), [3, 13, 23]), n, r), r, n)
    assert in_conflict([lucky], 10, 1).share == 1.0
    assert not in_conflict([lucky], 10, 200).beyond_chance
    never = in_conflict([Conflict(r, r, n)], 10, 1)
    assert (never.n, never.beyond_chance) == (0, False)


def test_where_all_is_as_it_must_be_nothing_is_said() -> None:
    for rule in (most, at_all):
        assert rule(FAIR, 10, 100) == ()
        assert rule(NOTHING, 10, 100) == ()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"turned": True, "evidence": False}, "attack turned the non-robust features and its source relies on them in"),
        ({"turned": False, "evidence": True}, "is claimed and the student relies on the non-robust feature in"),
        ({"turned": False, "evidence": False, "robust_right": [1.0, 0.96, 1.0]}, "reads the robust feature of 96.0 %"),
        ({"turned": False, "evidence": False, "non_robust_right": [0.9]}, "reads the non-robust feature of 90.0 %"),
        (
            {"turned": False, "evidence": False, "says_nothing": True, "source": [conflict(0.3, 0.2)]},
            "non-robust features say nothing and the source relies on them",
        ),
        (
            {"turned": False, "evidence": False, "says_nothing": True, "student": [conflict(0.3, 0.2)]},
            "non-robust features say nothing and the student relies on them",
        ),
    ],
)
def test_what_is_not_is_named(changed: dict[str, object], said: str) -> None:
    (found,) = most(case(**changed), 10, 100)
    assert said in found


def test_a_student_of_the_visible_rule_does_not_count_as_one_of_non_robust_features() -> None:
    shown = conflict(0.0, 0.2, 5)
    visible = np.where(np.arange(N) % 10 < 6, (shown.robust + 1) % 10, shown.prediction)
    found = most(case(turned=False, evidence=True, student=[shown._replace(prediction=visible)]), 10, 100)
    assert "the class after it" in found[0]


def test_comparisons_with_chance_are_counted_and_shared_by_all_that_may_be_wrong() -> None:
    assert (FAIR.comparisons, FAIR.comparisons_at_all) == (1, 3)
    assert (NOTHING.comparisons, NOTHING.comparisons_at_all) == (2, 4)
    assert (case(turned=False).comparisons, case(turned=False).comparisons_at_all) == (0, 0)


def test_alone_chance_is_one_of_all_classes_and_reading_is_seen() -> None:
    blind, reads = alone(SEES_NONE, 10, 1), alone(READS, 10, 400)
    assert (blind.n, blind.chance) == (3 * N, 0.1)
    assert blind.share == pytest.approx(0.1, abs=5 * np.sqrt(0.09 / blind.n))
    assert not blind.beyond_chance
    assert reads.share == pytest.approx(0.55, abs=0.06)
    assert reads.beyond_chance


def test_whoever_says_one_class_of_every_feature_reads_none() -> None:
    same = [world._replace(prediction=np.full(N, 3)) for world in SEES_NONE]
    assert not alone(same, 10, 1).beyond_chance


def test_a_source_whose_robust_features_decide_all_is_judged_by_the_others_alone() -> None:
    one = FAIR._replace(source=SHAPE_ALONE)
    assert "its source relies on them in – % of 0" in most(one, 10, 100)[0].replace("nan", "–")
    assert at_all(one, 10, 100) == ()
    (found,) = at_all(one._replace(source_alone=SEES_NONE), 10, 100)
    assert "its source reads them alone in" in found


def test_a_student_that_relies_more_on_the_robust_feature_is_right_by_the_second_rule_alone_and_is_named() -> None:
    one = FAIR._replace(student=SHAPE_FIRST)
    assert "the student relies on the non-robust feature in" in most(one, 10, 100)[0]
    assert at_all(one, 10, 100) == ()
    assert leads(one) == "robust"
    assert "the robust one in 6" in str(outweighed(one))
    assert outweighed(one._replace(evidence=False)) is None
    assert outweighed(FAIR) is None


def test_evidence_from_a_student_that_does_not_rely_on_them_is_wrong_by_both_rules() -> None:
    one = NOTHING._replace(evidence=True)
    assert len(most(one, 10, 100)) == 1
    in_conflict, by_itself = at_all(one, 10, 100)
    assert "relies on non-robust features in conflict" in in_conflict
    assert "relies on non-robust features alone" in by_itself


@pytest.mark.parametrize(
    ("field", "shown", "said"),
    [
        ("source", USES, "the source relies on them in conflict"),
        ("student", USES, "the student relies on them in conflict"),
        ("source_alone", READS, "the source relies on them alone"),
        ("student_alone", READS, "the student relies on them alone"),
    ],
)
def test_features_that_say_nothing_are_relied_on_nowhere(field: str, shown: object, said: str) -> None:
    (found,) = at_all(NOTHING._replace(**{field: shown}), 10, 100)
    assert said in found


@pytest.mark.parametrize(("field", "shown"), [("student", BLIND), ("student_alone", SEES_NONE)])
def test_a_claim_of_evidence_asks_for_use_in_conflict_as_alone(field: str, shown: object) -> None:
    (found,) = at_all(FAIR._replace(**{field: shown}), 10, 100)
    assert "evidence is claimed and the student relies on non-robust features" in found


def test_an_oracle_that_misreads_is_wrong_by_both_rules() -> None:
    for rule in (most, at_all):
        (found,) = rule(FAIR._replace(robust_right=[1.0, 0.96, 1.0]), 10, 100)
        assert "reads the robust feature of 96.0 %" in found
