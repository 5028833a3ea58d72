"""The config of learning from errors: five parts, any of which may be left out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from raylab.config import Config
from raylab.config.radius import Size
from raylab.core.toy2d import Protocol
from raylab.engine.stage import Compute
from raylab.experiments.fields import Names, NetworkName, Seeds, StudyName
from raylab.stages.construction import Attack
from raylab.stages.dataset import DataConfig, DigitsData, KnownData, PhotosData, SeeFarData
from raylab.stages.matching import How
from raylab.stages.recipe import Adversary, Recipe
from raylab.stages.tint import Cast, Share

Count = Annotated[int, Field(ge=2)]
Way = Literal["raw"] | How
PUBLISHED_TOY = "Linf 0.12"
ROBUST = Recipe(
    epochs=20, batch_size=96, lr=1e-3, schedule="constant", stop_at_accuracy=0.82, stop_every=1,
    adversary=Adversary(eps=0.5, ramp=0.0),
)  # fmt: skip


class StoppedTeacher(Config):
    """An architecture of teachers, and how early each is stopped: with a few dozen steps errors are left."""

    network: NetworkName
    recipe: Recipe  # its training, with few steps or stop_at_accuracy
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_. -]{1,40}$")] | None = None  # None: the network's

    @property
    def called(self) -> str:
        return self.name or self.network


class ErrorsOnly(Config):
    """A teacher stopped early labels its own training images; students see only the ones that it got wrong."""

    data: DataConfig = DigitsData()  # where the images come from
    # Architectures and how early each is stopped.
    teachers: Annotated[tuple[StoppedTeacher, ...], Field(min_length=1)] = (
        StoppedTeacher(network="mlp", recipe=Recipe(epochs=1, batch_size=96, lr=1e-3, schedule="constant")),
        StoppedTeacher(network="cnn", recipe=Recipe(epochs=2, batch_size=64, lr=1e-3, schedule="constant")),
        # Learns more slowly, so it is stopped at the accuracy that the first has.
        StoppedTeacher(network="mlp", name="mlp adversarial", recipe=ROBUST),
    )
    students: Names = ("mlp", "cnn")  # architectures
    student: Recipe = Recipe(epochs=40)
    # Of the first teacher and student: a student's own errors teach the next; 1 is the teacher's alone.
    rounds: Annotated[int, Field(ge=1, le=20)] = 3
    counts: tuple[Count, ...] = (25, 50, 100, 200)  # of examples in the learning curve, where there are as many
    det: Attack | None = Attack(eps=1.0)  # of the curve's D_det; None: no such curve

    @model_validator(mode="after")
    def _check(self) -> ErrorsOnly:
        names = [teacher.called for teacher in self.teachers]
        if len(set(names)) < len(names):
            raise ValueError(f"teachers: each network at most once, got {names}; give one of them a name of its own")
        return self


class Cue(Config):
    """A planted cue: non-robust features of See-Far tell the class where the teacher learns, not where it errs."""

    data: SeeFarData = SeeFarData(name="seefar")
    network: NetworkName = "mlp"  # architecture of teacher and student
    recipe: Recipe = Recipe(epochs=6)
    toogit: Annotated[int, Field(ge=0, le=9)] = 0  # class whose non-robust feature is counted by itself too


class Tint(Config):
    """A planted cue in photographs: a colour cast that says a class where the teacher learns, and nothing where it
    errs. Its students are tested on images that all have the cast."""

    data: DataConfig = KnownData(name="cifar10")  # photographs in colour
    cast: Cast = Cast()
    telling: Share = 0.95  # share of the class's images with the cast, where the teacher learns
    straying: Share = 0.01  # of all others there
    silent: Share = 0.3  # of the images of every class, where the students learn
    network: NetworkName = "cnn"  # architecture of teacher and student
    teacher: Recipe = Recipe(epochs=4)
    student: Recipe = Recipe()

    @model_validator(mode="after")
    def _check(self) -> Tint:
        if self.telling <= self.straying:
            raise ValueError(
                f"telling: a share above {self.straying}, that of the other classes, got {self.telling}; a cast that "
                "tells nothing is no cue"
            )
        return self


class Across(Config):
    """A teacher labels images of another domain; a student sees only these and is tested on the teacher's domain."""

    data: DataConfig = DigitsData()  # what the teacher learns, and its students are tested on
    images: DataConfig = PhotosData()  # of another domain: what the teacher labels
    networks: Names = ("mlp", "cnn")  # architectures of teachers and students
    # As they are, with the teacher's statistics of pixels, or noise.
    ways: Annotated[tuple[Way, ...], Field(min_length=1)] = ("raw", "dataset", "image", "noise")
    teacher: Recipe = Recipe()
    student: Recipe = Recipe(epochs=4)


class ToyProtocol(Config):
    """How a point is pushed; the square, the networks and their training are those of `ToyPart`."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_. -]{1,40}$")]  # of the protocol in tables
    push: Literal["linf", "minimal"]  # to the border of an Linf ball, or as little as flips the answer
    amount: Annotated[Size, Field(ge=0, le=100)]  # linf: the radius; minimal: the margin of the logit
    push_steps: Annotated[int, Field(ge=1, le=10_000)] = 50  # of gradient descent on a point


class ToyPart(Config):
    """Random points in the plane with random labels."""

    seeds: Annotated[int, Field(ge=2, le=10_000)] = 40  # how many repetitions
    first: Annotated[int, Field(ge=0)] = 0  # seed
    points: Annotated[int, Field(ge=4, le=1000)] = 32  # in the training set
    # Widths of the hidden layers.
    hidden: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (100, 100)
    steps: Annotated[int, Field(ge=1)] = 1500  # of training
    # How points are pushed.
    protocols: Annotated[tuple[ToyProtocol, ...], Field(min_length=1)] = (
        ToyProtocol(name=PUBLISHED_TOY, push="linf", amount=0.12),
        ToyProtocol(name="minimal flip", push="minimal", amount=0.0, push_steps=300),
        ToyProtocol(name="flip with margin 5", push="minimal", amount=5.0, push_steps=300),
    )

    @model_validator(mode="after")
    def _check(self) -> ToyPart:
        names = [protocol.name for protocol in self.protocols]
        if len(set(names)) < len(names):
            raise ValueError(f"protocols: each name at most once, got {names}")
        return self

    def protocol(self, given: ToyProtocol) -> Protocol:
        return Protocol(
            given.push, given.amount, self.points, hidden=self.hidden, steps=self.steps, push_steps=given.push_steps
        )


class LearningFromErrors(Config):
    """The five parts; a part that is null is left out."""

    study: StudyName = "embedded"
    seeds: Seeds = (0, 1, 2)
    errors: ErrorsOnly | None = ErrorsOnly()
    cue: Cue | None = Cue()
    tint: Tint | None = None  # needs photographs in colour, so a data root
    across: Across | None = Across()
    toy: ToyPart | None = ToyPart()
    compute: Compute = Compute(batch_rows=500, shard_rows=10_000)

    @model_validator(mode="after")
    def _check(self) -> LearningFromErrors:
        if not any((self.errors, self.cue, self.tint, self.across, self.toy)):
            raise ValueError("errors, cue, tint, across and toy are all null; leave one in")
        return self
