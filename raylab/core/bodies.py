"""The lab's own networks, up to their last linear layer: small, for 8x8 digits as for 32x32 photographs.

A body is a module from normalised images (B, C, H, W) to features (B, F), and its F.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TypeAlias

from raylab.core.later import blocks, nn

Shape = tuple[int, int, int]  # channels, height, width
Body: TypeAlias = "tuple[nn.Module, int]"  # the module and the number of its features

MAX_PATCHES = 196  # of a mixer: the 14 x 14 patches of Tolstikhin et al. 2021 at 224 x 224


def linear(shape: Shape) -> Body:
    """The pixels themselves, so that the head alone is softmax regression."""
    channels, height, width = shape
    return nn.Flatten(), channels * height * width


def mlp(shape: Shape, hidden: tuple[int, ...] = (128, 128)) -> Body:
    """Fully connected ReLU layers; the last of them is what an inversion has to match."""
    _, pixels = linear(shape)
    layers = [nn.Sequential(nn.Linear(i, o), nn.ReLU(inplace=True)) for i, o in pairwise((pixels, *hidden))]
    return nn.Sequential(nn.Flatten(), *layers), hidden[-1]


def cnn(shape: Shape) -> Body:
    """3x3 convolutions of 16, 32 and 32 channels, two of stride 2, and a layer of 128; no BatchNorm."""
    channels, height, width = shape
    pixels = -(-height // 4) * -(-width // 4)  # each stride of 2 rounds up
    layers: list[nn.Module] = []
    for inputs, outputs, stride in ((channels, 16, 1), (16, 32, 2), (32, 32, 2)):
        layers += [nn.Conv2d(inputs, outputs, 3, stride, padding=1), nn.ReLU(inplace=True)]
    layers += [nn.Flatten(), nn.Linear(32 * pixels, 128), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers), 128


def kumano_convnet(shape: Shape, width: int = 16) -> Body:
    """The ConvNet of Kumano et al. 2024 (ICLR, code of the authors): 3x3 convolutions of 1, 8, 8, 16 and 16 times the
    width, the first of stride 2, two of them with a skip around convolution and ReLU; no BatchNorm.
    """
    layers: list[nn.Module] = [nn.Conv2d(shape[0], width, 3, stride=2), nn.ReLU(inplace=True)]
    for inputs, outputs in ((width, 8 * width), (8 * width, 16 * width)):
        layers += [nn.Conv2d(inputs, outputs, 3), nn.ReLU(inplace=True)]
        layers.append(blocks.Residual(nn.Sequential(nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU())))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), 16 * width


def vgg_small(shape: Shape) -> Body:
    """VGG with BatchNorm and one linear layer after its features: 16-16-pool-32-32-pool, global average."""
    return nn.Sequential(
        _conv_bn(shape[0], 16),
        _conv_bn(16, 16, pool=True),
        _conv_bn(16, 32),
        _conv_bn(32, 32, pool=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ), 32


def resnet9(shape: Shape, width: int = 64) -> Body:
    """David Page's ResNet-9 (myrtle.ai, "How to train your ResNet", 2018): 1, 2, 4 and 8 times the width.

    The head is an ordinary linear layer: Page divides the logits by 8 to suit his learning rates.
    """
    return nn.Sequential(
        _conv_bn(shape[0], width),
        _conv_bn(width, 2 * width, pool=True),
        blocks.Residual(nn.Sequential(_conv_bn(2 * width, 2 * width), _conv_bn(2 * width, 2 * width))),
        _conv_bn(2 * width, 4 * width, pool=True),
        _conv_bn(4 * width, 8 * width, pool=True),
        blocks.Residual(nn.Sequential(_conv_bn(8 * width, 8 * width), _conv_bn(8 * width, 8 * width))),
        blocks.GlobalMaxPool(),
    ), 8 * width


def mixer(shape: Shape, width: int = 64, depth: int = 4) -> Body:
    """MLP-Mixer (Tolstikhin et al. 2021, arXiv:2105.01601), small.

    A patch is the least power of two that leaves at most 196 of them: their 16 pixels at 224x224, the usual
    4 at 32x32, 2 at 8x8.  After normalisation, zeros below and on the right complete the last patches.
    """
    channels, height, image_width = shape
    patch = 2
    while -(-height // patch) * -(-image_width // patch) > MAX_PATCHES:
        patch *= 2
    below, right = -height % patch, -image_width % patch
    num_patches = ((height + below) // patch) * ((image_width + right) // patch)
    return nn.Sequential(
        nn.ZeroPad2d((0, right, 0, below)),
        nn.Conv2d(channels, width, patch, stride=patch),
        nn.Flatten(2),  # (B, width, patches)
        *[blocks.Mixing(num_patches, width) for _ in range(depth)],
        blocks.ChannelNorm(width),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
    ), width


def _conv_bn(inputs: int, outputs: int, *, pool: bool = False) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    layers = [conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.MaxPool2d(2)) if pool else nn.Sequential(*layers)
