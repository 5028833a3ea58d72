"""Networks in the layouts of published checkpoints, for configs to name as factories: their tensors have the names that
such files have.

WideResNet after Zagoruyko and Komodakis 2016, in the layout of TRADES, which most of RobustBench's have, and in that of
Gowal et al. 2020; the pre-activation ResNet-18 of He et al. 2016 in that of Rice et al. 2020; DenseNet and Inception v3
for small images as MadryLab/robustness has them.  None normalises.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
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
    return _WideResNetGowal2020(depth, width, num_classes, channels, F.silu if swish else F.relu)


def preact_resnet18(num_classes: int = 10, channels: int = 3) -> nn.Module:
    """PreActResNet-18 for small images, with BatchNorm and ReLU before its linear layer."""
    return _PreActResNet18(num_classes, channels)


def densenet_robustness(num_classes: int = 10, blocks: Sequence[int] = (6, 12, 24, 16), growth: int = 32) -> nn.Module:
    """DenseNet-121 of MadryLab/robustness for CIFAR: no BatchNorm after the stem, what is new goes first."""
    return _DenseNetRobustness(num_classes, blocks, growth)


def inception_robustness(num_classes: int = 10) -> nn.Module:
    """Inception v3 of MadryLab/robustness for CIFAR: its stem keeps 30 pixels, dropout at the end, no second head."""
    return _InceptionRobustness(num_classes)


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


class _PreActResNet18(nn.Module):
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


class _WideResNetGowal2020(nn.Module):
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


class _Dense(nn.Module):
    """What two convolutions make of x, before x."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(4 * growth), _conv(4 * growth, growth)

    def forward(self, x: Tensor) -> Tensor:
        made = self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(x))))))
        return torch.cat([made, x], 1)


