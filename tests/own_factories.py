"""Networks of somebody else, as factories: what a config names by `own_factories:small`."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import own_layers
import torch
from torch import Tensor, nn


def small(num_classes: int = 10, hidden: int = 32, dropout: float = 0.0) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, hidden), nn.ReLU(), nn.Dropout(dropout), own_layers.head(hidden, num_classes)
    )


def layered(sizes: list[int], last: dict[str, list[int]]) -> nn.Module:
    """With arguments that hold lists."""
    widths = [64] + sizes + last["classes"]  # of lists alone
    return nn.Sequential(nn.Flatten(), *[nn.Linear(i, o) for i, o in pairwise(widths)])


def convolutional(num_classes: int = 10, channels: int = 1) -> nn.Module:
    """It flattens by `view`, as many do."""

    class Flat(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.view(x.size(0), -1)

    conv = nn.Sequential(nn.Conv2d(channels, 8, 3, padding=1, stride=2), nn.BatchNorm2d(8), nn.ReLU())
    return nn.Sequential(conv, Flat(), nn.Linear(8 * 16, num_classes))


class Wrapped(nn.Module):
    """Gives its logits as Hugging Face's networks do."""

    def __init__(self, **of: Any) -> None:
        super().__init__()
        self.inner = small(**of)

    def forward(self, x: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.inner(x))


def probabilities() -> nn.Module:
    return nn.Sequential(small(), nn.Softmax(1))


def another_every_time() -> nn.Module:
    network = small()
    generator = torch.Generator()
    generator.seed()
    with torch.no_grad():
        network[1].weight.copy_(torch.rand(network[1].weight.shape, generator=generator))  # type: ignore[index, union-attr]
    return network


def no_module() -> str:
    return "a network"
