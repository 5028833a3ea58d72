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

from raylab import runner
from raylab.config import load
from raylab.core.statistics import Estimate
from raylab.recipes.errors import Cell, LearningFromErrors, plan
from raylab.report.errors.page import files, page, parent, publication, section
from raylab.report.errors.panels import shown
from raylab.report.errors.scoreboard import evidence
from raylab.report.errors.table import Errors, Key, measured
from raylab.report.errors.text import as_csv, as_text
from raylab.report.errors.verdict import Row, rows
from raylab.report.scoreboard.verdict import scored
from raylab.runner import InlineBackend
from raylab.store import Store

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
    return measured(CONFIG, "key", runner.build(plan(CONFIG), store, InlineBackend(), stubs.Recorder()))


def row(mean: float, se: float = 0.01, **changed: Any) -> Row:
    given = Row(1, "q", "", "", Estimate(mean, se, 1000, 100), 0.2, 0.6, False, "")
    return given._replace(**changed)


def test_a_verdict_asks_where_the_interval_lies() -> None:
    assert row(0.4).code == "same_direction"
    assert row(0.4, same_protocol=True).code == "reproduced"
    assert row(0.21).code == row(0.59).code == row(0.19).code == "inconclusive"
    assert row(0.1).code == row(0.9, same_protocol=True).code == "contradicted"
    assert row(0.4, se=0.2).code == "inconclusive"
    assert row(0.9, high=math.inf).code == "same_direction"


def test_one_seed_decides_nothing() -> None:
    assert row(0.4)._replace(ours=Estimate(0.4, 0.0, 1000, 1)).code == "inconclusive"


def test_what_is_expected_is_said_in_the_unit_of_the_row() -> None:
    assert row(0.4).expected == "20 to 60 %"
    assert row(0.4, high=math.inf).expected == "at least 20 %"
    assert row(0.4, low=-0.02, high=math.inf, unit="difference").expected == "at least −2 points"
    assert row(9, low=-math.inf, high=11, unit="toy").expected == "at most 11"


def test_accuracies_and_agreement_are_those_of_the_examples(errors: Errors) -> None:
    key = Key("errors", "mlp", "mlp", "predicted")
    student, teacher = (
        errors.artifacts[cell].batch()
        for cell in (Cell("student", "errors", 1, *key[1:]), Cell("teacher", "errors", 1, "mlp"))
    )
    assert errors.students[key].by_seed[1].mean == student["correct"].mean()
    both = [
        np.mean(errors.artifacts[Cell("student", "errors", seed, *key[1:])].batch()["prediction"]
                == errors.artifacts[Cell("teacher", "errors", seed, "mlp")].batch()["prediction"])
        for seed in (0, 1)
    ]  # fmt: skip
    agreement = errors.students[key].agreement
    assert agreement is not None
    assert agreement.mean == pytest.approx(np.mean(both))
    assert not np.array_equal(student["prediction"], teacher["prediction"])


def test_the_number_of_errors_is_that_of_the_set(errors: Errors) -> None:
    sizes = tuple(errors.artifacts[Cell("set", "errors", seed, "mlp", "", "predicted")].rows for seed in (0, 1))
    assert errors.students[Key("errors", "mlp", "mlp", "predicted")].examples == sizes
    assert errors.teachers[Key("errors", "mlp")].examples == sizes
    assert errors.students[Key("curve", "mlp", "mlp", "errors", 20)].examples == (20,)


def test_usage_is_counted_on_images_whose_features_disagree(errors: Errors) -> None:
    by_hand, chosen = [], []
    for seed in (0, 1):
        shown = errors.artifacts[Cell("usage", "cue", seed, "mlp", "mlp", "predicted")].batch()
        assert (shown["shape_class"] != shown["toogit_class"]).all()
        by_hand.append(np.mean(shown["prediction"] == shown["toogit_class"]))
        chosen.append(np.mean(shown["prediction"][shown["toogit_class"] == 0] == 0))
    usage = errors.usage["predicted"]
    assert usage.follow_n.mean == pytest.approx(np.mean(by_hand))
    assert usage.chosen.mean == pytest.approx(np.mean(chosen))
    assert usage.follow_n.mean + usage.follow_r.mean <= 1


