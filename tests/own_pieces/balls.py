"""A ball of an attack: of L2, over the upper half of an image alone."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class UpperHalf:
    eps: float

    def project(self, delta: Tensor) -> Tensor:
        upper = _upper(delta)
        return upper * (self.eps / upper.flatten(1).norm(dim=1)).clamp(max=1.0).view(-1, 1, 1, 1)

    def steepest(self, gradient: Tensor) -> Tensor:
        upper = _upper(gradient)
        return upper / upper.flatten(1).norm(dim=1).clamp(min=1e-30).view(-1, 1, 1, 1)


def _upper(x: Tensor) -> Tensor:
    upper = x.clone()
    upper[:, :, x.shape[2] // 2 :] = 0.0
    return upper
