"""Constructs a set that a process could not hold, under a limit: python streamed_set.py STORE ROWS MEGABYTES.

Prints the peak of the resident memory above that of the imports, and the size of the set, in MB.
"""

from __future__ import annotations

import resource
import sys
import threading
from dataclasses import dataclass

import numpy as np
import toy

from raylab.engine import columns, runner
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Compute, Metrics, Stage, TaskContext
from raylab.engine.store import Store
from raylab.stages.construction import Attack, construct
from raylab.stages.images import ImageSpec
from raylab.stages.recipe import Recipe
from raylab.stages.training import train

IMAGES = ImageSpec((3, 64, 64), 10, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
ROWS = 20  # of a part and of a shard: 1 MB as float32


@dataclass(frozen=True)
class NoiseBody:
    """Images of noise, a part at a time."""

    doing = ("drawing", "set of noise")
    count: int
    in_driver = True

    def run(self, context: TaskContext) -> Metrics:
        for part, low in enumerate(range(0, self.count, ROWS)):
            ids = np.arange(low, min(low + ROWS, self.count))
            pixels = np.random.default_rng(part).random((len(ids), *IMAGES.shape), dtype=np.float32)
            table = columns.to_table({"id": ids, "image": pixels, "label": ids % IMAGES.num_classes})
            context.write(f"part-{part:05d}.parquet", columns.to_parquet(table), len(ids))
        return {"rows": self.count}


def noise(count: int) -> Stage:
    return Stage("noise", 1, count, {}, NoiseBody(count), f"{count} images of noise")


def constructed(count: int) -> Stage:
    """det, of a linear network that learnt nothing: the memory is the same."""
    model = train("linear", Recipe(epochs=0), noise(ROWS), IMAGES, seed=0, rows=ROWS, name="source")
    compute = Compute(batch_rows=ROWS, shard_rows=ROWS)
    return construct("det", Attack(steps=1), noise(count), model, IMAGES, 0, "train", compute, rows=count, name="det")


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def data_bytes() -> int:
    """Of the process, as RLIMIT_DATA counts them."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmData")) * 1024


def main(uri: str, count: int, megabytes: int) -> None:
    threading.stack_size(2**18)  # of the threads that ask the store: the limit counts what they might use
    store, cells = Store(uri), {"small": constructed(ROWS)}
    runner.build(cells, store, InlineBackend(), toy.Recorder())  # loads and starts all that is needed
    before = peak_mb()
    limit = data_bytes() + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    built = runner.build({"large": constructed(count)}, store, InlineBackend(), toy.Recorder())["large"]
    print(round(peak_mb() - before, 1), round(sum(part.bytes for part in built.parts) / 2**20, 1))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