def test_the_control_is_subtracted_by_seed(errors: Errors) -> None:
    student, control = (
        errors.students[Key("errors", "mlp", "mlp", kind)].by_seed for kind in ("predicted", "shuffled")
    )
    found = next(r for r in rows(errors) if r.quantity.startswith("errors only, mlp → mlp: above"))
    assert found.ours.mean == pytest.approx(np.mean([student[s].mean - control[s].mean for s in (0, 1)]))
    assert found.ours.seeds == 2


def test_the_toy_counts_points_over_worlds(errors: Errors) -> None:
    toy = errors.toys["Linf 0.12"]
    values = errors.artifacts[Cell("toy", "toy", kind="Linf 0.12")].batch()["right"]
    assert toy.right.mean == values.mean()
    assert toy.right.se == pytest.approx(values.std(ddof=1) / 3**0.5)
    assert toy.excess.mean == pytest.approx(toy.right.mean - toy.control.mean)


def claimed(of: Errors, **changed: Any) -> list[tuple[str, float]]:
    """Quantities and lower bounds of the rows that are at the published protocol."""
    config = CONFIG.model_copy(update={"errors": None, "across": None, "toy": None, **changed})
    found = rows(replace(of, config=config, usage={}))
    return [(row.quantity.split(", ")[0], row.low) for row in found if row.same_protocol]


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
        key = Key("across", "linear", "linear", "raw")
        students = {Key("across", "cnn", "cnn", way): errors.students[key] for way in ("raw", "dataset")}
        teachers = {Key("across", "cnn"): errors.teachers[Key("across", "linear")]}
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
            Key("errors", teacher.network, student, kind): errors.students[Key("errors", "mlp", "mlp", kind)]
            for kind in ("predicted", "shuffled")
        }
        own, of_mlp = Key("errors", teacher.network), Key("errors", "mlp")
        cell = Cell("data", "errors", 0)
        told = errors.artifacts[cell].manifest
        data = replace(errors.artifacts[cell], manifest={**told, "metrics": {**told["metrics"], "note": note}})
        key = Cell("set", "errors", 0, "mlp", "", "predicted")
        sets = {
            Cell("set", "errors", seed, teacher.network, "", "predicted"): errors.artifacts[key._replace(seed=seed)]
            for seed in CONFIG.seeds
        }
        found = replace(
            errors,
            students=students,
            teachers={own: errors.teachers[of_mlp]},
            fits={own: errors.fits[of_mlp]},
            artifacts={**errors.artifacts, **sets, cell: data},
        )
        return [quantity for quantity, _ in claimed(found, errors=part)]

    stated = ["teacher", "teacher", "student"]
    assert of() == of(name="cifar10_target") == stated
    assert of("errors.data.per_class=500") == of("errors.students=[resnet9]") == of(note="JPEG, once") == []
    assert of("errors.student.epochs=60") == of("errors.student.augment=none") == []
    teacher = "{epochs: 3, batch_size: 128, optimizer: sgd, lr: 0.1, weight_decay: 5.0e-4, schedule: constant}"
    assert of(f"errors.teachers=[{{network: resnet18, recipe: {teacher}}}]") == []


def test_page_text_files_and_runs_tell_all_parts(errors: Errors) -> None:
    shown = section(errors)
    html, text, kept = page([shown]), as_text(errors), files(shown)
    assert problems(html) == []
    for r in rows(errors):
        assert r.quantity in html.replace("\u00a0", " ")
        assert r.quantity in " ".join(text.split())
    assert html.count("<figure") == html.count("<figcaption") == len(shown.pictures) == 8
    assert all(picture.alt and picture.caption for picture in shown.pictures)
    lines = list(csv.DictReader(io.StringIO(as_csv(errors))))
    assert [line["verdict"] for line in lines] == [r.code for r in rows(errors)]
    assert set(kept) >= {"errors.csv", "errors.txt", "figures/errors_planes.svg"}
    told = publication(shown, kept)
    assert told.parent.key == parent(CONFIG, "key").key
    assert len(told.children) == len({child.key for child in told.children}) == len(errors.students) + len(errors.toys)


