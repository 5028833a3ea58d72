"""What budget turns a feature of See-Far into another class's: what is true of a radius, whatever a network says."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from raylab.core.seefar import Feature, World


def distances(
    world: World,
    feature: Feature,
    images: NDArray[Any],  # (N, 1, H, W), uint8 or in [0, 1]
    target: NDArray[np.int64],  # (N,) classes that the oracle is to read
) -> NDArray[np.float64]:  # (N,)
    """The least L2 change, in pixel units of [0, 1], before the oracle of a feature can read the target.

    The oracle takes the best matched filter, so the change has to lift one filter w of the target above the best one v
    of all: by Cauchy-Schwarz at least (score_v - score_w) / |v - w|, and 0 where the target is read already. A lower
    bound: other filters may have to give way too, and pixels end at 0 and 1.
    """
    filters = world.templates(feature)  # (classes, shifts, H * W)
    pixels = images.reshape(len(images), -1) * (1 / 255 if images.dtype == np.uint8 else 1.0)
    flat = filters.reshape(-1, filters.shape[-1])
    scores = pixels @ flat.T
    best = scores.argmax(axis=1)
    between = np.sqrt(np.maximum(((flat[:, None] - flat[None]) ** 2).sum(axis=2), 0.0))
    ways = target[:, None] * filters.shape[1] + np.arange(filters.shape[1])  # filters of the target
    lack = scores[np.arange(len(best)), best][:, None] - np.take_along_axis(scores, ways, axis=1)
    gap = between[best[:, None], ways]
    least: NDArray[np.float64] = np.where(lack > 0.0, lack / np.maximum(gap, 1e-12), 0.0).min(axis=1)
    return least


def flippable(world: World, feature: Feature, eps: float, count: int = 1000) -> float:
    """The share of the world's test images whose feature a change of L2 norm eps may turn to its next class.

    Of a feature that says nothing about the label the share is given all the same.
    """
    sample = world.sample("test", count)
    target = (sample[f"{feature}_class"] + 1) % world.num_classes
    return float((distances(world, feature, sample["image"], target) <= eps).mean())