class _Transition(nn.Module):
    """Half the channels, and half the side."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.bn, self.conv = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, inputs // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)


class _DenseNetRobustness(nn.Module):
    def __init__(self, num_classes: int, blocks: Sequence[int], growth: int) -> None:
        super().__init__()
        channels, self.count = 2 * growth, len(blocks)
        self.conv1 = _conv(3, channels)
        for number, layers in enumerate(blocks, start=1):
            dense = nn.Sequential(*(_Dense(channels + place * growth, growth) for place in range(layers)))
            setattr(self, f"dense{number}", dense)
            channels += layers * growth
            if number < self.count:
                setattr(self, f"trans{number}", _Transition(channels))
                channels //= 2
        self.bn, self.linear = nn.BatchNorm2d(channels), nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        for number in range(1, self.count):
            x = getattr(self, f"trans{number}")(getattr(self, f"dense{number}")(x))
        x = F.avg_pool2d(F.relu(self.bn(getattr(self, f"dense{self.count}")(x))), 4)
        return self.linear(x.flatten(1))  # type: ignore[no-any-return]


Size = int | tuple[int, int]


class _Convolved(nn.Module):
    """relu(bn(conv(x)))"""

    def __init__(self, inputs: int, outputs: int, size: Size, stride: int = 1, padding: Size = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class _Branches(nn.Module):
    """What every branch makes of x, side by side."""

    def __init__(self, **branches: nn.Module) -> None:
        super().__init__()
        for name, branch in branches.items():
            setattr(self, name, branch)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.children()], 1)


class _InceptionE(nn.Module):
    """Two branches end in a row and a column of pixels, side by side."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch1x1 = _Convolved(inputs, 320, 1)
        self.branch3x3_1 = _Convolved(inputs, 384, 1)
        self.branch3x3_2a, self.branch3x3_2b = _row(384, 384, 3), _column(384, 384, 3)
        self.branch3x3stack_1, self.branch3x3stack_2 = _Convolved(inputs, 448, 1), _Convolved(448, 384, 3, 1, 1)
        self.branch3x3stack_3a, self.branch3x3stack_3b = _row(384, 384, 3), _column(384, 384, 3)
        self.branch_pool = _pooled(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        short, long = self.branch3x3_1(x), self.branch3x3stack_2(self.branch3x3stack_1(x))
        ends = [self.branch3x3_2a(short), self.branch3x3_2b(short)]
        ends += [self.branch3x3stack_3a(long), self.branch3x3stack_3b(long)]
        return torch.cat([self.branch1x1(x), *ends, self.branch_pool(x)], 1)


class _InceptionRobustness(nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.Conv2d_1a_3x3, self.Conv2d_2a_3x3 = _Convolved(3, 32, 3, 1, 1), _Convolved(32, 32, 3, 1, 1)
        self.Conv2d_2b_3x3, self.Conv2d_3b_1x1 = _Convolved(32, 64, 3, 1, 1), _Convolved(64, 80, 1)
        self.Conv2d_4a_3x3 = _Convolved(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _a(192, 32), _a(256, 64), _a(288, 64)
        self.Mixed_6a = _b(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = (_c(inner) for inner in (128, 160, 160, 192))
        self.Mixed_7a, self.Mixed_7b, self.Mixed_7c = _d(), _InceptionE(1280), _InceptionE(2048)
        self.avgpool, self.dropout = nn.AdaptiveAvgPool2d(1), nn.Dropout2d()
        self.linear = nn.Linear(2048, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        for name, layer in self.named_children():
            x = layer(x.flatten(1) if name == "linear" else x)
        return x


def _row(inputs: int, outputs: int, size: int) -> _Convolved:
    return _Convolved(inputs, outputs, (1, size), 1, (0, size // 2))


def _column(inputs: int, outputs: int, size: int) -> _Convolved:
    return _Convolved(inputs, outputs, (size, 1), 1, (size // 2, 0))


def _pooled(inputs: int, outputs: int, size: int) -> nn.Sequential:
    return nn.Sequential(nn.AvgPool2d(3, 1, 1), _Convolved(inputs, outputs, size, 1, size // 2))


def _a(inputs: int, pooled: int) -> _Branches:
    return _Branches(
        branch1x1=_Convolved(inputs, 64, 1),
        branch5x5=nn.Sequential(_Convolved(inputs, 48, 1), _Convolved(48, 64, 5, 1, 2)),
        branch3x3=nn.Sequential(_Convolved(inputs, 64, 1), _Convolved(64, 96, 3, 1, 1), _Convolved(96, 96, 3, 1, 1)),
        branchpool=_pooled(inputs, pooled, 3),
    )


def _b(inputs: int) -> _Branches:
    return _Branches(
        branch3x3=_Convolved(inputs, 384, 3, 2),
        branch3x3stack=nn.Sequential(_Convolved(inputs, 64, 1), _Convolved(64, 96, 3, 1, 1), _Convolved(96, 96, 3, 2)),
        branchpool=nn.MaxPool2d(3, 2),
    )


def _c(inner: int, channels: int = 768) -> _Branches:
    twice = (_column(inner, inner, 7), _row(inner, inner, 7), _column(inner, inner, 7), _row(inner, 192, 7))
    return _Branches(
        branch1x1=_Convolved(channels, 192, 1),
        branch7x7=nn.Sequential(_Convolved(channels, inner, 1), _column(inner, inner, 7), _row(inner, 192, 7)),
        branch7x7stack=nn.Sequential(_Convolved(channels, inner, 1), *twice),
        branch_pool=_pooled(channels, 192, 1),
    )


def _d(channels: int = 768) -> _Branches:
    lines = (_row(192, 192, 7), _column(192, 192, 7))
    return _Branches(
        branch3x3=nn.Sequential(_Convolved(channels, 192, 1), _Convolved(192, 320, 3, 2)),
        branch7x7=nn.Sequential(_Convolved(channels, 192, 1), *lines, _Convolved(192, 192, 3, 2)),
        branchpool=nn.AvgPool2d(3, 2),
    )


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
