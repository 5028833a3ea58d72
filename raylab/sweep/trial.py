"""One trial, in the process that runs it: build what its point needs, report the objective, write down how it ended."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raylab.config import ConfigError
from raylab.data.reader import DataError
from raylab.engine import runner
from raylab.engine.artifact import Artifact
from raylab.engine.backend import Listener, OnOutcome
from raylab.engine.identity import fingerprint
from raylab.engine.runner import BuildFailed, InlineBackend, attempt_shard, attempt_task, describe
from raylab.engine.search import PROGRESS, Numbers, TrialReporter
from raylab.engine.space import Point
from raylab.engine.stage import Reporter, Stage
from raylab.engine.store import Store
from raylab.engine.worker import Worker, fails_again, fix_numerics
from raylab.sweep.config import Sweep
from raylab.sweep.follow import Judge, Lineage
from raylab.sweep.measure import estimate
from raylab.sweep.records import Records, Schedule, TrialRecord, epochs_of, plain, state_of
from raylab.sweep.schedule import under
from raylab.sweep.space import Base, Needs, needed, recipe_of, watched


@dataclass(frozen=True)
class TrialBody:
    """Everything that a worker needs; `planned` saves it the planning, and the raw data, of the points known before."""

    sweep: Sweep
    base: Base
    key: str
    store: Store
    provenance: Mapping[str, object]
    planned: Mapping[str, Needs] = field(default_factory=dict)  # by `name_of` a point

    def __call__(self, number: int, point: Point, device: str, reporter: TrialReporter) -> Numbers:
        """The numbers of a trial; "error" among them where its point cannot be trained or measured. What says nothing
        of the point (a full disk, no memory left) is raised: another try may find it mended."""
        records = Records(self.store, self.key)
        ended = records.read(number, None if self.sweep.scheduler.changes else point)
        if ended is not None and ended.state in ("finished", "failed"):
            return self._complete({**ended.numbers, "error": ended.error or None})
        started, lineage = time.monotonic(), Lineage(point)
        numbers, stages, schedule = Numbers(), tuple[str, ...](), Schedule()
        try:
            needs = self.planned.get(name_of(point)) or needed(self.sweep, self.base, point)
            if self.sweep.watched:
                lineage = Lineage.read(reporter.resume(), point)
            if self.sweep.scheduler.changes:
                schedule = lineage.schedule(recipe_of(watched(self.sweep, needs)[0]).epochs)
                needs = under(self.sweep, self.base, needs, schedule)
            stages = tuple(sorted({stage.key for cells in needs.values() for stage in cells.values()}))
            numbers = self._measure(needs, device, reporter, lineage)
        except (BuildFailed, ConfigError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            numbers = {"error": describe(error)}
        numbers = self._complete(numbers)
        state, said = state_of(numbers)
        seconds, curve = round(time.monotonic() - started, 3), tuple(lineage.curve)
        epochs = epochs_of(numbers) or len(curve)
        records.write(TrialRecord(number, point, state, numbers, said, epochs, seconds, stages, curve, schedule))
        return numbers

    def _measure(self, needs: Needs, device: str, reporter: TrialReporter, lineage: Lineage) -> Numbers:
        epochs, on = 0, dict[str, Reporter]()
        if self.sweep.watched:
            network, evaluation = watched(self.sweep, needs)
            epochs = recipe_of(network).epochs
            # The half that judges must be there first.
            _build({"images": evaluation.inputs["data"]}, self.store, device, self.provenance, {})
            objective = self.sweep.objectives[0]
            judge = Judge(objective, network, evaluation, self.store, device, reporter, lineage)
            on = {network.key: judge}
        found: Numbers = {}
        # Objectives first: a scheduler may end the trial in them, and what only a constraint needs is then never built.
        for measure in self.sweep.measures:
            artifacts = _build(needs[measure.name], self.store, device, self.provenance, on)
            found[measure.name] = estimate(artifacts, measure.metric)
        if self.sweep.watched and not lineage.curve:  # the network was there
            kept = judge.book.read()
            lineage.curve = kept if len(kept) == epochs else []  # a stopped trial at this point left only a beginning
        violations = [one.violation(found[one.name]) for one in self.sweep.constraints]
        return {**found, "violations": violations, PROGRESS: epochs, "error": None}

    def _complete(self, numbers: Numbers) -> Numbers:
        """Samplers and schedulers want every number there."""
        absent = dict.fromkeys((one.name for one in self.sweep.measures), math.nan)
        known = {name: math.nan if value is None and name != "error" else value for name, value in numbers.items()}
        return {**absent, "violations": [], PROGRESS: 0, "error": None, **known}


def name_of(point: Mapping[str, Any]) -> str:
    """The same before and after a journey through JSON."""
    return fingerprint(json.dumps(plain(point), sort_keys=True))


class _TrialBackend(InlineBackend):
    """Everything in this process; the watched training tells how far it is."""

    in_driver = True  # that of the trial's own plan

    def __init__(self, device: str, provenance: Mapping[str, object], reporters: Mapping[str, Reporter]) -> None:
        super().__init__(device)
        self.provenance, self.reporters = provenance, reporters

    def run_tasks(self, name: str, stages: Sequence[Stage], store: Store, on_outcome: OnOutcome) -> None:
        del name
        worker = Worker(store, self.device, self.provenance)
        for stage in stages:
            on_outcome(attempt_task(worker, stage, self.reporters.get(stage.key), fails_again))

    def map_shards(self, shards: Sequence[tuple[Stage, int]], store: Store, on_outcome: OnOutcome) -> None:
        worker = Worker(store, self.device, self.provenance)
        for stage, index in shards:
            on_outcome(attempt_shard(worker, stage, index, fails_again))


def _build(
    cells: Mapping[Hashable, Stage],
    store: Store,
    device: str,
    provenance: Mapping[str, object],
    reporters: Mapping[str, Reporter],
) -> dict[Hashable, Artifact]:
    fix_numerics(device)
    return runner.build(cells, store, _TrialBackend(device, provenance, reporters), Listener())
