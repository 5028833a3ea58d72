"""What networks learn from another's errors: accuracy of teachers and students, reliance on planted cues, the toy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from raylab.core.statistics import Estimate, sampled
from raylab.engine.artifact import Artifact
from raylab.engine.study import Built
from raylab.experiments.errors.config import LearningFromErrors
from raylab.experiments.errors.plan import ErrorsCell
from raylab.report.names import FEATURES, NON_ROBUST, ROBUST, calls
from raylab.report.per_seed import PerSeed
from raylab.report.read import CellReader

# Parts of a config, in the order of a report.
PARTS = {
    "errors": "Errors alone",
    "cue": "A planted cue",
    "tint": "A planted colour cast",
    "across": "Across domains",
    "toy": "A toy in the plane",
}
CHOSEN = "the chosen non-robust"
WITH_CAST, WITHOUT, ADDED = "with the cast", "the same without", "difference"
Series = Mapping[str, PerSeed]


class Learner(NamedTuple):
    """A network, whatever its seed: a teacher where `student` and `kind` are empty."""

    part: str
    teacher: str = ""
    student: str = ""
    kind: str = ""
    size: int = 0

    @property
    def pair(self) -> str:
        return f"{self.teacher} → {self.student}"


class Domain(NamedTuple):
    """The images that a part learns from, of its first seed."""

    note: str = ""
    rows: int = 0
    class_names: tuple[str, ...] = ()

    def class_name(self, number: int) -> str:
        return self.class_names[number] if number < len(self.class_names) else f"class {number}"


class StopPoint(NamedTuple):
    """Where a teacher was stopped that had a training accuracy to reach."""

    target: float
    steps: int
    accuracy: float
    reached: bool


@dataclass(frozen=True)
class Teacher:
    """A network that labels images for others."""

    accuracy: PerSeed  # on clean test images of its domain
    fit: PerSeed  # on its own training images, which it labels; none across domains
    stops: Mapping[int, StopPoint]  # by seed; none where it was not to reach an accuracy

    @property
    def errors(self) -> tuple[int, ...]:
        """How many of these images it gets wrong, by seed."""
        return tuple(one.n - round(one.mean * one.n) for one in self.fit.values())


@dataclass(frozen=True)
class Student:
    """A network that was trained on the labels of a teacher, or on those of a control."""

    accuracy: PerSeed  # on clean test images of the teacher's domain
    agreement: PerSeed  # with the teacher there, right or wrong; none where it has no teacher
    examples: tuple[int, ...]  # that it was trained on, by seed
    entropy: PerSeed  # of its labels


@dataclass(frozen=True)
class Errors:
    """One study's result."""

    built: Built[LearningFromErrors, ErrorsCell]
    domains: Mapping[tuple[str, str], Domain]  # by part and kind of data
    teachers: Mapping[Learner, Teacher]
    students: Mapping[Learner, Student]
    cues: Mapping[str, Series]  # feature reliance of "teacher", and by the kind of student
    casts: Mapping[str, Series]  # assigned to the cast's class, of test images of other classes; likewise
    toys: Mapping[str, Series]  # by protocol: numbers by world, not by seed of the study

    @property
    def config(self) -> LearningFromErrors:
        return self.built.config

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(part for part in PARTS if getattr(self.config, part) is not None)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the data sets say of themselves."""
        data = (a.metrics["note"] for cell, a in self.built.artifacts.items() if cell.role == "data")
        return tuple(dict.fromkeys(note for note in data if note))

    @property
    def missed(self) -> tuple[str, ...]:
        """Teachers that never reached the accuracy they were to be stopped at."""
        return tuple(
            f"Teacher {key.teacher}, seed {seed}: {100 * stop.target:.1f} % of the training images were never right; "
            f"it ended after {stop.steps} steps at {100 * stop.accuracy:.1f} %."
            for key, teacher in self.teachers.items()
            for seed, stop in teacher.stops.items()
            if not stop.reached
        )

    def of(self, part: str) -> dict[Learner, Student]:
        return {key: student for key, student in self.students.items() if key.part == part}

    def domain(self, part: str, kind: str = "") -> Domain:
        return self.domains.get((part, kind), Domain())

    def sets(self, key: Learner) -> list[Artifact]:
        """The labelled sets that a student was trained on, in the order of the seeds."""
        return list(_sets(self.built.artifacts, self.config.seeds, key).values())

    def right_pairs(self, key: Learner) -> Estimate:
        """How many images of these sets have their true label, counted over all seeds."""
        sets = [made.without_images() for made in self.sets(key)]
        right = sum(int((made["label"] == made["source_label"]).sum()) for made in sets)
        return Estimate(float(right), 0.0, 0, len(sets))


def measure(built: Built[LearningFromErrors, ErrorsCell]) -> Errors:
    """All numbers, from the results of single examples."""
    c = built.config
    given = {"rounds": c.errors, "curve": c.errors} | {part: getattr(c, part) for part in PARTS if part != "toy"}
    readers = {  # one a part, for each has images of its own
        name: CellReader(built.artifacts, c.seeds, part.data.images_of)
        for name, part in given.items()
        if part is not None
    }

    def planned(role: str, part: str = "") -> Iterable[tuple[Learner, CellReader[ErrorsCell]]]:
        cells = (cell for cell in built.planned if cell.role == role and part in ("", cell.part))
        return {Learner(cell.part, *cell[3:]): readers[cell.part] for cell in cells}.items()

    return Errors(
        built,
        {(key.part, key.kind): _domain(reader, key) for key, reader in planned("data")},
        {key: _teacher(reader, key) for key, reader in planned("teacher")},
        {key: _student(reader, key) for key, reader in planned("student")},
        {key.kind or "teacher": _cue(reader, key, c) for key, reader in planned("usage", "cue")},
        {key.kind or "teacher": _cast(reader, key, c) for key, reader in planned("usage", "tint")},
        {cell.kind: _toy(built, cell) for cell in built.planned if cell.role == "toy"},
    )


def place(role: str, key: Learner) -> ErrorsCell:
    """The cell of a network, of any seed."""
    return ErrorsCell(role, key.part, 0, *key[1:])


def _domain(reader: CellReader[ErrorsCell], key: Learner) -> Domain:
    data = reader.artifacts(place("data", key)).values()
    found = (Domain(str(a.metrics["note"]), a.rows, tuple(map(str, a.metrics["class_names"]))) for a in data)
    return next(found, Domain())


def _teacher(reader: CellReader[ErrorsCell], key: Learner) -> Teacher:
    stops = {
        seed: StopPoint(float(network.config["recipe"]["stop_at_accuracy"]), **network.metrics["stopped"])
        for seed, network in reader.artifacts(place("network", key)).items()
    }
    fit = reader.share(place("fit", key), lambda rows: rows["correct"], split="train")
    return Teacher(reader.right(place("teacher", key)), fit, stops)


def _student(reader: CellReader[ErrorsCell], key: Learner) -> Student:
    sets = _sets(reader.cells, reader.seeds, key)
    entropy = {seed: Estimate(float(made.metrics["entropy"]), np.nan, made.rows, 1) for seed, made in sets.items()}
    sizes = tuple(made.rows for made in sets.values()) or ((key.size,) if key.size else ())
    agreement = PerSeed({}) if key.kind in ("clean", "det") else _agreement(reader, key)
    return Student(reader.right(place("student", key)), agreement, sizes, PerSeed(entropy))


def _sets(cells: Mapping[ErrorsCell, Artifact], seeds: Sequence[int], key: Learner) -> dict[int, Artifact]:
    places = {seed: ErrorsCell("set", key.part, seed, key.teacher, "", key.kind) for seed in seeds}
    return {seed: cells[of] for seed, of in places.items() if of in cells}


def _agreement(reader: CellReader[ErrorsCell], key: Learner) -> PerSeed:
    """Of a student with its teacher, by test image."""
    part = "errors" if key.part in ("rounds", "curve") else key.part
    teachers, found = reader.artifacts(ErrorsCell("teacher", part, 0, key.teacher)), {}
    for seed, student in reader.artifacts(place("student", key)).items():
        if seed in teachers:
            one, other = reader.columns(student), reader.columns(teachers[seed])
            order, theirs = np.argsort(one["id"], kind="stable"), np.argsort(other["id"], kind="stable")
            same = one["prediction"][order] == other["prediction"][theirs]
            found[seed] = sampled(same, one["id"][order], reader.images_of(seed, "test"))
    return PerSeed(found)


def _cue(reader: CellReader[ErrorsCell], key: Learner, config: LearningFromErrors) -> Series:
    """Shares of See-Far images, whose features disagree, that a network assigns to the class of each."""
    usage, chosen = place("usage", key), config.cue.toogit if config.cue else 0
    return {
        **{feature: reader.share(usage, calls(FEATURES[feature])) for feature in (NON_ROBUST, ROBUST)},
        CHOSEN: reader.share(  # on images with the chosen one alone
            usage, lambda rows: rows["prediction"] == chosen, lambda rows: rows["toogit_class"] == chosen
        ),
    }


def _cast(reader: CellReader[ErrorsCell], key: Learner, config: LearningFromErrors) -> Series:
    meant = config.tint.cast.meant if config.tint else 0
    with_cast, without = (
        reader.share(place(role, key), lambda rows: rows["prediction"] == meant, lambda rows: rows["label"] != meant)
        for role in ("usage", "student" if key.student else "teacher")
    )
    return {WITH_CAST: with_cast, WITHOUT: without, ADDED: with_cast - without}


def _toy(built: Built[LearningFromErrors, ErrorsCell], cell: ErrorsCell) -> Series:
    """Points that the student has right, and one of points pushed in random directions; points that were kept to train
    it, points that the teacher fitted, and the share of the square on which student and teacher agree."""
    artifact, first = built.artifacts.get(cell), built.config.toy.first if built.config.toy else 0
    table = artifact.batch() if artifact is not None else {}

    def by_world(column: str) -> PerSeed:
        worlds = enumerate(table.get(column, ()), first)
        return PerSeed({world: Estimate(float(value), np.nan, 1, 1) for world, value in worlds})

    found = {column: by_world(column) for column in ("right", "control", "kept", "fitted", "agreement")}
    return found | {"excess": found["right"] - found["control"]}
