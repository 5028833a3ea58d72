"""Build what a plan lacks: find what exists, hand a backend one round of ready stages after another, keep what ends.

Running the same plan again resumes: stages with a manifest are skipped, and so are the finished shards of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from typing import Any, TypeVar

from raylab.core.later import torch
from raylab.engine import code, provenance
from raylab.engine.artifact import Artifact, StoreError
from raylab.engine.backend import Backend, BackendFailed, Listener, OnOutcome, WorkOutcome
from raylab.engine.identity import fingerprint
from raylab.engine.redaction import redacted
from raylab.engine.stage import Reporter, Stage, closure, is_check, is_task, rounds
from raylab.engine.store import Store
from raylab.engine.worker import NullReporter, Worker, shard_count, source_of

Cell = TypeVar("Cell", bound=Hashable)
OnBuilt = Callable[[Artifact], None]
NEEDS, FAILED = "needs", ", which failed: "
ALWAYS_FAIL = (
    "They fail whenever this code meets these inputs, and are not tried again: change the config (or try them once "
    "more with --retry)."
)
Verdict = Callable[[Exception], bool]  # whether an exception says something of the stage; one that does not gets out


class BuildFailed(Exception):
    """Some stages could not be built; whatever was built is kept."""

    def __init__(
        self,
        errors: Mapping[str, str],
        skipped: int,
        lasting: bool = False,  # whether all of them fail whenever they are tried
        built: Mapping[Any, Artifact] | None = None,
        missing: Mapping[Any, str] | None = None,
    ) -> None:
        """`built` and `missing` are by cell: its artifact, or why there is none."""
        self.errors, self.skipped = dict(errors), skipped
        self.built, self.missing = dict(built or {}), dict(missing or {})
        listed = "\n".join(f"  {label}: {error}" for label, error in errors.items())
        remedy = ALWAYS_FAIL if lasting else "Run the same command again to try these once more."
        super().__init__(
            f"{len(errors)} stage(s) failed, and {skipped} were not tried for that; all others are in the store.\n"
            f"{listed}\n{remedy}"
        )


class InlineBackend:
    """Everything in this process, one thing after the other: the oracle of the tests, and what a notebook uses."""

    def __init__(self, device: str = "cpu") -> None:  # or cuda, or auto
        self._asked = device

    @cached_property
    def device(self) -> str:
        """Of "auto" torch is asked when there is something to compute."""
        if self._asked == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self._asked

    def run_tasks(self, name: str, stages: Sequence[Stage], store: Store, on_outcome: OnOutcome) -> None:
        del name  # nothing outlives this process
        worker = Worker(store, self.device, provenance.collect())
        for stage in stages:
            on_outcome(attempt_task(worker, stage))

    def map_shards(self, shards: Sequence[tuple[Stage, int]], store: Store, on_outcome: OnOutcome) -> None:
        worker = Worker(store, self.device, provenance.collect())
        for stage, index in shards:
            on_outcome(attempt_shard(worker, stage, index))


def attempt_task(
    worker: Worker, stage: Stage, reporter: Reporter | None = None, verdict: Verdict = lambda _: True
) -> WorkOutcome:
    """Run one task; an exception that is a verdict on the stage becomes an outcome."""
    try:
        worker.run_task(stage, reporter or NullReporter())
    except Exception as error:
        if not verdict(error):
            raise
        worker.remember(stage, error, describe(error))
        return WorkOutcome(stage, error=describe(error))
    return WorkOutcome(stage)


def attempt_shard(worker: Worker, stage: Stage, index: int, verdict: Verdict = lambda _: True) -> WorkOutcome:
    """Compute one shard, likewise; an exception is no mark against the shard's next try."""
    try:
        return WorkOutcome(stage, index, worker.run_shard(stage, index))
    except Exception as error:
        with suppress(StoreError):  # the store may be what has failed, and `error` what tells of it
            worker.store.forget_attempts(stage, index)
        if not verdict(error):
            raise
        worker.remember(stage, error, f"shard {index}: {describe(error)}")
        return WorkOutcome(stage, index, error=describe(error))


def describe(error: BaseException) -> str:
    return redacted(f"{type(error).__name__}: {error}")


def present(wanted: Iterable[Stage], store: Store) -> tuple[dict[str, Artifact], dict[str, Stage]]:
    """What the store has of the stages wanted and what lacks, by key. Of a stage that it has, nobody asks what it was
    made from: one look at the store a stage, level by level."""
    found: dict[str, Artifact] = {}
    absent: dict[str, Stage] = {}
    level = {stage.key: stage for stage in wanted}
    while level:
        artifacts = store.map_parallel(store.find, list(level.values()))
        found |= {artifact.key: artifact for artifact in artifacts if artifact is not None}
        lacking = {key: stage for key, stage in level.items() if key not in found}
        absent |= lacking
        needed = {one.key: one for stage in lacking.values() for one in stage.inputs.values()}
        level = {key: stage for key, stage in needed.items() if key not in found and key not in absent}
    return found, {stage.key: stage for stage in closure(absent.values()) if stage.key in absent}


def missing(wanted: Iterable[Stage], store: Store) -> dict[str, Stage]:
    """The stages to build: those wanted that the store lacks, and what these need and the store lacks."""
    return present(wanted, store)[1]


def build(
    cells: Mapping[Cell, Stage],
    store: Store,
    backend: Backend,
    listener: Listener,
    retry: bool = False,  # try again what failed for good
) -> dict[Cell, Artifact]:
    """The artifact of every cell, built where the store lacks it.

    Raises BuildFailed, which has what was built, after everything that could be built has been; where a check has
    failed at once.
    """
    have, absent = present(cells.values(), store)
    listener.begin(len({stage.key for stage in cells.values()} - absent.keys()), list(absent.values()))
    try:
        failed = _build_missing(cells, absent, have, store, backend, listener, retry)
    finally:
        listener.end()
    built = {cell: have[stage.key] for cell, stage in cells.items() if stage.key in have}
    if failed:
        raise _failure(failed, store, built, {cell: stage for cell, stage in cells.items() if cell not in built})
    return built


def _failure(
    failed: Mapping[Stage, str], store: Store, built: Mapping[Cell, Artifact], lacking: Mapping[Cell, Stage]
) -> BuildFailed:
    checks = [stage for stage in failed if is_check(stage)]

    def why(stage: Stage) -> str:
        if failed[stage]:
            return failed[stage]
        needed = next(one for one in (*stage.inputs.values(), *checks) if one in failed)
        reason = why(needed)
        return reason if reason.startswith(NEEDS) else f"{NEEDS} {needed.label}{FAILED}{reason}"

    errors = {stage.label: error for stage, error in failed.items() if error}
    lasting = all(store.failure(stage, code.digest()) is not None for stage, error in failed.items() if error)
    missing = {cell: why(stage) for cell, stage in lacking.items()}
    return BuildFailed(errors, len(failed) - len(errors), lasting, built, missing)


def _build_missing(
    cells: Mapping[Cell, Stage],
    absent: Mapping[str, Stage],
    have: dict[str, Artifact],
    store: Store,
    backend: Backend,
    listener: Listener,
    retry: bool,
) -> dict[Stage, str]:
    """Failed stages and why; "" for those not tried because something they need failed. What was built is in `have`."""
    failed: dict[Stage, str] = {}

    def built(artifact: Artifact) -> None:
        have[artifact.key] = artifact
        listener.built(artifact)

    for everything in rounds(closure(cells.values())) if absent else []:
        todo = []
        for stage in everything:
            if stage.key not in absent:
                continue
            if any(needed in failed for needed in stage.inputs.values()):
                failed[stage] = ""
            else:
                todo.append(stage)
        before = dict(zip(todo, store.map_parallel(partial(_before, store, retry), todo), strict=True))
        failed |= {stage: f"{reason} (when it was tried before)" for stage, reason in before.items() if reason}
        todo = [stage for stage in todo if stage not in failed]
        if todo and is_task(todo[0]):
            # The name covers the round's stages whether built or not, so that it is the same on a resumed run.
            name = fingerprint(tuple(sorted(stage.key for stage in everything)))
            failed |= _build_tasks(name, todo, store, backend, listener, built)
        elif todo:
            failed |= _build_maps(todo, have, store, backend, listener, built)
        if any(map(is_check, failed)):
            return {stage: "" for stage in absent.values() if stage.key not in have} | failed
    return failed


def _before(store: Store, retry: bool, stage: Stage) -> str | None:
    """Why the stage failed for good when it was tried; to retry is to forget it."""
    if retry:
        store.forget_failure(stage)
        return None
    return store.failure(stage, code.digest())


def _build_tasks(
    name: str, stages: list[Stage], store: Store, backend: Backend, listener: Listener, built: OnBuilt
) -> dict[Stage, str]:
    failed: dict[Stage, str] = {}

    def on_outcome(outcome: WorkOutcome) -> None:
        listener.outcome(outcome)
        if outcome.error is not None:
            failed[outcome.stage] = outcome.error
        else:
            built(store.require(outcome.stage))

    listener.start(stages, len(stages))
    apart = not getattr(backend, "in_driver", False)  # one that is in the driver says itself what becomes of errors
    here = [stage for stage in stages if apart and getattr(stage.config, "in_driver", False)]
    there = [stage for stage in stages if stage not in here]
    if here:
        InlineBackend().run_tasks(name, here, store, on_outcome)
    if there:
        backend.run_tasks(name, there, store, on_outcome)
    return failed


def _build_maps(
    stages: list[Stage],
    have: Mapping[str, Artifact],
    store: Store,
    backend: Backend,
    listener: Listener,
    built: OnBuilt,
) -> dict[Stage, str]:
    failed: dict[Stage, str] = {}
    finisher = Worker(store, "cpu", provenance.collect())
    parts = dict(zip(stages, store.map_parallel(store.finished_shards, stages), strict=True))
    counts = {stage: shard_count(stage, have[source_of(stage).key].rows) for stage in stages}
    finished: list[Stage] = []

    def finish(stage: Stage) -> None:
        in_order = [parts[stage][index] for index in range(counts[stage])]
        try:
            artifact = finisher.finish(stage, in_order)
        except (ValueError, StoreError) as error:
            finisher.remember(stage, error, describe(error))
            failed[stage] = describe(error)
            return
        finished.append(stage)
        built(artifact)

    def on_outcome(outcome: WorkOutcome) -> None:
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
    broken = ""
    try:
        for stage in stages:
            if len(parts[stage]) == counts[stage]:  # a driver that died between the last shard and the manifest
                finish(stage)
        if todo:
            backend.map_shards(todo, store, on_outcome)
    except BackendFailed as error:
        broken = f": {error}"
    finally:
        store.map_parallel(store.remove_progress, finished)
    for stage in stages:
        if len(parts[stage]) < counts[stage] and stage not in failed:
            lacking = sorted(set(range(counts[stage])) - parts[stage].keys())
            failed[stage] = f"the backend ended without shards {lacking}{broken}"
    return failed
