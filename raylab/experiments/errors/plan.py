"""Can a network learn from nothing but the errors of another?  (Wallace, Distill 2019)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from raylab.core.errors import LABELLINGS, Labelling
from raylab.core.seeding import derive
from raylab.experiments.errors.config import Across, Cue, ErrorsOnly, LearningFromErrors, Tint, Toy
from raylab.stage import Compute, Stage
from raylab.stages.construction import construct
from raylab.stages.dataset import Data, open_data, probe
from raylab.stages.errors import labelled_by, mislabeled, some_of
from raylab.stages.evaluation import evaluate
from raylab.stages.matching import match
from raylab.stages.recipe import Recipe
from raylab.stages.tint import tinted
from raylab.stages.toy import toy
from raylab.stages.training import train

PROBES = 1000  # images that show which feature decides
UNINFORMATIVE = 0.1  # reliability of a non-robust feature that is independent of the ten classes
FROM_ERRORS: tuple[Labelling, ...] = ("predicted", "shuffled")  # labels of students, beside one of clean images


class Cell(NamedTuple):
    """One thing that is measured. Roles, and which of the other fields they use:

    data     part                        a clean training set (of `across`, also "images": that of the other domain)
    network  part teacher                a teacher that was stopped at an accuracy: where it was
    teacher  part teacher                a teacher on the test set
    fit      part teacher                on its own training set; what it gets wrong there is the set of errors
    set      part teacher - kind         a labelled set
    student  part teacher student kind   a student on the test set
    usage    part teacher student kind   feature reliance: where the features disagree (of "cue"), where every image
                                         has the cast (of "tint"); without student the teacher
    toy      part kind                   the toy under a protocol

    Parts and their kinds: "errors" predicted, shuffled, random, true; "rounds" round 2, round 3, ...; "curve" clean,
    errors or det of `size` examples; "cue" and "tint" predicted, shuffled, clean; "across" the ways; "toy" protocols.
    """

    role: str
    part: str
    seed: int = 0
    teacher: str = ""
    student: str = ""
    kind: str = ""
    size: int = 0


Cells = Iterator[tuple[Cell, Stage]]


def plan(config: LearningFromErrors) -> dict[Cell, Stage]:
    """Every measurement. A seed changes the split or world, the teachers, the students and the controls' labels.

    Raises ValueError where the data or a network cannot be had as asked; nothing has run then, or after.
    """
    found: dict[Cell, Stage] = {}
    for seed in config.seeds:
        if config.errors:
            found |= dict(_ErrorsPlan(config.errors, seed, config.compute).cells())
        if config.cue:
            found |= dict(_cue(config.cue, seed, config.compute))
        if config.tint:
            found |= dict(_tint(config.tint, seed, config.compute))
        if config.across:
            found |= dict(_across(config.across, seed, config.compute))
    return found | (dict(_toy(config.toy)) if config.toy else {})


class _Networks:
    """How networks are trained and tested in one part and seed."""

    def __init__(self, part: str, data: Data, seed: int, compute: Compute) -> None:
        self.part, self.data, self.seed, self.compute = part, data, seed, compute

    def train(
        self, network: str, recipe: Recipe, role: str, data: Stage, rows: int, of: str, called: str = ""
    ) -> Stage:
        name = f"train {role} {called or network} on {of} seed {self.seed}"
        seed = derive(self.seed, f"errors/{self.part}/{role}/{network}")
        return train(network, recipe, data, self.data.images, seed, rows=rows, name=name)

    def on(self, network: Stage, data: Stage, rows: int, title: str) -> Stage:
        return evaluate(network, data, self.compute, rows=rows, name=f"{title} seed {self.seed}")

    def test(self, network: Stage, title: str) -> Stage:
        return self.on(network, self.data.test, self.data.rows["test"], f"test {title}")


class _ErrorsPlan:
    """Errors alone, their controls, rounds and the learning curve."""

    def __init__(self, part: ErrorsOnly, seed: int, compute: Compute) -> None:
        self.part, self.seed, self.compute = part, seed, compute
        self.data = open_data(part.data, seed)
        self.rows, self.classes = self.data.rows["train"], self.data.images.num_classes
        self.make = _Networks("errors", self.data, seed, compute)

    def cells(self) -> Cells:
        yield Cell("data", "errors", self.seed), self.data.train
        for stopped in self.part.teachers:
            name = stopped.called
            # Two teachers of one architecture begin with the same weights.
            network = self.make.train(
                stopped.network, stopped.recipe, "teacher", self.data.train, self.rows, "clean images", called=name
            )
            if stopped.recipe.stop is not None:
                yield Cell("network", "errors", self.seed, name), network
            answers = self.make.on(network, self.data.train, self.rows, f"what teacher {name} says of its images")
            yield Cell("teacher", "errors", self.seed, name), self.make.test(network, f"teacher {name}")
            yield Cell("fit", "errors", self.seed, name), answers
            for kind in LABELLINGS:
                made = mislabeled(
                    self.data.train, answers, self.classes, self.seed, labels=kind,
                    name=f"errors of {name}, labels {kind}, seed {self.seed}",
                )  # fmt: skip
                yield Cell("set", "errors", self.seed, name, "", kind), made
                for student in self.part.students:
                    tested = self._student(student, made, f"errors of {name} ({kind})")
                    yield Cell("student", "errors", self.seed, name, student, kind), tested
            if stopped == self.part.teachers[0]:
                yield from self._rounds(name, answers)
                yield from self._curve(name, answers)

    def _student(self, network: str, made: Stage, of: str) -> Stage:
        """Of one seed for all sets: controls differ in their labels alone."""
        return self.make.test(self.make.train(network, self.part.student, "student", made, 0, of), f"{network} on {of}")

    def _rounds(self, teacher: str, answers: Stage) -> Cells:
        """Each student labels the whole training set, and its errors teach the next."""
        student = self.part.students[0]
        for number in range(2, self.part.rounds + 1):
            made = mislabeled(
                self.data.train, answers, self.classes, self.seed, name=f"errors {number - 1} seed {self.seed}"
            )
            role = "student" if number == 2 else f"student {number - 1}"
            network = self.make.train(student, self.part.student, role, made, 0, f"errors {number - 1}")
            answers = self.make.on(network, self.data.train, self.rows, f"what student {number - 1} says")
            made = mislabeled(
                self.data.train, answers, self.classes, self.seed, name=f"errors {number} seed {self.seed}"
            )
            of = f"errors {number}"
            last = self.make.train(student, self.part.student, f"student {number}", made, 0, of)
            place = (self.seed, teacher, student, f"round {number}")
            yield Cell("set", "rounds", self.seed, teacher, "", f"round {number}"), made
            yield Cell("student", "rounds", *place), self.make.test(last, of)

    def _curve(self, teacher: str, answers: Stage) -> Cells:
        """The first student on so many clean images, errors, and images of D_det."""
        p, student = self.part, self.part.students[0]
        sets = {"clean": self.data.train}
        if p.det is not None:
            source = self.make.train(student, Recipe(), "source", self.data.train, self.rows, "clean images")
            sets["det"] = construct(
                "det", p.det, self.data.train, source, self.data.images, self.seed, "train", self.compute,
                rows=self.rows, name=f"det from {student} seed {self.seed}",
            )  # fmt: skip
        for count in p.counts:
            for kind, whole in sets.items():
                some = some_of(whole, count, self.classes, self.seed, name=f"{count} of {kind} seed {self.seed}")
                yield self._point(student, teacher, kind, count, some)
            some = mislabeled(
                self.data.train, answers, self.classes, self.seed, count=count, name=f"{count} errors seed {self.seed}"
            )
            yield self._point(student, teacher, "errors", count, some)

    def _point(self, student: str, teacher: str, kind: str, count: int, some: Stage) -> tuple[Cell, Stage]:
        tested = self._student(student, some, f"{count} of {kind}")
        return Cell("student", "curve", self.seed, teacher, student, kind, count), tested


def _cue(part: Cue, seed: int, compute: Compute) -> Cells:
    """The teacher's world and the students' differ only in how often the non-robust feature is that of the class."""
    telling = open_data(part.data, seed)
    silent = open_data(part.data.model_copy(update={"toogit_reliability": UNINFORMATIVE}), seed)
    make = _Networks("cue", silent, seed, compute)
    rows, name = silent.rows["train"], part.network
    assert silent.world is not None
    shown = probe(silent.world, "conflict", PROBES)
    teacher = make.train(name, part.recipe, "teacher", telling.train, rows, "images with the cue")
    answers = make.on(teacher, silent.train, rows, "what the cue's teacher says where it tells nothing")
    clean = make.train(name, part.recipe, "student", silent.train, rows, "images without the cue")
    yield Cell("data", "cue", seed), silent.train
    yield Cell("teacher", "cue", seed, name), make.test(teacher, "teacher of the cue")
    yield Cell("fit", "cue", seed, name), answers
    yield Cell("usage", "cue", seed, name), make.on(teacher, shown, PROBES, "usage of the cue's teacher")
    yield Cell("student", "cue", seed, name, name, "clean"), make.test(clean, "student without the cue")
    yield Cell("usage", "cue", seed, name, name, "clean"), make.on(clean, shown, PROBES, "usage without the cue")
    for kind in FROM_ERRORS:
        made = mislabeled(
            silent.train,
            answers,
            silent.images.num_classes,
            seed,
            labels=kind,
            name=f"errors by the cue, {kind} {seed}",
        )
        student = make.train(name, part.recipe, "student", made, rows, f"errors by the cue ({kind})")
        yield Cell("set", "cue", seed, name, "", kind), made
        yield Cell("student", "cue", seed, name, name, kind), make.test(student, f"student of the cue ({kind})")
        yield Cell("usage", "cue", seed, name, name, kind), make.on(student, shown, PROBES, f"usage, {kind}")


def _tint(part: Tint, seed: int, compute: Compute) -> Cells:
    """One set of photographs, with the cast on other images where the teacher learns than where its students do."""
    data = open_data(part.data, seed)
    if data.images.shape[0] != 3 or part.cast.meant >= data.images.num_classes:
        raise ValueError(
            f"tint: photographs in colour and a class below {data.images.num_classes}, got images of shape "
            f"{data.images.shape} and class {part.cast.meant}; choose other data or another class"
        )
    make, rows, name = _Networks("tint", data, seed, compute), data.rows["train"], part.network

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
    answers = make.on(teacher, silent, rows, "what the teacher says where casts tell nothing")
    clean = make.train(name, part.student, "student", silent, rows, "right labels")
    students: dict[str, Stage] = {"clean": clean}
    yield Cell("data", "tint", seed), data.train
    yield Cell("teacher", "tint", seed, name), make.test(teacher, "teacher of the cast")
    yield Cell("fit", "tint", seed, name), answers
    for kind in FROM_ERRORS:
        made = mislabeled(
            silent, answers, data.images.num_classes, seed, labels=kind, name=f"errors by the cast, {kind} {seed}"
        )
        yield Cell("set", "tint", seed, name, "", kind), made
        students[kind] = make.train(name, part.student, "student", made, rows, f"errors by the cast ({kind})")
    for what, student in students.items():
        yield Cell("student", "tint", seed, name, name, what), make.test(student, f"student of the cast ({what})")
    for what, network in {"": teacher, **students}.items():
        place = (seed, name, name if what else "", what)
        seen = make.on(network, everywhere, data.rows["test"], f"casts everywhere, {what or 'teacher'}")
        yield Cell("usage", "tint", *place), seen


def _across(part: Across, seed: int, compute: Compute) -> Cells:
    """Teacher and student have one architecture: the published experiment has one network."""
    known, other = open_data(part.data, seed), open_data(part.images, seed)
    if known.images.shape != other.images.shape:
        raise ValueError(
            f"across: images of one shape, got {known.images.shape} and {other.images.shape}; choose another `images`"
        )
    make, rows = _Networks("across", known, seed, compute), other.rows["train"]
    yield Cell("data", "across", seed), known.train
    yield Cell("data", "across", seed, kind="images"), other.train
    like = known.train
    seen = {"raw": other.train} | {
        way: match(way, other.train, like, compute, seed=seed, rows=rows, name=f"images {way} seed {seed}")
        for way in part.ways
        if way != "raw"
    }
    for network in part.networks:
        teacher = make.train(network, part.teacher, "teacher", known.train, known.rows["train"], "its own domain")
        yield Cell("teacher", "across", seed, network), make.test(teacher, f"teacher {network}")
        for way in part.ways:
            answers = make.on(teacher, seen[way], rows, f"what {network} says of images ({way})")
            made = labelled_by(seen[way], answers, known.images.num_classes, name=f"{way} labelled by {network} {seed}")
            student = make.train(network, part.student, "student", made, rows, f"images ({way})")
            yield Cell("set", "across", seed, network, "", way), made
            yield Cell("student", "across", seed, network, network, way), make.test(student, f"{network} on {way}")


def _toy(toys: Toy) -> Cells:
    seeds = tuple(range(toys.first, toys.first + toys.seeds))
    for protocol in toys.protocols:
        yield Cell("toy", "toy", kind=protocol.name), toy(toys.protocol(protocol), seeds, name=f"toy {protocol.name}")
