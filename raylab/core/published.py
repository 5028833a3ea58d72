"""Networks in the layouts of published checkpoints, for configs to name as factories: their tensors have the names that
such files have.

WideResNet after Zagoruyko and Komodakis 2016, in the layout of TRADES, which most of RobustBench's have, and in that of
Gowal et al. 2020; the pre-activation ResNet-18 of He et al. 2016 in that of Rice et al. 2020.  None normalises.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

STEM = 16  # channels of a WideResNet's first convolution


def wide_resnet(
    depth: int, width: int, num_classes: int = 10, channels: int = 3, sub_block1: bool = False
) -> nn.Module:
    """WideResNet-`depth`-`width` in the layout of TRADES.  `sub_block1`: with the copy of its first block that files of
    theirs hold and nothing uses.

    Raises ValueError where no such depth can be had.
    """
    return WideResNet(depth, width, num_classes, channels, sub_block1)


def wide_resnet_gowal2020(
    depth: int, width: int, num_classes: int = 10, channels: int = 3, swish: bool = True
) -> nn.Module:
    """The same in the layout of Gowal et al. 2020: SiLU for ReLU, and a stride of 2 pads below and on the right alone.

    Raises ValueError where no such depth can be had.
    """
    return WideResNetGowal2020(depth, width, num_classes, channels, F.silu if swish else F.relu)


def preact_resnet18(num_classes: int = 10, channels: int = 3) -> nn.Module:
    """PreActResNet-18 for small images, with BatchNorm and ReLU before its linear layer."""
    return PreActResNet18(num_classes, channels)


class PreActivated(nn.Module):
    """x + conv(relu(bn(conv(relu(bn(x)))))); where the shape changes, for x a 1x1 convolution of relu(bn(x))."""

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), _conv(inputs, outputs, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(outputs), _conv(outputs, outputs)
        self.shortcut_name = shortcut if stride != 1 or inputs != outputs else ""
        if self.shortcut_name:
            convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            setattr(self, shortcut, nn.Sequential(convolution) if shortcut == "shortcut" else convolution)

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.bn1(x))
        inner: Tensor = self.conv2(F.relu(self.bn2(self.conv1(active))))
        return inner + (getattr(self, self.shortcut_name)(active) if self.shortcut_name else x)


class WideResNet(nn.Module):
    def __init__(self, depth: int, width: int, num_classes: int, channels: int, sub_block1: bool) -> None:
        super().__init__()
        blocks = _num_blocks(depth)
        first, second, third = (width * STEM * factor for factor in (1, 2, 4))
        self.conv1 = _conv(channels, STEM)
        self.block1 = _wide(blocks, STEM, first, 1)
        if sub_block1:
            self.sub_block1 = _wide(blocks, STEM, first, 1)
        self.block2, self.block3 = _wide(blocks, first, second, 2), _wide(blocks, second, third, 2)
        self.bn1, self.fc = nn.BatchNorm2d(third), nn.Linear(third, num_classes)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return self.fc(F.relu(self.bn1(x)).mean(dim=(2, 3)))  # type: ignore[no-any-return]


class PreActResNet18(nn.Module):
    def __init__(self, num_classes: int, channels: int) -> None:
        super().__init__()
        self.conv1 = _conv(channels, 64)
        sizes = ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2))
        self.layer1, self.layer2, self.layer3, self.layer4 = (_preact(*size) for size in sizes)
        self.bn, self.linear = nn.BatchNorm2d(512), nn.Linear(512, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.conv1(x)))))
        return self.linear(F.relu(self.bn(x)).mean(dim=(2, 3)))  # type: ignore[no-any-return]


class Gowal2020Block(nn.Module):
    """As `PreActivated`, under other names, with another activation and padding."""

    def __init__(self, inputs: int, outputs: int, stride: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.batchnorm_0, self.batchnorm_1 = nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)
        self.conv_0 = nn.Conv2d(inputs, outputs, 3, stride, bias=False)
        self.conv_1 = _conv(outputs, outputs)
        self.shortcut = None if inputs == outputs else nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        self.activation, self.pads = activation, (1, 1, 1, 1) if stride == 1 else (0, 1, 0, 1)

    def forward(self, x: Tensor) -> Tensor:
        active = self.activation(self.batchnorm_0(x))
        inner: Tensor = self.conv_1(self.activation(self.batchnorm_1(self.conv_0(F.pad(active, self.pads)))))
        return inner + (x if self.shortcut is None else self.shortcut(active))


class WideResNetGowal2020(nn.Module):
    def __init__(
        self, depth: int, width: int, num_classes: int, channels: int, activation: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__()
        blocks, self.activation = _num_blocks(depth), activation
        first, second, third = (width * STEM * factor for factor in (1, 2, 4))
        self.init_conv = _conv(channels, STEM)
        groups = []
        for inputs, outputs, stride in ((STEM, first, 1), (first, second, 2), (second, third, 2)):
            here = [Gowal2020Block(inputs, outputs, stride, activation)]
            here += [Gowal2020Block(outputs, outputs, 1, activation) for _ in range(blocks - 1)]
            groups.append(nn.Sequential(OrderedDict(block=nn.Sequential(*here))))
        self.layer = nn.Sequential(*groups)
        self.batchnorm, self.logits = nn.BatchNorm2d(third), nn.Linear(third, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.batchnorm(self.layer(self.init_conv(x))))
        return self.logits(x.mean(dim=(2, 3)))  # type: ignore[no-any-return]


def _num_blocks(depth: int) -> int:
    """Of each of the three groups: two convolutions a block, and four beside them."""
    if depth < 10 or (depth - 4) % 6:
        raise ValueError(f"wide_resnet: depth is 4 more than a multiple of 6, as 28, 34 and 70 are, got {depth}")
    return (depth - 4) // 6


def _wide(blocks: int, inputs: int, outputs: int, stride: int) -> nn.Sequential:
    first = PreActivated(inputs, outputs, stride, "convShortcut")
    rest = [PreActivated(outputs, outputs, 1, "convShortcut") for _ in range(blocks - 1)]
    return nn.Sequential(OrderedDict(layer=nn.Sequential(first, *rest)))


def _preact(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        PreActivated(inputs, outputs, stride, "shortcut"), PreActivated(outputs, outputs, 1, "shortcut")
    )


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


def _initialise(network: nn.Module) -> None:
    """He et al. 2015, by the number of outputs."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, 0.0, math.sqrt(2 / (layer.kernel_size[0] ** 2 * layer.out_channels)))
        elif isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.bias)
