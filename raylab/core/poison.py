"""Poisons that leave labels alone, and a trigger: patterns for a whole class, and which examples get one.

The poisons are the five of Tao et al. 2021 ("Better safe than sorry", NeurIPS; P1 to P5 as in their code,
TLMichael/Delusive-Adversary).  P1 and P2 are targeted attacks on single images, P3 and P4 universal perturbations:
`pgd.descend` and `patterns.universal` make them.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from raylab.core import seeding
from raylab.core.balls import Ball, LinfBall
from raylab.core.bodies import Shape
from raylab.core.later import Tensor, torch

# By what is added to an image of class y, whose label stays y:
#   p1  its own perturbation towards y + 1          p2  its own perturbation towards y
#   p3  the class's perturbation towards y + 1      p4  the class's perturbation towards y
#   p5  the class's random noise
PoisonName = Literal["p1", "p2", "p3", "p4", "p5"]
POISONS: tuple[PoisonName, ...] = get_args(PoisonName)

# Which class's pattern an image of class y gets, less y.
SHIFTS: dict[PoisonName, int] = {"p3": 1, "p4": 0, "p5": 0}


def class_noise(num_classes: int, shape: Shape, ball: Ball, seed: int) -> Tensor:
    """(num_classes, C, H, W): one random pattern a class.  L2: a normal direction of length eps; Linf: uniform pixels
    (`random_perturb` of their code)."""
    classes, size = np.arange(num_classes), int(np.prod(shape))
    if isinstance(ball, LinfBall):
        drawn = ball.eps * (2.0 * seeding.uniform(seed, "poison/noise", classes, size) - 1.0)
        return torch.from_numpy(drawn).float().view(num_classes, *shape)
    drawn = seeding.normal(seed, "poison/noise", classes, size)
    return ball.eps * ball.steepest(torch.from_numpy(drawn).float().view(num_classes, *shape))


def checkerboard(shape: Shape, side: int, ball: Ball) -> Tensor:
    """(C, H, W): `side` x `side` pixels of changing sign in the lower right corner, on the border of the ball, 0
    elsewhere (after BadNets, Gu et al. 2017, whose corner replaces pixels; this one is added, so that it has a size).

    Raises ValueError where it does not fit.
    """
    check_side(shape, side)
    channels, height, width = shape
    signs = 1.0 - 2.0 * ((torch.arange(side)[:, None] + torch.arange(side)) % 2).float()
    pattern = torch.zeros(1, channels, height, width)
    pattern[..., height - side :, width - side :] = signs
    return (ball.eps * ball.steepest(pattern))[0]


def check_side(shape: Shape, side: int) -> None:
    """Raises ValueError where no checkerboard of this side fits images (C, H, W)."""
    if not 1 <= side <= min(shape[1:]):
        raise ValueError(f"checkerboard: a side of 1 to {min(shape[1:])} pixels, got {side}")


def chosen(ids: NDArray[np.int64], share: float, seed: int, purpose: str) -> NDArray[np.bool_]:
    """(N,): each example with probability `share`, by its id; a larger share holds a smaller one's."""
    if not 0.0 < share <= 1.0:
        raise ValueError(f"poison: a share in (0, 1], got {share}; without a poison use the data themselves")
    return np.asarray(seeding.uniform(seed, purpose, ids)[:, 0] < share)
