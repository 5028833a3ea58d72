"""Stages small enough to test the spine with: no networks, and faults on demand."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from raylab.config import Config
from raylab.engine import columns
from raylab.engine.artifact import Artifact
from raylab.engine.backend import Listener, WorkOutcome
from raylab.engine.columns import Batch
from raylab.engine.stage import Compute, Metrics, Stage, TaskContext


@dataclass(frozen=True)
class NumbersBody:
    doing = ("building", "numbers artifact")
    count: int
    name: str = ""
    in_driver: bool = field(default=False, compare=False)

    def run(self, context: TaskContext) -> Metrics:
        table = columns.to_table({"id": np.arange(self.count), "x": np.arange(self.count) * 0.5})
        context.write("part-00000.parquet", columns.to_parquet(table), self.count)
        return {"n": self.count}


def numbers(count: int, name: str = "numbers", in_driver: bool = False) -> Stage:
    return Stage("numbers", 1, NumbersBody(count, name, in_driver), {}, name)


@dataclass(frozen=True)
class FaultyBody:
    """A task that misbehaves: "raise", "raise once", "exit" (always), or "exit once" (leaving a trace in `folder`)."""

    doing = ("building", "faulty artifact")
    fault: str
    name: str
    folder: str = field(compare=False)
    in_driver = False

    def run(self, context: TaskContext) -> Metrics:
        trace = Path(self.folder) / "started"
        starts = int(trace.read_text()) if trace.exists() else 0
        trace.write_text(str(starts + 1))
        if self.fault == "raise" or (self.fault == "raise once" and starts == 0):
            raise ValueError("this task always fails")
        if self.fault == "exit" or (self.fault == "exit once" and starts == 0):
            os._exit(1)
        context.write("part-00000.parquet", columns.to_parquet(columns.to_table({"id": np.arange(3)})), 3)
        return {"starts": starts + 1}


def faulty(fault: str, folder: Path, name: str = "faulty") -> Stage:
    return Stage("faulty", 1, FaultyBody(fault, name, str(folder)), {}, name)


@dataclass(frozen=True)
class CountingBody:
    """A task that counts to `steps`, reporting after each, and writes down the steps that it really took.

    Not beyond the number in `folder`/hold while there is such a file, so that a test that ends it is never too late.
    """

    doing = ("building", "counting artifact")
    steps: int
    name: str
    folder: str = field(compare=False)
    pause: float = field(compare=False)
    in_driver = False

    def run(self, context: TaskContext) -> Metrics:
        resumed = context.reporter.resume()
        at = int(resumed) if resumed else 0
        for step in range(at + 1, self.steps + 1):
            time.sleep(self.pause)
            hold = Path(self.folder) / "hold"
            while hold.exists() and step > int(hold.read_text()):
                time.sleep(0.05)
            with (Path(self.folder) / "steps").open("a") as log:
                log.write(f"{step}\n")
            context.reporter.report({"step": step}, lambda step=step: str(step).encode())
        context.write("part-00000.parquet", columns.to_parquet(columns.to_table({"id": np.arange(1)})), 1)
        return {"resumed_at": at}


def counting(steps: int, folder: Path, pause: float = 0.0, name: str = "counting") -> Stage:
    return Stage("counting", 1, CountingBody(steps, name, str(folder), pause), {}, name)


@dataclass(frozen=True)
class SquareBody:
    """x -> x squared; shards listed in `poison` end their process, those in `broken` raise."""

    doing = ("building", "squares artifact")
    compute: Compute
    name: str = ""
    poison: tuple[int, ...] = field(default=(), compare=False)
    broken: tuple[int, ...] = field(default=(), compare=False)
    pause: float = field(default=0.0, compare=False)
    over = "data"

    def open(self, inputs: Mapping[str, Artifact], device: str) -> Callable[[Batch], Batch]:
        del inputs

        def square(batch: Batch) -> Batch:
            time.sleep(self.pause)
            shard = int(batch["id"][0]) // self.compute.shard_rows if len(batch["id"]) else 0
            if shard in self.poison:
                os._exit(1)
            if shard in self.broken:
                raise ValueError("these rows cannot be squared")
            rows: Any = np.full(len(batch["id"]), len(batch["id"]))
            return {"id": batch["id"], "x": batch["x"] ** 2, "met": rows, "on": np.array([device] * len(rows))}

        return square

    def summarise(self, artifact: Artifact) -> Metrics:
        return {"n": artifact.rows, "sum": float(artifact.batch()["x"].sum())}


def squares(data: Stage, shard_rows: int = 10, batch_rows: int = 5, name: str = "squares", **faults: Any) -> Stage:
    body = SquareBody(Compute(shard_rows=shard_rows, batch_rows=batch_rows), name, **faults)
    return Stage("squares", 1, body, {"data": data}, name)


@dataclass
class Recorder(Listener):
    """A listener that remembers."""

    missing: list[Stage] = field(default_factory=list)
    outcomes: list[WorkOutcome] = field(default_factory=list)
    built_labels: list[str] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    ended: int = 0

    def begin(self, present: int, missing: Sequence[Stage]) -> None:
        del present
        self.missing = list(missing)

    def start(self, stages: Sequence[Stage], units: int) -> None:
        del stages
        self.rounds.append(units)

    def outcome(self, outcome: WorkOutcome) -> None:
        self.outcomes.append(outcome)

    def built(self, artifact: Artifact) -> None:
        self.built_labels.append(artifact.label)

    def end(self) -> None:
        self.ended += 1


class Settings(Config):
    """A config of nothing."""

    study: str = "toy"
