"""The table of mistakes: intervals, truths by the oracles alone, and what counts as a mistake."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
import rows
from accessibility import problems
from rows import shares
from scipy import stats

from raylab.recipes.worlds import Worlds, cases
from raylab.report.made import Made
from raylab.report.rates import rate
from raylab.report.worlds import (
    Judged,
    Result,
    Truth,
    as_csv,
    as_text,
    by_rule,
    counts,
    judge,
    page,
    regions,
    truth_of,
)
from raylab.report.worlds_usage import Used, ruled
from raylab.stages.dataset import SeeFarData

WORLD = SeeFarData(name="seefar")
CASE = cases(Worlds())["having 0"]
READ = {"turned": shares(0.95), "kept": shares(0.99)}


def judged(truth: Truth, evidence: bool) -> Judged:
    row = rows.strong(oracles=READ) if evidence else rows.strong(oracles=READ, success=shares(0.2))
    return replace(judge(f"case of {truth}", CASE, row), truth=truth)


def result(*found: Judged) -> Result:
    return Result(Worlds(), "0" * 64, found, Made("", (), (), {}, "", "", "", (), ()), "abc")


@pytest.mark.parametrize(("hits", "n"), [(0, 100), (3, 110), (95, 100), (100, 100)])
def test_the_interval_is_that_of_clopper_and_pearson(hits: int, n: int) -> None:
    found = rate(hits, n)
    assert hits == 0 or stats.binom.sf(hits - 1, n, found.low) == pytest.approx(0.025)
    assert hits == n or stats.binom.cdf(hits, n, found.high) == pytest.approx(0.025)
    assert (found.low == 0.0, found.high == 1.0) == (hits == 0, hits == n)


def test_nothing_drawn_is_nothing_known() -> None:
    assert (rate(0, 0).low, rate(0, 0).high) == (0.0, 1.0)
    assert str(rate(0, 0)) == "none drawn"


@pytest.mark.parametrize(
    ("changed", "turned", "eps", "truth"),
    [
        ({"toogit_reliability": 0.1}, 0.95, 0.8, "without"),
        ({"toogit_amplitude": 0.0}, 0.95, 0.8, "without"),
        ({"toogit_reliability": 0.1}, 0.95, 3.0, "shape_flips"),
        ({}, 0.95, 0.8, "turned"),
        ({}, 0.6, 0.8, "partly"),
        ({}, 0.2, 0.8, "not_turned"),
    ],
)
def test_truth_is_read_by_oracles_and_never_from_the_verdict(
    changed: dict[str, float], turned: float, eps: float, truth: Truth
) -> None:
    world = WORLD.model_copy(update=changed)
    read = READ | {"turned": shares(turned, 0.0)}
    assert truth_of(rows.strong(oracles=read), world, eps, (0, 1)) == truth
    assert truth_of(rows.strong(oracles=read, robust=None), world, eps, (0, 1)) == truth


def test_mistakes_are_false_evidence_and_missed_toogits() -> None:
    false, missed = judged("without", True), judged("turned", False)
    right = [judged("without", False), judged("turned", True)]
    open_questions = [
        judged(truth, said) for truth in ("shape_flips", "partly", "not_turned") for said in (True, False)
    ]
    found = result(false, missed, *right, *open_questions)
    assert found.mistakes == (false, missed)
    text = as_text(found)
    assert "1 of 2: 50.0 % [1.3, 98.7]" in text
    assert "case of turned (turned): the attack leads its source" in text
    assert "case of without (without): evidence" in text


def test_every_case_has_its_line_and_the_page_its_mistakes() -> None:
    found = result(judged("without", True), judged("turned", True))
    lines = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert [(line["truth"], line["verdict"]) for line in lines] == [("without", "evidence"), ("turned", "evidence")]
    shown = page(found)
    assert problems(shown) == []
    assert "case of without" in shown
    assert "case of turned" not in shown
    assert {name for name, *_ in regions(found)} >= {"radius", "networks", "epochs"}


USED = Used(("evidence is said and the student follows the shape",), (), "the student follows the toogit in 20.0 %")


@pytest.mark.parametrize(("first", "unseen"), [(0, (False, False)), (200, (True, False)), (300, (True, True))])
def test_a_rule_is_said_to_be_fixed_before_the_cases_only_where_it_was(first: int, unseen: tuple[bool, ...]) -> None:
    held_out = Worlds(split="held_out", first=first)
    assert tuple(one.unseen for one in ruled(held_out, {"having 300": USED})) == unseen
    assert not any(one.unseen for one in ruled(Worlds(first=first), {"having 300": USED}))
    assert ruled(held_out, {}) == ()


def test_both_rules_have_their_rates_and_evidence_that_leaks_is_named() -> None:
    right = Used((), (), None)
    found = result(
        replace(judged("turned", True), name="leaking", used=USED),
        replace(judged("turned", True), name="fair", used=right),
        replace(judged("without", False), name="quiet", used=right),
    )
    most, at_all = by_rule(found)
    assert (most.right.hits, most.right.n, at_all.right.hits, at_all.right.n) == (2, 3, 3, 3)
    assert list(most.wrong) == ["leaking"]
    shown = page(found)
    assert problems(shown) == []
    for said in (as_text(found), shown.replace("\xa0", " ")):
        assert "the student follows the toogit in 20.0 %" in said
        assert "1 of 2: 50.0 %" in said
        assert "2 of 3: 66.7 %" in said
    line = next(csv.DictReader(io.StringIO(as_csv(found))))
    assert (line["usage, at_all"], line["outweighed"]) == ("right", USED.outweighed)
    assert counts(found)["usage.most"] == pytest.approx(2 / 3)
    assert counts(found)["usage.at_all"] == 1.0


def test_nothing_is_said_of_usage_that_was_not_asked_for() -> None:
    found = result(judged("turned", True))
    assert by_rule(found) == ()
    assert "What the networks use" not in page(found)
    assert not any(name.startswith("usage") for name in counts(found))
