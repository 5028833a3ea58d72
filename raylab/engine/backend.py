"""Where stages run, and who is told: the protocols between the runner, its backends and its listeners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from raylab.engine.artifact import Artifact, Part
from raylab.engine.stage import Stage
from raylab.engine.store import Store


@dataclass(frozen=True)
class WorkOutcome:
    """The end of one task (`shard` is None) or of one shard."""

    stage: Stage
    shard: int | None = None
    part: Part | None = None
    error: str | None = None


OnOutcome = Callable[[WorkOutcome], None]


class BackendFailed(Exception):
    """The execution itself failed, not one of its stages: no progress for too long, or workers that cannot start."""


class BackendAbsent(Exception):
    """The backend cannot be started or reached, so that no stage can be computed; the message names the remedy."""


class Backend(Protocol):
    """Where stages run. Outcomes are reported in the driver's thread; an error of one stage does not end the others."""

    def run_tasks(self, name: str, stages: Sequence[Stage], store: Store, on_outcome: OnOutcome) -> None:
        """Run tasks whose inputs are all in the store; `name` is the same when the same plan is run again."""

    def map_shards(self, shards: Sequence[tuple[Stage, int]], store: Store, on_outcome: OnOutcome) -> None:
        """Compute shards of mapped stages whose inputs are all in the store."""


class Listener:
    """Who is told how far the work is. This one shows nothing."""

    def begin(self, present: int, missing: Sequence[Stage]) -> None:
        """Before anything is computed: stages that the store has, and those that will be built."""

    def start(self, stages: Sequence[Stage], units: int) -> None:
        """A round starts: its stages and its number of tasks or shards."""

    def outcome(self, outcome: WorkOutcome) -> None:
        """A task or a shard has ended."""

    def built(self, artifact: Artifact) -> None:
        """An artifact has been committed."""

    def end(self) -> None:
        """Nothing more will be built, for whatever reason."""
