"""Adversarial squares: a world without non-robust features whose networks have adversarial examples all the same.

X = (y + U[-.1, .1]^d) eta, with eta = -1 for a tenth of the examples (Nakkiran, Distill 2019, "Adversarial examples are
just bugs, too").  sign(mean x) is as good as any rule and withstands an Linf radius of .9.  A network that fits the
mislabelled tenth can only do so by the noise of each image, along which it then is steep.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raylab.core import seeding
from raylab.core.balls import LinfBall
from raylab.core.pgd import descend

NOISE, FLIPPED = 0.1, 0.1
ATTACK_STEPS = 10
START = 0.05  # of the usual scale: the initial weights of the deviations


@dataclass(frozen=True)
class SquareWorld:
    """One world; without either noise (0) there is nothing to fit, or nothing to fit it by."""

    dimension: int
    noise: float = NOISE  # of the pixels, uniform in +-noise
    flipped: float = FLIPPED  # share of examples of the other sign than their label says

    def sample(self, seed: int, split: str, n: int) -> tuple[Tensor, Tensor]:
        """x (n, d) and y (n,) of +-1. Test examples have the right sign: their label is what is asked for."""
        ids = np.arange(n)
        y = 2.0 * seeding.integers(seed, f"squares/label/{split}", ids, 2)[:, None] - 1.0
        noise = self.noise * (2.0 * seeding.uniform(seed, f"squares/noise/{split}", ids, self.dimension) - 1.0)
        wrong = seeding.uniform(seed, f"squares/flip/{split}", ids) < (self.flipped if split == "train" else 0.0)
        return torch.from_numpy(np.where(wrong, -1.0, 1.0) * (y + noise)).float(), torch.from_numpy(y[:, 0]).float()


class Whitened(nn.Module):
    """A ReLU network of one hidden layer on sqrt(d) mean(x) and the deviations from the mean in units of their scale.

    The world's noise is .06 beside a mean of 1, so gradient descent on x itself reaches it only after some 300 n steps.
    Filters that sum to zero, under BatchNorm, do for a ResNet what this fixed linear map does here.
    """

    def __init__(self, dimension: int, width: int, seed: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(dimension + 1, width), nn.Linear(width, 1)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for layer in (self.inner, self.outer):
                bound = 1.0 / math.sqrt(layer.in_features)
                layer.weight.uniform_(-bound, bound, generator=generator)
                layer.bias.zero_()
            self.inner.weight[:, 1:] *= START  # or the start itself is steep along the noise, whatever is learned

    def forward(self, x: Tensor) -> Tensor:
        """One logit, (N,): above 0 for y = 1."""
        mean = x.mean(dim=1, keepdim=True)
        seen = torch.cat([mean * math.sqrt(x.shape[1]), (x - mean) * (math.sqrt(3.0) / NOISE)], dim=1)
        return self.outer(torch.relu(self.inner(seen)))[:, 0]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Trained:
    """Accuracies after the first and after the last epoch."""

    epochs: int
    train: float
    clean: float
    robust: tuple[float, ...]  # test accuracy at each Linf radius
    first_robust: tuple[float, ...]
    first_train: float


def trained(world: SquareWorld, seed: int, *, examples: int, test: int, width: int, lr: float, batch: int, epochs: int,
            fitted: float, radii: tuple[float, ...]) -> Trained:  # fmt: skip
    """Train by Adam until the share `fitted` of the training labels is right, or for `epochs`, and attack."""
    x, y = world.sample(seed, "train", examples)
    unseen = world.sample(seed, "test", test)
    network = Whitened(world.dimension, width, seeding.derive(seed, "squares/network"))
    optimizer = torch.optim.Adam(network.parameters(), lr)
    first: tuple[float, ...] = ()
    first_train = right = 0.0
    epoch = 0
    with torch.inference_mode(False), torch.enable_grad():
        while epoch < epochs and right < fitted:
            order = torch.from_numpy(seeding.permutation(seed, f"squares/shuffle/{epoch}", np.arange(examples)))
            for rows in torch.split(order, batch):
                loss = F.softplus(-network(x[rows]) * y[rows]).mean()
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            right, epoch = _share(network, x, y), epoch + 1
            if epoch == 1:
                first, first_train = tuple(robust(network, *unseen, eps) for eps in radii), right
    last = first if epoch == 1 else tuple(robust(network, *unseen, eps) for eps in radii)
    return Trained(epoch, right, _share(network, *unseen), last, first, first_train)


def robust(network: nn.Module, x: Tensor, y: Tensor, eps: float) -> float:
    """Accuracy under PGD in the Linf ball."""
    attack = descend(lambda z: network(z) * y, x, LinfBall(eps), eps / 4, ATTACK_STEPS, bounds=None)
    return _share(network, attack.best, y)


def linear_rule_withstands(world: SquareWorld) -> float:
    """The Linf radius up to which sign(mean x) is right on every example whose label is: 1 - noise."""
    return 1.0 - world.noise


def interpolator_radius(examples: int, dimension: int, noise: float = NOISE, flipped: float = FLIPPED) -> float:
    """Where the linear rule of least norm that fits every label loses its median test point.

    It adds to the mean, for each of k mislabelled examples, twice their margin along their noise; the L1 norm of
    that is 2 sqrt(2 k / pi) / s times the margin with s = noise / sqrt(3) a pixel, and the radius its inverse: as
    1 / sqrt(n), and free of d.  Only that the mislabelled noises are near orthogonal, k << d, is assumed.
    """
    if flipped * examples >= dimension:
        raise ValueError(f"dimension: above the {flipped * examples:g} mislabelled examples, got {dimension}")
    return noise / math.sqrt(3.0) / (2.0 * math.sqrt(2.0 * flipped * examples / math.pi))


def _share(network: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float((network(x) * y > 0.0).float().mean())
