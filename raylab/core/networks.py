"""The table of networks: what each needs of its images, and how one is built from a seed.

A network takes pixels in [0, 1] and normalises them itself, so that an attack always lives in pixel space.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from raylab.core import bodies, seeding, torchvision_bodies
from raylab.core.bodies import Body, Shape


@dataclass(frozen=True)
class Architecture:
    """How to build the body of a network, and the least height and width that it can take."""

    body: Callable[[Shape], Body]
    smallest: int = 1
    convolutional: bool = True


NETWORKS: dict[str, Architecture] = {
    "linear": Architecture(bodies.linear, convolutional=False),
    "mlp": Architecture(bodies.mlp, convolutional=False),
    # Fewer features than pixels: with more, an inversion returns the image that it was to match.
    "mlp_bottleneck16": Architecture(partial(bodies.mlp, hidden=(128, 16)), convolutional=False),
    "mixer": Architecture(bodies.mixer, convolutional=False),
    "cnn": Architecture(bodies.cnn),
    "kumano_convnet": Architecture(bodies.kumano_convnet, smallest=11),  # 11 -> 5 -> 3 -> 1
    "kumano_convnet_w4": Architecture(partial(bodies.kumano_convnet, width=4), smallest=11),
    "vgg_small": Architecture(bodies.vgg_small, smallest=4),  # two halvings
    "resnet9": Architecture(bodies.resnet9, smallest=8),  # three halvings
    "resnet9_w16": Architecture(partial(bodies.resnet9, width=16), smallest=8),
    "vgg16": Architecture(torchvision_bodies.vgg16, smallest=32),  # five halvings
    "resnet18": Architecture(torchvision_bodies.resnet18),  # its strided convolutions are padded
    "resnet50": Architecture(torchvision_bodies.resnet50),
    "densenet121": Architecture(torchvision_bodies.densenet121, smallest=8),  # three halvings
    "inception_v3": Architecture(torchvision_bodies.inception_v3, smallest=9),  # 9 -> 7 -> 3 -> 1
}


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

    def features(
        self,
        x: Tensor,  # (B, C, H, W), in [0, 1]
    ) -> Tensor:
        """The penultimate activations, (B, F): the input of the linear head."""
        return self.body(self.normalise(x))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """The logits, (B, num_classes)."""
        return self.head(self.features(x))  # type: ignore[no-any-return]


def check(name: str, shape: Shape, num_classes: int) -> None:
    """Raise ValueError when no network of this name can take images of this shape (C, H, W)."""
    if name not in NETWORKS:
        close = difflib.get_close_matches(name, NETWORKS, n=1)
        remedy = f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(NETWORKS)}"
        raise ValueError(f"networks: unknown network, got {name!r}; {remedy}")
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"networks: {name}: a shape is (channels, height, width), each >= 1, got {shape}")
    if num_classes < 2:
        raise ValueError(f"networks: {name}: a classifier needs at least 2 classes, got {num_classes}")
    smallest = NETWORKS[name].smallest
    if min(shape[1:]) < smallest:
        size = f"{shape[1]}x{shape[2]}"
        others = ", ".join(other for other, entry in NETWORKS.items() if entry.smallest <= min(shape[1:]))
        raise ValueError(
            f"networks: {name}: images must be at least {smallest}x{smallest}, got {size}; "
            f"enlarge them, or choose a network that takes {size}: {others}"
        )


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
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        # Not torch.manual_seed, which seeds the GPUs too.
        torch.default_generator.manual_seed(seeding.derive(seed, "init"))
        body, num_features = architecture.body(shape)
        head = nn.Linear(num_features, num_classes)
        normalise = Normalise(mean, std)
    network = Network(normalise, body, head, architecture.convolutional)
    if architecture.convolutional:
        # A convolution works in the format of its weights, so the images' own changes neither speed nor bits.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _check_statistics(name: str, shape: Shape, mean: Sequence[float], std: Sequence[float]) -> None:
    got = f"got mean {list(mean)} and std {list(std)}"
    if len(mean) != shape[0] or len(std) != shape[0]:
        raise ValueError(f"networks: {name}: mean and std need one value per channel of {shape}, {got}")
    if not all(map(math.isfinite, (*mean, *std))) or min(std) <= 0:
        raise ValueError(f"networks: {name}: mean must be finite, std finite and > 0, {got}")
