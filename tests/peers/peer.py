"""What the comparisons with independent code have in common: the peers where they are installed, networks to attack."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from raylab.core.networks import Network, build

SHAPE = (3, 16, 16)
CLASSES = 10
STEPS = {"mlp": 15, "cnn": 40, "vgg_small": 25}  # of training


def need(module: str) -> Any:
    """A peer's module; skips where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old code, whose use of its libraries is not ours to mend
        return pytest.importorskip(module, reason=f"{module} is not installed: `make peers` compares raylab with it")


def images(count: int = 16, seed: int = 1) -> Tensor:
    """A pattern of its class, place modulo CLASSES, in each; some pixels lie at 0 and at 1, where steps are clipped."""
    noise = torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed))
    patterns = torch.rand(CLASSES, *SHAPE, generator=torch.Generator().manual_seed(0))
    return (0.9 * noise + 0.3 * patterns[torch.arange(count) % CLASSES] - 0.1).clamp(0, 1)


def network(name: str) -> Network:
    """Trained for a moment, BatchNorm's statistics included: no probability is near 0 or 1."""
    net = build(name, SHAPE, CLASSES, [0.5] * 3, [0.25] * 3, seed=0)
    x, y = images(64, seed=2), torch.arange(64) % CLASSES
    net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # some peers call `view`
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for _ in range(STEPS[name]):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net.train()(x), y).backward()
        optimizer.step()
    return net.eval().requires_grad_(False)
