"""The sets an adversary may move in: balls around each example, in pixel units.

A perturbation `delta` is (B, ...) and each example is treated alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from raylab.core import seeding
from raylab.core.later import Tensor, torch

Ids = NDArray[np.int64]

BORDER = 0.25  # cycles a pixel, half the Nyquist frequency: what survives at half the resolution is low
# Of a gradient's length: less than this in a band is the rounding of Fourier transforms in float32, and no direction.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class L2Ball:
    """{delta: ||delta||_2 <= eps}, over all pixels and channels of an example."""

    eps: float
    label: ClassVar[str] = "L2"

    def __post_init__(self) -> None:
        _check_eps(self.eps)

    def project(self, delta: Tensor) -> Tensor:
        """The nearest point of the ball: delta * min(1, eps / ||delta||)."""
        return delta * (self.eps / _norm(delta)).clamp(max=1.0)  # eps / 0 is inf, so the centre stays

    def steepest(self, gradient: Tensor) -> Tensor:
        """The unit vector along which the linearised loss rises fastest: g / ||g||."""
        return unit(gradient)

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

    def border(self, seed: int, purpose: str, ids: Ids, shape: Sequence[int]) -> NDArray[np.float64]:
        """(N, D) points of norm eps for images of this shape, by id: a normal direction."""
        draws = seeding.normal(seed, purpose, ids, math.prod(shape))
        return np.asarray(self.eps * (draws / np.linalg.norm(draws, axis=1, keepdims=True)))

    @staticmethod
    def whole(shape: Sequence[int]) -> float:
        """The radius of a ball around any image (C, H, W) that holds all others."""
        return math.sqrt(math.prod(shape))


@dataclass(frozen=True)
class LinfBall:
    """{delta: max |delta_i| <= eps}."""

    eps: float
    label: ClassVar[str] = "L∞"

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

    def border(self, seed: int, purpose: str, ids: Ids, shape: Sequence[int]) -> NDArray[np.float64]:
        """As for L2Ball: uniform pixels, the largest at eps (AutoAttack)."""
        draws = 2.0 * seeding.uniform(seed, purpose, ids, math.prod(shape)) - 1.0
        return np.asarray(self.eps * (draws / np.abs(draws).max(axis=1, keepdims=True)))

    @staticmethod
    def whole(shape: Sequence[int]) -> float:
        """As for L2Ball."""
        del shape
        return 1.0


@dataclass(frozen=True)
class L1Ball:
    """{delta: sum of |delta_i| <= eps}."""

    eps: float
    share: float = 0.0  # of the pixels that one step moves; always one at least

    def __post_init__(self) -> None:
        _check_eps(self.eps)

    def project(self, delta: Tensor) -> Tensor:
        """The nearest point of the ball: every |delta_i| less one amount, down to 0 (Duchi et al. 2008, figure 1)."""
        size = delta.flatten(1).abs()
        largest = size.sort(dim=1, descending=True).values
        excess = largest.double().cumsum(dim=1) - self.eps  # in float64: a sum of many pixels against eps
        place = torch.arange(1, size.shape[1] + 1, device=size.device)
        kept = (largest * place > excess).sum(dim=1, keepdim=True)
        less = (excess.gather(1, kept - 1) / kept).clamp(min=0.0).to(size)
        return (delta.sign() * (delta.abs() - less.view(-1, *[1] * (delta.ndim - 1))).clamp(min=0.0)).to(delta)

    def steepest(self, gradient: Tensor) -> Tensor:
        """The signs of the pixels of largest gradient, of L1 norm 1 (SLIDE, Tramer and Boneh 2019).  One pixel alone
        gains the most, until it is at an edge; several gain more on the way."""
        flat = gradient.flatten(1)
        count = max(1, round(self.share * flat.shape[1]))
        top = flat.abs().topk(count, dim=1).indices
        step = torch.zeros_like(flat).scatter(1, top, flat.gather(1, top).sign() / count)
        return step.view_as(gradient)

    def sample(
        self,
        noise: Tensor,  # (B, D + 1), uniform in [0, 1), as for L2Ball
        like: Tensor,  # (B, ...)
    ) -> Tensor:
        """A uniform point of the ball: exponential sizes of random sign, over their sum and one more."""
        uniform = _checked_noise(noise, like)
        signed = 2.0 * uniform[:, :-1] - 1.0
        size = -torch.log1p(-signed.abs().clamp(max=1.0 - 2.0**-53))
        total = size.sum(dim=1, keepdim=True) - torch.log1p(-uniform[:, -1:])
        return _shaped(self.eps * signed.sign() * size / total, like)


@dataclass(frozen=True)
class BandBall:
    """{delta: ||delta||_2 <= eps, of low or of high spatial frequencies alone}, of images (B, C, H, W).

    The border is BORDER, by the radius in the plane of frequencies; the constant part is low.  Clipping an image to
    [0, 1] shortens delta and may spill a little of it over the border.
    """

    eps: float
    band: Literal["low", "high"]

    def __post_init__(self) -> None:
        _check_eps(self.eps)

    def project(self, delta: Tensor) -> Tensor:
        """The nearest point of the ball: the band alone, then its length."""
        return L2Ball(self.eps).project(self._filtered(delta))

    def steepest(self, gradient: Tensor) -> Tensor:
        """The unit vector of the band along which the linearised loss rises fastest."""
        filtered = self._filtered(gradient := _moderate(gradient))
        return unit(filtered.masked_fill_(_norm(filtered) <= _ROUNDING * _norm(gradient), 0.0))

    def sample(
        self,
        noise: Tensor,  # (B, D + 1), uniform in [0, 1), as for L2Ball
        like: Tensor,  # (B, C, H, W)
    ) -> Tensor:
        """A uniform point of the ball, whose dimension is the number of waves in the band."""
        uniform = _checked_noise(noise, like)
        normal = torch.special.ndtri(uniform[:, :-1].clamp(min=2.0**-54)).view(like.shape)
        direction = self._filtered(normal)
        waves = like.shape[1] * int(_band(*like.shape[2:], self.band, half=False).sum())
        radius = self.eps * uniform[:, -1:] ** (1.0 / waves)
        return _shaped(unit(direction) * radius.view(-1, 1, 1, 1), like)

    def _filtered(self, delta: Tensor) -> Tensor:
        if delta.ndim != 4:
            raise ValueError(f"BandBall: images (B, C, H, W), got {tuple(delta.shape)}")
        mask = _band(*delta.shape[2:], self.band).to(delta.device)
        filtered: Tensor = torch.fft.irfft2(torch.fft.rfft2(delta) * mask, s=delta.shape[2:])
        return filtered


@dataclass(frozen=True)
class Free:
    """No ball at all: every perturbation, by L2's direction of steepest ascent."""

    def project(self, delta: Tensor) -> Tensor:
        """delta itself."""
        return delta

    def steepest(self, gradient: Tensor) -> Tensor:
        """The unit vector g / ||g||."""
        return unit(gradient)


