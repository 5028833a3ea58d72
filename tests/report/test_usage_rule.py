"""What networks must use where the truth is known: networks made by hand that do, and that do not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from raylab.report.usage import Alone, Case, Conflict, at_all, followed, leads, most, outweighed, read_alone

N = 1000


def conflict(shape: float, toogit: float, seed: int = 0) -> Conflict:
    """A network that follows the shape and the toogit in these shares, and else draws any class but the shape's."""
    draw = np.random.default_rng(seed)
    r = draw.integers(10, size=N)
    n = (r + 1 + draw.integers(9, size=N)) % 10
    other = (r + 1 + draw.integers(9, size=N)) % 10
    how = draw.random(N)
    return Conflict(np.where(how < shape, r, np.where(how < shape + toogit, n, other)), r, n)


def by_accident(seed: int) -> Conflict:
    """A network that takes every toogit for some class, drawn once: two of ten happen to be right."""
    found = conflict(0.0, 0.0, seed)
    learned = np.array([0, 1, 3, 4, 5, 6, 7, 8, 9, 2])
    return found._replace(prediction=learned[found.toogit])


def alone(toogit: float, seed: int = 0) -> Alone:
    """A network that reads toogits alone in this share, and else draws any class."""
    draw = np.random.default_rng(seed)
    n = draw.integers(10, size=N)
    return Alone(np.where(draw.random(N) < toogit, n, draw.integers(10, size=N)), n)


BLIND, USES = [conflict(0.6, 0.0, s) for s in range(3)], [conflict(0.2, 0.6, s) for s in range(3)]
SEES_NONE, READS = [alone(0.0, s) for s in range(3)], [alone(0.5, s) for s in range(3)]
SHAPE_FIRST = [conflict(0.6, 0.2, s) for s in range(3)]
SHAPE_ALONE = [conflict(1.0, 0.0, s) for s in range(3)]
FAIR = Case(USES, USES, READS, READS, [1.0] * 3, [1.0] * 3, says_nothing=False, turned=True, evidence=True)
NOTHING = Case(
    BLIND, BLIND, SEES_NONE, SEES_NONE, [1.0] * 3, [1.0] * 3, says_nothing=True, turned=False, evidence=False
)


def case(**changed: object) -> Case:
    """A fair case, or one whose networks see no toogits and of which this is otherwise."""
    return NOTHING._replace(**{"says_nothing": False} | changed) if changed else FAIR


def test_whoever_does_not_see_toogits_follows_them_by_chance_whatever_he_does_with_shapes() -> None:
    for shape in (0.0, 0.5, 0.95):
        found = followed([conflict(shape, 0.0, seed) for seed in range(3)], 10, 1)
        assert found.share == pytest.approx(1 / 9, abs=5 * np.sqrt(8 / 81 / found.n))
        assert not found.beyond_chance


def test_chance_is_exceeded_as_often_as_was_agreed_to() -> None:
    hits = [followed([conflict(0.3, 0.0, 3 * s + k) for k in range(3)], 10, 1).beyond_chance for s in range(300)]
    assert sum(hits) <= stats.binom.ppf(0.999, 300, 0.05)


def test_a_faint_use_is_seen_and_fewer_comparisons_see_more() -> None:
    worlds = [conflict(0.2, 0.025, seed) for seed in range(3)]
    alone, among = followed(worlds, 10, 1), followed(worlds, 10, 10**6)
    assert alone.beyond_chance
    assert among.low < alone.low
    assert not among.beyond_chance


def test_a_toogit_that_was_learned_by_accident_is_one_and_not_a_hundred_images() -> None:
    found = followed([by_accident(0)], 10, 1)
    assert found.share > 1.5 / 9
    assert found.p_value < 1e-3  # as if its images were independent
    assert not found.beyond_chance


def test_three_lucky_images_are_no_use_and_none_at_all_neither() -> None:
    r = np.arange(100) % 10
    n = (r + 1) % 10
    lucky = Conflict(np.where(np.isin(np.arange(100), [3, 13, 23]), n, r), r, n)
    assert followed([lucky], 10, 1).share == 1.0
    assert not followed([lucky], 10, 200).beyond_chance
    never = followed([Conflict(r, r, n)], 10, 1)
    assert (never.n, never.beyond_chance) == (0, False)


