"""torchvision's networks up to their last linear layer, adapted to small images as CIFAR versions are.

Below 128 pixels the stem has stride 1 and no pooling (as in MadryLab/robustness, `cifar_models`); from there
on it is the original ImageNet stem.  No dropout: it would draw from the global random state.

ResNet and VGG are then the CIFAR versions of MadryLab/robustness, layer by layer; DenseNet and Inception are not quite
(their docstrings say how), and no checkpoint of these two was released for CIFAR.
"""

from __future__ import annotations

from typing import Any

from raylab.core import torchvision_compat
from raylab.core.bodies import Body, Shape
from raylab.core.later import nn

ORIGINAL_STEM_FROM = 128  # pixels of the shorter side


def vgg16(shape: Shape) -> Body:
    """VGG-16 with BatchNorm; one linear layer after its averaged features, not three of 4096."""
    vgg = torchvision_compat.load().models.vgg
    features = vgg.make_layers(vgg.cfgs["D"], batch_norm=True)
    for layer in features:
        if isinstance(layer, nn.Conv2d):
            _initialise(layer)
    features[0] = _conv(features[0], inputs=shape[0])
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten()), 512


def resnet18(shape: Shape) -> Body:
    """ResNet-18; small images: 3x3 stem of stride 1, no stem pooling."""
    return _resnet(torchvision_compat.load().models.resnet18(weights=None), shape)


def resnet50(shape: Shape) -> Body:
    """ResNet-50; small images: 3x3 stem of stride 1, no stem pooling."""
    return _resnet(torchvision_compat.load().models.resnet50(weights=None), shape)


def densenet121(shape: Shape) -> Body:
    """DenseNet-121 (growth 32); small images: 3x3 stem of stride 1, no stem pooling.

    The CIFAR version of MadryLab/robustness has no BatchNorm and ReLU after its stem: 128 parameters less.
    """
    net = torchvision_compat.load().models.densenet121(weights=None)
    features = net.features
    if _is_small(shape):
        features.conv0 = _conv(features.conv0, inputs=shape[0], kernel_size=3, stride=1, padding=1)
        features.pool0 = nn.Identity()
    else:
        features.conv0 = _conv(features.conv0, inputs=shape[0])
    pooled = nn.Sequential(features, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return pooled, net.classifier.in_features


def inception_v3(shape: Shape) -> Body:
    """Inception-v3 without its auxiliary head; small images: stem of stride 1, no stem pooling.

    So 32x32 reaches the first mixed block as 30x30; ImageNet's 299x299 reaches it as 35x35.  Initialised by
    torch's defaults, as the CIFAR versions are.  That of MadryLab/robustness convolves 3x3, not 1x1, after the pooling
    of its first three mixed blocks, 327,680 parameters more, and drops out half of the features in training.
    """
    net = torchvision_compat.load().models.inception_v3(weights=None, aux_logits=False, init_weights=False)
    first, second = net.Conv2d_1a_3x3, net.Conv2d_2a_3x3
    if _is_small(shape):
        first.conv = _conv(first.conv, inputs=shape[0], stride=1, padding=1)
        second.conv = _conv(second.conv, inputs=second.conv.in_channels, padding=1)
        net.maxpool1 = net.maxpool2 = nn.Identity()
    else:
        first.conv = _conv(first.conv, inputs=shape[0])
    net.dropout = nn.Identity()
    return _headless(net)


def _resnet(net: Any, shape: Shape) -> Body:
    if _is_small(shape):
        net.conv1 = _conv(net.conv1, inputs=shape[0], kernel_size=3, stride=1, padding=1)
        net.maxpool = nn.Identity()
    else:
        net.conv1 = _conv(net.conv1, inputs=shape[0])
    return _headless(net)


def _headless(net: Any) -> Body:
    num_features = net.fc.in_features
    net.fc = nn.Identity()
    return net, num_features


def _is_small(shape: Shape) -> bool:
    return min(shape[1:]) < ORIGINAL_STEM_FROM


def _conv(like: nn.Conv2d, *, inputs: int, **changes: Any) -> nn.Conv2d:
    """A new convolution that differs from `like` in its number of inputs and in `changes`."""
    kept = {name: getattr(like, name) for name in ("kernel_size", "stride", "padding")}
    return _initialise(nn.Conv2d(inputs, like.out_channels, **(kept | changes), bias=like.bias is not None))


def _initialise(conv: nn.Conv2d) -> nn.Conv2d:
    """He et al. 2015, by the number of outputs, as torchvision's VGG and ResNet do."""
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv
