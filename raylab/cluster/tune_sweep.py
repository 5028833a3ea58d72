"""A search over configs through Ray Tune: listed points or Optuna's, its schedulers, restore after a kill.

Tune's folder is `<store>/tune/sweep-<key>`, and `tune.Tuner.restore` takes it. What a trial found is written by its own
body; Tune is asked only which trials there are and how they ended.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from pyarrow import fs as pafs
from ray import cloudpickle, tune
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    MedianStoppingRule,
    TrialScheduler,
)
from ray.tune.search import Searcher

from raylab.cluster import checkpoint
from raylab.cluster.connect import assigned_device
from raylab.cluster.population import NUMBER, RETURNED, SynchronousPopulation
from raylab.cluster.trainable import LONGEST, trainable
from raylab.engine.artifact import StoreError
from raylab.engine.files import told
from raylab.engine.identity import short
from raylab.engine.progress import shortened
from raylab.engine.runner import describe
from raylab.engine.store import Store
from raylab.redaction import redacted
from raylab.search import PROGRESS, Body, Ended, Numbers, OnEnded, Search
from raylab.site import Trials
from raylab.space import Point

RAISED = "raised"  # in what a trial reports: an exception that its body did not expect
MAX_FAILURES = 2  # of a trial whose process died; an exception of the body's own ends it at once
FOREVER = 10**6  # epochs: the last rung of ASHA, where it would end a trial that is finishing anyway


class TuneTrialReporter:
    """Every report goes to Tune, which may end the trial there; a checkpoint at most every `checkpoint_seconds`."""

    def __init__(self, checkpoint_seconds: float) -> None:
        self.checkpoint_seconds = checkpoint_seconds
        self._kept = time.monotonic()

    def resume(self) -> bytes | None:
        return checkpoint.kept()

    def report(self, numbers: Numbers, state: Callable[[], bytes]) -> None:
        if time.monotonic() - self._kept < self.checkpoint_seconds:
            tune.report(numbers)
            return
        self._kept = time.monotonic()
        checkpoint.keep(numbers, state())


class Listed(Searcher):  # type: ignore[misc]  # Ray's types are skipped
    """The points of a list, in order. Tune's own way, functions in the space, does not survive a restore."""

    def __init__(self, points: Sequence[tuple[int, Point]]) -> None:
        super().__init__()
        self.left = list(points)

    def set_search_properties(self, metric: str | None, mode: str | None, config: Any, **spec: Any) -> bool:
        del metric, mode, config, spec
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        del trial_id
        if not self.left:
            return str(Searcher.FINISHED)
        number, point = self.left.pop(0)
        return {NUMBER: number, **point}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Nothing is learnt."""

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).write_bytes(cloudpickle.dumps(self.left))

    def restore(self, checkpoint_path: str) -> None:
        self.left = cloudpickle.loads(Path(checkpoint_path).read_bytes())


class _Line(TrialProgressCallback):  # type: ignore[misc]
    """Tells of a trial when it ends, in the place of Tune's own lines. It holds nothing, for Tune pickles its callbacks
    into the experiment and restores them from there."""

    tell: ClassVar[Callable[[Any], None] | None] = None

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Any, **info: Any) -> None:
        """Results on the way are for the scheduler."""

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        del iteration, trials, info
        if _Line.tell is not None:
            _Line.tell(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Told with all that ended, at the end."""


def run_trials(
    search: Search,
    body: Body,
    store: Store,
    trials: Trials,
    gpus: float,
    on_ended: OnEnded,
    on_line: OnEnded,
    work: str = "a sweep",
) -> None:
    """Run or go on with a search, and tell of every trial that has ended; `on_line` hears of each as it happens.

    `work`: what Ray's dashboard says that they are trials of.

    One driver of a sweep at a time: two would share a folder of Tune's.
    """
    packed = cloudpickle.dumps(body)
    listed = {path for path, one in search.space.items() if one.values and not search.points}
    # What a trial of pbt leaves behind is what another one may go on from.
    seconds = 0.0 if search.scheduler.changes else trials.checkpoint_seconds

    def trial(config: Mapping[str, Any]) -> Numbers:
        number, point = _said(config, listed)
        try:
            numbers: Numbers = cloudpickle.loads(packed)(number, point, assigned_device(), TuneTrialReporter(seconds))
        except Exception as error:  # nothing that the body knows of
            if "CUDA error" in str(error):  # it sticks to the process: let this one end, and the trial start in another
                raise
            absent = {aim.name: math.nan for aim in search.aims}
            return {**absent, PROGRESS: 0, "violations": [], RAISED: describe(error), RETURNED: True}
        finally:
            gc.collect()  # actors are reused: the last network must not stay on the device
        return {**numbers, RETURNED: True}

    need = {"cpu": trials.cpus, "gpu": gpus}
    if trials.memory_gb:
        need["memory"] = trials.memory_gb * 2**30
    tuner = _tuner(search, store, trainable(trial, need, shortened(f"trial of {work}", LONGEST)), trials)
    _Line.tell = lambda one: on_line(_ended(one.config, one.last_result, one.last_result.get(RAISED), listed))
    try:
        results = tuner.fit()
    finally:
        _Line.tell = None
    for result in results:
        if result.config:
            on_ended(_ended(result.config, result.metrics or {}, _cause(result), listed))
    if search.scheduler.changes:
        _remove_checkpoints(folder_of(search, store), store)


