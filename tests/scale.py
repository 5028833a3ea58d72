"""What bounds a thousand actors: the driver's real code, with actors that only sleep and write, and every request to
the store counted.

    python tests/scale.py [shards=10000] [cells=10000] [actors=64] [milliseconds=0]

`milliseconds` is added to each request, as a far object store would.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import toy

from raylab.engine import provenance, runner
from raylab.engine.backend import OnOutcome, WorkOutcome
from raylab.engine.columns import to_parquet, to_table
from raylab.engine.runner import attempt_shard, attempt_task
from raylab.engine.stage import Metrics, Stage, TaskContext
from raylab.engine.store import Store
from raylab.engine.worker import Worker

ROWS = 4  # of a shard
PART = 5 * ROWS  # rows of a part of the source


class CountingStore(Store):
    """Counts the requests of an object store, those of the driver's threads apart from those of the actors'."""

    def __init__(self, uri: str, seconds: float = 0.0, page: int = 1000) -> None:
        """`seconds` that a request takes; `page`: names of one answer to LIST, and of one request to remove several."""
        super().__init__(uri)
        self.seconds, self.page, self.requests = seconds, page, Counter[str]()
        self._counting = threading.Lock()

    def _request(self, kind: str, count: int = 1) -> None:
        who = "actors" if threading.current_thread().name.startswith("actor") else "driver"
        with self._counting:
            self.requests[f"{who} {kind}"] += count
        if self.seconds:
            time.sleep(self.seconds * count)

    def get(self, path: str) -> bytes | None:
        self._request("GET")
        data = super().get(path)
        with self._counting:
            self.requests["bytes read"] += len(data or b"")
        return data

    def put(self, path: str, data: bytes) -> None:
        self._request("PUT")
        super().put(path, data)

    def delete(self, path: str) -> None:
        self._request("DELETE")
        super().delete(path)

    def names(self, folder: str) -> list[str]:
        found = super().names(folder)
        self._request("LIST", 1 + len(found) // self.page)
        return found

    def remove_folder(self, folder: str) -> None:
        found = super().names(folder)
        for kind in ("LIST", "DELETE"):
            self._request(kind, 1 + len(found) // self.page)
        super().remove_folder(folder)


class FakeActors:
    """A backend of threads. What they end is told in the driver's own thread, as Ray Data tells it."""

    def __init__(self, count: int) -> None:
        self.count = count

    def run_tasks(self, name: str, stages: Sequence[Stage], store: Store, on_outcome: OnOutcome) -> None:
        del name
        self._all(lambda worker, stage: attempt_task(worker, stage), [(stage,) for stage in stages], store, on_outcome)

    def map_shards(self, shards: Sequence[tuple[Stage, int]], store: Store, on_outcome: OnOutcome) -> None:
        self._all(attempt_shard, shards, store, on_outcome)

    def _all(self, attempt, units: Sequence[tuple], store: Store, on_outcome: OnOutcome) -> None:  # type: ignore[no-untyped-def]
        ended: SimpleQueue[WorkOutcome] = SimpleQueue()
        known, own = provenance.collect(), threading.local()

        def open_worker() -> None:
            own.worker = Worker(store, "cpu", known)

        with ThreadPoolExecutor(self.count, thread_name_prefix="actor", initializer=open_worker) as actors:
            for unit in units:
                actors.submit(lambda unit=unit: ended.put(attempt(own.worker, *unit)))
            for _ in units:
                on_outcome(ended.get())


@dataclass(frozen=True)
class SplitBody:
    """Numbers in many parts: images come in parts of 5,000 at most."""

    doing = ("splitting", "data set")
    count: int
    in_driver = False

    def run(self, context: TaskContext) -> Metrics:
        for part, low in enumerate(range(0, self.count, PART)):
            ids = np.arange(low, min(low + PART, self.count))
            context.write(f"part-{part:05d}.parquet", to_parquet(to_table({"id": ids, "x": ids * 0.5})), len(ids))
        return {"n": self.count}


@dataclass(frozen=True)
class Measured:
    """`driver_seconds`: processor time of the driver's thread; `seconds`: all, with the actors."""

    requests: Mapping[str, int]
    driver_seconds: float
    seconds: float

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {count}" for name, count in sorted(self.requests.items()))
        return f"driver {self.driver_seconds:.1f} s of processor, all {self.seconds:.1f} s; {counts}"


def measure(cells: Mapping[int, Stage], store: CountingStore, actors: int) -> Measured:
    store.requests.clear()
    wall, cpu = time.monotonic(), time.thread_time()
    runner.build(cells, store, FakeActors(actors), toy.Recorder())
    return Measured(dict(store.requests), time.thread_time() - cpu, time.monotonic() - wall)


def one_set(shards: int) -> dict[int, Stage]:
    """One constructed set of so many shards."""
    data = Stage("numbers", 1, SplitBody(shards * ROWS), {})
    return {0: toy.squares(data, shard_rows=ROWS, batch_rows=ROWS)}


def many_cells(count: int) -> dict[int, Stage]:
    """So many evaluations of one shard each, over one set."""
    data = toy.numbers(ROWS)
    return {i: toy.squares(data, shard_rows=ROWS, batch_rows=ROWS, name=f"cell {i}") for i in range(count)}


def main(arguments: Sequence[str]) -> None:
    asked = {"shards": 10_000, "cells": 10_000, "actors": 64, "milliseconds": 0}
    for argument in arguments:
        name, _, value = argument.partition("=")
        asked[name] = int(value)
    for what, plan in (("shards", one_set), ("cells", many_cells)):
        for count in (asked[what] // 4, asked[what]) if asked[what] else ():
            with tempfile.TemporaryDirectory() as folder:
                store = CountingStore(str(Path(folder)), asked["milliseconds"] / 1000)
                for run in ("first", "again"):
                    print(f"{count:6} {what}, {run:5}: {measure(plan(count), store, asked['actors'])}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
