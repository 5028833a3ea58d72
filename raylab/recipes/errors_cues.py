"""Planted cues: a teacher learns where one tells the class; its students see its errors where it tells nothing."""

from __future__ import annotations

from raylab.core.errors import Labelling
from raylab.recipes.errors_cells import Cell, Cells, Networks
from raylab.recipes.errors_config import Cue, Tint
from raylab.stage import Compute, Stage
from raylab.stages.dataset import open_data, probe
from raylab.stages.errors import mislabeled
from raylab.stages.tint import tinted

PROBES = 1000  # images that show which feature decides
SILENT = 0.1  # reliability of a toogit that says nothing of ten classes
TAUGHT: tuple[Labelling, ...] = ("predicted", "shuffled")  # the students of errors, beside one of clean images


def cue(part: Cue, seed: int, compute: Compute) -> Cells:
    """The teacher's world and the students' differ only in what a toogit says of the class."""
    telling = open_data(part.data, seed)
    silent = open_data(part.data.model_copy(update={"toogit_reliability": SILENT}), seed)
    make = Networks("cue", silent, seed, compute)
    rows, name = silent.rows["train"], part.network
    assert silent.world is not None
    shown = probe(silent.world, "conflict", PROBES)
    teacher = make.train(name, part.recipe, "teacher", telling.train, rows, "images with the cue")
    said = make.on(teacher, silent.train, rows, "what the cue's teacher says where it tells nothing")
    clean = make.train(name, part.recipe, "student", silent.train, rows, "images without the cue")
    yield Cell("data", "cue", seed), silent.train
    yield Cell("teacher", "cue", seed, name), make.test(teacher, "teacher of the cue")
    yield Cell("fit", "cue", seed, name), said
    yield Cell("usage", "cue", seed, name), make.on(teacher, shown, PROBES, "usage of the cue's teacher")
    yield Cell("student", "cue", seed, name, name, "clean"), make.test(clean, "student without the cue")
    yield Cell("usage", "cue", seed, name, name, "clean"), make.on(clean, shown, PROBES, "usage without the cue")
    for kind in TAUGHT:
        made = mislabeled(
            silent.train, said, silent.images.num_classes, seed, labels=kind, name=f"errors by the cue, {kind} {seed}"
        )
        student = make.train(name, part.recipe, "student", made, rows, f"errors by the cue ({kind})")
        yield Cell("set", "cue", seed, name, "", kind), made
        yield Cell("student", "cue", seed, name, name, kind), make.test(student, f"student of the cue ({kind})")
        yield Cell("usage", "cue", seed, name, name, kind), make.on(student, shown, PROBES, f"usage, {kind}")


def tint(part: Tint, seed: int, compute: Compute) -> Cells:
    """One set of photographs, with the cast on other images where the teacher learns than where its students do."""
    data = open_data(part.data, seed)
    if data.images.shape[0] != 3 or part.cast.meant >= data.images.num_classes:
        raise ValueError(
            f"tint: photographs in colour and a class below {data.images.num_classes}, got images of shape "
            f"{data.images.shape} and class {part.cast.meant}; choose other data or another class"
        )
    make, rows, name = Networks("tint", data, seed, compute), data.rows["train"], part.network

    def on_train(of_class: float, of_others: float, what: str) -> Stage:
        return tinted(
            part.cast, of_class, of_others, data.train, seed, "train", compute, rows=rows, name=f"{what} seed {seed}"
        )

    telling = on_train(part.telling, part.straying, "casts that tell")
    silent = on_train(part.silent, part.silent, "casts that tell nothing")
    everywhere = tinted(
        part.cast, 1.0, 1.0, data.test, seed, "test", compute, rows=data.rows["test"], name=f"casts everywhere {seed}"
    )
    teacher = make.train(name, part.teacher, "teacher", telling, rows, "casts that tell")
    said = make.on(teacher, silent, rows, "what the teacher says where casts tell nothing")
    clean = make.train(name, part.student, "student", silent, rows, "right labels")
    students: dict[str, Stage] = {"clean": clean}
    yield Cell("data", "tint", seed), data.train
    yield Cell("teacher", "tint", seed, name), make.test(teacher, "teacher of the cast")
    yield Cell("fit", "tint", seed, name), said
    for kind in TAUGHT:
        made = mislabeled(
            silent, said, data.images.num_classes, seed, labels=kind, name=f"errors by the cast, {kind} {seed}"
        )
        yield Cell("set", "tint", seed, name, "", kind), made
        students[kind] = make.train(name, part.student, "student", made, rows, f"errors by the cast ({kind})")
    for what, student in students.items():
        yield Cell("student", "tint", seed, name, name, what), make.test(student, f"student of the cast ({what})")
    for what, network in {"": teacher, **students}.items():
        place = (seed, name, name if what else "", what)
        seen = make.on(network, everywhere, data.rows["test"], f"casts everywhere, {what or 'teacher'}")
        yield Cell("usage", "tint", *place), seen
