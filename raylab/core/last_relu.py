"""The identity gradient through a network's last ReLU, as MadryLab/robustness has it (`fake_relu`).

A unit that is 0 at an image has no gradient there, so an inversion could never switch it on.  The features stay what
they are; only their gradient is that of the units before the ReLU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from raylab.core.architectures import NETWORKS
from raylab.core.bodies import Shape
from raylab.core.objectives import Featured, Features

_RELUS = (F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)


def let_through(
    network: Featured,
    example: Tensor,  # (1 or more, C, H, W): to count the network's ReLUs with
) -> Features:
    """`network.features`, whose gradient takes the last ReLU of the forward pass for the identity.

    Raises ValueError where there is none, as in a linear network or a mixer.
    """
    with torch.no_grad(), _Relus() as seen:
        network.features(example[:1])
    if (last := seen.count) == 0:
        raise ValueError("let_through: a network with a ReLU before its head, got one without; use `network.features`")

    def features(x: Tensor) -> Tensor:
        with _Relus(last):
            return network.features(x)

    return features


class Penultimate(NamedTuple):
    """The penultimate layer of an architecture: how wide it is, and how many ReLUs a forward pass meets before it."""

    size: int
    num_relus: int


@cache
def survey(name: str, shape: Shape) -> Penultimate:
    """Of a network of this name for images (C, H, W), without its weights and without computing anything."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"), torch.no_grad(), _Relus() as seen:
        body, size = NETWORKS[name].body(shape)
        body.eval()(torch.empty(1, *shape))
    return Penultimate(size, seen.count)


def survey_of(network: Featured, shape: Shape) -> Penultimate:
    """The same of a network that is at hand, by one image through it."""
    with torch.no_grad(), _Relus() as seen:
        size = network.features(torch.zeros(1, *shape)).shape[1]
    return Penultimate(size, seen.count)


class _Relus(TorchFunctionMode):
    """Counts ReLUs in the order of execution; torchvision's networks have them as modules and as functions, and one
    module may be called several times."""

    def __init__(self, identity_at: int = 0) -> None:
        super().__init__()
        self.count, self.identity_at = 0, identity_at

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in _RELUS:
            self.count += 1
            if self.count == self.identity_at:
                before: Tensor = args[0]
                # Exact in floating point: what is added is 0 or -before.
                return before + (before.relu() - before).detach()
        return func(*args, **(kwargs or {}))
