"""What a tracker is told, as plain values: it can be told again at any time, from the store alone."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

Param = str | int | float | bool


class TrackerError(Exception):
    """The tracker cannot be used as asked; the message says what, and what to do. No result is lost by it."""


@dataclass(frozen=True)
class DataRef:
    """A data set that a run used: the name and digest of an artifact, and where it lies (no part of what it is)."""

    name: str
    digest: str
    uri: str


@dataclass(frozen=True)
class Record:
    """One run of a tracker. Parents of an experiment with the same key are the same run, and so are children of a
    parent: telling it twice changes nothing. (Two parents may share a cell: each has a child of its own for it.)

    Metrics and curves share one set of names. A value that is not finite is left out: there is nothing to draw, and
    databases disagree about it.
    """

    key: str
    name: str
    params: Mapping[str, Param] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # metric -> after epoch 1, 2, ...
    inputs: tuple[DataRef, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)  # tags too, that say where: they change when things move
    note: str = ""  # Markdown: what a person reads first


@dataclass(frozen=True)
class Publication:
    """A study's result: the parent run, its children, and the files that belong to the parent."""

    parent: Record
    children: tuple[Record, ...]
    files: Mapping[str, bytes]  # path inside the run's artifacts -> contents
    headline: str = ""  # of its tables the one that a reader came for


class Run(Protocol):
    """An open parent run."""

    def publish(self, publication: Publication) -> None:
        """Write what is not yet written: afterwards the parent's children are exactly these.

        Raises ValueError where the parent's key is not the one opened, TrackerError where writing fails.
        """

    def follow(self, children: tuple[Record, ...]) -> None:
        """Show what there is of these so far; they may grow until they are published. Raises TrackerError."""


class Tracker(Protocol):
    """Somewhere to look results up later. Only the driver writes."""

    def describe(self) -> str:
        """Where people find the results, in words for a terminal."""

    def check(self) -> None:
        """Raises TrackerError, within seconds, where this cannot be written: before anything is computed."""

    def job(self, experiment: str, parent: Record) -> AbstractContextManager[Run]:
        """Open (or find again) the parent run; leaving with an exception marks it failed or killed.

        Raises TrackerError where it cannot be opened or closed.
        """


class NullTracker:
    """Tracks nothing."""

    def describe(self) -> str:
        return "nowhere (tracking is off)"

    def check(self) -> None:
        """There is nothing to reach."""

    def job(self, experiment: str, parent: Record) -> AbstractContextManager[Run]:
        del experiment, parent
        return nullcontext(self)

    def publish(self, publication: Publication) -> None:
        """Nothing to do."""

    def follow(self, children: tuple[Record, ...]) -> None:
        """Likewise."""
