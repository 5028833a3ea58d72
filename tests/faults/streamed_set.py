"""Works on a set that is ten times what its process may take: python streamed_set.py WORK STORE MEGABYTES.

WORK is one of WORKS, or that of an actor of Ray, which is limited itself. The limit (RLIMIT_DATA)
is of anonymous memory: pages of mapped files, which the system can drop, do not count.
"""

from __future__ import annotations

import ctypes
import gc
import math
import resource
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import toy

from raylab.cluster.backend import RayBackend
from raylab.engine import runner
from raylab.engine.artifact import Artifact
from raylab.engine.backend import Backend
from raylab.engine.columns import Batch
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Compute, Metrics, Stage, TaskContext
from raylab.engine.store import Store
from raylab.site import Actors, SiteFile
from raylab.stages.construction import Attack, Construction, construct
from raylab.stages.images import ImageSpec
from raylab.stages.neighbours import neighbours
from raylab.stages.patterns import universal_patterns
from raylab.stages.poison import poisoned
from raylab.stages.recipe import Adversary, Recipe
from raylab.stages.training import train

IMAGES = ImageSpec((3, 32, 32), 10, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
ROWS = 40  # of a part and of a shard: half a MB, for up to sixteen are read at once
COMPUTE = Compute(batch_rows=ROWS, shard_rows=ROWS)
TIMES = 10
ON_RAY = "construct by an actor of Ray"
ONCE = Recipe(epochs=1)


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
            context.write_table({"id": ids, "image": pixels, "label": ids % IMAGES.num_classes}, part)
        return {"rows": self.count}


def noise(count: int) -> Stage:
    return Stage("noise", 1, NoiseBody(count), {}, f"{count} images of noise")


def network(count: int, data: Callable[[int], Stage] = noise, recipe: Recipe = ONCE, **more: Any) -> Stage:
    """A linear one, trained on that many images."""
    return train("linear", recipe, data(count), IMAGES, seed=0, rows=count, name="network", **more)


def constructed(count: int) -> Stage:
    """det, of a network that learnt nothing: the memory is the same."""
    source, attack = network(ROWS, recipe=Recipe(epochs=0)), Attack(steps=1)
    return construct("det", attack, noise(count), source, IMAGES, 0, "train", COMPUTE, rows=count, name="det")


def attacked(**more: Any) -> Recipe:
    return Recipe(epochs=1, adversary=Adversary(eps=0.5, steps=1, step_share=1.0, **more))


WORKS: Mapping[str, Callable[[int], Stage]] = {
    "construct": constructed,
    "train": partial(network, recipe=ONCE.model_copy(update={"augment": "crop_flip"})),
    "train adversarially": partial(network, recipe=attacked()),
    "train by TRADES": partial(network, recipe=attacked(trades=6.0)),
    "train on a part": partial(network, data=constructed, keep="top"),
    "train on the labels of a construction": partial(network, labels="rand"),
    "find neighbours": lambda n: neighbours(noise(ROWS), noise(n), 1.0, COMPUTE, rows=ROWS, name="1-NN"),
    "find universal perturbations": lambda n: universal_patterns(
        Attack(steps=1), noise(n), network(ROWS), 20, IMAGES, 0, name="patterns"
    ),
    "poison": lambda n: poisoned(constructed(n), noise(n), IMAGES, 0, COMPUTE, share=0.5, rows=n, name="poisoned"),
}


@dataclass(frozen=True)
class Limited:
    """A construction whose process is limited after its first batch: what it needs is loaded and started by then."""

    doing, over = Construction.doing, Construction.over
    body: Construction
    megabytes: int

    @property
    def compute(self) -> Compute:
        return self.body.compute

    def open(self, inputs: Mapping[str, Artifact], device: str) -> Callable[[Batch], Batch]:
        construct_batch, limits = self.body.open(inputs, device), iter([self.megabytes])

        def limited(batch: Batch) -> Batch:
            made = construct_batch(batch)
            for megabytes in limits:
                limit(megabytes)
            return made

        return limited

    def summarise(self, artifact: Artifact) -> Metrics:
        return self.body.summarise(artifact)


def limit(megabytes: int) -> None:
    """From now on this process may take so much more than it has."""
    threading.stack_size(2**18)  # of the threads that ask the store: the limit counts what they might use
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what a worker keeps of the memory that it has freed
    with open("/proc/self/status") as status:
        now = next(int(line.split()[1]) * 2**10 for line in status if line.startswith("VmData:"))
    resource.setrlimit(resource.RLIMIT_DATA, (now + megabytes * 2**20,) * 2)
    with suppress(MemoryError):
        bytearray(2 * megabytes * 2**20)
        raise AssertionError(f"twice {megabytes} MB can be had under a limit of as much")


def main(work: str, uri: str, megabytes: int) -> None:
    store, count = Store(uri), TIMES * megabytes * 2**20 // (4 * math.prod(IMAGES.shape))
    large = constructed(count) if work == ON_RAY else WORKS[work](count)
    cells: dict[str, Stage] = dict(large.inputs)
    backend: Backend = InlineBackend()
    if work == ON_RAY:
        runner.build(cells, store, backend, toy.Recorder())
        large = replace(large, kind="limited", config=Limited(large.config, megabytes))
        backend = RayBackend(SiteFile(cpus=1, actors=Actors(max=1, gpus=0.0)))
    else:  # a small one too, by which all that is needed is loaded and started
        runner.build(cells | {"small": WORKS[work](2 * ROWS)}, store, backend, toy.Recorder())
        limit(megabytes)
    runner.build({"large": large}, store, backend, toy.Recorder())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
