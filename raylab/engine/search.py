"""A search over configs as the places that can run one see it: points or a sampler, a scheduler, and a body of a trial.

Nothing here knows what a trial computes: the body is called in a worker with a point, and what it reports is a mapping
of numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

from pydantic import Field, model_validator

from raylab.config import Config
from raylab.engine.space import Distribution, Point
from raylab.engine.store import Store

Numbers = dict[str, Any]
PROGRESS = "epoch"  # the number by which a scheduler compares trials
Direction = Literal["max", "min"]


# What each scheduler can be told.
SETTINGS = {
    "fifo": (),
    "asha": ("grace", "reduction"),
    "median": ("grace", "min_samples"),
    "pbt": ("grace", "interval"),
}


class Scheduler(Config):
    """What happens to trials on their way: nothing, an early end, or (pbt) another trial's weights and other values.

    A trial that ended early is never a result: nothing of its training is committed.

    No scheduler outlives its driver: after a kill asha's rungs and the trials that median compares with are those
    since, so what goes on may be stopped later than it would have been.
    """

    name: Literal["fifo", "asha", "median", "pbt"] = "fifo"  # asha, median: end bad trials early; pbt: copy good ones
    # Epochs in which nobody is touched. It must outlast a plateau: a recipe that starts late looks like one that fails.
    grace: Annotated[int, Field(ge=1)] = 1
    reduction: Annotated[int, Field(ge=2, le=16)] = 3  # asha: one of so many goes on at each rung
    min_samples: Annotated[int, Field(ge=2)] = 3  # median: trials to compare with
    interval: Annotated[int, Field(ge=1)] = 4  # pbt: epochs between two changes of a trial

    @model_validator(mode="after")
    def _check(self) -> Scheduler:
        changed = {name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default}
        for told in sorted(changed - {"name", *SETTINGS[self.name]}):
            owners = " and ".join(name for name, own in SETTINGS.items() if told in own)
            raise ValueError(f"{told} belongs to {owners}, got name: {self.name}; remove it")
        return self

    @property
    def stops(self) -> bool:
        """Whether trials may end early."""
        return self.name in ("asha", "median")

    @property
    def changes(self) -> bool:
        """Whether trials change on their way, and are no longer what they started as."""
        return self.name == "pbt"


@dataclass(frozen=True)
class Aim:
    """A number that the sampler and the scheduler steer by."""

    name: str
    direction: Direction


class TrialReporter(Protocol):
    """What a trial tells on its way; it may not return from `report`, where a scheduler ends the trial there."""

    def resume(self) -> bytes | None:
        """The state that this trial left behind when its process ended, or None."""

    def report(self, numbers: Numbers, state: Callable[[], bytes]) -> None:
        """Numbers by name, all aims and PROGRESS among them."""


# In a worker: number of the trial, its point, the device, whom to report to -> the numbers at its end.
Body = Callable[[int, Point, str, TrialReporter], Numbers]


@dataclass(frozen=True)
class Ended:
    """A trial that will run no further."""

    number: int
    point: Point
    numbers: Numbers  # as last reported
    # None: its body returned, or a scheduler ended it; else why nobody knows more: its process ended again and again,
    # or what it raised is no verdict on its point
    lost: str | None = None


OnEnded = Callable[[Ended], None]


@dataclass(frozen=True)
class Search:
    """One search; `key` names the folder that it is resumed from."""

    key: str
    count: int  # of trials
    points: tuple[Point, ...]  # of all trials in order; empty where the sampler proposes them
    space: Mapping[str, Distribution]
    seed: int
    aims: tuple[Aim, ...]
    constraints: tuple[str, ...]  # names of what the body reports in "violations": above 0 is violated
    scheduler: Scheduler
    tensorboard: bool = False
    # Trials that need not run again: number, point, numbers. A sampler learns from those that have numbers.
    done: tuple[tuple[int, Point, Numbers], ...] = field(default=())

    @property
    def left(self) -> list[int]:
        """The numbers of the other trials."""
        ended = {number for number, _, _ in self.done}
        return [number for number in range(self.count) if number not in ended]


@runtime_checkable
class Searcher(Protocol):
    """A backend that can run trials."""

    def run_trials(self, search: Search, body: Body, store: Store, on_ended: OnEnded, on_line: OnEnded) -> None:
        """Run the trials that are left, from where an earlier call with the same key left them; `on_ended` hears once
        of each as it ends, `on_line` too, but for those whose process was ended again and again."""

    def forget_trials(self, search: Search, store: Store) -> None:
        """Forget an earlier call: all that is left starts afresh."""
