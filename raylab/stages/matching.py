"""Images of another domain brought nearer to those that a network knows, or noise in their place.

Nothing is clipped: matching the statistics of pixels is what a normalisation does, and noise has tails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from raylab.core import seeding
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch
from raylab.engine.stage import Compute, Metrics, Stage

# dataset: mean and standard deviation of all pixels become those of `like`.  image: those of every image become the
# mean ones of an image of `like`.  noise: normal, each pixel with its own mean and standard deviation over `like`.
How = Literal["dataset", "image", "noise"]

LEAST_STD = 1 / 255  # an image flatter than one level of a byte has nothing to be stretched
CHUNK_ROWS = 5000


class Statistics(NamedTuple):
    """Of the pixels of a set, in [0, 1]."""

    mean: NDArray[np.float64]  # (C, H, W), of each pixel over the images
    std: NDArray[np.float64]
    total_mean: float  # of all pixels of all images
    total_std: float
    image_mean: float  # the mean over images of an image's mean, and of its standard deviation
    image_std: float


@dataclass(frozen=True)
class Matching:
    """The identity of matched images, beside the images and those they are to be like."""

    doing = ("matching", "data set")
    over = "data"
    how: How
    seed: int  # of the noise
    compute: Compute

    def open(self, inputs: Mapping[str, Artifact], device: str) -> Callable[[Batch], Batch]:
        del device  # a few sums in numpy
        like = statistics(inputs["like"])
        own = statistics(inputs["of"]) if self.how == "dataset" else None

        def match(batch: Batch) -> Batch:
            image = self._matched(batch, own, like).astype(np.float32)
            return {"id": batch["id"], "image": image, "label": batch["label"]}

        return match

    def _matched(self, batch: Batch, own: Statistics | None, like: Statistics) -> NDArray[np.float64]:
        x = _unit(batch["image"])
        if self.how == "noise":
            ids = batch["id"].astype(np.int64)
            drawn = seeding.normal(self.seed, "matching/noise", ids, like.mean.size)
            return like.mean + like.std * drawn.reshape(-1, *like.mean.shape)
        if own is not None:
            return like.total_mean + (x - own.total_mean) * (like.total_std / max(own.total_std, LEAST_STD))
        axes = (1, 2, 3)
        mean, std = x.mean(axis=axes, keepdims=True), x.std(axis=axes, keepdims=True)
        return np.asarray(like.image_mean + (x - mean) * (like.image_std / np.maximum(std, LEAST_STD)))

    def summarise(self, artifact: Artifact) -> Metrics:
        return {"rows": artifact.rows}


def match(how: How, data: Stage, like: Stage, compute: Compute, *, seed: int = 0, rows: int, name: str) -> Stage:
    """`data` with the statistics of `like`; same ids, same labels. Both have images of one shape."""
    matching = Matching(how, seed if how == "noise" else 0, compute.measuring)
    inputs = {"data": data, "like": like} | ({"of": data} if how == "dataset" else {})
    return Stage("matched", 1, matching, inputs, name, rows)


def statistics(artifact: Artifact) -> Statistics:
    """Of all images of a set, some rows at a time."""
    totals: list[Any] = [0.0, 0.0, 0.0, 0.0]
    for low in range(0, artifact.rows, CHUNK_ROWS):
        x = _unit(artifact.batch(low, low + CHUNK_ROWS)["image"])
        new = (x.sum(axis=0), (x * x).sum(axis=0), x.mean(axis=(1, 2, 3)).sum(), x.std(axis=(1, 2, 3)).sum())
        totals = [total + more for total, more in zip(totals, new, strict=True)]
    mean, square, image_mean, image_std = (total / artifact.rows for total in totals)
    std = np.sqrt(np.maximum(square - mean * mean, 0.0))
    total_std = float(np.sqrt(max(square.mean() - mean.mean() ** 2, 0.0)))
    return Statistics(mean, std, float(mean.mean()), total_std, float(image_mean), float(image_std))


def _unit(images: NDArray[Any]) -> NDArray[np.float64]:
    return images / 255.0 if images.dtype == np.uint8 else images.astype(np.float64)
