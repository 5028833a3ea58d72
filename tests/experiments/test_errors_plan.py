"""The plan of learning from errors: what differs between a student and its controls, and what is refused."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from raylab.config import load
from raylab.engine.stage import Stage, closure
from raylab.experiments.errors import ErrorsCell, LearningFromErrors, plan
from raylab.experiments.errors.config import Across, Cue, ErrorsOnly, ToyPart, ToyProtocol
from raylab.stages.dataset import DigitsData, PhotosData, SeeFarData

CELLS = plan(LearningFromErrors(seeds=(0, 1)))


def network(cell: ErrorsCell) -> Stage:
    return CELLS[cell].inputs["model"]


def config(stage: Stage) -> Any:
    return stage.config


def test_every_part_has_its_students() -> None:
    students = Counter(cell.part for cell in CELLS if cell.role == "student")
    seeds, pairs, kinds, sizes = 2, 6, 4, 4  # three teachers, two students
    assert students == {
        "errors": seeds * pairs * kinds,
        "rounds": seeds * 2,
        "curve": seeds * 3 * sizes,
        "cue": seeds * 3,
        "across": seeds * 2 * 4,
    }
    assert [cell.kind for cell in CELLS if cell.role == "toy"] == ["Linf 0.12", "minimal flip", "flip with margin 5"]


def test_controls_differ_from_the_student_in_their_labels_alone() -> None:
    student = network(ErrorsCell("student", "errors", 0, "mlp", "cnn", "predicted"))
    for kind in ("shuffled", "random", "true"):
        control = network(ErrorsCell("student", "errors", 0, "mlp", "cnn", kind))
        assert config(control) == config(student)
        mine, other = student.inputs["data"], control.inputs["data"]
        assert mine.inputs == other.inputs
        assert {config(mine).labels, config(other).labels} == {"predicted", kind}


def test_every_set_of_errors_is_a_teacher_s_on_its_own_training_images() -> None:
    made = CELLS[ErrorsCell("set", "errors", 0, "cnn", "", "predicted")]
    said = made.inputs["said"]
    assert said == CELLS[ErrorsCell("fit", "errors", 0, "cnn")]
    assert said.inputs["data"] == made.inputs["data"] == said.inputs["model"].inputs["data"]
    assert config(made).errors_only


def test_students_are_fresh_and_tested_on_untouched_images() -> None:
    for cell, stage in CELLS.items():
        if cell.role in ("student", "teacher"):
            assert stage.inputs["data"].kind == "data"
            assert config(stage.inputs["data"]).split == "test"
    teacher = CELLS[ErrorsCell("teacher", "errors", 0, "mlp")].inputs["model"]
    student = network(ErrorsCell("student", "errors", 0, "mlp", "mlp", "predicted"))
    assert config(teacher).seed != config(student).seed


def test_teachers_of_one_architecture_begin_alike_and_only_one_that_is_stopped_at_an_accuracy_is_asked_where() -> None:
    plain, robust = (
        CELLS[ErrorsCell("teacher", "errors", 0, name)].inputs["model"] for name in ("mlp", "mlp adversarial")
    )
    assert config(plain).seed == config(robust).seed
    assert config(plain).network == config(robust).network == "mlp"
    assert config(plain).recipe.adversary is None
    assert config(robust).recipe.adversary is not None
    asked = {cell: stage for cell, stage in CELLS.items() if cell.role == "network"}
    assert set(asked) == {ErrorsCell("network", "errors", seed, "mlp adversarial") for seed in (0, 1)}
    assert asked[ErrorsCell("network", "errors", 0, "mlp adversarial")] == robust


def test_a_seed_changes_the_split_the_teacher_the_student_and_the_controls_labels() -> None:
    first, second = (network(ErrorsCell("student", "errors", seed, "mlp", "mlp", "shuffled")) for seed in (0, 1))
    assert config(first).seed != config(second).seed
    assert config(first.inputs["data"]).seed != config(second.inputs["data"]).seed
    assert first.inputs["data"].inputs["data"] != second.inputs["data"].inputs["data"]


def test_a_round_learns_from_the_errors_of_the_student_before() -> None:
    second, third = (network(ErrorsCell("student", "rounds", 0, "mlp", "mlp", f"round {n}")) for n in (2, 3))
    first = network(ErrorsCell("student", "errors", 0, "mlp", "mlp", "predicted"))
    assert second.inputs["data"].inputs["said"].inputs["model"] == first
    assert third.inputs["data"].inputs["said"].inputs["model"] == second
    assert len({config(stage).seed for stage in (first, second, third)}) == 3


def test_the_cue_tells_the_class_to_the_teacher_alone() -> None:
    teacher = CELLS[ErrorsCell("teacher", "cue", 0, "mlp")].inputs["model"]
    told = config(teacher.inputs["data"]).data
    for kind in ("predicted", "shuffled", "clean"):
        student = network(ErrorsCell("student", "cue", 0, "mlp", "mlp", kind))
        data = student.inputs["data"]
        silent = config(data.inputs.get("data", data)).data
        assert (told.toogit_reliability, silent.toogit_reliability) == (0.95, 0.1)
        assert told.shape_reliability == silent.shape_reliability
    assert teacher.inputs["data"].config.seed == 0  # type: ignore[attr-defined]


def test_images_of_the_other_domain_are_matched_to_the_teacher_s() -> None:
    for way in ("dataset", "image", "noise"):
        student = network(ErrorsCell("student", "across", 0, "mlp", "mlp", way))
        matched = student.inputs["data"].inputs["data"]
        assert config(matched).how == way
        assert matched.inputs["like"] == CELLS[ErrorsCell("data", "across", 0)]
        assert matched.inputs["data"] == CELLS[ErrorsCell("data", "across", 0, kind="images")]
        said = student.inputs["data"].inputs["said"]
        assert said.inputs["data"] == matched
        assert said.inputs["model"] == CELLS[ErrorsCell("teacher", "across", 0, "mlp")].inputs["model"]


def test_parts_can_be_left_out_and_others_stay_what_they_are() -> None:
    alone = plan(LearningFromErrors(seeds=(0, 1), cue=None, across=None, toy=None))
    assert {cell.part for cell in alone} == {"errors", "rounds", "curve"}
    assert all(CELLS[cell] == stage for cell, stage in alone.items())
    assert "constructed" not in {
        s.kind for s in closure(plan(load(LearningFromErrors, "{errors: {det: null}}")).values())
    }


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: LearningFromErrors(errors=None, cue=None, across=None, toy=None), "all null; leave one in"),
        (
            lambda: ErrorsOnly(teachers=(ErrorsOnly().teachers[0],) * 2),
            r"each network at most once, got \['mlp', 'mlp'\]",
        ),
        (lambda: ToyPart(protocols=(ToyProtocol(name="a", push="linf", amount=1),) * 2), "each name at most once"),
        (lambda: Cue(data=SeeFarData(name="seefar"), toogit=10), "less than or equal to 9"),
    ],
)
def test_configs_that_mean_nothing_are_refused(wrong: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        wrong()


def test_images_of_another_shape_are_refused_before_anything_runs() -> None:
    part = Across(data=DigitsData(), images=PhotosData(size=9))
    with pytest.raises(ValueError, match=r"across: images of one shape, got \(1, 8, 8\) and \(1, 9, 9\)"):
        plan(LearningFromErrors(errors=None, cue=None, toy=None, across=part))