def test_where_all_is_as_it_must_be_nothing_is_said() -> None:
    for rule in (most, at_all):
        assert rule(FAIR, 10, 100) == ()
        assert rule(NOTHING, 10, 100) == ()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"turned": True, "evidence": False}, "the attack turned the toogits and its source follows them in"),
        ({"turned": False, "evidence": True}, "evidence is said and the student follows the toogit in"),
        ({"turned": False, "evidence": False, "shape_right": [1.0, 0.96, 1.0]}, "reads the shape of 96.0 %"),
        ({"turned": False, "evidence": False, "toogit_right": [0.9]}, "reads the toogit of 90.0 %"),
        (
            {"turned": False, "evidence": False, "says_nothing": True, "source": [conflict(0.3, 0.2)]},
            "toogits say nothing and the source follows them",
        ),
        (
            {"turned": False, "evidence": False, "says_nothing": True, "student": [conflict(0.3, 0.2)]},
            "toogits say nothing and the student follows them",
        ),
    ],
)
def test_what_is_not_is_named(changed: dict[str, object], said: str) -> None:
    (found,) = most(case(**changed), 10, 100)
    assert said in found


def test_a_student_of_the_visible_rule_does_not_count_as_one_of_toogits() -> None:
    shown = conflict(0.0, 0.2, 5)
    visible = np.where(np.arange(N) % 10 < 6, (shown.shape + 1) % 10, shown.prediction)
    found = most(case(turned=False, evidence=True, student=[shown._replace(prediction=visible)]), 10, 100)
    assert "the class after it" in found[0]


def test_comparisons_with_chance_are_counted_and_shared_by_all_that_may_be_wrong() -> None:
    assert (FAIR.comparisons, FAIR.comparisons_at_all) == (1, 3)
    assert (NOTHING.comparisons, NOTHING.comparisons_at_all) == (2, 4)
    assert (case(turned=False).comparisons, case(turned=False).comparisons_at_all) == (0, 0)


def test_alone_chance_is_one_of_all_classes_and_reading_is_seen() -> None:
    blind, reads = read_alone(SEES_NONE, 10, 1), read_alone(READS, 10, 400)
    assert (blind.n, blind.chance) == (3 * N, 0.1)
    assert blind.share == pytest.approx(0.1, abs=5 * np.sqrt(0.09 / blind.n))
    assert not blind.beyond_chance
    assert reads.share == pytest.approx(0.55, abs=0.06)
    assert reads.beyond_chance


def test_whoever_says_one_class_of_every_toogit_reads_none() -> None:
    same = [world._replace(prediction=np.full(N, 3)) for world in SEES_NONE]
    assert not read_alone(same, 10, 1).beyond_chance


def test_a_source_whose_shapes_decide_all_is_judged_by_toogits_alone() -> None:
    one = FAIR._replace(source=SHAPE_ALONE)
    assert "its source follows them in – % of 0" in most(one, 10, 100)[0].replace("nan", "–")
    assert at_all(one, 10, 100) == ()
    (found,) = at_all(one._replace(source_alone=SEES_NONE), 10, 100)
    assert "its source reads them alone in" in found


def test_a_student_that_uses_toogits_less_than_the_shape_is_right_by_the_second_rule_alone_and_is_named() -> None:
    one = FAIR._replace(student=SHAPE_FIRST)
    assert "the student follows the toogit in" in most(one, 10, 100)[0]
    assert at_all(one, 10, 100) == ()
    assert leads(one) == "shape"
    assert "the shape in 6" in str(outweighed(one))
    assert outweighed(one._replace(evidence=False)) is None
    assert outweighed(FAIR) is None


def test_evidence_from_a_student_that_does_not_use_toogits_is_wrong_by_both_rules() -> None:
    one = NOTHING._replace(evidence=True)
    assert len(most(one, 10, 100)) == 1
    in_conflict, by_itself = at_all(one, 10, 100)
    assert "follows toogits in conflict" in in_conflict
    assert "follows toogits alone" in by_itself


@pytest.mark.parametrize(
    ("field", "shown", "said"),
    [
        ("source", USES, "the source follows them in conflict"),
        ("student", USES, "the student follows them in conflict"),
        ("source_alone", READS, "the source follows them alone"),
        ("student_alone", READS, "the student follows them alone"),
    ],
)
def test_toogits_that_say_nothing_are_followed_nowhere(field: str, shown: object, said: str) -> None:
    (found,) = at_all(NOTHING._replace(**{field: shown}), 10, 100)
    assert said in found


@pytest.mark.parametrize(("field", "shown"), [("student", BLIND), ("student_alone", SEES_NONE)])
def test_a_claim_of_evidence_asks_for_use_in_conflict_as_alone(field: str, shown: object) -> None:
    (found,) = at_all(FAIR._replace(**{field: shown}), 10, 100)
    assert "evidence is said and the student follows toogits" in found


def test_an_oracle_that_misreads_is_wrong_by_both_rules() -> None:
    for rule in (most, at_all):
        (found,) = rule(FAIR._replace(shape_right=[1.0, 0.96, 1.0]), 10, 100)
        assert "reads the shape of 96.0 %" in found
