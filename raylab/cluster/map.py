"""Ray Data over a pool of actors: one row of the data set names some shards, never holds their data.

This form cannot hang on the size of the pool (nothing is read, so nothing competes with the actors for CPUs), keeps
finished shards, and gives the same bytes for any number of actors.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import ray.data
from ray import cloudpickle
from ray.data import ActorPoolStrategy

from raylab.cluster.connect import assigned_device
from raylab.cluster.trainable import LONGEST
from raylab.engine.backend import BackendFailed, OnOutcome, WorkOutcome
from raylab.engine.progress import doing, shortened
from raylab.engine.runner import attempt_shard, describe
from raylab.engine.stage import Stage
from raylab.engine.store import Store
from raylab.engine.worker import Worker
from raylab.site import Actors

TASKS_PER_ACTOR = 4  # at least so many hand-overs an actor, so that all of them end at about the same time


class ShardActor:
    """An actor of the pool: a worker that lives as long as the execution."""

    def __init__(self, stages: bytes, store: Store, provenance: Mapping[str, object]) -> None:
        self.stages: dict[str, Stage] = cloudpickle.loads(stages)
        self.worker = Worker(store, assigned_device(), provenance)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        ended = [attempt_shard(self.worker, self.stages[key], index) for key, index in json.loads(row["shards"])]
        return {"ended": cloudpickle.dumps([(o.stage.key, o.shard, o.part, o.error) for o in ended])}


def map_shards(
    shards: Sequence[tuple[Stage, int]],
    store: Store,
    provenance: Mapping[str, object],
    actors: Actors,
    gpus: float,
    no_progress_seconds: int,
    on_outcome: OnOutcome,
) -> None:
    """Compute the shards and tell of each, in the order in which they end.

    Raises BackendFailed where the execution itself fails: an actor that cannot start, no progress for too long.
    """
    context = ray.data.DataContext.get_current()
    context.execution_no_progress_timeout_s = no_progress_seconds
    context.enable_progress_bars = False
    for handler in logging.getLogger("ray.data").handlers:
        if not hasattr(handler, "baseFilename") and handler.level < logging.ERROR:
            handler.setLevel(logging.ERROR)  # the terminal is raylab's own progress; Ray's log file keeps everything
    by_key = {stage.key: stage for stage, _ in shards}
    room = _room(actors, gpus)
    limit = min(actors.max or room, len(shards))  # an autoscaling site must name its maximum (preflight)
    size = max(1, min(actors.shards_per_task, len(shards) // (TASKS_PER_ACTOR * limit)))
    pointers = [(stage.key, index) for stage, index in shards]
    rows = [{"shards": json.dumps(pointers[low : low + size])} for low in range(0, len(pointers), size)]
    least = min(actors.min, limit)
    options = {"memory": actors.memory_gb * 2**30} if actors.memory_gb else {}
    # A class of its own, for Ray calls the actors after it.
    work = type(shortened(doing(list(by_key.values())), LONGEST), (ShardActor,), {})
    outcomes = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        work,
        fn_constructor_kwargs={
            "stages": cloudpickle.dumps(by_key),
            "store": store,
            "provenance": dict(provenance),
        },
        compute=ActorPoolStrategy(
            min_size=least, max_size=limit, initial_size=max(least, min(limit, room)), max_tasks_in_flight_per_actor=2
        ),
        num_cpus=actors.cpus,
        num_gpus=gpus or None,
        **options,
    )
    outcomes.set_name(work.__name__)
    rows_of_outcomes = iter(outcomes.iter_rows())
    while True:
        try:
            row = next(rows_of_outcomes, None)
        except Exception as cause:
            raise BackendFailed(f"Ray Data stopped ({describe(cause)})") from cause
        if row is None:
            return
        for key, index, part, error in cloudpickle.loads(row["ended"]):
            on_outcome(WorkOutcome(by_key[key], index, part, error))


def _room(actors: Actors, gpus: float) -> int:
    """Actors that the cluster's nodes have room for at this moment; an autoscaler may add more, up to `actors.max`."""
    total = ray.cluster_resources()
    room = math.floor(total.get("CPU", 0) / actors.cpus)
    if gpus:
        room = min(room, math.floor(total.get("GPU", 0) / gpus))
    return max(1, int(room))
