"""The table of networks: what each needs of its images, and how its body is made."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from raylab.core import bodies, torchvision_bodies
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
