"""Poisoned sets: images that somebody perturbed, under the labels that they always had (Tao et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raylab.core.balls import BALLS, Norm
from raylab.core.later import Tensor, torch
from raylab.core.poison import chosen, class_noise
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch
from raylab.engine.memory_map import memory_mapped
from raylab.engine.stage import Compute, Metrics, Stage, TaskContext
from raylab.stages.class_patterns import read_patterns, write_patterns
from raylab.stages.images import ImageSpec, to_tensor, truths
from raylab.stages.norm import built_in


@dataclass(frozen=True)
class _ClassNoise:
    """The identity of one random pattern a class."""

    doing = ("drawing class-wise noise for", "set")
    in_driver = True  # too small to be sent away
    norm: Norm
    eps: float
    shape: tuple[int, int, int]
    num_classes: int
    seed: int

    def run(self, context: TaskContext) -> Metrics:
        patterns = class_noise(self.num_classes, self.shape, BALLS[self.norm](self.eps), self.seed)
        return write_patterns(context, patterns)


@dataclass(frozen=True)
class Poisoned:
    """The identity of a poisoned set, beside its data and what perturbs them."""

    doing = ("poisoning", "data set")
    share: float  # of the examples, drawn by id
    shift: int | None  # class y gets the pattern of class y + shift; None: every image has a perturbation of its own
    num_classes: int
    seed: int  # of the draw
    compute: Compute

    @property
    def over(self) -> str:
        return "perturbed" if self.shift is None else "data"

    def open(self, inputs: Mapping[str, Artifact], device: str) -> Callable[[Batch], Batch]:
        del device  # additions alone
        perturbed = _patterned(inputs["patterns"], self) if self.shift is not None else _paired(inputs["data"])

        def poison(batch: Batch) -> Batch:
            ids = batch["id"].astype(np.int64)
            label = batch.get("source_label", batch["label"]).astype(np.int64)
            clean, moved = perturbed(batch, ids, label)
            drawn = chosen(ids, self.share, self.seed, "poison/share")
            image = torch.where(torch.from_numpy(drawn)[:, None, None, None], moved, clean)
            delta = (image - clean).flatten(1)
            return {
                "id": ids,
                "image": image.contiguous().numpy(),
                "label": label,
                "source_label": label,
                "poisoned": drawn,
                "l2": delta.norm(dim=1).numpy(),
                "linf": delta.abs().amax(dim=1).numpy(),
                **truths(batch),
            }

        return poison

    def summarise(self, artifact: Artifact) -> Metrics:
        """How many images were perturbed, and how far."""
        rows = artifact.without_images()
        poisoned = rows["poisoned"]
        return {
            "rows": len(poisoned),
            "poisoned": int(poisoned.sum()),
            "l2": _mean(rows["l2"][poisoned]),
            "linf": _mean(rows["linf"][poisoned]),
        }


Perturbed = Callable[[Batch, NDArray[np.int64], NDArray[np.int64]], tuple[Tensor, Tensor]]


def _patterned(artifact: Artifact, p: Poisoned) -> Perturbed:
    """Clean images, and with the pattern of their class added."""
    patterns = read_patterns(artifact)

    def perturbed(batch: Batch, ids: NDArray[np.int64], label: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        del ids
        clean = to_tensor(batch["image"], "cpu")
        return clean, (clean + patterns[(label + (p.shift or 0)) % p.num_classes]).clamp(0.0, 1.0)

    return perturbed


def _paired(data: Artifact) -> Perturbed:
    """The clean images of a constructed set's examples, and the constructed ones."""
    clean = memory_mapped(data)
    order = np.argsort(clean["id"])
    ordered = clean["id"][order]

    def perturbed(batch: Batch, ids: NDArray[np.int64], label: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        rows = order[np.searchsorted(ordered, ids).clip(max=len(order) - 1)]
        if not (np.array_equal(clean["id"][rows], ids) and np.array_equal(clean["label"][rows], label)):
            raise ValueError(f"poisoned: {data.label} is not what the perturbed set was made of; pass its own data")
        return to_tensor(clean["image"][rows], "cpu"), to_tensor(batch["image"], "cpu")

    return perturbed


def noise_patterns(images: ImageSpec, eps: float, norm: str, seed: int, name: str) -> Stage:
    """One random pattern a class, of size `eps` (P5)."""
    known = built_in(norm, "noise of a class")
    BALLS[known](eps)  # raises on a bad radius
    identity = _ClassNoise(known, eps, images.shape, images.num_classes, seed)
    return Stage("class_noise", 1, identity, {}, name)


def poisoned(
    by: Stage,
    data: Stage,
    images: ImageSpec,
    seed: int,
    compute: Compute,
    *,
    shift: int | None = None,
    share: float = 1.0,
    rows: int,
    name: str,
) -> Stage:
    """`data` under its own labels, a share of its images perturbed: `by` a constructed set of the same examples, whose
    labels are dropped, or (with a `shift`) by the pattern of class y + shift, added and clipped.

    Raises ValueError where no image would be.
    """
    chosen(np.zeros(0, np.int64), share, seed, "")  # raises on a bad share
    identity = Poisoned(share, shift, images.num_classes, seed, compute.measuring)
    inputs = {"data": data, ("perturbed" if shift is None else "patterns"): by}
    return Stage("poisoned", 1, identity, inputs, name, rows)


def _mean(values: NDArray[np.float32]) -> float | None:
    return float(values.mean()) if len(values) else None