Ball = L2Ball | LinfBall  # those of the literature's attacks
AnyBall = Ball | L1Ball | BandBall

Norm = Literal["l2", "linf"]  # as configs name them
BALLS: dict[Norm, type[L2Ball] | type[LinfBall]] = {"l2": L2Ball, "linf": LinfBall}


def unit(
    x: Tensor,  # (B, ...)
    dims: Sequence[int] | None = None,  # of one vector; None: all but the first
) -> Tensor:
    """x / ||x||_2, and 0 where x is 0.

    Whatever its scale: MadryLab/robustness divides by ||x|| + 1e-10, with which the gradient of a confident network,
    small but no less a direction, gives no step, and in float32 the squares of what is below 1e-19 vanish.
    """
    dims = tuple(range(1, x.ndim)) if dims is None else tuple(dims)
    moderate = _moderate(x, dims)
    return moderate.div_(_norm(moderate, dims).clamp_(min=torch.finfo(x.dtype).tiny))


def _moderate(x: Tensor, dims: tuple[int, ...] | None = None) -> Tensor:
    """x times a power of two, which rounds nothing, that brings the largest entry of each vector to [1/2, 1)."""
    dims = tuple(range(1, x.ndim)) if dims is None else dims
    limit = math.frexp(torch.finfo(x.dtype).tiny)[1] - 1  # of exponents whose power and its inverse are both normal
    exponent = torch.frexp(largest_entry(x, dims)).exponent.clamp(limit, -limit)
    return x * torch.ldexp(torch.ones_like(exponent, dtype=x.dtype), -exponent)


def largest_entry(
    x: Tensor,  # (B, ...)
    dims: tuple[int, ...] | None = None,  # None: all but the first
) -> Tensor:
    """max |x_i|, (B, 1, ..., 1), without a copy of x."""
    dims = tuple(range(1, x.ndim)) if dims is None else dims
    return torch.maximum(x.amax(dim=dims, keepdim=True), -x.amin(dim=dims, keepdim=True))


@lru_cache(maxsize=32)
def _band(height: int, width: int, band: str, half: bool = True) -> Tensor:
    """Of every wave of `rfft2` (`half`) or of `fft2`: whether it is in the band."""
    across = torch.fft.rfftfreq(width) if half else torch.fft.fftfreq(width)
    radius = torch.hypot(torch.fft.fftfreq(height)[:, None], across[None, :])
    return radius <= BORDER if band == "low" else radius > BORDER


def _norm(x: Tensor, dims: tuple[int, ...] | None = None) -> Tensor:
    """(B, 1, ..., 1).  Over dims, not x.flatten(1), which copies channels_last images (5 times slower)."""
    dims = tuple(range(1, x.ndim)) if dims is None else dims
    norm: Tensor = torch.linalg.vector_norm(x, dim=dims, keepdim=True)
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
