"""Random crops, horizontal flips and Gaussian noise of whole batches of tensors, drawn by (seed, epoch, example id).

A move is three whole numbers: the row and the column of the zero-padded image at which the crop begins, and 1
for a mirror image.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from raylab.core import seeding
from raylab.core.later import F, Tensor, torch

Augmentation = Literal["none", "crop", "flip", "crop_flip"]
AUGMENTATIONS: tuple[Augmentation, ...] = get_args(Augmentation)


def padding(size: int) -> int:
    """Black pixels on each side before a crop: the usual 4 of 32, in proportion; none below 8."""
    return size // 8


def draw(
    kind: Augmentation,
    ids: NDArray[np.int64],  # (N,)
    size: tuple[int, int],  # height, width
    *,
    seed: int,
    epoch: int,
) -> Tensor | None:
    """The moves of one epoch, int64 (N, 3), or None where nothing moves."""
    if kind not in AUGMENTATIONS:
        raise ValueError(f"augment: unknown kind, got {kind!r}; choose one of {', '.join(AUGMENTATIONS)}")
    if kind == "none":
        return None
    pads = np.array([padding(side) for side in size])
    uniform = seeding.uniform(seed, f"augment/{epoch}", ids, size=3)
    moves = np.empty((len(ids), 3), dtype=np.int64)
    moves[:, :2] = uniform[:, :2] * (2 * pads + 1) if "crop" in kind else pads
    moves[:, 2] = uniform[:, 2] * 2 if "flip" in kind else 0
    return torch.from_numpy(moves)


def move(
    images: Tensor,  # (B, C, H, W), any type
    moves: Tensor,  # (B, 3), on the images' device
) -> Tensor:
    """Each image padded, cropped and mirrored by its own move, in one gather."""
    batch, channels, height, width = images.shape
    down, right = padding(height), padding(width)
    padded = F.pad(images, (right, right, down, down))
    rows = moves[:, 0, None] + torch.arange(height, device=images.device)  # (B, H)
    columns = torch.arange(width, device=images.device)
    columns = moves[:, 1, None] + torch.where(moves[:, 2, None] == 1, columns.flip(0), columns)  # (B, W)
    flat = rows[:, :, None] * padded.shape[3] + columns[:, None, :]
    index = flat.view(batch, 1, height * width).expand(-1, channels, -1)
    return padded.flatten(2).gather(2, index).view(images.shape)


def noise(
    largest: float,
    ids: NDArray[np.int64],  # (N,)
    shape: tuple[int, int, int],  # channels, height, width
    *,
    seed: int,
    epoch: int,
) -> Tensor:
    """Gaussian noise for each image of a batch, float32 (N, C, H, W), of its own standard deviation from [0, largest].

    Yin et al. 2019, section 2: the deviation is uniform, and drawn anew whenever an image is seen.
    """
    if not 0.0 < largest < math.inf:
        raise ValueError(f"noise: a finite standard deviation > 0, got {largest}; None switches it off")
    sd = largest * seeding.uniform(seed, f"augment/{epoch}/sd", ids)
    drawn = sd * seeding.normal(seed, f"augment/{epoch}/noise", ids, size=math.prod(shape))
    return torch.from_numpy(drawn.astype(np.float32)).view(-1, *shape)
