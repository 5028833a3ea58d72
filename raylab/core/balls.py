"""The sets an adversary may move in: balls around each example, in pixel units.

A perturbation `delta` is (B, ...) and each example is treated alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# ROB (MadryLab/robustness, `L2Step`): a zero gradient gives a zero step instead of nan.
_NORM_FLOOR = 1e-10


@dataclass(frozen=True)
class L2Ball:
    """{delta: ||delta||_2 <= eps}, over all pixels and channels of an example."""

    eps: float

    def __post_init__(self) -> None:
        _check_eps(self.eps)

    def project(self, delta: Tensor) -> Tensor:
        """The nearest point of the ball: delta * min(1, eps / ||delta||)."""
        return delta * (self.eps / _norm(delta)).clamp(max=1.0)  # eps / 0 is inf, so the centre stays

    def steepest(self, gradient: Tensor) -> Tensor:
        """The unit vector along which the linearised loss rises fastest: g / ||g||."""
        return gradient / (_norm(gradient) + _NORM_FLOOR)

    def sample(
        self,
        noise: Tensor,  # (B, D + 1), uniform in [0, 1); D numbers per example of `like`
        like: Tensor,  # (B, ...)
    ) -> Tensor:
        """A uniform point of the ball: a normal direction, and a radius eps * u^(1/D)."""
        uniform = _checked_noise(noise, like)
        direction = torch.special.ndtri(uniform[:, :-1].clamp(min=2.0**-54))  # 0 would become -inf
        radius = self.eps * uniform[:, -1:] ** (1.0 / direction.shape[1])
        return _shaped(radius * direction / _norm(direction), like)


@dataclass(frozen=True)
class LinfBall:
    """{delta: max |delta_i| <= eps}."""

    eps: float

    def __post_init__(self) -> None:
        _check_eps(self.eps)

    def project(self, delta: Tensor) -> Tensor:
        """The nearest point of the ball: every pixel clamped to [-eps, eps]."""
        return delta.clamp(-self.eps, self.eps)

    def steepest(self, gradient: Tensor) -> Tensor:
        """The vector of largest pixel 1 along which the linearised loss rises fastest: sign(g)."""
        return gradient.sign()

    def sample(
        self,
        noise: Tensor,  # (B, D + 1), uniform in [0, 1), as for L2Ball; the last column is not used
        like: Tensor,  # (B, ...)
    ) -> Tensor:
        """A uniform point of the ball."""
        return _shaped(self.eps * (2.0 * _checked_noise(noise, like)[:, :-1] - 1.0), like)


@dataclass(frozen=True)
class Free:
    """No ball at all: every perturbation, by L2's direction of steepest ascent."""

    def project(self, delta: Tensor) -> Tensor:
        """delta itself."""
        return delta

    def steepest(self, gradient: Tensor) -> Tensor:
        """The unit vector g / ||g||."""
        return gradient / (_norm(gradient) + _NORM_FLOOR)


Ball = L2Ball | LinfBall

BALLS: dict[str, type[L2Ball] | type[LinfBall]] = {"l2": L2Ball, "linf": LinfBall}


def _norm(x: Tensor) -> Tensor:
    """(B, 1, ..., 1).  Over dims, not x.flatten(1), which copies channels_last images (5 times slower)."""
    norm: Tensor = torch.linalg.vector_norm(x, dim=tuple(range(1, x.ndim)), keepdim=True)
    return norm


def _check_eps(eps: float) -> None:
    if not (math.isfinite(eps) and eps > 0.0):
        raise ValueError(
            f"eps: a finite radius > 0 in pixel units, got {eps}; without an attack use the images themselves"
        )


def _checked_noise(noise: Tensor, like: Tensor) -> Tensor:
    """In float64, so that every device and number format starts from the same point."""
    expected = (len(like), like[:1].numel() + 1)
    if noise.shape != expected:
        raise ValueError(f"noise: one number per pixel and one more, shape {expected}, got {tuple(noise.shape)}")
    return noise.double()


def _shaped(delta: Tensor, like: Tensor) -> Tensor:
    return delta.reshape(like.shape).to(like)
