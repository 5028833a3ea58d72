"""The constructed sets of a tiny teacher, and a driver that builds them: for tests that end processes.

python tests/sets.py STORE ACTORS [FOLDER]    # with FOLDER: a task that counts slowly and keeps its log there
"""

from __future__ import annotations

import sys
from pathlib import Path

import toy

from raylab.cluster.backend import RayBackend
from raylab.engine import runner
from raylab.engine.stage import Compute, Stage
from raylab.engine.store import Store
from raylab.site import Actors, SiteFile, Trials
from raylab.stages.construction import Attack, construct
from raylab.stages.dataset import DigitsData, open_data
from raylab.stages.inversion import Inversion, invert
from raylab.stages.recipe import Adversary, Recipe
from raylab.stages.training import train

COMPUTE = Compute(batch_rows=50, shard_rows=100)  # 15 shards a set
ATTACK = Attack(steps=60)  # a shard takes a good part of a second, so that there is something to end
INVERSION = Inversion(steps=60)


def constructed_sets(epochs: int = 3) -> dict[str, Stage]:
    """rand and det of a standard source, and D_R of an adversarially trained one."""
    data = open_data(DigitsData(), 0)
    rows, images = data.rows["train"], data.images
    attacked = Recipe(epochs=epochs, adversary=Adversary(eps=0.5, steps=3, step_share=0.5))
    source = train("mlp", Recipe(epochs=epochs), data.train, images, seed=1, rows=rows, name="source")
    robust = train("mlp_bottleneck16", attacked, data.train, images, seed=2, rows=rows, name="robust source")
    sets = {
        kind: construct(kind, ATTACK, data.train, source, images, 0, "train", COMPUTE, rows=rows, name=kind)
        for kind in ("rand", "det")
    }
    inverted = invert(INVERSION, data.train, robust, data.train, images, 0, "train", COMPUTE, rows=rows, name="D_R")
    return {**sets, "robust": inverted}


def counting_task(folder: Path) -> Stage:
    return toy.counting(steps=12, folder=folder, pause=0.3)


def backend(actors: int, checkpoint_seconds: float = 0.0) -> RayBackend:
    trials = Trials(gpus=0.0, checkpoint_seconds=checkpoint_seconds)
    site = SiteFile(actors=Actors(max=actors, gpus=0.0, shards_per_task=1), trials=trials)
    return RayBackend(site)


if __name__ == "__main__":
    store, actors, *folder = sys.argv[1:]
    cells = {"counting": counting_task(Path(folder[0]))} if folder else constructed_sets()
    runner.build(cells, Store(store), backend(int(actors)), toy.Recorder())
