"""The controls: what decides a sign, what is compared with what, and what is said, drawn and kept of it."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import toy
from accessibility import problems
from pages import Page

from raylab.core.statistics import Estimate
from raylab.engine import runner
from raylab.engine.runner import InlineBackend
from raylab.engine.store import Store
from raylab.engine.study import Built
from raylab.experiments.controls import (
    EXPERIMENT,
    Bugs,
    ControlsCell,
    ControlStudy,
    MeasuredControls,
    RobustCurve,
    measure,
    plan,
)
from raylab.experiments.controls.measure import Check, Control, Quantity
from raylab.experiments.controls.report import report
from raylab.experiments.controls.verdict import answer, holds, of_control, verdicts
from raylab.report.files import files
from raylab.report.numbers import number, unbroken
from raylab.report.per_seed import PerSeed
from raylab.report.terminal import WIDTH, as_text
from raylab.stages.construction import Attack
from raylab.stages.dataset import DigitsData
from raylab.stages.recipe import Adversary, Recipe

TINY = ControlStudy(
    data=DigitsData(per_class=12),
    seeds=(0, 1),
    attack=Attack(steps=3),
    train=Recipe(epochs=2, batch_size=32),
    robust=Recipe(epochs=2, batch_size=32, adversary=Adversary(eps=0.5, steps=5)),
    base=10,
    top_eps=None,
    bugs=Bugs(source="mlp", student="mlp", ensemble=("mlp", "linear"), attack=Attack(steps=3), train=Recipe(epochs=2)),
    curve=RobustCurve(eps=(0.3, 0.6), expected_at=0.3),
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> MeasuredControls:
    store = Store(str(tmp_path_factory.mktemp("controls")))
    return measure(Built(TINY, "0" * 64, runner.build(plan(TINY), store, InlineBackend(), toy.Recorder())))


def points(mean: float, apart: float = 0.01, seeds: int = 3) -> PerSeed:
    """Of a mean whose standard error over seeds is `apart`."""
    values = [mean] if seeds == 1 else [mean + apart * math.sqrt(seeds) * shift for shift in (-1, 0, 1)]
    return PerSeed({seed: Estimate(value, math.nan, 0, 1) for seed, value in enumerate(values)})


def control(*checks: Check, **changed: Any) -> Control:
    a, b = Quantity("a", points(0.3)), Quantity("b", points(0.2))
    plain = Control("x", "det", "x, det", "", a, b, ControlsCell("student", 0), ControlsCell("set", 0), checks, 0.5)
    return replace(plain, **changed)


@pytest.mark.parametrize(
    ("difference", "strictly", "expected"),
    [
        (points(0.10), True, True),
        (points(0.04), True, None),  # the 95 % interval of 3 seeds is 4.3 standard errors wide
        (points(-0.04), True, None),
        (points(-0.10), True, False),
        (points(0.001), False, True),  # at or above zero
        (points(-0.001), False, None),
        (points(-0.10), False, False),
        (points(0.10, seeds=1), True, None),
        (points(-0.10, seeds=1), False, None),
        (points(math.nan), True, None),
        (PerSeed({}), True, None),
    ],
)
def test_a_sign_is_decided_by_the_interval_of_a_paired_difference(
    difference: PerSeed, strictly: bool, expected: bool | None
) -> None:
    assert holds(Check("", difference, strictly)) is expected


def test_a_control_is_as_expected_only_where_every_check_holds() -> None:
    yes, no, unknown = Check("y", points(0.1)), Check("n", points(-0.1)), Check("u", points(0.0))
    assert of_control(control(yes, yes)).badge.words == "as expected"
    assert of_control(control(yes, unknown)).badge.words == "cannot decide"
    assert of_control(control(yes, unknown, no)).badge.words == "not as expected"
    assert "u: undecided" in of_control(control(yes, unknown)).sentence
    assert "y:" not in of_control(control(yes, unknown)).sentence
    assert "because" in of_control(control(no, why="because")).sentence
    assert "because" not in of_control(control(yes, why="because")).sentence
    assert of_control(control(yes, beside=Quantity("b", PerSeed({})))).badge.words == "not built"


def test_the_answer_counts_the_signs_that_are_seen_and_names_the_others(tiny: MeasuredControls) -> None:
    yes, no, unknown = Check("y", points(0.1)), Check("n", points(-0.1)), Check("u", points(0.0))
    three = [control(yes, title="A"), control(unknown, title="B"), control(no, title="C")]
    said = answer(replace(tiny, controls=tuple(three), collapsed=()))
    assert said.badge == ("warn", "1 of 3 seen")
    assert said.sentence == "1 of 3 published signs are seen, by rule. Not as expected: C. Cannot decide: B."
    assert answer(replace(tiny, controls=tuple(three[:2]))).badge.look == "open"
    assert answer(replace(tiny, controls=tuple(three[:1]))).badge == ("good", "1 of 1 seen")


def test_every_control_is_measured_from_its_own_cells(tiny: MeasuredControls) -> None:
    def accuracy(role: str, of: str, kind: str, column: str = "accuracy", eps: float = 0.0) -> float:
        return sum(tiny.built.artifacts[ControlsCell(role, s, of, kind, eps)].metrics[column] for s in (0, 1)) / 2

    found = {(one.name, one.kind): one for one in tiny.controls}
    means = {key: (one.measured.value.mean.mean, one.beside.value.mean.mean) for key, one in found.items()}
    assert len(found) == len(tiny.controls) == 2 + 2 + 1 + 4 + 1 + 1
    for name in ("leakage", "universal"):
        for kind in ("rand", "det"):
            expected = accuracy("student", name, kind), accuracy("student", "real", kind)
            assert means[name, kind] == pytest.approx(expected)
    parts = accuracy("student", "top", "other"), accuracy("student", "bottom", "other")
    assert means["margin", "other"] == pytest.approx(parts)
    for of in ("linear", "deep"):
        assert means[f"features_{of}", "det"][0] == pytest.approx(accuracy("features", of, "det"))
    bugs = {quantity.name: quantity.value.mean.mean for quantity in found["bugs", "det"].others}
    assert means["bugs", "det"][1] == pytest.approx(accuracy("student", "plain", "det"))
    assert bugs["attack success rate"] == pytest.approx(accuracy("set", "bugs", "det", "success"))
    assert bugs["transfer"] == pytest.approx(accuracy("transfer", "bugs", ""))
    robust = accuracy("student", "robust", "det", eps=0.3), accuracy("student", "robust", "det", "p1", eps=0.3)
    assert means["robust", "det"] == pytest.approx(robust)
    for one in tiny.controls:
        assert one.difference.mean.mean == pytest.approx(means[one.name, one.kind][0] - means[one.name, one.kind][1])


def test_the_success_of_bugs_is_counted_by_training_image(tiny: MeasuredControls) -> None:
    """Seeds of digits share training images, which their interval has to know."""
    for seed, one in tiny.success("bugs").items():
        made = tiny.built.artifacts[ControlsCell("set", seed, "bugs", "det")]
        assert (one.mean, one.n) == (pytest.approx(made.metrics["success"]), made.metrics["n"])
        assert one.examples is not None
        assert one.examples.images == "train"
        assert set(one.examples.ids.tolist()) == set(made.without_images()["id"].tolist())


def test_det_must_not_be_explained_by_robust_features_and_rand_must(tiny: MeasuredControls) -> None:
    for one in tiny.controls:
        if one.name.startswith("features"):
            (check,) = one.checks
            over = one.measured.value.mean.mean - tiny.chance
            assert check.difference.mean.mean == pytest.approx(-over if one.kind == "det" else over)


def test_bugs_must_pass_every_one_of_their_marks(tiny: MeasuredControls) -> None:
    bugs = next(one for one in tiny.controls if one.name == "bugs")
    others = {quantity.name: quantity.value.mean.mean for quantity in bugs.others}
    got, plain = bugs.measured.value.mean.mean, bugs.beside.value.mean.mean
    expected = [
        others["attack success rate"] - 0.95, 0.05 - others["transfer"], 0.1 - got, plain - 0.1, plain - got
    ]  # fmt: skip
    assert [check.difference.mean.mean for check in bugs.checks] == pytest.approx(expected)


def test_the_admissible_radius_ends_before_the_first_whose_students_are_above_chance(tiny: MeasuredControls) -> None:
    """Counted from the smallest: a later one that happens to be low does not count, nor one that was not built."""

    def admissible(*accuracies: PerSeed) -> float | None:
        robust = replace(tiny.curve["robust"], accuracy=dict(enumerate(accuracies, start=1)))
        return replace(tiny, curve={**tiny.curve, "robust": robust}).admissible

    low, high = points(0.05), points(0.3)
    assert admissible(low, low, high, low) == 2
    assert admissible(high, low) is None
    assert admissible(low, PerSeed({}), low) == 1


def test_page_text_files_and_runs_have_every_control(tiny: MeasuredControls) -> None:
    results = EXPERIMENT.results([tiny.built])
    parsed = Page(results.page)
    assert parsed.open == []
    assert problems(results.page) == []
    assert all(len(image["alt"]) > 40 for image in parsed.every("img"))
    (text,), (full,) = results.texts, results.full_texts
    assert max(map(len, (text + full).splitlines())) <= WIDTH
    assert len(text.splitlines()) <= 40
    for one, judged in zip(tiny.controls, verdicts(tiny), strict=True):
        assert one.title in text
        assert one.title in parsed.text
        assert unbroken(judged.sentence) in parsed.text
        assert number(one.measured.value.mean) in text
        assert unbroken(one.expected) in parsed.text
        assert all(quantity.name in parsed.text for quantity in one.others)
    (run,) = results.publications
    assert {"figures/controls.svg", "figures/robust_source.svg", "report.txt"} <= set(run.files)
    lines = list(csv.DictReader(io.StringIO(run.files["tables/controls.csv"].decode())))
    assert [line["Control"] for line in lines] == [one.title for one in tiny.controls]
    assert float(lines[0]["Difference"]) == pytest.approx(tiny.controls[0].difference.mean.mean, abs=1e-5)
    assert EXPERIMENT.results([tiny.built]).publications == results.publications


def test_another_number_is_another_figure(tiny: MeasuredControls) -> None:
    changed = replace(tiny.controls[0], measured=Quantity("leakage only", points(0.99)))
    other = files(report(replace(tiny, controls=(changed, *tiny.controls[1:]))))
    assert other["figures/controls.svg"] != files(report(tiny))["figures/controls.svg"]


def test_a_study_of_one_seed_without_bugs_and_curve_has_a_page_too(tmp_path: Path) -> None:
    config = TINY.model_copy(update={"bugs": None, "curve": None, "kinds": ("rand",), "seeds": (0,)})
    built = runner.build(plan(config), Store(str(tmp_path)), InlineBackend(), toy.Recorder())
    found = measure(Built(config, "1" * 64, built))
    named = [one.name for one in found.controls]
    assert named == ["leakage", "universal", "margin", "features_linear", "features_deep"]
    assert {one.badge.words for one in verdicts(found)} == {"cannot decide"}
    assert "One seed" in as_text(report(found), full=True)
    assert "[one seed]" in as_text(report(found))
    assert Page(EXPERIMENT.results([found.built]).page).open == []


def test_a_collapsed_robust_training_is_said_everywhere(tiny: MeasuredControls) -> None:
    warned = report(replace(tiny, collapsed=("robust, seed 0: adversarial training collapsed",)))
    for shown in (as_text(warned), as_text(warned, full=True)):
        assert "adversarial training collapsed" in " ".join(shown.split())
    assert warned.answer.sentence.endswith("1 training failed.")


def test_no_two_runs_of_the_tracker_have_the_same_params(tiny: MeasuredControls) -> None:
    (run,) = EXPERIMENT.results([tiny.built]).publications
    assert len(run.children) == len({child.key for child in run.children}) == 2 * (len(tiny.controls) + 4)
    assert len({tuple(sorted(child.params.items())) for child in run.children}) == len(run.children)
    bugs = next(one for one in tiny.controls if one.name == "bugs")
    child = next(one for one in run.children if (one.params["control"], one.params["seed"]) == ("bugs", 1))
    assert child.metrics["accuracy/control"] == bugs.measured.value[1].mean
    assert child.metrics["accuracy/difference"] == bugs.difference[1].mean
    assert child.metrics["attack/success_rate"] == tiny.success("bugs")[1].mean
    assert child.tags["verdict"] == of_control(bugs).badge.words
    assert child.inputs[0].digest == tiny.built.artifacts[ControlsCell("set", 1, "bugs", "det")].digest
    signs = [value for name, value in run.parent.metrics.items() if name.startswith("signs/")]
    assert sum(signs) == len(tiny.controls)


def test_holes_are_shown_as_absent_and_judged_as_not_built(tiny: MeasuredControls) -> None:
    gone = {
        cell
        for cell in tiny.built.artifacts
        if cell.of == "leakage" or (cell.role, cell.of) in (("set", "bugs"), ("source", "robust"))
        or (cell.role == "student" and cell.of == "robust")
        or (cell.role, cell.seed) == ("data", 0)
    }  # fmt: skip
    cells = {cell: one for cell, one in tiny.built.artifacts.items() if cell not in gone}
    holed = Built(TINY, "key", cells, dict.fromkeys(gone, "it failed"))
    judged = {one.subject: one.badge.words for one in verdicts(measure(holed))}
    absent = {subject for subject, words in judged.items() if words == "not built"}
    assert absent == {"leakage only, rand", "leakage only, det", "bugs, det", "robust source, det, eps 0.3"}
    assert measure(holed).admissible is None
    results = EXPERIMENT.results([holed])
    assert problems(results.page) == []
    assert "nan" not in results.full_texts[0]
    assert {4, 41}.isdisjoint(one.row for one in results.evidence[0])
    assert all(one.ours.seeds for one in results.evidence[0])
