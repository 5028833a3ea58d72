"""A stage describes one artifact: what makes it, from which others, with which numbers. Building one runs nothing.

Its key is known before anything runs. Its name and its cost are no part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import Field, model_validator

from raylab.config import Config
from raylab.engine import columns
from raylab.engine.columns import Batch
from raylab.engine.identity import ADDED_LATER, fingerprint, short

if TYPE_CHECKING:
    from raylab.engine.artifact import Artifact

Metrics = Mapping[str, object]


class Reporter(Protocol):
    """What a long task tells while it works, and where it may continue after a crash."""

    def resume(self) -> bytes | None:
        """The state last accepted for this task, or None at a fresh start."""

    def report(self, metrics: Mapping[str, float], state: Callable[[], bytes]) -> None:
        """Called now and then; `state` is only evaluated when it is worth keeping."""


@dataclass(frozen=True)
class TaskContext:
    """What the body of a task is given: its inputs by role, a device, a place for its files, someone to report to."""

    inputs: Mapping[str, Artifact]
    device: str
    write: Callable[[str, bytes, int | None], None]  # name, contents, rows (None where it is no table)
    reporter: Reporter

    def write_table(self, batch: Mapping[str, columns.Column], index: int = 0) -> int:
        """A part of the artifact's table; returns its number of rows."""
        table = columns.to_table(batch)
        rows = int(table.num_rows)
        self.write(f"part-{index:05d}.parquet", columns.to_parquet(table), rows)
        return rows


class Task(Protocol):
    """What describes an artifact that is made in one run, and makes it."""

    @property
    def doing(self) -> tuple[str, str]:
        """What people see that it does, and to what: ("training", "network")."""

    @property
    def in_driver(self) -> bool:
        """Whether it reads what only the driver is sure to see (raw files), or is too small to be sent away."""

    def run(self, context: TaskContext) -> Metrics:
        """Write the parts, return the metrics of the manifest."""


Reduced = Literal["folded_float32", "bfloat16"]


class Compute(Config):
    """How rows meet, and in what constructions and inversions take gradients: part of the identity, for either rounds
    differently."""

    batch_rows: Annotated[int, Field(ge=1, le=100_000)] = 250  # images that are computed together
    shard_rows: Annotated[int, Field(ge=1, le=10_000_000)] = 1000  # computed, committed and resumed together
    # Of the network that constructions and inversions take gradients of; None: float32, as it was trained. Folded: with
    # BatchNorm multiplied into the convolutions, the same up to rounding and faster; bfloat16: that too, twice as fast
    # where a processor has it. Images, and whatever is measured of a network, are float32 always.
    precision: Annotated[Reduced | None, ADDED_LATER] = None

    @model_validator(mode="after")
    def _check(self) -> Compute:
        if self.shard_rows % self.batch_rows:
            raise ValueError(
                f"shard_rows must be a multiple of batch_rows, got {self.shard_rows} and {self.batch_rows}; "
                f"take {self.batch_rows * max(1, self.shard_rows // self.batch_rows)}"
            )
        return self

    @property
    def measuring(self) -> Compute:
        """That of a stage that measures, or has no network: float32, as it was trained."""
        return Compute(batch_rows=self.batch_rows, shard_rows=self.shard_rows)


class MapBatches(Protocol):
    """What describes an artifact that has a row for each of an input, and makes it: shard by shard, in fixed batches
    within a shard."""

    @property
    def doing(self) -> tuple[str, str]:
        """As of a task."""

    @property
    def over(self) -> str:
        """The role of the input whose rows are mapped."""

    @property
    def compute(self) -> Compute:
        """How its rows meet."""

    def open(self, inputs: Mapping[str, Artifact], device: str) -> Callable[[Batch], Batch]:
        """Load what every batch needs (a network, a reference set), once a process."""

    def summarise(self, artifact: Artifact) -> Metrics:
        """Metrics of the finished artifact, computed by the driver."""


@dataclass(frozen=True)
class Stage:
    """A frozen description: (kind, version, config, inputs by role) is the identity; the rest is not."""

    kind: str
    version: int  # bumped by hand when the meaning of the config's code changes
    config: Any  # a Task or MapBatches: its fields, as `identity.canonical` takes them, are the identity
    inputs: Mapping[str, Stage]
    name: str = field(default="", compare=False)  # for people: "train mlp seed 0"
    passes: int = field(default=0, compare=False)  # estimate of work: images through a network, forward and backward
    room: int = field(default=0, compare=False)  # bytes below TMPDIR that it takes at least: of a set that it maps

    @cached_property
    def key(self) -> str:
        """sha256 of the identity: known before running."""
        inputs = {role: stage.key for role, stage in self.inputs.items()}
        return fingerprint({"kind": self.kind, "version": self.version, "config": self.config, "inputs": inputs})

    @property
    def label(self) -> str:
        return f"{self.name or self.kind} [{short(self.key)}]"

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stage) and other.key == self.key


def is_task(stage: Stage) -> bool:
    return hasattr(stage.config, "run")


def is_check(stage: Stage) -> bool:
    """Whether it asks if the config's own words are true: nothing is worth computing where they are not."""
    return getattr(stage.config, "is_check", False)


def closure(stages: Iterable[Stage]) -> list[Stage]:
    """All stages and what they are made from, each once, inputs before what needs them."""
    ordered: dict[str, Stage] = {}

    def visit(stage: Stage) -> None:
        if stage.key not in ordered:
            for needed in stage.inputs.values():
                visit(needed)
            ordered[stage.key] = stage

    for stage in stages:
        visit(stage)
    return list(ordered.values())


def rounds(stages: Iterable[Stage]) -> list[list[Stage]]:
    """Groups of one shape (all tasks, or all maps) that can be built one after the other, as few as possible by greed.

    Every group costs one start of Ray Tune or Ray Data, seconds each; so tasks that are ready go first, and maps wait
    until no task is left that could run before them. Checks go before all else that could run beside them.
    """
    waiting = closure(stages)
    done: set[str] = set()
    groups: list[list[Stage]] = []
    while waiting:
        ready = [s for s in waiting if all(needed.key in done for needed in s.inputs.values())]
        tasks = [s for s in ready if is_task(s)]
        group = [s for s in tasks if is_check(s)] or tasks or ready
        done.update(stage.key for stage in group)
        waiting = [stage for stage in waiting if stage.key not in done]
        groups.append(group)
    return groups
