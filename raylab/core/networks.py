"""Networks: a normalisation, a body and a head, built from a seed.

A network takes pixels in [0, 1] and normalises them itself, so that an attack always lives in pixel space.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from raylab.core import seeding
from raylab.core.architectures import NETWORKS, check
from raylab.core.bodies import Shape

SUM = 1e-3  # of a row of probabilities: how far it may be from 1


class Normalise(nn.Module):
    """(x - mean) / std, per channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


class Network(nn.Module):
    """head(features(x)): a normalisation, a body and one linear layer."""

    prefers_channels_last: bool  # the memory format in which convolutions are fastest

    def __init__(self, normalise: Normalise, body: nn.Module, head: nn.Linear, prefers_channels_last: bool):
        super().__init__()
        self.normalise, self.body, self.head = normalise, body, head
        self.prefers_channels_last = prefers_channels_last

    @property
    def num_classes(self) -> int:
        return self.head.out_features

    def features(
        self,
        x: Tensor,  # (B, C, H, W), in [0, 1]
    ) -> Tensor:
        """The penultimate activations, (B, F): the input of the linear head."""
        return self.body(self.normalise(x))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """The logits, (B, num_classes)."""
        return self.head(self.features(x))  # type: ignore[no-any-return]


class Adopted(Network):
    """A module from elsewhere behind a normalisation. It takes images and gives logits, or a value with `logits`.

    In the layout of its own weights: a module that flattens its activations by `view` fails in another.
    """

    prefers_channels_last = False

    def __init__(self, normalise: Normalise, body: nn.Module, num_classes: int) -> None:
        nn.Module.__init__(self)
        self.normalise, self.body, self.classes = normalise, body, num_classes

    @property
    def num_classes(self) -> int:
        return self.classes

    def features(self, x: Tensor) -> Tensor:
        """As `before_logits`."""
        return before_logits(self.body, self.normalise(x))

    def forward(self, x: Tensor) -> Tensor:
        return _logits(self.body(self.normalise(x)))


def before_logits(network: nn.Module, x: Tensor) -> Tensor:
    """The penultimate activations, (B, F): the input of the linear layer whose output is the logits.

    Raises ValueError where no `nn.Linear` gives the logits.
    """
    seen: list[tuple[Tensor, Tensor]] = []
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    hooks = [layer.register_forward_hook(lambda _, given, out: seen.append((given[0], out))) for layer in layers]
    try:
        logits = _logits(network(x))
    finally:
        for hook in hooks:
            hook.remove()
    found = [given for given, out in seen if given.ndim == 2 and (out is logits or torch.equal(out, logits))]
    if not found:
        kind = type(network).__name__
        raise ValueError(f"features: a network that ends in a linear layer, got {kind}, whose logits no layer gives")
    return found[-1]


def _logits(out: Any) -> Tensor:
    """What a network gives, or has in what it gives."""
    return out if isinstance(out, Tensor) else out.logits


def are_probabilities(outputs: Tensor) -> bool:  # (B, num_classes)
    """Whether they look like it: behind a softmax the gradients of a confident network vanish."""
    return bool((outputs >= 0).all() and ((outputs.sum(dim=1) - 1).abs() < SUM).all())


def build(
    name: str,
    shape: Shape,
    num_classes: int,
    mean: Sequence[float],  # C values, of pixels in [0, 1]
    std: Sequence[float],  # C values, > 0
    seed: int,
) -> Network:
    """A network on the CPU; its weights depend on the arguments alone; global random state is kept."""
    check(name, shape, num_classes)
    _check_statistics(name, shape, mean, std)
    architecture = NETWORKS[name]
    with _initialised(seed):
        body, num_features = architecture.body(shape)
        head = nn.Linear(num_features, num_classes)
        normalise = Normalise(mean, std)
    network = Network(normalise, body, head, architecture.convolutional)
    if architecture.convolutional:
        # A convolution works in the format of its weights, so the images' own changes neither speed nor bits.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def adopt(
    make: Callable[[], object],
    shape: Shape,
    num_classes: int,
    mean: Sequence[float],  # C values, of pixels in [0, 1]
    std: Sequence[float],  # C values, > 0
    seed: int,
) -> Adopted:
    """The network that a function of somebody else makes, on the CPU, with torch's random numbers as `build` has them.

    Raises ValueError where it makes no module.
    """
    _check_statistics("a network of your own", shape, mean, std)
    with _initialised(seed):
        body = make()
        normalise = Normalise(mean, std)
    if not isinstance(body, nn.Module):
        raise ValueError(f"a torch.nn.Module is needed, got {type(body).__name__}")
    return Adopted(normalise, body.float(), num_classes)


@contextmanager
def _initialised(seed: int) -> Iterator[None]:
    """What draws weights in here draws those of the seed, on the CPU; torch's own random state is kept."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        # Not torch.manual_seed, which seeds the GPUs too.
        torch.default_generator.manual_seed(seeding.derive(seed, "init"))
        yield


def _check_statistics(name: str, shape: Shape, mean: Sequence[float], std: Sequence[float]) -> None:
    got = f"got mean {list(mean)} and std {list(std)}"
    if len(mean) != shape[0] or len(std) != shape[0]:
        raise ValueError(f"networks: {name}: mean and std need one value per channel of {shape}, {got}")
    if not all(map(math.isfinite, (*mean, *std))) or min(std) <= 0:
        raise ValueError(f"networks: {name}: mean must be finite, std finite and > 0, {got}")