def test_a_teacher_that_was_stopped_at_an_accuracy_says_where_and_one_that_never_reached_it_too(errors: Errors) -> None:
    key = Key("errors", "mlp adversarial")
    assert set(errors.stops) == {key}
    stops = errors.stops[key]
    recorded = [errors.artifacts[Cell("network", "errors", seed, "mlp adversarial")].metrics for seed in (0, 1)]
    assert stops.steps == tuple(one["stopped"]["steps"] for one in recorded)
    assert stops.target == 0.82
    for seed, share, reached in zip((0, 1), stops.accuracy, stops.reached, strict=True):
        assert reached == (share >= 0.82)
        assert errors.fits[key].seeds == 2
        fit = errors.artifacts[Cell("fit", "errors", seed, "mlp adversarial")]
        assert share == pytest.approx(float(np.mean(fit.batch()["correct"])), abs=1e-6)
    missed = replace(errors, stops={key: replace(stops, reached=(True, False), accuracy=(0.83, 0.41), steps=(9, 60))})
    assert missed.missed == (
        "Teacher mlp adversarial, seed 1: 82.0 % of the training images were never right; it ended after 60 steps at "
        "41.0 %.",
    )
    assert missed.missed[0] in page([section(missed)]).replace("\u00a0", " ")
    assert "never right" in as_text(missed)
    assert "not reached in 1" in as_text(missed)


def test_what_a_panel_shows_is_the_first_of_each_label(errors: Errors) -> None:
    made = errors.artifacts[Cell("set", "errors", 0, "mlp", "", "predicted")]
    names, batch = [f"class {i}" for i in range(10)], made.batch()
    found = shown(made, names, own=True, count=4)
    assert len({one.label for one in found}) == min(4, len(set(batch["label"])))
    for one in found:
        row = next(r for r in range(made.rows) if names[batch["label"][r]] == one.label)
        np.testing.assert_array_equal(one.image, batch["image"][row])
        assert one.was == names[batch["source_label"][row]] != one.label


def test_the_scoreboard_is_told_every_pair_way_and_push(errors: Errors) -> None:
    found = list(evidence(errors))
    assert {one.row for one in found} == {18, 19, 20}
    students = [one for one in found if (one.row, one.name) == (18, "student")]
    assert len(students) == 3  # teachers, of one student
    assert students[0].ours == errors.students[Key("errors", "mlp", "mlp", "predicted")].accuracy
    assert all(one.ours.mean == 0.0 and one.ours.n == 0 for one in found if "right pairs" in one.name)
    toys = {one.on: one for one in found if one.row == 19}
    small = "hidden (8,), steps 20"
    assert next(one.protocol for one in toys.values()) == small
    assert all(one.protocol.endswith(small) for one in toys.values())
    assert all("pushed otherwise" in one.protocol for one in list(toys.values())[1:])
    gained = next(one for one in found if one.on.endswith("normalised by image"))
    by_way = {way: errors.students[Key("across", "linear", "linear", way)].accuracy.mean for way in ("raw", "image")}
    assert gained.ours.mean == pytest.approx(by_way["image"] - by_way["raw"])
    assert all(one.protocol for one in found if one.row != 19)
    lines = {line.row.row: line for line in scored(found)}
    assert {lines[row].code for row in (18, 20)} <= {"same_direction", "inconclusive", "contradicted", "disagree"}


def test_the_same_results_give_the_same_bytes(errors: Errors) -> None:
    assert files(section(errors)) == files(section(errors))


@pytest.mark.parametrize("part", ["errors", "cue", "across", "toy"])
def test_a_part_alone_has_a_page(part: str, errors: Errors) -> None:
    others = {name: None for name in ("errors", "cue", "across", "toy") if name != part}
    config = CONFIG.model_copy(update=others)
    alone = measured(config, "key", {cell: errors.artifacts[cell] for cell in plan(config)})
    assert rows(alone)
    assert "What the numbers allow" in page([section(alone)])
