"""What is read from the results of learning from errors, and the rule behind every verdict."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy as stubs
from accessibility import problems
from children import assert_distinct
from pages import Page, seen

from raylab.config import load
from raylab.core.statistics import Estimate
from raylab.engine import runner
from raylab.engine.runner import InlineBackend
from raylab.engine.store import Store
from raylab.engine.study import Built
from raylab.experiments.errors import EXPERIMENT, Errors, ErrorsCell, LearningFromErrors, measure, plan
from raylab.experiments.errors.figures import examples
from raylab.experiments.errors.measure import CHOSEN, PARTS, Domain, Learner, StopPoint
from raylab.experiments.errors.report import report
from raylab.experiments.errors.scoreboard import evidence
from raylab.experiments.errors.verdict import BADGES, Claim, above_shuffled, answer, claims
from raylab.report.names import NON_ROBUST, ROBUST
from raylab.report.numbers import unbroken
from raylab.report.per_seed import PerSeed
from raylab.report.terminal import as_text
from raylab.scoreboard.verdict import scored

CONFIG = load(
    LearningFromErrors,
    """
seeds: [0, 1]
errors: {data: {name: digits, per_class: 30}, student: {epochs: 4}, students: [mlp], rounds: 2, counts: [20], det: null}
cue: {data: {name: seefar, train_rows: 300, test_rows: 60}, recipe: {epochs: 2}}
across: {data: {name: digits, per_class: 20}, images: {name: photos, train_rows: 200}, networks: [linear]}
toy: {seeds: 3, points: 32, hidden: [8], steps: 20}
""",
)


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> Errors:
    store = Store(str(tmp_path_factory.mktemp("errors") / "store"))
    return measure(Built(CONFIG, "key", runner.build(plan(CONFIG), store, InlineBackend(), stubs.Recorder())))


def claim(mean: float, se: float = 0.01, **changed: Any) -> Claim:
    given = Claim("errors", 1, "q", "", "", Estimate(mean, se, 1000, 100), 0.2, 0.6, "smaller")
    return given._replace(**changed)


def test_a_verdict_asks_where_the_interval_lies() -> None:
    assert claim(0.4).code == "same_direction"
    assert claim(0.4, protocol="").code == "reproduced"
    assert claim(0.21).code == claim(0.59).code == claim(0.19).code == "inconclusive"
    assert claim(0.1).code == claim(0.9, protocol="").code == "contradicted"
    assert claim(0.4, se=0.2).code == "inconclusive"
    assert claim(0.9, high=math.inf).code == "same_direction"
    assert claim(0.4, ours=PerSeed({}).mean).verdict.badge.words == "not built"


def test_one_seed_decides_nothing() -> None:
    assert claim(0.4, ours=Estimate(0.4, 0.0, 1000, 1)).code == "inconclusive"


def test_what_is_expected_is_given_in_the_unit_of_the_claim() -> None:
    assert claim(0.4).expected == "20 to 60 %"
    assert claim(0.4, high=math.inf).expected == "at least 20 %"
    assert claim(0.4, low=-0.02, high=math.inf, unit="points").expected == "at least −2 points"
    assert claim(9, low=-math.inf, high=11, unit="number").expected == "at most 11"
    assert claim(9, unit="number").verdict.sentence == "9.0 [9.0, 9.0], expected 0.2 to 0.6"


def test_the_answer_is_as_good_as_all_that_is_claimed_of_students(
    errors: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    def words(*found: Claim) -> str:
        monkeypatch.setattr("raylab.experiments.errors.verdict.claims", lambda _: list(found))
        return answer(errors, "So it is.").badge.words

    good, published, bad = claim(0.4), claim(0.4, protocol=""), claim(0.1)
    assert words(good, published) == "same direction"
    assert words(published, claim(0.9, protocol="", quantity="teacher, test set")) == "reproduced"
    assert words(good, bad) == "mixed"
    assert answer(errors, "So it is.").sentence == "So it is. By rule: 1 same direction, 1 contradicted."
    assert words(claim(0.4, ours=PerSeed({}).mean)) == "not built"
    assert words() == words(bad._replace(part="toy")) == "no rule"


def test_accuracies_and_agreement_are_those_of_the_examples(errors: Errors) -> None:
    key = Learner("errors", "mlp", "mlp", "predicted")
    student, teacher = (
        errors.built.artifacts[cell].batch()
        for cell in (ErrorsCell("student", "errors", 1, *key[1:]), ErrorsCell("teacher", "errors", 1, "mlp"))
    )
    assert errors.students[key].accuracy[1].mean == student["correct"].mean()
    both = [
        np.mean(errors.built.artifacts[ErrorsCell("student", "errors", seed, *key[1:])].batch()["prediction"]
                == errors.built.artifacts[ErrorsCell("teacher", "errors", seed, "mlp")].batch()["prediction"])
        for seed in (0, 1)
    ]  # fmt: skip
    agreement = errors.students[key].agreement
    assert agreement.mean.mean == pytest.approx(np.mean(both))
    assert not np.array_equal(student["prediction"], teacher["prediction"])


def test_the_number_of_errors_is_that_of_the_set(errors: Errors) -> None:
    sizes = tuple(
        errors.built.artifacts[ErrorsCell("set", "errors", seed, "mlp", "", "predicted")].rows for seed in (0, 1)
    )
    assert errors.students[Learner("errors", "mlp", "mlp", "predicted")].examples == sizes
    assert errors.teachers[Learner("errors", "mlp")].errors == sizes
    assert errors.students[Learner("curve", "mlp", "mlp", "errors", 20)].examples == (20,)


def test_feature_reliance_is_counted_on_images_whose_features_disagree(errors: Errors) -> None:
    by_hand, chosen = [], []
    for seed in (0, 1):
        shown = errors.built.artifacts[ErrorsCell("usage", "cue", seed, "mlp", "mlp", "predicted")].batch()
        assert (shown["shape_class"] != shown["toogit_class"]).all()
        by_hand.append(np.mean(shown["prediction"] == shown["toogit_class"]))
        chosen.append(np.mean(shown["prediction"][shown["toogit_class"] == 0] == 0))
    cue = {of: one.mean.mean for of, one in errors.cues["predicted"].items()}
    assert cue[NON_ROBUST] == pytest.approx(np.mean(by_hand))
    assert cue[CHOSEN] == pytest.approx(np.mean(chosen))
    assert cue[NON_ROBUST] + cue[ROBUST] <= 1


def test_the_control_is_subtracted_by_seed(errors: Errors) -> None:
    student, control = (
        errors.students[Learner("errors", "mlp", "mlp", kind)].accuracy for kind in ("predicted", "shuffled")
    )
    found = next(one for one in claims(errors) if one.quantity.startswith("errors only, mlp → mlp: above"))
    assert found.ours.mean == pytest.approx(np.mean([student[s].mean - control[s].mean for s in (0, 1)]))
    assert found.ours.seeds == 2


def test_the_toy_counts_points_over_worlds(errors: Errors) -> None:
    toy = errors.toys["Linf 0.12"]
    values = errors.built.artifacts[ErrorsCell("toy", "toy", kind="Linf 0.12")].batch()["right"]
    assert toy["right"].mean.mean == values.mean()
    assert toy["right"].mean.se == pytest.approx(values.std(ddof=1) / 3**0.5)
    assert toy["excess"].mean.mean == pytest.approx(toy["right"].mean.mean - toy["control"].mean.mean)


def claimed(of: Errors, **changed: Any) -> list[tuple[str, float]]:
    """Quantities and lower bounds of the claims that are at the published protocol."""
    config = CONFIG.model_copy(update={"errors": None, "cue": None, "across": None, "toy": None, **changed})
    found = claims(replace(of, built=replace(of.built, config=config)))
    return [(one.quantity.split(", ")[0], one.low) for one in found if not one.protocol]


def test_the_toy_is_the_published_protocol_with_its_push_and_trained_networks_alone(errors: Errors) -> None:
    toy = CONFIG.toy
    assert toy is not None
    whole = toy.model_copy(update={"hidden": (100, 100), "steps": 1500})
    assert claimed(errors, toy=whole) == [("mean", 19)]
    assert claimed(errors, toy=toy) == []  # eight units, twenty steps
    pushed = whole.protocols[0].model_copy(update={"amount": 0.2})
    assert claimed(errors, toy=whole.model_copy(update={"protocols": (pushed, *whole.protocols[1:])})) == []


def test_mnist_to_fashion_is_the_published_protocol_at_its_size_and_recipe_alone(errors: Errors) -> None:
    path = Path(__file__).parents[2] / "configs" / "learning_from_errors" / "mnist_to_fashion_full.yaml"

    def of(*changes: str) -> list[tuple[str, float]]:
        part = load(LearningFromErrors, path, ["across.networks=[cnn]", "across.ways=[raw, dataset]", *changes]).across
        key = Learner("across", "linear", "linear", "raw")
        students = {Learner("across", "cnn", "cnn", way): errors.students[key] for way in ("raw", "dataset")}
        teachers = {Learner("across", "cnn"): errors.teachers[Learner("across", "linear")]}
        return claimed(replace(errors, students=students, teachers=teachers), across=part)

    assert of() == [("teacher", 0.988), ("raw", 0.8), ("normalised minus raw", -0.02)]
    for change in ("data={name: mnist, per_class: 500}", "images={name: fashion_mnist, fraction: 0.5}"):
        assert of(f"across.{change}") == []
    assert of("across.teacher.epochs=1") == of("across.student.lr=0.1") == []


def test_errors_on_cifar10_are_the_published_protocol_with_its_network_recipes_and_all_data_alone(
    errors: Errors,
) -> None:
    folder = Path(__file__).parents[2] / "configs" / "learning_from_errors"

    def of(*changes: str, name: str = "cifar10", note: str = "") -> list[str]:
        part = load(LearningFromErrors, folder / f"{name}.yaml", changes).errors
        assert part is not None
        (teacher,), (student,) = part.teachers, part.students
        students = {
            Learner("errors", teacher.network, student, kind): errors.students[Learner("errors", "mlp", "mlp", kind)]
            for kind in ("predicted", "shuffled")
        }
        found = replace(
            errors,
            students=students,
            teachers={Learner("errors", teacher.network): errors.teachers[Learner("errors", "mlp")]},
            domains={("errors", ""): Domain(note, 50_000)},
        )
        return [quantity for quantity, _ in claimed(found, errors=part)]

    stated = ["teacher", "teacher", "student"]
    assert of() == of(name="cifar10_target") == stated
    assert of("errors.data.per_class=500") == of("errors.students=[resnet9]") == of(note="JPEG, once") == []
    assert of("errors.student.epochs=60") == of("errors.student.augment=none") == []
    teacher = "{epochs: 3, batch_size: 128, optimizer: sgd, lr: 0.1, weight_decay: 5.0e-4, schedule: constant}"
    assert of(f"errors.teachers=[{{network: resnet18, recipe: {teacher}}}]") == []


def test_page_text_files_and_runs_have_all_parts(errors: Errors) -> None:
    results, shown = EXPERIMENT.results([errors.built]), report(errors)
    parsed, _, full = seen(results, 8)
    assert len(list(shown.pictures())) == 8
    for one in claims(errors):
        assert one.quantity in " ".join(full.split())
        assert unbroken(one.verdict.sentence) in parsed.text
    assert all(words in parsed.text for part, words in PARTS.items() if part != "tint")
    (run,) = results.publications
    lines = list(csv.DictReader(io.StringIO(run.files["tables/verdicts.csv"].decode())))
    assert [line["Verdict"] for line in lines] == [BADGES[one.code].words for one in claims(errors)]
    lines = list(csv.DictReader(io.StringIO(run.files["tables/students_errors.csv"].decode())))
    for line, student in zip(lines, errors.of("errors").values(), strict=True):
        assert float(line["Accuracy"]) == pytest.approx(student.accuracy.mean.mean, rel=1e-5)
    assert run.parent.key == EXPERIMENT.opened(CONFIG, "key").key == "key"
    assert EXPERIMENT.folder(CONFIG) == "errors/embedded"
    assert EXPERIMENT.results([errors.built]).publications == results.publications


def test_no_two_runs_of_the_tracker_have_the_same_params(errors: Errors) -> None:
    (run,) = EXPERIMENT.results([errors.built]).publications
    assert_distinct(run.children, 2 * (len(errors.students) + len(errors.teachers)))
    key = Learner("errors", "mlp", "mlp", "predicted")
    child = next(one for one in run.children if one.name == "errors student mlp mlp predicted 0 seed 1")
    assert child.metrics["accuracy/test"] == errors.students[key].accuracy[1].mean
    tested = errors.built.artifacts[ErrorsCell("student", "errors", 1, *key[1:])]
    assert child.tags["raylab.network"] == tested.manifest["inputs"]["model"]
    assert child.inputs[0].digest == errors.sets(key)[1].digest
    assert child.tags["verdict"] in {badge.words for badge in BADGES.values()}


def test_a_teacher_that_was_stopped_at_an_accuracy_has_where_and_one_that_never_reached_it_too(errors: Errors) -> None:
    key = Learner("errors", "mlp adversarial")
    assert {of for of, teacher in errors.teachers.items() if teacher.stops} == {key}
    teacher = errors.teachers[key]
    assert len(teacher.fit) == len(teacher.stops) == 2
    for seed, stop in teacher.stops.items():
        recorded = errors.built.artifacts[ErrorsCell("network", "errors", seed, key.teacher)].metrics["stopped"]
        assert (stop.target, stop.steps, stop.reached) == (0.82, recorded["steps"], stop.accuracy >= 0.82)
        assert stop.accuracy == pytest.approx(teacher.fit[seed].mean, abs=1e-6)
    late = {0: StopPoint(0.82, 9, 0.83, True), 1: StopPoint(0.82, 60, 0.41, False)}
    missed = replace(errors, teachers={**errors.teachers, key: replace(teacher, stops=late)})
    assert missed.missed == (
        "Teacher mlp adversarial, seed 1: 82.0 % of the training images were never right; it ended after 60 steps at "
        "41.0 %.",
    )
    text = as_text(report(missed))
    assert missed.missed[0] in " ".join(text.split())
    assert "not reached in 1" in as_text(report(missed), full=True)


def test_what_a_panel_shows_is_the_first_of_each_label(errors: Errors) -> None:
    made = errors.built.artifacts[ErrorsCell("set", "errors", 0, "mlp", "", "predicted")]
    names, batch = [f"class {i}" for i in range(10)], made.batch()
    found, seen = examples(made, Domain(class_names=tuple(names)), own=True, count=4), []
    for words, image in found:
        was, label = words.split("\n→ ")
        row = next(r for r in range(made.rows) if names[batch["label"][r]] == label)
        np.testing.assert_array_equal(image, batch["image"][row])
        assert was == names[batch["source_label"][row]] != label
        seen.append(label)
    assert len(set(seen)) == min(4, len(set(batch["label"])))


def test_the_scoreboard_is_told_every_pair_way_and_push(errors: Errors) -> None:
    found = list(evidence(errors))
    assert {one.row for one in found} == {18, 19, 20}
    students = [one for one in found if (one.row, one.name) == (18, "student")]
    assert len(students) == 3  # teachers, of one student
    assert students[0].ours == errors.students[Learner("errors", "mlp", "mlp", "predicted")].accuracy.mean
    assert all(one.ours.mean == 0.0 and one.ours.n == 0 for one in found if "right pairs" in one.name)
    toys = {one.on: one for one in found if one.row == 19}
    small = "hidden (8,), steps 20"
    assert next(one.protocol for one in toys.values()) == small
    assert all(one.protocol.endswith(small) for one in toys.values())
    assert all("pushed otherwise" in one.protocol for one in list(toys.values())[1:])
    gained = next(one for one in found if one.on.endswith("normalised by image"))
    by_way = {
        way: errors.students[Learner("across", "linear", "linear", way)].accuracy.mean.mean for way in ("raw", "image")
    }
    assert gained.ours.mean == pytest.approx(by_way["image"] - by_way["raw"])
    assert all(one.protocol for one in found if one.row != 19)
    lines = {line.row.row: line for line in scored(found)}
    assert {lines[row].code for row in (18, 20)} <= {"same_direction", "inconclusive", "contradicted", "disagree"}


@pytest.mark.parametrize("part", ["errors", "cue", "across", "toy"])
def test_a_part_alone_has_a_page(part: str, errors: Errors) -> None:
    others = {name: None for name in ("errors", "cue", "across", "toy") if name != part}
    config = CONFIG.model_copy(update=others)
    alone = Built(config, "key", {cell: errors.built.artifacts[cell] for cell in plan(config)})
    assert claims(measure(alone))
    parsed = Page(EXPERIMENT.results([alone]).page)
    assert parsed.open == []
    assert [words for one, words in PARTS.items() if words in dict(map(reversed, parsed.headings))] == [PARTS[part]]


def test_holes_are_shown_as_absent_and_judged_as_not_built(errors: Errors) -> None:
    def lacks(cell: ErrorsCell) -> bool:
        return (
            (cell.part, cell.kind)
            in (("errors", "shuffled"), ("across", "raw"), ("toy", "Linf 0.12"), ("cue", "clean"))
            or (cell.role, cell.teacher) == ("teacher", "cnn")
            or (cell.role, cell.part) == ("data", "across")
        )

    cells = {cell: one for cell, one in errors.built.artifacts.items() if not lacks(cell)}
    holed = Built(CONFIG, "key", cells, {cell: "it failed" for cell in errors.built.artifacts if cell not in cells})
    judged = {one.quantity: one.code for one in claims(measure(holed))}
    before = {one.quantity: one.code for one in claims(errors)}
    lost = [of for of, code in judged.items() if code == "not_built"]
    cue = "planted cue: relied on more than by a student of clean images"
    assert {of.split(",")[0] for of in lost} == {"errors only", "raw", "mean", cue}
    assert all(before[of] == code for of, code in judged.items() if of not in lost and "labelled by" not in of)
    results = EXPERIMENT.results([holed])
    assert problems(results.page) == []
    assert "nan" not in results.full_texts[0]
    assert not any(math.isnan(one.ours.mean) for one in results.evidence[0])
    nothing = Built(CONFIG, "key", {}, dict.fromkeys(errors.built.artifacts, "it failed"))
    assert {one.code for one in claims(measure(nothing))} == {"not_built"}
    assert "nan" not in "".join(one.alt for one in report(measure(nothing)).pictures())
    assert list(evidence(measure(nothing))) == []
    for part in PARTS:  # each of which is the answer's where it comes first
        alone = CONFIG.model_copy(update={name: None for name in PARTS if name != part})
        if getattr(alone, part) is not None:
            found = measure(Built(alone, "key", {}, dict.fromkeys(plan(alone), "it failed")))
            assert "nan" not in as_text(report(found), full=True)
            assert answer(found, "").badge.words in ("not built", "no rule")


def test_every_student_of_errors_is_tested_against_shuffled_labels(errors: Errors) -> None:
    (table,) = [one for one in report(errors).tables() if one.name == "tests"]
    predicted = [key for key in errors.students if key.kind == "predicted" and above_shuffled(errors, key)]
    assert [line[2].of for line in table.rows] == [above_shuffled(errors, key) for key in predicted]
    assert predicted
