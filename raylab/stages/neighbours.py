"""The 1-nearest-neighbour check: is a constructed image nearest to an image of its own class, or of its target?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from raylab.core import seeding
from raylab.core.later import torch
from raylab.core.neighbours import nearest
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch
from raylab.engine.memory_map import memory_mapped
from raylab.engine.stage import Compute, Metrics, Stage
from raylab.stages.images import to_tensor


@dataclass(frozen=True)
class _Neighbours:
    """The identity of a check, beside the images asked about and those they are compared with."""

    doing = ("finding neighbours in", "data set")
    over = "data"
    fraction: float  # of the images asked about, drawn by id
    compute: Compute

    def open(self, inputs: Mapping[str, Artifact], device: str) -> Callable[[Batch], Batch]:
        reference = memory_mapped(inputs["reference"])
        images, ids = (
            torch.from_numpy(column).to(device) for column in (reference["image"], reference["id"].astype(np.int64))
        )

        def check(batch: Batch) -> Batch:
            drawn = seeding.uniform(0, "neighbours", batch["id"].astype(np.int64))[:, 0] < self.fraction
            kept = {name: column[drawn] for name, column in batch.items()}
            position = np.zeros(0, dtype=np.int64)
            if drawn.any():
                query_ids = torch.from_numpy(kept["id"].astype(np.int64)).to(device)
                position = nearest(to_tensor(kept["image"], device), query_ids, images, ids).cpu().numpy()
            original = kept.get("source_label", kept["label"])
            return {
                "id": kept["id"],
                "label": kept["label"],
                "source_label": original,
                "neighbour_label": reference["label"][position],
            }

        return check

    def summarise(self, artifact: Artifact) -> Metrics:
        """Shares of images whose nearest clean image (their own left out) has the original label, or the target's."""
        rows = artifact.batch()
        n = len(rows["id"])
        if n == 0:
            return {"n": 0, "n_says_target": 0, "says_original": None, "says_target": None}
        changed = rows["label"] != rows["source_label"]
        target = rows["neighbour_label"] == rows["label"]
        return {
            "n": n,
            "n_says_target": int(changed.sum()),  # of images whose target is another class
            "says_original": float(np.mean(rows["neighbour_label"] == rows["source_label"])),
            "says_target": float(np.mean(target[changed])) if changed.any() else None,
        }


def neighbours(data: Stage, reference: Stage, fraction: float, compute: Compute, *, rows: int, name: str) -> Stage:
    """The check on a constructed set against clean images; on clean images it is the check's own accuracy."""
    config = _Neighbours(fraction, compute.measuring)
    return Stage("neighbours", 1, config, {"data": data, "reference": reference}, name, rows)
