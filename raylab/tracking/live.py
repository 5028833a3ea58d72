"""Results as they come: while a job runs, its tracker already shows the numbers of what is finished."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence

from raylab.engine.artifact import Artifact
from raylab.engine.backend import Listener, WorkOutcome
from raylab.engine.redaction import excerpt
from raylab.engine.stage import Stage
from raylab.engine.store import Store
from raylab.engine.study import AnyBuilt, AnyStudy, Built
from raylab.tracking import Record, Run

PERIOD = 30.0  # seconds between two looks, at least
SHARE = 20  # and so many times what the last one took: at most 5 % of the time
UNFINISHED = "not finished yet"


class Live(Listener):
    """A listener that hands numbers to the trackers' runs now and then, and everything to another listener."""

    def __init__(
        self,
        studies: Sequence[tuple[AnyStudy, Run]],
        children: Callable[[AnyBuilt], Sequence[Record]],  # what is measured of a study so far
        store: Store,
        listener: Listener,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.studies, self.children, self.store, self.listener, self.clock = studies, children, store, listener, clock
        self._have: dict[str, Artifact] = {}
        self._there: list[Stage] = []  # in the store from the beginning; read at the first look
        self._due = clock() + PERIOD

    def begin(self, present: int, missing: Sequence[Stage]) -> None:
        lacking = {stage.key for stage in missing}
        wanted = {stage.key: stage for study, _ in self.studies for stage in study.cells.values()}
        self._there = [stage for key, stage in wanted.items() if key not in lacking]
        self.listener.begin(present, missing)

    def start(self, stages: Sequence[Stage], units: int) -> None:
        self.listener.start(stages, units)

    def outcome(self, outcome: WorkOutcome) -> None:
        self.listener.outcome(outcome)

    def built(self, artifact: Artifact) -> None:
        self.listener.built(artifact)
        self._have[artifact.key] = artifact
        if self.clock() >= self._due:
            began = self.clock()
            self._follow()
            self._due = self.clock() + max(PERIOD, SHARE * (self.clock() - began))

    def end(self) -> None:
        self.listener.end()

    def _follow(self) -> None:
        """A job never ends for this: its results are published when it is done."""
        try:
            found = self.store.map_parallel(self.store.find, self._there)
            self._have |= {artifact.key: artifact for artifact in found if artifact is not None}
            self._there = []
            for study, run in self.studies:
                built = _so_far(study, self._have)
                run.follow(tuple(self.children(built)) if built.is_measurable else ())
        except Exception as error:
            print(f"not followed in the tracker: {excerpt(f'{type(error).__name__}: {error}', 300)}", file=sys.stderr)
            self.studies = ()


def _so_far(study: AnyStudy, have: Mapping[str, Artifact]) -> AnyBuilt:
    artifacts = {cell: have[stage.key] for cell, stage in study.cells.items() if stage.key in have}
    return Built(
        study.config, study.key, artifacts, {cell: UNFINISHED for cell in study.cells if cell not in artifacts}
    )
