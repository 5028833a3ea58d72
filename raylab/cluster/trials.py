"""A search over configs through Ray Tune: listed points or Optuna's, its schedulers, going on after a kill.

What a trial found is written by its own body, and how far it is in `<store>/sweeps/<key>/states`; Tune is asked only
how trials ended. Its folder, `<store>/tune/sweep-<key>`, is for people who look at curves: nothing is restored from it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
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
from raylab.engine.redaction import redacted
from raylab.engine.runner import describe
from raylab.engine.search import PROGRESS, Body, Ended, Numbers, OnEnded, Search
from raylab.engine.space import Point
from raylab.engine.store import Store
from raylab.site import Trials

RAISED = "raised"  # in what a trial reports: an exception that its body did not expect
MAX_FAILURES = 2  # of a trial whose process died; an exception of the body's own ends it at once
FOREVER = 10**6  # epochs: the last rung of ASHA, where it would end a trial that is finishing anyway


@dataclass(frozen=True)
class TrialStates:
    """How far the trials of a search are."""

    store: Store
    folder: str
    handed_on: bool  # whether trials go on from each other's

    @classmethod
    def of(cls, search: Search, store: Store) -> TrialStates:
        return cls(store, f"{store.root}/sweeps/{short(search.key)}/states", search.scheduler.changes)

    def write(self, number: int, point: Point, state: bytes) -> None:
        checkpoint.keep(self.store, self.path(number), json.dumps(point).encode() + b"\n" + state)

    def read(self, number: int) -> tuple[Point, bytes] | None:
        """None where there is none, or a damaged one."""
        data = checkpoint.kept(self.store, self.path(number))
        if data is None:
            return None
        point, _, state = data.partition(b"\n")
        return json.loads(point), state

    def forget(self, number: int) -> None:
        self.store.delete(self.path(number))

    def path(self, number: int) -> str:
        return f"{self.folder}/{number:05d}"


class _TuneTrialReporter:
    """Every report goes to Tune, which may end the trial there; the state is kept at most every `checkpoint_seconds`,
    beside the point that it is of."""

    def __init__(self, states: TrialStates, number: int, point: Point, checkpoint_seconds: float) -> None:
        self.states, self.number, self.point = states, number, point
        self.checkpoint_seconds = checkpoint_seconds
        self._kept = time.monotonic()

    def resume(self) -> bytes | None:
        if (state := checkpoint.handed_on()) is not None:
            return state
        point, state = self.states.read(self.number) or (None, None)
        return state if point == _plain(self.point) else None

    def report(self, numbers: Numbers, state: Callable[[], bytes]) -> None:
        if time.monotonic() - self._kept < self.checkpoint_seconds:
            tune.report(numbers)
            return
        self._kept = time.monotonic()
        packed = state()
        self.states.write(self.number, self.point, packed)
        if self.states.handed_on:
            checkpoint.hand_on(numbers, packed)
        else:
            tune.report(numbers)


class _Listed(Searcher):  # type: ignore[misc]  # Ray's types are skipped
    """The points of a list, in order."""

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
        """Nothing is restored."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing is restored."""


class _Line(TrialProgressCallback):  # type: ignore[misc]
    """Tells of a trial when it ends, in the place of Tune's own lines. It holds nothing, for Tune pickles its callbacks
    into the experiment."""

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
    """Run the trials that are left of a search, and tell of each that ends; `on_line` hears of it too, but for those
    whose process was killed each time.

    `work`: what Ray's dashboard says that they are trials of.

    One driver of a sweep at a time: two would share a folder of Tune's.
    """
    packed = cloudpickle.dumps(body)
    listed = {path for path, one in search.space.items() if one.values and not search.points}
    states, told = TrialStates.of(search, store), set[int]()
    # What a trial of pbt leaves behind is what another one may go on from.
    seconds = 0.0 if search.scheduler.changes else trials.checkpoint_seconds

    def trial(config: Mapping[str, Any]) -> Numbers:
        number, point = _said(config, listed)
        reporter = _TuneTrialReporter(states, number, point, seconds)
        try:
            numbers: Numbers = cloudpickle.loads(packed)(number, point, assigned_device(), reporter)
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

    def ended(config: Mapping[str, Any], numbers: Mapping[str, Any], lost: str | None) -> Ended:
        one = _ended(config, numbers, lost, listed)
        if one.number not in told:
            told.add(one.number)
            on_ended(one)
            states.forget(one.number)
        return one

    tuner = _tuner(search, store, trainable(trial, need, shortened(f"trial of {work}", LONGEST)), trials)
    # As it ends, not when all have: of one that a scheduler stopped nobody else writes down that it has.
    _Line.tell = lambda one: on_line(ended(one.config, one.last_result, one.last_result.get(RAISED)))
    try:
        results = tuner.fit()
    finally:
        _Line.tell = None
    for result in results:
        if result.config:
            ended(result.config, result.metrics or {}, _cause(result))
    _remove_checkpoints(folder_of(search, store), store)


