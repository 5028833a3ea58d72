"""A cluster whose nodes are processes here, which loses one at work: python losing_nodes.py FOLDER WHAT SEED.

WHAT: `construction` builds the sets of tests/sets.py, `sweep` searches over a tiny study. Prints what was done to it.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

import ray
import sets
import sweeps
import toy
from harness import wait_for
from ray.cluster_utils import Cluster

from raylab.engine import runner
from raylab.engine.store import Store
from raylab.sweep.run import run

OBJECT_STORE = 100 * 2**20


def lose(cluster: Any, nodes: list[Any], store: Path, begun: str, draws: random.Random) -> None:
    """One node, not in an orderly way, once there is work; at times another comes."""
    wait_for(lambda: len(list(store.glob(begun))) >= 2)
    time.sleep(draws.uniform(0, 3))
    done = len(list(store.glob(begun)))
    cluster.remove_node(draws.choice(nodes), allow_graceful=False)
    another = draws.random() < 0.5
    print(f"{done} files of it were there;", "another node came" if another else "one node was left", flush=True)
    if another:
        cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE)


def main(folder: Path, what: str, seed: int) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": OBJECT_STORE})
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE) for _ in range(2)]
    os.environ["RAY_ADDRESS"] = cluster.address
    begun = "store/constructed/*/part-*.parquet" if what == "construction" else "store/network/*/MANIFEST.json"
    loser = threading.Thread(target=lose, args=(cluster, nodes, folder, begun, random.Random(seed)), daemon=True)
    loser.start()
    if what == "construction":
        runner.build(sets.constructed_sets(), Store(str(folder / "store")), sets.backend(2), toy.Recorder())
    else:
        run(sweeps.prepared(**sweeps.KINDS["random"]), sweeps.site(folder, sweeps.ray()))
    loser.join(120)  # the coming node too: one that is not there yet cannot be ended
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
