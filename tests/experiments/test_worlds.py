"""The score of the verdict: intervals, truths by the oracles alone, what counts as a mistake, and what is shown."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
import rows
import toy
from accessibility import problems
from children import assert_told_apart
from pages import Page
from scipy import stats
from small_worlds import shrink

from raylab.engine import runner
from raylab.engine.identity import short
from raylab.engine.runner import InlineBackend
from raylab.engine.store import Store
from raylab.engine.study import Built, Study
from raylab.experiments.worlds import EXPERIMENT, Score, WorldStudy, cases, plan, report
from raylab.experiments.worlds.measure import REGIONS, JudgedCase, Truth, WrongReliance, judge, truth_of
from raylab.experiments.worlds.verdict import answer, by_rule
from raylab.report.blocks import Report
from raylab.report.files import files
from raylab.report.terminal import WIDTH, as_text
from raylab.report.values import Rate
from raylab.stages.dataset import SeeFarData

WORLD = SeeFarData(name="seefar")
CASE = cases(WorldStudy())["having 0"]
ORACLES = {"turned": rows.shares(0.95), "kept": rows.shares(0.99)}


def judged(truth: Truth, evidence: bool) -> JudgedCase:
    row = rows.strong(oracles=ORACLES) if evidence else rows.strong(oracles=ORACLES, success=rows.shares(0.2))
    return replace(judge(f"case of {truth}", CASE, row), truth=truth)


def score(*found: JudgedCase) -> Score:
    return Score(WorldStudy(), found)


def table(shown: Report, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(files(shown)[f"tables/{name}.csv"].decode())))


@pytest.mark.parametrize(("hits", "n"), [(0, 100), (3, 110), (95, 100), (100, 100)])
def test_the_interval_is_that_of_clopper_and_pearson(hits: int, n: int) -> None:
    low, high = Rate(hits, n).interval
    assert hits == 0 or stats.binom.sf(hits - 1, n, low) == pytest.approx(0.025)
    assert hits == n or stats.binom.cdf(hits, n, high) == pytest.approx(0.025)
    assert (low == 0.0, high == 1.0) == (hits == 0, hits == n)


def test_nothing_drawn_is_nothing_known() -> None:
    assert Rate(0, 0).interval == (0.0, 1.0)
    assert str(Rate(0, 0)) == "no cases"


@pytest.mark.parametrize(
    ("changed", "turned", "eps", "truth"),
    [
        ({"toogit_reliability": 0.1}, 0.95, 0.8, "without"),
        ({"toogit_amplitude": 0.0}, 0.95, 0.8, "without"),
        ({"toogit_reliability": 0.1}, 0.95, 3.0, "robust_turns"),
        ({}, 0.95, 0.8, "turned"),
        ({}, 0.6, 0.8, "partly"),
        ({}, 0.2, 0.8, "not_turned"),
    ],
)
def test_truth_is_read_by_oracles_and_never_from_the_verdict(
    changed: dict[str, float], turned: float, eps: float, truth: Truth
) -> None:
    world = WORLD.model_copy(update=changed)
    oracles = ORACLES | {"turned": rows.shares(turned)}
    assert truth_of(rows.strong(oracles=oracles), world, eps, (0, 1)) == truth
    assert truth_of(rows.strong(oracles=oracles, robust=None), world, eps, (0, 1)) == truth


def test_mistakes_are_false_evidence_and_missed_features() -> None:
    false, missed = judged("without", True), judged("turned", False)
    right = [judged("without", False), judged("turned", True)]
    open_questions: list[Truth] = ["robust_turns", "partly", "not_turned"]
    found = score(
        false, missed, *right, *(judged(truth, claimed) for truth in open_questions for claimed in (True, False))
    )
    assert found.mistakes == (false, missed)
    assert answer(found).badge.words == "false evidence"
    assert "1 of 2 cases that have nothing to find (50.0 % [1.3, 98.7])" in answer(found).sentence
    assert [line["Case"] for line in table(report(found), "mistakes")] == ["case of without", "case of turned"]
    text = as_text(report(found), full=True).replace("\n", " ")
    assert "- case of without: evidence" in text
    assert "- case of turned: the attack success rate on its source" in text


def test_the_answer_is_not_built_where_no_case_is_that_it_needs() -> None:
    assert answer(score(judged("partly", True))).badge.words == "not built"
    assert answer(score(judged("without", False))).badge.words == "no false evidence"


def test_every_case_has_its_line() -> None:
    found = report(score(judged("without", True), judged("turned", True)))
    lines = table(found, "worlds")
    assert [(line["Truth"], line["Verdict"]) for line in lines] == [("without", "evidence"), ("turned", "evidence")]
    assert float(lines[0]["Attack success rate"]) == 0.9
    assert {line["Drawn"] for line in table(found, "regions")} == set(REGIONS)


USED = WrongReliance(
    ("evidence is claimed and the student relies on the robust feature",),
    (),
    "the student relies on the non-robust feature in 20.0 %",
)


@pytest.mark.parametrize(("first", "unseen"), [(0, (False, False)), (200, (True, False)), (300, (True, True))])
def test_a_rule_is_said_to_be_fixed_before_the_cases_only_where_it_was(first: int, unseen: tuple[bool, ...]) -> None:
    one = replace(judged("turned", True), reliance=USED)
    held_out = Score(WorldStudy(split="held_out", first=first), (one,))
    assert tuple(rule.unseen for rule in by_rule(held_out)) == unseen
    assert not any(rule.unseen for rule in by_rule(Score(WorldStudy(first=first), (one,))))
    assert by_rule(Score(WorldStudy(split="held_out", first=first), (judged("turned", True),))) == ()


def test_both_rules_have_their_rates_and_evidence_that_leaks_is_named() -> None:
    right = WrongReliance((), (), None)
    found = score(
        replace(judged("turned", True), name="leaking", reliance=USED),
        replace(judged("turned", True), name="fair", reliance=right),
        replace(judged("without", False), name="quiet", reliance=right),
    )
    most, at_all = by_rule(found)
    assert (most.right, at_all.right) == (Rate(2, 3), Rate(3, 3))
    assert list(most.wrong) == ["leaking"]
    text = as_text(report(found), full=True).replace("\n  ", " ").replace("\n", " ")
    for words in ("leaking (non-robust features tell, turned in at least 90 %): the student relies on the", "1 of 2: "):
        assert words in text
    assert "2 of 3: 66.7 %" in text
    line = table(report(found), "worlds")[0]
    assert (line["Reliance, at_all"], line["Outweighed"]) == ("right", USED.outweighed)
    assert report(found).metrics["reliance/most"] == pytest.approx(2 / 3)
    assert report(found).metrics["reliance/at_all"] == 1.0


def test_nothing_is_said_of_a_reliance_that_was_not_asked_for() -> None:
    found = report(score(judged("turned", True)))
    assert "Which features the networks rely on" not in as_text(found, full=True)
    assert not any(name.startswith("reliance") for name in found.metrics)


def test_a_study_has_page_text_and_run_and_says_which_cases_were_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = WorldStudy(without=1, having=1, seeds=2, test_rows=100, attack_steps=2, thresholds=True)
    shrink(config, monkeypatch)
    study = Study(config, plan(config))
    cells = runner.build(study.cells, Store(str(tmp_path / "store")), InlineBackend(), toy.Recorder())
    built = Built(config, study.key, cells)
    results = EXPERIMENT.results([built])
    assert problems(results.page) == []
    assert max(map(len, (results.texts[0] + results.full_texts[0]).splitlines())) <= WIDTH
    assert len(results.texts[0].splitlines()) <= 40
    assert "(today)" in results.texts[0]
    assert len(table(EXPERIMENT.report(EXPERIMENT.measure(built)), "worlds")) == 2
    assert len(Page(results.page).every("img")) == 1
    assert results.publications[0].parent.metrics["cases/without"] == 1.0
    assert_told_apart(built, "worlds")
    child = results.publications[0].children[-1]
    assert child.params["case"] == "having 0"
    assert child.params["attack.eps"] == cases(config)["having 0"].attack.eps, "what a case was drawn as is a param"
    (made,) = (
        a
        for c, a in cells.items()
        if (c.case, c.role, c.seed, c.control) == ("having 0", "set", child.params["seed"], "")
    )
    assert child.params["set"] == short(made.key)
    lost = [cell for cell in cells if cell.case == "having 0" and cell.role == "student"]
    holed = {cell: artifact for cell, artifact in cells.items() if cell not in lost}
    found = EXPERIMENT.measure(Built(config, study.key, holed, dict.fromkeys(lost, "it failed")))
    assert [one.name for one in found.judged] == ["without 0"]
    assert "not built, and are counted nowhere" in as_text(report(found))
