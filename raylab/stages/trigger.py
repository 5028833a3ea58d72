"""A planted trigger: a small pattern on some training images of one label, and on every test image (backdoors)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from raylab.core.balls import BALLS, Norm
from raylab.core.later import torch
from raylab.core.poison import check_side, checkerboard, chosen
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch
from raylab.engine.stage import Compute, Metrics, Stage
from raylab.stages.images import ImageSpec, to_tensor, truths
from raylab.stages.norm import built_in

# Of which images some get it: those of the target class, whose label is right (Turner et al. 2019), or those of all
# other classes, which are then called the target (BadNets, Gu et al. 2017).
Way = Literal["clean_label", "changed_label"]


@dataclass(frozen=True)
class _Triggered:
    """The identity of a set with a trigger, beside its data."""

    doing = ("planting triggers in", "data set")
    over = "data"
    way: Way | Literal["all"]  # all: of every image, labels untouched, to see who obeys
    norm: Norm
    eps: float
    side: int
    target: int
    share: float  # of the images that may get it
    shape: tuple[int, int, int]
    seed: int
    compute: Compute

    def open(self, inputs: Mapping[str, Artifact], device: str) -> Callable[[Batch], Batch]:
        del inputs, device  # additions alone
        pattern = checkerboard(self.shape, self.side, BALLS[self.norm](self.eps))

        def plant(batch: Batch) -> Batch:
            ids, label = batch["id"].astype(np.int64), batch["label"].astype(np.int64)
            drawn = chosen(ids, self.share, self.seed, "trigger/share")
            if self.way != "all":
                drawn &= (label == self.target) == (self.way == "clean_label")
            clean = to_tensor(batch["image"], "cpu")
            image = torch.where(torch.from_numpy(drawn)[:, None, None, None], (clean + pattern).clamp(0.0, 1.0), clean)
            return {
                "id": ids,
                "image": image.contiguous().numpy(),
                "label": np.where(drawn, self.target, label) if self.way == "changed_label" else label,
                "source_label": label,
                "poisoned": drawn,
                "l2": (image - clean).flatten(1).norm(dim=1).numpy(),
                **truths(batch),
            }

        return plant

    def summarise(self, artifact: Artifact) -> Metrics:
        """How many images have it, and its size after clipping."""
        rows = artifact.without_images()
        poisoned = rows["poisoned"]
        return {
            "rows": len(poisoned),
            "poisoned": int(poisoned.sum()),
            "l2": float(rows["l2"][poisoned].mean()) if poisoned.any() else None,
        }


def triggered(
    way: Way | Literal["all"],
    data: Stage,
    images: ImageSpec,
    seed: int,
    compute: Compute,
    *,
    norm: str,
    eps: float,
    side: int,
    target: int,
    share: float = 1.0,
    rows: int,
    name: str,
) -> Stage:
    """`data` with the trigger on a share of the images that `way` names.

    Raises ValueError where the trigger does not fit the images, the share is none or there is no class `target`.
    """
    check_side(images.shape, side)
    known = built_in(norm, "a trigger")
    BALLS[known](eps)
    chosen(np.zeros(0, np.int64), share, seed, "")
    if not 0 <= target < images.num_classes:
        raise ValueError(f"trigger: target, a class below {images.num_classes}, got {target}")
    identity = _Triggered(way, known, eps, side, target, share, images.shape, seed, compute.measuring)
    return Stage("triggered", 1, identity, {"data": data}, name, rows)
