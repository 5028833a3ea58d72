"""What the stages have in common: the images they work on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raylab.core import seeding
from raylab.core.later import Tensor, torch
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch, Column


@dataclass(frozen=True)
class ImageSpec:
    """What a network must know of its images."""

    shape: tuple[int, int, int]  # channels, height, width
    num_classes: int
    mean: tuple[float, ...]  # a channel, of pixels in [0, 1]
    std: tuple[float, ...]


def to_tensor(
    images: Column,  # (N, C, H, W), uint8 or float32 in [0, 1]
    device: str,
) -> Tensor:
    """float32 in [0, 1] on the device."""
    x = torch.from_numpy(np.require(images, requirements=("C", "W"))).to(device)  # Arrow's memory is read-only
    return x.float() / 255 if x.dtype == torch.uint8 else x


def truths(batch: Mapping[str, Column]) -> Batch:
    """Of images of See-Far, the classes of both features, which whatever is made of an image keeps; else nothing."""
    return {name: batch[name] for name in ("shape_class", "toogit_class") if name in batch}


def drawn(data: Artifact, rows: int | None, seed: int, purpose: str) -> NDArray[np.int64]:
    """`rows` of the ids in random order, whatever the shards, so that more of them contain fewer; None: all, as they
    stand."""
    ids: NDArray[np.int64] = data.without_images()["id"].astype(np.int64)
    return ids if rows is None else ids[seeding.permutation(seed, purpose, ids)[:rows]]
