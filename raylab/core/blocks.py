"""The blocks of the lab's own networks that torch does not have."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Residual(nn.Module):
    """x + body(x)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)  # type: ignore[no-any-return]


class GlobalMaxPool(nn.Module):
    """The maximum over the image, (B, C, H, W) -> (B, C).

    Not AdaptiveMaxPool2d: its CUDA gradient adds in no fixed order.
    """

    def forward(self, x: Tensor) -> Tensor:
        return x.amax(dim=(2, 3))


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (B, channels, patches)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.mT, self.normalized_shape, self.weight, self.bias, self.eps).mT


class Mixing(nn.Module):
    """One mixer layer on (B, channels, patches): an MLP along patches, another along channels, with skips."""

    def __init__(self, num_patches: int, width: int) -> None:
        super().__init__()
        self.patch_norm, self.channel_norm = ChannelNorm(width), ChannelNorm(width)
        self.patches = _perceptron(num_patches, width // 2)  # hidden sizes: the paper's ratios
        self.channels = _perceptron(width, 4 * width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.patches(self.patch_norm(x))
        return x + self.channels(self.channel_norm(x).mT).mT  # type: ignore[no-any-return]


def _perceptron(size: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, hidden), nn.GELU(), nn.Linear(hidden, size))
