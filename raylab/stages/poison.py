"""Poisoned sets: images that somebody perturbed, under the labels that they always had (Tao et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raylab.core.balls import BALLS, Norm
from raylab.core.later import Tensor, torch
from raylab.core.poison import chosen, class_noise
from raylab.engine import columns
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch
from raylab.engine.stage import Compute, Metrics, Stage, TaskContext
from raylab.stages.images import ImageSpec, to_tensor
from raylab.stages.norm import built_in

KEPT = ("shape_class", "toogit_class")


@dataclass(frozen=True)
class ClassNoise:
    """The identity of one random pattern a class."""

    norm: Norm
    eps: float
    shape: tuple[int, int, int]
    num_classes: int
    seed: int


@dataclass(frozen=True)
class ClassNoiseBody:
    doing = ("drawing class-wise noise for", "set")
    noise: ClassNoise
    in_driver = True  # too small to be sent away

    def run(self, context: TaskContext) -> Metrics:
        n = self.noise
        patterns = class_noise(n.num_classes, n.shape, BALLS[n.norm](n.eps), n.seed)
        table = columns.to_table({"class": np.arange(len(patterns)), "pattern": patterns.numpy()})
        context.write("part-00000.parquet", columns.to_parquet(table), table.num_rows)
        return {"rows": table.num_rows}


@dataclass(frozen=True)
class Poisoned:
    """The identity of a poisoned set, beside its data and what perturbs them."""

    share: float  # of the examples, drawn by id
    shift: int | None  # class y gets the pattern of class y + shift; None: every image has a perturbation of its own
    num_classes: int
    seed: int  # of the draw
    compute: Compute


@dataclass(frozen=True)
class PoisonBody:
    doing = ("poisoning", "data set")
    poisoned: Poisoned

    @property
    def over(self) -> str:
        return "perturbed" if self.poisoned.shift is None else "data"

    @property
    def compute(self) -> Compute:
        return self.poisoned.compute

    def open(self, inputs: Mapping[str, Artifact], device: str) -> Callable[[Batch], Batch]:
        del device  # additions alone
        p = self.poisoned
        perturbed = _patterned(inputs["patterns"], p) if p.shift is not None else _paired(inputs["data"])

        def poison(batch: Batch) -> Batch:
            ids = batch["id"].astype(np.int64)
            label = batch.get("source_label", batch["label"]).astype(np.int64)
            clean, moved = perturbed(batch, ids, label)
            drawn = chosen(ids, p.share, p.seed, "poison/share")
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
                **{name: batch[name] for name in KEPT if name in batch},
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
    table = artifact.batch()
    patterns = torch.from_numpy(table["pattern"][np.argsort(table["class"])])

    def perturbed(batch: Batch, ids: NDArray[np.int64], label: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        del ids
        clean = to_tensor(batch["image"], "cpu")
        return clean, (clean + patterns[(label + (p.shift or 0)) % p.num_classes]).clamp(0.0, 1.0)

    return perturbed


def _paired(data: Artifact) -> Perturbed:
    """The clean images of a constructed set's examples, and the constructed ones."""
    clean = data.batch()
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
    identity = ClassNoise(known, eps, images.shape, images.num_classes, seed)
    return Stage("class_noise", 1, identity, {}, ClassNoiseBody(identity), name)


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
    return Stage("poisoned", 1, identity, inputs, PoisonBody(identity), name, rows)


def _mean(values: NDArray[np.float32]) -> float | None:
    return float(values.mean()) if len(values) else None
