"""Build what a plan lacks: find what exists, hand a backend one round of ready stages after another, keep what ends.

Running the same plan again resumes: stages with a manifest are skipped, and so are the finished shards of the others.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from raylab import provenance
from raylab.artifact import Artifact, Part
from raylab.backend import Backend, BackendFailed, Listener, OnOutcome, Outcome
from raylab.identity import fingerprint
from raylab.stage import Stage, closure, is_task, rounds
from raylab.store import Store, shard_name
from raylab.worker import Silent, Worker, shard_count

Cell = TypeVar("Cell", bound=Hashable)


class BuildFailed(Exception):
    """Some stages could not be built; everything else was, and is kept."""

    def __init__(self, errors: Mapping[str, str], skipped: int) -> None:
        self.errors, self.skipped = dict(errors), skipped
        listed = "\n".join(f"  {label}: {error}" for label, error in errors.items())
        super().__init__(
            f"{len(errors)} stage(s) failed and {skipped} that need them were not tried; all others are in the store.\n"
            f"{listed}\nRun the same command again to try these once more."
        )


class InlineBackend:
    """Everything in this process, one thing after the other: the oracle of the tests, and what a notebook uses."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def run_tasks(self, name: str, stages: Sequence[Stage], store: Store, on_outcome: OnOutcome) -> None:
        del name  # nothing outlives this process
        worker = Worker(store, self.device, provenance.collect())
        for stage in stages:
            on_outcome(attempt_task(worker, stage))

    def map_shards(self, shards: Sequence[tuple[Stage, int]], store: Store, on_outcome: OnOutcome) -> None:
        worker = Worker(store, self.device, provenance.collect())
        for stage, index in shards:
            on_outcome(attempt_shard(worker, stage, index))


def attempt_task(worker: Worker, stage: Stage) -> Outcome:
    """Run one task; an exception becomes an outcome."""
    try:
        worker.run_task(stage, Silent())
    except Exception as error:
        return Outcome(stage, error=describe(error))
    return Outcome(stage)


def attempt_shard(worker: Worker, stage: Stage, index: int) -> Outcome:
    """Compute one shard; an exception becomes an outcome, and is no mark against the shard's next try."""
    try:
        return Outcome(stage, index, worker.run_shard(stage, index))
    except Exception as error:
        worker.store.forget_attempts(stage, shard_name(index))
        return Outcome(stage, index, error=describe(error))


def describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def missing(wanted: Iterable[Stage], store: Store) -> dict[str, Stage]:
    """The stages to build: those wanted that the store lacks, and what these need and the store lacks."""
    absent: dict[str, Stage] = {}
    found: set[str] = set()

    def visit(stage: Stage) -> None:
        if stage.key in absent or stage.key in found:
            return
        if store.find(stage) is not None:
            found.add(stage.key)
            return
        for needed in stage.inputs.values():
            visit(needed)
        absent[stage.key] = stage

    for stage in wanted:
        visit(stage)
    return absent


def build(cells: Mapping[Cell, Stage], store: Store, backend: Backend, listener: Listener) -> dict[Cell, Artifact]:
    """The artifact of every cell, built where the store lacks it.

    Raises BuildFailed after everything that could be built has been.
    """
    absent = missing(cells.values(), store)
    listener.begin(len({stage.key for stage in cells.values()} - absent.keys()), list(absent.values()))
    try:
        failed = _build_missing(cells, absent, store, backend, listener)
    finally:
        listener.end()
    if failed:
        errors = {stage.label: error for stage, error in failed.items() if error}
        raise BuildFailed(errors, skipped=len(failed) - len(errors))
    return {cell: store.require(stage) for cell, stage in cells.items()}


def _build_missing(
    cells: Mapping[Cell, Stage],
    absent: Mapping[str, Stage],
    store: Store,
    backend: Backend,
    listener: Listener,
) -> dict[Stage, str]:
    """Failed stages and why; "" for those not tried because something they need failed."""
    failed: dict[Stage, str] = {}
    for everything in rounds(closure(cells.values())) if absent else []:
        todo = []
        for stage in everything:
            if stage.key not in absent:
                continue
            if any(needed in failed for needed in stage.inputs.values()):
                failed[stage] = ""
            else:
                todo.append(stage)
        if not todo:
            continue
        if is_task(todo[0]):
            # The name covers the round's stages whether built or not, so that it is the same on a resumed run.
            name = fingerprint(tuple(sorted(stage.key for stage in everything)))
            failed |= _build_tasks(name, todo, store, backend, listener)
        else:
            failed |= _build_maps(todo, store, backend, listener)
    return failed


def _build_tasks(
    name: str, stages: list[Stage], store: Store, backend: Backend, listener: Listener
) -> dict[Stage, str]:
    failed: dict[Stage, str] = {}

    def on_outcome(outcome: Outcome) -> None:
        listener.outcome(outcome)
        if outcome.error is not None:
            failed[outcome.stage] = outcome.error
        else:
            listener.built(store.require(outcome.stage))

    listener.start(stages, len(stages))
    here = [stage for stage in stages if getattr(stage.body, "in_driver", False)]
    there = [stage for stage in stages if stage not in here]
    if here:
        InlineBackend().run_tasks(name, here, store, on_outcome)
    if there:
        backend.run_tasks(name, there, store, on_outcome)
    return failed


def _build_maps(stages: list[Stage], store: Store, backend: Backend, listener: Listener) -> dict[Stage, str]:
    failed: dict[Stage, str] = {}
    finisher = Worker(store, "cpu", provenance.collect())
    parts: dict[Stage, dict[int, Part]] = {}
    counts: dict[Stage, int] = {}
    started = time.monotonic()
    for stage in stages:
        store.forget_attempts(stage)  # a new run is a new chance
        counts[stage] = shard_count(stage, store)
        done = {index: store.shard(stage, index) for index in range(counts[stage])}
        parts[stage] = {index: part for index, part in done.items() if part is not None}

    def finish(stage: Stage) -> None:
        in_order = [parts[stage][index] for index in range(counts[stage])]
        listener.built(finisher.finish(stage, in_order, time.monotonic() - started))

    def on_outcome(outcome: Outcome) -> None:
        listener.outcome(outcome)
        stage = outcome.stage
        if outcome.part is None or outcome.shard is None:
            failed.setdefault(stage, f"shard {outcome.shard}: {outcome.error}")
            return
        parts[stage][outcome.shard] = outcome.part
        if len(parts[stage]) == counts[stage]:
            finish(stage)

    todo = [(stage, i) for stage in stages for i in range(counts[stage]) if i not in parts[stage]]
    listener.start(stages, len(todo))
    for stage in stages:
        if len(parts[stage]) == counts[stage]:  # a driver that died between the last shard and the manifest
            finish(stage)
    broken = ""
    if todo:
        try:
            backend.map_shards(todo, store, on_outcome)
        except BackendFailed as error:
            broken = f": {error}"
    for stage in stages:
        if len(parts[stage]) < counts[stage] and stage not in failed:
            lacking = sorted(set(range(counts[stage])) - parts[stage].keys())
            failed[stage] = f"the backend ended without shards {lacking}{broken}"
    return failed
