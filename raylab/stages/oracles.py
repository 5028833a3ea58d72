"""See-Far's oracles on images, clean or constructed: what they really show, whatever a network says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from raylab.core.seefar import World
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch
from raylab.engine.stage import Compute, Metrics, Stage


@dataclass(frozen=True)
class Oracles:
    """The identity of a reading, beside the images that are read."""

    doing = ("asking the oracles about", "data set")
    over = "data"
    world: World
    compute: Compute

    def open(self, inputs: Mapping[str, Artifact], device: str) -> Callable[[Batch], Batch]:
        del inputs, device  # matched filters in numpy
        world = self.world

        def read(batch: Batch) -> Batch:
            kept = {name: column for name, column in batch.items() if name != "image"}
            return kept | {
                "shape_read": world.read_shape(batch["image"]),
                "toogit_read": world.read_toogit(batch["image"]),
            }

        return read

    def summarise(self, artifact: Artifact) -> Metrics:
        """Shares of images whose shape still is the original one, and whose toogit now is the target's; of images that
        nothing has changed, shares in which either is read right."""
        rows = artifact.batch()
        if "source_label" not in rows:
            read = {name: float(np.mean(rows[f"{name}_read"] == rows[f"{name}_class"])) for name in ("shape", "toogit")}
            return {"n": len(rows["id"]), **{f"{name}_right": share for name, share in read.items()}}
        changed = rows["label"] != rows["source_label"]
        return {
            "n": len(rows["id"]),
            "n_toogit_is_target": int(changed.sum()),  # of images whose target is another class
            "shape_kept": float(np.mean(rows["shape_read"] == rows["shape_class"])),
            "toogit_is_target": float(np.mean((rows["toogit_read"] == rows["label"])[changed]))
            if changed.any()
            else None,
        }


def read_oracles(data: Stage, world: World, compute: Compute, *, rows: int, name: str) -> Stage:
    """Both oracles on every image of a constructed set, or of a clean one that has the columns of See-Far."""
    oracles = Oracles(world, compute.measuring)
    return Stage("oracles", 1, oracles, {"data": data}, name, rows)
