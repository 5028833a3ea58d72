"""Ray Tune over the tasks of a round: a trial a task, reused actors, checkpoints within a task.

The store decides what is done, and how far the rest was (`checkpoint`); Tune decides what runs when, and each start is
a new experiment of its own.
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
from raylab.engine.artifact import StoreError
from raylab.engine.backend import OnOutcome, WorkOutcome
from raylab.engine.identity import short
from raylab.engine.progress import doing, shortened
from raylab.engine.redaction import redacted
from raylab.engine.runner import attempt_task
from raylab.engine.stage import Stage
from raylab.engine.store import Store
from raylab.engine.worker import Worker
from raylab.site import Trials

MAX_FAILURES = 2  # of a trial whose process died; an exception of the task's own is an outcome, and not tried again
REPORT_SECONDS = 2.0  # a report waits for the driver: often enough to watch, seldom enough to cost nothing


class _TuneReporter:
    """Reports to Tune, and keeps the state at most every `checkpoint_seconds`."""

    def __init__(self, store: Store, stage: Stage, checkpoint_seconds: float) -> None:
        self.store, self.path = store, store.state_of(stage)
        self.checkpoint_seconds = checkpoint_seconds
        self._reported = self._kept = time.monotonic()

    def resume(self) -> bytes | None:
        return checkpoint.kept(self.store, self.path)

    def report(self, metrics: Mapping[str, float], state: Callable[[], bytes]) -> None:
        now = time.monotonic()
        if now - self._kept >= self.checkpoint_seconds:
            self._kept = now
            checkpoint.keep(self.store, self.path, state())
        if now - self._reported >= REPORT_SECONDS:
            self._reported = now
            tune.report(dict(metrics))


class _Told:
    """Tells the runner of every trial that ends, once."""

    def __init__(self, stages: Mapping[str, Stage], on_outcome: OnOutcome) -> None:
        self.stages, self.on_outcome, self.keys = stages, on_outcome, set[str]()

    def tell(self, key: str, error: str | None) -> None:
        if key not in self.keys:
            self.keys.add(key)
            self.on_outcome(WorkOutcome(self.stages[key], error=error))


class _Callback(TrialProgressCallback):  # type: ignore[misc]  # Ray's types are skipped
    """Passes the ends of trials on to the run in progress; derived from Tune's printer of them, whose place it takes.

    Tune pickles its callbacks into the experiment: one that held the runner could not be pickled. So this one holds
    nothing.
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
            stage = cloudpickle.loads(packed)[config["task"]["key"]]
            worker = Worker(store, assigned_device(), provenance)
            reporter = _TuneReporter(store, stage, trials.checkpoint_seconds)
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
        tuner.fit()
    finally:
        _Callback.told = None
    # Everything worth keeping is in the store; what failed should start afresh when it is tried again.
    _remove(store, f"{_folder(store)}/{short(name)}")
    store.map_parallel(store.remove_progress, stages)
    for key in by_key:
        told.tell(key, "Tune ended without it; run the same command again")


def _remove(store: Store, folder: str) -> None:
    # Another driver of the same plan removes it too, or still writes there: what is left is never believed without
    # the store.
    with contextlib.suppress(FileNotFoundError, StoreError):
        store.remove_folder(folder)


def _folder(store: Store) -> str:
    return f"{store.root}/tune"


def _tuner(name: str, stages: Mapping[str, Stage], store: Store, ran: type, trials: Trials) -> tune.Tuner:
    _remove(store, f"{_folder(store)}/{short(name)}")  # of a driver that was killed
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
            callbacks=[_Callback()],
        ),
    )
