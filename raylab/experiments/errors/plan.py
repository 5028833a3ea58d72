"""Can a network learn from nothing but the errors of another?  (Wallace, Distill 2019)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from raylab.bench import Bench
from raylab.core.errors import LABELLINGS, Labelling
from raylab.engine.stage import Compute, Stage
from raylab.experiments.errors.config import Across, Cue, ErrorsOnly, LearningFromErrors, Tint, ToyPart
from raylab.stages.dataset import DataConfig, open_data
from raylab.stages.errors import labelled_by, mislabeled, some_of
from raylab.stages.matching import match
from raylab.stages.recipe import Recipe
from raylab.stages.tint import tinted
from raylab.stages.toy import toy

UNINFORMATIVE = 0.1  # reliability of a non-robust feature that is independent of the ten classes
FROM_ERRORS: tuple[Labelling, ...] = ("predicted", "shuffled")  # labels of students, beside one of clean images


class ErrorsCell(NamedTuple):
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


Cells = Iterator[tuple[ErrorsCell, Stage]]


def plan(config: LearningFromErrors) -> dict[ErrorsCell, Stage]:
    """Every measurement. A seed changes the split or world, the teachers, the students and the controls' labels.

    Raises ValueError where the data or a network cannot be had as asked; nothing has run then, or after.
    """
    found: dict[ErrorsCell, Stage] = {}
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


def _bench(part: str, data: DataConfig, seed: int, compute: Compute) -> Bench:
    return Bench.open(data, seed, compute, purpose=f"errors/{part}/")


class _ErrorsPlan:
    """Errors alone, their controls, rounds and the learning curve."""

    def __init__(self, part: ErrorsOnly, seed: int, compute: Compute) -> None:
        self.part, self.seed, self.bench = part, seed, _bench("errors", part.data, seed, compute)
        self.clean, self.classes = self.bench.data.train, self.bench.images.num_classes

    def cells(self) -> Cells:
        seed, bench = self.seed, self.bench
        yield ErrorsCell("data", "errors", seed), self.clean
        for stopped in self.part.teachers:
            name = stopped.called
            # Two teachers of one architecture begin with the same weights.
            called, of = f"teacher {name}", "clean images"
            network = bench.train(stopped.network, stopped.recipe, "teacher", called=called, of=of)
            if stopped.recipe.stop is not None:
                yield ErrorsCell("network", "errors", seed, name), network
            answers = self._labels(network, f"what teacher {name} says of its images")
            yield ErrorsCell("teacher", "errors", seed, name), bench.on_test(network, f"teacher {name}")
            yield ErrorsCell("fit", "errors", seed, name), answers
            for kind in LABELLINGS:
                title = f"errors of {name}, labels {kind}, seed {seed}"
                made = mislabeled(self.clean, answers, self.classes, seed, labels=kind, name=title)
                yield ErrorsCell("set", "errors", seed, name, "", kind), made
                for student in self.part.students:
                    tested = self._student(student, made, f"errors of {name} ({kind})")
                    yield ErrorsCell("student", "errors", seed, name, student, kind), tested
            if stopped == self.part.teachers[0]:
                yield from self._rounds(name, answers)
                yield from self._curve(name, answers)

    def _student(self, network: str, made: Stage, of: str) -> Stage:
        """Of one seed for all sets: controls differ in their labels alone."""
        student = self.bench.train(network, self.part.student, "student", made, of=of, rows=0)
        return self.bench.on_test(student, f"{network} on {of}")

    def _labels(self, network: Stage, title: str) -> Stage:
        """What a network says of the clean training images."""
        return self.bench.on(network, self.clean, f"{title} seed {self.seed}", self.bench.data.rows["train"])

    def _errors(self, answers: Stage, title: str, count: int | None = None) -> Stage:
        name = f"{title} seed {self.seed}"
        return mislabeled(self.clean, answers, self.classes, self.seed, count=count, name=name)

    def _rounds(self, teacher: str, answers: Stage) -> Cells:
        """Each student labels the whole training set, and its errors teach the next."""
        student, recipe, bench = self.part.students[0], self.part.student, self.bench
        for number in range(2, self.part.rounds + 1):
            before, of = f"errors {number - 1}", f"errors {number}"
            role = "student" if number == 2 else f"student {number - 1}"
            network = bench.train(student, recipe, role, self._errors(answers, before), of=before, rows=0)
            answers = self._labels(network, f"what student {number - 1} says")
            made = self._errors(answers, of)
            last = bench.train(student, recipe, f"student {number}", made, of=of, rows=0)
            place = (self.seed, teacher, student, f"round {number}")
            yield ErrorsCell("set", "rounds", self.seed, teacher, "", f"round {number}"), made
            yield ErrorsCell("student", "rounds", *place), bench.on_test(last, of)

    def _curve(self, teacher: str, answers: Stage) -> Cells:
        """The first student on so many clean images, errors, and images of D_det."""
        p, student = self.part, self.part.students[0]
        sets = {"clean": self.clean}
        if p.det is not None:
            source = self.bench.train(student, Recipe(), "source", of="clean images")
            sets["det"] = self.bench.construct("det", p.det, source, "train", f"det from {student}")
        for count in p.counts:
            for kind, whole in sets.items():
                some = some_of(whole, count, self.classes, self.seed, name=f"{count} of {kind} seed {self.seed}")
                yield self._point(student, teacher, kind, count, some)
            yield self._point(student, teacher, "errors", count, self._errors(answers, f"{count} errors", count))

    def _point(self, student: str, teacher: str, kind: str, count: int, some: Stage) -> tuple[ErrorsCell, Stage]:
        tested = self._student(student, some, f"{count} of {kind}")
        return ErrorsCell("student", "curve", self.seed, teacher, student, kind, count), tested


def _cue(part: Cue, seed: int, compute: Compute) -> Cells:
    """The teacher's world and the students' differ only in how often the non-robust feature is that of the class."""
    telling, name = open_data(part.data, seed), part.network
    bench = _bench("cue", part.data.model_copy(update={"toogit_reliability": UNINFORMATIVE}), seed, compute)
    silent, rows = bench.data.train, bench.data.rows["train"]
    teacher = bench.train(name, part.recipe, "teacher", telling.train, of="images with the cue")
    title = f"what the cue's teacher says where it tells nothing seed {seed}"
    answers = bench.on(teacher, silent, title, rows)
    clean = bench.train(name, part.recipe, "student", of="images without the cue")
    yield ErrorsCell("data", "cue", seed), silent
    yield ErrorsCell("teacher", "cue", seed, name), bench.on_test(teacher, "teacher of the cue")
    yield ErrorsCell("fit", "cue", seed, name), answers
    yield (
        ErrorsCell("usage", "cue", seed, name),
        bench.on_probe(teacher, f"feature reliance of the cue's teacher seed {seed}"),
    )
    yield ErrorsCell("student", "cue", seed, name, name, "clean"), bench.on_test(clean, "student without the cue")
    yield (
        ErrorsCell("usage", "cue", seed, name, name, "clean"),
        bench.on_probe(clean, f"feature reliance without the cue seed {seed}"),
    )
    for kind in FROM_ERRORS:
        title = f"errors by the cue, {kind} {seed}"
        made = mislabeled(silent, answers, bench.images.num_classes, seed, labels=kind, name=title)
        student = bench.train(name, part.recipe, "student", made, of=f"errors by the cue ({kind})")
        yield ErrorsCell("set", "cue", seed, name, "", kind), made
        yield (
            ErrorsCell("student", "cue", seed, name, name, kind),
            bench.on_test(student, f"student of the cue ({kind})"),
        )
        yield (
            ErrorsCell("usage", "cue", seed, name, name, kind),
            bench.on_probe(student, f"feature reliance, {kind} seed {seed}"),
        )


def _tint(part: Tint, seed: int, compute: Compute) -> Cells:
    """One set of photographs, with the cast on other images where the teacher learns than where its students do."""
    bench, name = _bench("tint", part.data, seed, compute), part.network
    data, rows = bench.data, bench.data.rows["train"]
    if data.images.shape[0] != 3 or part.cast.meant >= data.images.num_classes:
        raise ValueError(
            f"tint: photographs in colour and a class below {data.images.num_classes}, got images of shape "
            f"{data.images.shape} and class {part.cast.meant}; choose other data or another class"
        )

    def on_train(of_class: float, of_others: float, what: str) -> Stage:
        return tinted(
            part.cast, of_class, of_others, data.train, seed, "train", compute, rows=rows, name=f"{what} seed {seed}"
        )

    telling = on_train(part.telling, part.straying, "casts that tell")
    silent = on_train(part.silent, part.silent, "casts that tell nothing")
    everywhere = tinted(
        part.cast, 1.0, 1.0, data.test, seed, "test", compute, rows=data.rows["test"], name=f"casts everywhere {seed}"
    )
    teacher = bench.train(name, part.teacher, "teacher", telling, of="casts that tell")
    answers = bench.on(teacher, silent, f"what the teacher says where casts tell nothing seed {seed}", rows)
    students = {"clean": bench.train(name, part.student, "student", silent, of="right labels")}
    yield ErrorsCell("data", "tint", seed), data.train
    yield ErrorsCell("teacher", "tint", seed, name), bench.on_test(teacher, "teacher of the cast")
    yield ErrorsCell("fit", "tint", seed, name), answers
    for kind in FROM_ERRORS:
        title = f"errors by the cast, {kind} {seed}"
        made = mislabeled(silent, answers, data.images.num_classes, seed, labels=kind, name=title)
        yield ErrorsCell("set", "tint", seed, name, "", kind), made
        students[kind] = bench.train(name, part.student, "student", made, of=f"errors by the cast ({kind})")
    for what, student in students.items():
        tested = bench.on_test(student, f"student of the cast ({what})")
        yield ErrorsCell("student", "tint", seed, name, name, what), tested
    for what, network in {"": teacher, **students}.items():
        place = (seed, name, name if what else "", what)
        seen = bench.on(network, everywhere, f"casts everywhere, {what or 'teacher'} seed {seed}")
        yield ErrorsCell("usage", "tint", *place), seen


def _across(part: Across, seed: int, compute: Compute) -> Cells:
    """Teacher and student have one architecture: the published experiment has one network."""
    bench, other = _bench("across", part.data, seed, compute), open_data(part.images, seed)
    known, rows = bench.data, other.rows["train"]
    if known.images.shape != other.images.shape:
        raise ValueError(
            f"across: images of one shape, got {known.images.shape} and {other.images.shape}; choose another `images`"
        )
    yield ErrorsCell("data", "across", seed), known.train
    yield ErrorsCell("data", "across", seed, kind="images"), other.train
    like = known.train
    seen = {"raw": other.train} | {
        way: match(way, other.train, like, compute, seed=seed, rows=rows, name=f"images {way} seed {seed}")
        for way in part.ways
        if way != "raw"
    }
    for network in part.networks:
        teacher = bench.train(network, part.teacher, "teacher", of="its own domain")
        yield ErrorsCell("teacher", "across", seed, network), bench.on_test(teacher, f"teacher {network}")
        for way in part.ways:
            answers = bench.on(teacher, seen[way], f"what {network} says of images ({way}) seed {seed}", rows)
            made = labelled_by(seen[way], answers, known.images.num_classes, name=f"{way} labelled by {network} {seed}")
            student = bench.train(network, part.student, "student", made, of=f"images ({way})", rows=rows)
            yield ErrorsCell("set", "across", seed, network, "", way), made
            yield (
                ErrorsCell("student", "across", seed, network, network, way),
                bench.on_test(student, f"{network} on {way}"),
            )


def _toy(toys: ToyPart) -> Cells:
    seeds = tuple(range(toys.first, toys.first + toys.seeds))
    for protocol in toys.protocols:
        yield (
            ErrorsCell("toy", "toy", kind=protocol.name),
            toy(toys.protocol(protocol), seeds, name=f"toy {protocol.name}"),
        )
