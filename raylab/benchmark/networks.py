"""The networks that are timed: ResNets at 32x32 as raylab builds them, one of another width, and a small MLP."""

from __future__ import annotations

import torch
from torch import nn

from raylab.core import networks, torchvision_compat
from raylab.core.networks import Network, Normalise

SHAPE = (3, 32, 32)
CLASSES = 10
MEAN, STD = (0.491, 0.482, 0.447), (0.247, 0.243, 0.262)  # of CIFAR-10
NARROW = "resnet18, width 16"


def images(count: int, device: str, seed: int = 0) -> torch.Tensor:
    """(count, 3, 32, 32) in [0, 1]; what is on them changes no time."""
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed)).to(device)


def labels(count: int, device: str) -> torch.Tensor:
    return (torch.arange(count) % CLASSES).to(device)


def build(name: str, device: str) -> Network:
    """In eval mode with frozen parameters, its BatchNorms having seen images."""
    made = _narrow() if name == NARROW else networks.build(name, SHAPE, CLASSES, MEAN, STD, seed=0)
    network = made.to(device).train()
    with torch.no_grad():
        network(images(64, device, seed=1))
    return network.eval().requires_grad_(False)


def contiguous(network: Network) -> Network:
    """The same in the format that PyTorch has unless it is told otherwise (NCHW)."""
    network.prefers_channels_last = False
    return network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload,no-any-return]


def _narrow(width: int = 16) -> Network:
    """ResNet-18 for small images, a quarter as wide: small enough that more than convolutions takes time."""
    resnet = torchvision_compat.load().models.resnet
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        body = resnet.ResNet(resnet.BasicBlock, [2, 2, 2, 2])
        body.inplanes = width
        body.conv1, body.bn1 = nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        body.maxpool = body.fc = nn.Identity()
        for index in range(4):
            layer = body._make_layer(resnet.BasicBlock, width << index, 2, stride=1 if index == 0 else 2)
            setattr(body, f"layer{index + 1}", layer)
        head = nn.Linear(8 * width, CLASSES)
    network = Network(Normalise(MEAN, STD), body, head, prefers_channels_last=True)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
