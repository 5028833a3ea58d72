"""Can a network learn from nothing but the errors of another?  (Wallace, Distill 2019)"""

from __future__ import annotations

from raylab.core.errors import LABELLINGS
from raylab.recipes.errors_cells import Cell, Cells, Networks
from raylab.recipes.errors_config import PUBLISHED_TOY, Across, ErrorsOnly, LearningFromErrors, Toy
from raylab.recipes.errors_cues import cue, tint
from raylab.stage import Compute, Stage
from raylab.stages.construction import construct
from raylab.stages.dataset import open_data
from raylab.stages.errors import labelled_by, mislabeled, some_of
from raylab.stages.matching import match
from raylab.stages.recipe import Recipe
from raylab.stages.toy import toy

__all__ = ["PUBLISHED_TOY", "Cell", "LearningFromErrors", "plan"]


def plan(config: LearningFromErrors) -> dict[Cell, Stage]:
    """Every measurement. A seed changes the split or world, the teachers, the students and the controls' labels.

    Raises ValueError where the data or a network cannot be had as asked; nothing has run then, or after.
    """
    found: dict[Cell, Stage] = {}
    for seed in config.seeds:
        if config.errors:
            found |= dict(_ErrorsPlan(config.errors, seed, config.compute).cells())
        if config.cue:
            found |= dict(cue(config.cue, seed, config.compute))
        if config.tint:
            found |= dict(tint(config.tint, seed, config.compute))
        if config.across:
            found |= dict(_across(config.across, seed, config.compute))
    return found | (dict(_toy(config.toy)) if config.toy else {})


def _toy(toys: Toy) -> Cells:
    seeds = tuple(range(toys.first, toys.first + toys.seeds))
    for protocol in toys.protocols:
        yield Cell("toy", "toy", kind=protocol.name), toy(toys.protocol(protocol), seeds, name=f"toy {protocol.name}")


class _ErrorsPlan:
    """Errors alone, their controls, rounds and the learning curve."""

    def __init__(self, part: ErrorsOnly, seed: int, compute: Compute) -> None:
        self.part, self.seed, self.compute = part, seed, compute
        self.data = open_data(part.data, seed)
        self.rows, self.classes = self.data.rows["train"], self.data.images.num_classes
        self.make = Networks("errors", self.data, seed, compute)

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
            said = self.make.on(network, self.data.train, self.rows, f"what teacher {name} says of its images")
            yield Cell("teacher", "errors", self.seed, name), self.make.test(network, f"teacher {name}")
            yield Cell("fit", "errors", self.seed, name), said
            for kind in LABELLINGS:
                made = mislabeled(
                    self.data.train, said, self.classes, self.seed, labels=kind,
                    name=f"errors of {name}, labels {kind}, seed {self.seed}",
                )  # fmt: skip
                yield Cell("set", "errors", self.seed, name, "", kind), made
                for student in self.part.students:
                    tested = self._student(student, made, f"errors of {name} ({kind})")
                    yield Cell("student", "errors", self.seed, name, student, kind), tested
            if stopped == self.part.teachers[0]:
                yield from self._rounds(name, said)
                yield from self._curve(name, said)

    def _student(self, network: str, made: Stage, of: str) -> Stage:
        """Of one seed for all sets: controls differ in their labels alone."""
        return self.make.test(self.make.train(network, self.part.student, "student", made, 0, of), f"{network} on {of}")

    def _rounds(self, teacher: str, said: Stage) -> Cells:
        """Each student labels the whole training set, and its errors teach the next."""
        student = self.part.students[0]
        for number in range(2, self.part.rounds + 1):
            made = mislabeled(
                self.data.train, said, self.classes, self.seed, name=f"errors {number - 1} seed {self.seed}"
            )
            role = "student" if number == 2 else f"student {number - 1}"
            network = self.make.train(student, self.part.student, role, made, 0, f"errors {number - 1}")
            said = self.make.on(network, self.data.train, self.rows, f"what student {number - 1} says")
            made = mislabeled(self.data.train, said, self.classes, self.seed, name=f"errors {number} seed {self.seed}")
            of = f"errors {number}"
            last = self.make.train(student, self.part.student, f"student {number}", made, 0, of)
            place = (self.seed, teacher, student, f"round {number}")
            yield Cell("set", "rounds", self.seed, teacher, "", f"round {number}"), made
            yield Cell("student", "rounds", *place), self.make.test(last, of)

    def _curve(self, teacher: str, said: Stage) -> Cells:
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
                self.data.train, said, self.classes, self.seed, count=count, name=f"{count} errors seed {self.seed}"
            )
            yield self._point(student, teacher, "errors", count, some)

    def _point(self, student: str, teacher: str, kind: str, count: int, some: Stage) -> tuple[Cell, Stage]:
        tested = self._student(student, some, f"{count} of {kind}")
        return Cell("student", "curve", self.seed, teacher, student, kind, count), tested


def _across(part: Across, seed: int, compute: Compute) -> Cells:
    """Teacher and student have one architecture: the published experiment has one network."""
    known, other = open_data(part.data, seed), open_data(part.images, seed)
    if known.images.shape != other.images.shape:
        raise ValueError(
            f"across: images of one shape, got {known.images.shape} and {other.images.shape}; choose another `images`"
        )
    make, rows = Networks("across", known, seed, compute), other.rows["train"]
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
            said = make.on(teacher, seen[way], rows, f"what {network} says of images ({way})")
            made = labelled_by(seen[way], said, known.images.num_classes, name=f"{way} labelled by {network} {seed}")
            student = make.train(network, part.student, "student", made, rows, f"images ({way})")
            yield Cell("set", "across", seed, network, "", way), made
            yield Cell("student", "across", seed, network, network, way), make.test(student, f"{network} on {way}")
