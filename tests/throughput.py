"""What stands between a construction and the processor: the same shards alone, in this process and through Ray Data,
and how time and memory grow with images and with cells.

    python tests/throughput.py [speed] [growth]

It needs two cores that nobody else uses, and takes about twenty minutes. Nothing here asserts a time.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from raylab.bench import Bench
from raylab.cluster.backend import RayBackend
from raylab.config import load
from raylab.engine import columns, provenance, runner
from raylab.engine.artifact import Artifact
from raylab.engine.backend import Backend, WorkOutcome
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Compute, Stage
from raylab.engine.store import Store
from raylab.engine.worker import fix_numerics, mapped
from raylab.experiments.transfer import EXPERIMENT
from raylab.site import Actors, SiteFile
from raylab.stages.construction import Attack
from raylab.stages.data_config import PhotosData
from raylab.stages.recipe import Recipe

NETWORK, SIZE, SHARD_ROWS, BATCH_ROWS = "resnet9_w16", 32, 250, 250  # grey photographs of 32 x 32 pixels
STEPS = 100  # of PGD
SHARDS, TURNS = 8, 1  # of each run
GROWTH = (500, 2000, 8000)  # images of a set, with two steps each
SEEDS = (1, 2, 19, 185)  # of 54 cells


class Nobody:
    """A listener that does not listen."""

    def begin(self, present: int, missing: Sequence[Stage]) -> None: ...
    def start(self, stages: Sequence[Stage], units: int) -> None: ...
    def built(self, artifact: Artifact) -> None: ...
    def end(self) -> None: ...
    def outcome(self, outcome: WorkOutcome) -> None: ...


def constructed(rows: int, number: int, steps: int = STEPS) -> Stage:
    """D_det of so many images. Those of other numbers are other artifacts, of the same cost."""
    bench = Bench.open(PhotosData(size=SIZE, train_rows=rows), 0, Compute(batch_rows=BATCH_ROWS, shard_rows=SHARD_ROWS))
    source = bench.train(NETWORK, Recipe(epochs=1), "source")
    return bench.construct("det", Attack(eps=0.5 + 1e-6 * number, steps=steps), source, "train", "throughput")


def on_ray(actors: int) -> Backend:
    # One shard a hand-over, so that an end is that of one shard.
    return RayBackend(SiteFile(cpus=2, actors=Actors(min=actors, max=actors, shards_per_task=1)), gpus=0)


def build(store: Store, stage: Stage, backend: Backend) -> tuple[float, list[float]]:
    """Seconds of all of it, and when its shards were written, whenever the driver heard of them."""
    began = time.time()
    made = runner.build({"": stage}, store, backend, Nobody())[""]
    return time.time() - began, sorted(Path(made.folder, part.path).stat().st_mtime for part in made.parts)


def pace(ends: Sequence[float], at_once: int = 1) -> float:
    """Seconds a shard, after the first `at_once` of them, whose end includes the start of whoever computed them."""
    return (ends[-1] - ends[at_once - 1]) / (len(ends) - at_once)


def alone(store: Store, stage: Stage) -> dict[str, float]:
    """Seconds a shard of each thing that a worker does, one after the other: of the computing nothing but its function,
    with rows that lie in memory."""
    fix_numerics("cpu")
    inputs = {role: store.require(one) for role, one in stage.inputs.items()}
    source, function = inputs[stage.config.over], stage.config.open(inputs, "cpu")
    seconds = dict.fromkeys(("reading", "computing", "writing"), 0.0)
    mapped(function, source.batch(0, BATCH_ROWS), BATCH_ROWS)  # the first call makes what later ones keep
    for index in range(SHARDS):
        began = time.perf_counter()
        rows = source.batch(index * SHARD_ROWS, (index + 1) * SHARD_ROWS)
        read = time.perf_counter()
        made = mapped(function, rows, BATCH_ROWS)
        computed = time.perf_counter()
        data = columns.to_parquet(columns.to_table(made))
        store.put_shard(stage, index, data, SHARD_ROWS, "cpu", 0.0)
        for what, spent in zip(seconds, (read - began, computed - read, time.perf_counter() - computed), strict=True):
            seconds[what] += spent / SHARDS
    return seconds


def speed(store: Store) -> None:
    rows = SHARDS * SHARD_ROWS
    runner.build(constructed(rows, 0).inputs, store, InlineBackend(), Nobody())
    spent = alone(store, constructed(rows, 0))
    whole = sum(spent.values())
    shares = ", ".join(f"{what} {100 * seconds / whole:.2f} %" for what, seconds in spent.items())
    print(f"a shard of {SHARD_ROWS} images, {STEPS} steps, {NETWORK}: {whole:.2f} s: {shares}", flush=True)
    for turn in range(1, TURNS + 1):
        inline, ends = child(store, "inline", 10 * turn + 1)
        one, ends_of_one = child(store, "ray", 10 * turn + 2, 1)
        print(
            f"turn {turn}: inline {pace(ends):.2f} s a shard, {inline:.1f} s in all; one actor "
            f"{pace(ends_of_one):.2f} s ({pace(ends) / pace(ends_of_one):.1%} of the inline speed), {one:.1f} s in all "
            f"with the start of Ray ({inline / one:.1%})",
            flush=True,
        )
        together = [started(store, "inline", 10 * turn + 3 + number) for number in (0, 1)]
        bare = 1 / sum(1 / pace(finished(process)[1]) for process in together)
        _, ends = child(store, "ray", 10 * turn + 5, 2)
        print(
            f"turn {turn}: two bare processes {bare:.2f} s a shard; two actors {pace(ends, 2):.2f} s "
            f"({bare / pace(ends, 2):.1%})",
            flush=True,
        )


def growth(store: Store) -> None:
    for rows in GROWTH:
        stage = constructed(rows, 1, 2)
        runner.build(stage.inputs, store, InlineBackend(), Nobody())
        seconds, _, peak = measured(finished_text(started(store, "few", 1, rows)))
        print(f"construction of {rows:,} images, 2 steps: {seconds:.1f} s, at most {peak:.0f} MB", flush=True)
    for seeds in SEEDS:
        seconds, cells, peak = measured(finished_text(started(store, "plan", seeds)))
        print(
            f"plan of {len(cells):,} cells and a look at the store: {seconds:.2f} s, at most {peak:.0f} MB", flush=True
        )


# -- child processes: what one has taken in memory is not seen in another


def started(store: Store, what: str, number: int, more: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "child", store.root, what, str(number), str(more)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finished_text(process: subprocess.Popen[str]) -> str:
    text, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"a child ended with {process.returncode}")
    return text.splitlines()[-1]


def measured(line: str) -> tuple[float, list[Any], float]:
    seconds, ends, peak = json.loads(line)
    return float(seconds), list(ends), float(peak)


def finished(process: subprocess.Popen[str]) -> tuple[float, list[float]]:
    seconds, ends, _ = measured(finished_text(process))
    return seconds, ends


def child(store: Store, what: str, number: int, actors: int = 0) -> tuple[float, list[float]]:
    return finished(started(store, what, number, actors))


def plan(store: Store, seeds: int) -> tuple[float, list[float]]:
    began = time.time()
    asked = {"sources": ["mlp"], "targets": ["mlp", "cnn"], "kinds": ["rand"], "seeds": list(range(seeds))}
    config = load(EXPERIMENT.config, json.dumps(asked), origin="growth")
    planned = EXPERIMENT.plan(config)
    runner.present(planned.values(), store)
    return time.time() - began, [0.0] * len(planned)


def be_a_child(root: str, what: str, number: int, more: int) -> None:
    store = Store(root)
    kinds: dict[str, Callable[[], tuple[float, list[float]]]] = {
        "inline": lambda: build(store, constructed(SHARDS * SHARD_ROWS, number), InlineBackend()),
        "ray": lambda: build(store, constructed(SHARDS * SHARD_ROWS, number), on_ray(more)),
        "few": lambda: build(store, constructed(more, number, 2), InlineBackend()),
        "plan": lambda: plan(store, number),
    }
    seconds, ends = kinds[what]()
    # Not getrusage: its maximum is also that of the process which started this one.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    print(json.dumps([seconds, ends, int(peak[1]) / 1024 if peak else 0.0]))


def main(asked: Sequence[str]) -> None:
    known = provenance.collect()
    print(f"raylab at {known['commit']}{', with changes' if known['dirty'] else ''}; {known['machine']}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(str(Path(folder) / "store"))
        for name, table in {"speed": speed, "growth": growth}.items():
            if not asked or name in asked:
                table(store)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        be_a_child(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    else:
        main(sys.argv[1:])
