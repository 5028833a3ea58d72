"""What one process does for one task or shard: the same code inline, in an actor of Ray Data and in a trial of Tune."""

from __future__ import annotations

import ctypes
import os
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

import numpy as np

from raylab.core.later import torch
from raylab.data import DataError
from raylab.engine import columns
from raylab.engine.artifact import Artifact, Part, StoreError
from raylab.engine.columns import Batch
from raylab.engine.objects import OtherCode
from raylab.engine.stage import Reporter, Stage, TaskContext
from raylab.engine.store import MAX_ATTEMPTS, Store

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h; the largest values that mallopt takes are set
MAX_OPEN = 4  # bodies (networks, reference sets) that a process keeps between shards


class TooManyAttempts(RuntimeError):
    """A shard whose every start ended its process."""


class NullReporter:
    """A reporter for those who do not listen and never resume."""

    def resume(self) -> bytes | None:
        return None

    def report(self, metrics: Mapping[str, float], state: Callable[[], bytes]) -> None:
        """Nobody listens."""


class Worker:
    """Runs stages against a store, on one device ("cpu", "cuda")."""

    def __init__(self, store: Store, device: str, provenance: Mapping[str, object]) -> None:
        keep_memory()
        self.store, self.device, self.provenance = store, device, provenance
        self._open: OrderedDict[str, Callable[[Batch], Batch]] = OrderedDict()
        self._sources: dict[str, Artifact] = {}  # the manifest of ten thousand shards is not read ten thousand times

    def run_task(self, stage: Stage, reporter: Reporter) -> Artifact:
        """Run and commit; a store that has the artifact already answers at once."""
        if (found := self.store.find(stage)) is not None:
            return found
        fix_numerics(self.device)
        started = time.monotonic()
        attempt, parts = f"attempt-{secrets.token_hex(6)}", list[Part]()

        def write(name: str, data: bytes, rows: int | None) -> None:
            parts.append(self.store.put_part(stage, f"{attempt}/{name}", data, rows))

        context = TaskContext(self._inputs(stage), self.device, write, reporter)
        try:
            metrics = stage.config.run(context)
        finally:
            if self.device.startswith("cuda"):
                torch.cuda.empty_cache()  # the worker is used again, and others may share its GPU
        seconds = time.monotonic() - started
        return self.store.commit(stage, parts, metrics, self._provenance(stage, seconds, self._device()))

    def run_shard(self, stage: Stage, index: int) -> Part:
        """Compute and commit rows [index * shard_rows, (index + 1) * shard_rows) of a mapped stage.

        Raises TooManyAttempts where earlier starts at this shard ended their process MAX_ATTEMPTS times.
        """
        if (artifact := self.store.find(stage)) is not None:  # committed meanwhile, by another driver
            return artifact.parts[index]
        if (done := self.store.shard(stage, index)) is not None:
            return done
        if self.store.attempt(stage, index) > MAX_ATTEMPTS:
            raise TooManyAttempts(f"shard {index} ended its process {MAX_ATTEMPTS} times (out of memory?); given up")
        started = time.monotonic()
        data, rows = self.compute(stage, index)
        return self.store.put_shard(stage, index, data, rows, self._device(), time.monotonic() - started)

    def compute(self, stage: Stage, index: int) -> tuple[bytes, int]:
        """The Parquet file of that shard and its number of rows; the store is read, and not written."""
        fix_numerics(self.device)
        compute = stage.config.compute
        source, start = self._source(source_of(stage)), index * compute.shard_rows
        rows = source.batch(start, start + compute.shard_rows)
        table = columns.to_table(mapped(self._opened(stage), rows, compute.batch_rows))
        return columns.to_parquet(table), table.num_rows

    def finish(self, stage: Stage, parts: list[Part]) -> Artifact:
        """In the driver, when all shards are in: metrics from the parts, then the manifest."""
        draft = self.store.draft(stage, parts, {})
        metrics = stage.config.summarise(draft)
        devices = ", ".join(sorted({part.device for part in parts}))
        seconds = sum(part.seconds for part in parts)
        return self.store.commit(stage, parts, metrics, self._provenance(stage, seconds, devices))

    def remember(self, stage: Stage, error: Exception, reason: str) -> None:
        """Keep why a stage failed where it would fail again."""
        if fails_again(error):
            with suppress(StoreError):  # what cannot be kept is tried again; the reason itself must be told
                self.store.remember_failure(stage, reason, str(self.provenance.get("code", "")))

    def _source(self, stage: Stage) -> Artifact:
        if stage.key not in self._sources:
            self._sources = {stage.key: self.store.require(stage)}  # one: shards of a set come one after another
        return self._sources[stage.key]

    def _inputs(self, stage: Stage) -> dict[str, Artifact]:
        return {role: self.store.require(needed) for role, needed in stage.inputs.items()}

    def _opened(self, stage: Stage) -> Callable[[Batch], Batch]:
        if stage.key not in self._open:
            body = stage.config
            inputs = {role: a for role, a in self._inputs(stage).items() if role != body.over}
            self._open[stage.key] = body.open(inputs, self.device)
            while len(self._open) > MAX_OPEN:
                self._open.popitem(last=False)
        self._open.move_to_end(stage.key)
        return self._open[stage.key]

    def _device(self) -> str:
        """By name: bits depend on the model of a GPU."""
        if self.device.startswith("cuda") and torch.cuda.is_available():
            return torch.cuda.get_device_name()
        return self.device

    def _provenance(self, stage: Stage, seconds: float, device: str) -> dict[str, object]:
        """`seconds` is what the task took, or its shards together; `passes` what was estimated: the cost of a kind."""
        cost = {"device": device, "seconds": round(seconds, 3), "passes": stage.passes}
        return {**self.provenance, **cost, "finished": datetime.now(UTC).isoformat(timespec="seconds")}


def keep_memory() -> None:
    """Let glibc keep what is freed below 2 GB at the end of its heap, and take tensors of up to 32 MB from there: it
    would return the pages of a step's tensors, and ask for them again, zeroed, in the next (a quarter of a float32
    step of a narrow ResNet at 250 images). No other C library is asked."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_MMAP_THRESHOLD, 2**25)


def fix_numerics(device: str) -> None:
    """One thread, no denormals, deterministic kernels: the same bits whatever the machine's shape, whoever calls.

    Set again at every task: flushing denormals belongs to a thread, and Tune calls functions from one of its own.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if device.startswith("cuda"):
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False


def fails_again(error: Exception) -> bool:
    """raylab says with a ValueError that inputs do not do, but with a DataError that files are absent or cannot be
    read, and with OtherCode that a machine lacks a module: both may be there tomorrow."""
    return isinstance(error, ValueError) and not isinstance(error, DataError | OtherCode)


def mapped(function: Callable[[Batch], Batch], rows: Batch, batch_rows: int) -> Batch:
    """What a function makes of rows, in batches counted from the first of them; of no rows it is asked once."""
    count = len(next(iter(rows.values())))
    results = [
        function({name: column[low : low + batch_rows].copy() for name, column in rows.items()})
        for low in range(0, max(count, 1), batch_rows)
    ]
    return {name: np.concatenate([result[name] for result in results]) for name in results[0]}


def source_of(stage: Stage) -> Stage:
    """The input that a mapped stage has a row for each row of."""
    return stage.inputs[stage.config.over]


def shard_count(stage: Stage, rows: int) -> int:
    """Shards of a mapped stage over an input of so many rows. An empty input still makes one (empty) shard."""
    return max(1, -(-rows // int(stage.config.compute.shard_rows)))