def _cause(result: Any) -> str | None:
    """Why a trial ended without its body's word."""
    if result.error:
        last = redacted(str(result.error)).strip().splitlines()[-1]
        return f"its process ended again and again (out of memory?): {last}"
    raised = (result.metrics or {}).get(RAISED)
    return None if raised is None else str(raised)


def _remove_checkpoints(folder: str, store: Store) -> None:
    """Those of a population: all were kept, for any trial might have gone on from any."""
    with told(folder, "cannot be listed"):
        found = store.filesystem.get_file_info(pafs.FileSelector(folder, recursive=True, allow_not_found=True))
    for info in found:
        if info.type == pafs.FileType.Directory and info.base_name.startswith("checkpoint_"):
            with contextlib.suppress(FileNotFoundError, StoreError):  # another driver of this search is at it too
                store.remove_folder(info.path)


def forget(search: Search, store: Store) -> None:
    """How far the trials were: what is to be tried again starts afresh."""
    with contextlib.suppress(FileNotFoundError):
        store.remove_folder(TrialStates.of(search, store).folder)


def folder_of(search: Search, store: Store) -> str:
    return f"{store.root}/tune/{_name(search)}"


def _name(search: Search) -> str:
    return f"sweep-{short(search.key)}"


def _said(config: Mapping[str, Any], listed: set[str]) -> tuple[int, Point]:
    point = {path: value for path, value in config.items() if path != NUMBER}
    return int(config[NUMBER]), {path: json.loads(v) if path in listed else v for path, v in point.items()}


def _plain(point: Point) -> Any:
    """As it comes back from JSON."""
    return json.loads(json.dumps(point))


def _ended(config: Mapping[str, Any], numbers: Mapping[str, Any], lost: str | None, listed: set[str]) -> Ended:
    number, point = _said(config, listed)
    return Ended(number, point, dict(numbers), lost)


def _tuner(search: Search, store: Store, ran: type, trials: Trials) -> tune.Tuner:
    _remove_checkpoints(folder_of(search, store), store)  # of a driver that was killed
    space = _listed(search, TrialStates.of(search, store)) if search.scheduler.changes else None
    aim = search.aims[0]
    single = {"metric": aim.name, "mode": aim.direction} if len(search.aims) == 1 else {}
    callbacks: list[Any] = [_Line()]
    if search.tensorboard:
        from ray.tune.logger import TBXLoggerCallback

        callbacks.append(TBXLoggerCallback())
    return tune.Tuner(
        ran,
        param_space=space,
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
            callbacks=callbacks,
        ),
    )


def _trial_name(trial: Any) -> str:
    return f"trial-{int(trial.config[NUMBER]):05d}"


def _listed(search: Search, states: TrialStates) -> dict[str, Any]:
    """The points for pbt, beside which Tune takes no searcher: those that trials had last, where they were changed."""
    kept = {number: states.read(number) for number in search.left}
    points = {number: one[0] if one is not None else search.points[number] for number, one in kept.items()}
    return {
        NUMBER: tune.grid_search(search.left),
        **{path: tune.sample_from(partial(_value, points, path)) for path in search.space},
    }


def _value(points: Mapping[int, Point], path: str, config: Mapping[str, Any]) -> Any:
    return points[config[NUMBER]][path]


def _searcher(search: Search) -> Searcher | None:
    if search.scheduler.changes:
        return None
    if search.points:
        return _Listed([(number, search.points[number]) for number in search.left])
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
            return SynchronousPopulation(scheduler, search.space, search.seed, max_concurrent)
    return FIFOScheduler()