def _cause(result: Any) -> str | None:
    """Why a trial ended without its body's word."""
    if result.error:
        last = redacted(str(result.error)).strip().splitlines()[-1]
        return f"its process ended again and again (out of memory?): {last}"
    raised = (result.metrics or {}).get(RAISED)
    return None if raised is None else str(raised)


def _remove_checkpoints(folder: str, store: Store) -> None:
    """All were kept, for any trial might have gone on from any."""
    with told(folder, "cannot be listed"):
        found = store.filesystem.get_file_info(pafs.FileSelector(folder, recursive=True))
    for info in found:
        if info.type == pafs.FileType.Directory and info.base_name.startswith("checkpoint_"):
            with contextlib.suppress(FileNotFoundError, StoreError):  # another driver of this search is at it too
                store.remove_folder(info.path)


def forget(search: Search, store: Store) -> None:
    """Remove Tune's folder: what is to be tried again starts afresh."""
    with contextlib.suppress(FileNotFoundError):
        store.remove_folder(folder_of(search, store))


def folder_of(search: Search, store: Store) -> str:
    return f"{store.root}/tune/{_name(search)}"


def _name(search: Search) -> str:
    return f"sweep-{short(search.key)}"


def _said(config: Mapping[str, Any], listed: set[str]) -> tuple[int, Point]:
    point = {path: value for path, value in config.items() if path != NUMBER}
    return int(config[NUMBER]), {path: json.loads(v) if path in listed else v for path, v in point.items()}


def _ended(config: Mapping[str, Any], numbers: Mapping[str, Any], lost: str | None, listed: set[str]) -> Ended:
    number, point = _said(config, listed)
    return Ended(number, point, dict(numbers), lost)


def _tuner(search: Search, store: Store, ran: type, trials: Trials) -> tune.Tuner:
    """The Tuner of an interrupted search, otherwise a new one."""
    folder = folder_of(search, store)
    if tune.Tuner.can_restore(folder, storage_filesystem=store.filesystem):
        return tune.Tuner.restore(
            folder,
            trainable=ran,
            param_space=_listed(search) if search.scheduler.changes else None,
            storage_filesystem=store.filesystem,
            resume_unfinished=True,
            restart_errored=True,
        )
    aim = search.aims[0]
    single = {"metric": aim.name, "mode": aim.direction} if len(search.aims) == 1 else {}
    callbacks: list[Any] = [_Line()]
    if search.tensorboard:
        from ray.tune.logger import TBXLoggerCallback

        callbacks.append(TBXLoggerCallback())
    return tune.Tuner(
        ran,
        param_space=_listed(search) if search.scheduler.changes else None,
        tune_config=tune.TuneConfig(
            **single,
            search_alg=_searcher(search),
            scheduler=_scheduler(search, trials.max_concurrent),
            num_samples=1 if search.scheduler.changes else len(search.left),
            # Ray gives a stopped training two seconds to leave its process; one that is slower costs the next trial.
            reuse_actors=not search.scheduler.stops,
            max_concurrent_trials=None if search.scheduler.changes else trials.max_concurrent,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name=_name(search),
            storage_path=f"{store.root}/tune",
            storage_filesystem=store.filesystem,
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=None if search.scheduler.changes else 1),
            callbacks=callbacks,
        ),
    )


def _trial_name(trial: Any) -> str:
    return f"trial-{int(trial.config[NUMBER]):05d}"


def _listed(search: Search) -> dict[str, Any]:
    """The points for pbt, beside which Tune takes no searcher: all of them, for a restore needs the same space again; a
    trial that has ended says so at once."""
    return {
        NUMBER: tune.grid_search(list(range(search.count))),
        **{path: tune.sample_from(partial(_value, search.points, path)) for path in search.space},
    }


def _value(points: Sequence[Point], path: str, config: Mapping[str, Any]) -> Any:
    return points[config[NUMBER]][path]


def _searcher(search: Search) -> Searcher | None:
    if search.scheduler.changes:
        return None
    if search.points:
        return Listed([(number, search.points[number]) for number in search.left])
    from raylab.cluster.optuna_search import Proposed  # Optuna is imported where it is asked for

    return Proposed(search)


def _scheduler(search: Search, max_concurrent: int | None) -> TrialScheduler:
    scheduler = search.scheduler
    match scheduler.name:
        case "asha":
            return AsyncHyperBandScheduler(
                time_attr=PROGRESS,
                max_t=FOREVER,
                grace_period=scheduler.grace,
                reduction_factor=scheduler.reduction,
                stop_last_trials=False,
            )
        case "median":
            return MedianStoppingRule(
                time_attr=PROGRESS,
                grace_period=scheduler.grace,
                min_samples_required=scheduler.min_samples,
                # With too few to compare with, it would pause a trial for those that wait, and one without a checkpoint
                # begins again. Before the first pause it has run for inf epochs, so nothing finite would do.
                min_time_slice=math.inf,
            )
        case "pbt":
            return SynchronousPopulation(scheduler, search.space, max_concurrent)
    return FIFOScheduler()
