"""Perturbations that many images share, one for each class: random ones, and universal ones of a source network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raylab.core import seeding
from raylab.core.balls import Ball
from raylab.core.bodies import Shape
from raylab.core.later import F, Tensor, torch
from raylab.core.objectives import Classifier, cross_entropy
from raylab.core.pgd import descend


def textures(num_classes: int, shape: Shape, ball: Ball, seed: int) -> Tensor:
    """(num_classes, C, H, W): random textures of period 2, on the border of the ball.

    A transposed convolution of stride 2 by a random 3x3 kernel over an image of ones (Jordan, cifar10-zoo,
    adversarial/run1_shortcuts.py): easy to learn, and of no class, whatever the data.
    """
    channels, height, width = shape
    drawn = seeding.uniform(seed, "patterns/kernel", np.arange(num_classes), 9 * channels)
    kernel = torch.from_numpy(drawn).float().view(1, num_classes * channels, 3, 3) * 2 - 1
    woven = F.conv_transpose2d(torch.ones(1, 1, -(-height // 2), -(-width // 2)), kernel, stride=2)
    pattern = woven[0, :, 1 : height + 1, 1 : width + 1].reshape(num_classes, *shape)
    return ball.eps * ball.steepest(pattern)


def base_rows(label: NDArray[np.int64], ids: NDArray[np.int64], target: int, size: int, seed: int) -> NDArray[np.int64]:
    """(size,) rows of images of other classes than `target`, drawn by (seed, target, id).

    Raises ValueError where there are fewer.
    """
    others = np.flatnonzero(label != target)
    if not 1 <= size <= len(others):
        raise ValueError(
            f"universal: base images, 1 to {len(others)} (those of other classes than {target}), got {size}"
        )
    return others[seeding.permutation(seed, f"patterns/base/{target}", ids[others])[:size]]


def universal(
    network: Classifier,
    base: Tensor,  # (K, C, H, W), in [0, 1]
    target: int,
    ball: Ball,
    step_size: float,
    steps: int,
) -> tuple[Tensor, float]:
    """The perturbation (C, H, W) that leads the base images to `target`, and its mean loss on them.

    Projected gradient descent on the mean over the base images of -log p(target | clip(x + delta)), from 0, the
    iterate of lowest loss (Park et al. 2021).
    """
    says_target = cross_entropy(network, torch.full((len(base),), target, device=base.device))
    ended = descend(
        lambda delta: says_target((base + delta).clamp(0.0, 1.0)).mean()[None],
        torch.zeros_like(base[:1]),
        ball,
        step_size,
        steps,
        bounds=None,
    )
    return ended.best[0], float(ended.best_loss)
