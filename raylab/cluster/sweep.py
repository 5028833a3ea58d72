"""Ray Tune over the tasks of a round: a trial a task, reused actors, checkpoints within a task, restore after a crash.

The store decides what is done, Tune what runs when: a trial looks the store up first, so a lost snapshot or a new plan
that overlaps an old one costs nothing.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from ray import cloudpickle, tune
from ray.tune.progress_reporter import TrialProgressCallback

from raylab.cluster import checkpoint
from raylab.cluster.connect import assigned_device
from raylab.cluster.trainable import LONGEST, trainable
from raylab.engine.artifact import CorruptArtifact, StoreError
from raylab.engine.backend import OnOutcome, WorkOutcome
from raylab.engine.identity import short
from raylab.engine.progress import doing, shortened
from raylab.engine.runner import attempt_task
from raylab.engine.stage import Stage
from raylab.engine.store import Store
from raylab.engine.worker import Worker
from raylab.redaction import redacted
from raylab.site import Trials

TASKS = "tasks.json"  # beside Tune's own files: the keys that an experiment was started for
MAX_FAILURES = 2  # of a trial whose process died; an exception of the task's own is an outcome, and not tried again
REPORT_SECONDS = 2.0  # a report waits for the driver: often enough to watch, seldom enough to cost nothing


class TuneReporter:
    """Reports to Tune, with a checkpoint at most every `checkpoint_seconds`."""

    def __init__(self, checkpoint_seconds: float) -> None:
        self.checkpoint_seconds = checkpoint_seconds
        self._reported = self._kept = time.monotonic()

    def resume(self) -> bytes | None:
        return checkpoint.kept()

    def report(self, metrics: Mapping[str, float], state: Callable[[], bytes]) -> None:
        now = time.monotonic()
        if now - self._kept >= self.checkpoint_seconds:
            self._kept = self._reported = now
            checkpoint.keep(metrics, state())
        elif now - self._reported >= REPORT_SECONDS:
            self._reported = now
            tune.report(dict(metrics))


class _Told:
    """Tells the runner of every trial that ends, once."""

    def __init__(self, stages: Mapping[str, Stage], on_outcome: OnOutcome) -> None:
        self.stages, self.on_outcome, self.keys = stages, on_outcome, set[str]()

    def tell(self, key: str, error: str | None) -> None:
        if key in self.stages and key not in self.keys:  # others belong to an earlier plan, restored with it
            self.keys.add(key)
            self.on_outcome(WorkOutcome(self.stages[key], error=error))


class _Callback(TrialProgressCallback):  # type: ignore[misc]  # Ray's types are skipped
    """Passes the ends of trials on to the run in progress; derived from Tune's printer of them, whose place it takes.

    Tune pickles its callbacks into the experiment and restores them from there: one that held the runner could not be
    pickled, and a restored one could not know it. So this one holds nothing.
    """

    told: ClassVar[_Told | None] = None

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Any, **info: Any) -> None:
        """Results on the way are Tune's own business."""

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        del iteration, trials, info
        if self.told is not None:
            self.told.tell(trial.config["task"]["key"], trial.last_result.get("error"))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        del iteration, trials, info
        if self.told is not None:
            cause = redacted(f"{trial.get_error()}").strip().splitlines()
            error = (
                f"its process ended {MAX_FAILURES + 1} times (out of memory?); given up: {cause[-1] if cause else ''}"
            )
            self.told.tell(trial.config["task"]["key"], error)


def run_tasks(
    name: str,
    stages: Sequence[Stage],
    store: Store,
    provenance: Mapping[str, object],
    trials: Trials,
    gpus: float,
    on_outcome: OnOutcome,
) -> None:
    """Run the tasks as trials of one Tuner and tell of each when it ends.

    One driver of a plan at a time: two would share a folder of Tune's. Their artifacts would still be right.
    """
    by_key = {stage.key: stage for stage in stages}
    told = _Told(by_key, on_outcome)
    packed = cloudpickle.dumps(by_key)

    def trial(config: Mapping[str, Any]) -> dict[str, Any]:
        def says_something_of_it(error: Exception) -> bool:
            return "CUDA error" not in str(error)  # which sticks to the process: let this one end, and start another

        try:
            stage = cloudpickle.loads(packed).get(config["task"]["key"])
            if stage is None:  # of an earlier plan: restored with the experiment, no longer asked for
                return {"error": None}
            worker = Worker(store, assigned_device(), provenance)
            reporter = TuneReporter(trials.checkpoint_seconds)
            return {"error": attempt_task(worker, stage, reporter, says_something_of_it).error}
        finally:
            gc.collect()  # actors are reused: the last network must not stay on the device

    need = {"cpu": trials.cpus, "gpu": gpus}
    if trials.memory_gb:
        need["memory"] = trials.memory_gb * 2**30
    work = shortened(doing(stages), LONGEST)
    tuner = _tuner(name, by_key, store, trainable(trial, need, work), trials)
    _Callback.told = told
    try:
        results = tuner.fit()
    finally:
        _Callback.told = None
    # Everything worth keeping is in the store; what failed should start afresh when it is tried again.
    _remove(store, f"{_folder(store)}/{short(name)}")
    # A trial that had ended before a restore is not told of by the callback: it is done, or its error is an old one.
    ended = [key for result in results if result.config and (key := result.config["task"]["key"]) in by_key]
    untold = [key for key in ended if key not in told.keys]
    again = [by_key[key] for key in untold if store.find(by_key[key]) is None]
    for key in untold:
        if by_key[key] not in again:
            told.tell(key, None)
    if again:
        run_tasks(name, again, store, provenance, trials, gpus, on_outcome)


def _remove(store: Store, folder: str) -> None:
    # Another driver of the same plan removes it too, or still writes there: what is left is never believed without
    # the store.
    with contextlib.suppress(FileNotFoundError, StoreError):
        store.remove_folder(folder)


def _folder(store: Store) -> str:
    return f"{store.root}/tune"


def _listed(store: Store, folder: str) -> set[str]:
    """The keys that an experiment was started for; none where there is no such list, or a damaged one."""
    try:
        read = store.get_json(f"{folder}/{TASKS}", "")
    except CorruptArtifact:
        return set()
    listed = read.get("tasks") if isinstance(read, dict) else read  # a list: of an older raylab
    return {str(key) for key in listed} if isinstance(listed, list) else set()


def _tuner(name: str, stages: Mapping[str, Stage], store: Store, ran: type, trials: Trials) -> tune.Tuner:
    """The Tuner of an interrupted run where it covers these tasks, otherwise a new one."""
    folder = f"{_folder(store)}/{short(name)}"
    if stages.keys() <= _listed(store, folder) and tune.Tuner.can_restore(folder, storage_filesystem=store.filesystem):
        return tune.Tuner.restore(
            folder,
            trainable=ran,
            storage_filesystem=store.filesystem,
            resume_unfinished=True,
            restart_errored=True,
        )
    _remove(store, folder)
    store.put_json(f"{folder}/{TASKS}", {"tasks": sorted(stages)})
    tasks = [{"key": stage.key, "name": stage.name} for stage in stages.values()]
    return tune.Tuner(
        ran,
        param_space={"task": tune.grid_search(tasks)},
        tune_config=tune.TuneConfig(reuse_actors=True, max_concurrent_trials=trials.max_concurrent),
        run_config=tune.RunConfig(
            name=short(name),
            storage_path=_folder(store),
            storage_filesystem=store.filesystem,
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
            callbacks=[_Callback()],
        ),
    )
