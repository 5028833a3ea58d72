"""The objective of perturbations that mislead one network and spare others."""

from __future__ import annotations

import torch
from torch import nn

from raylab.core.balls import L2Ball
from raylab.core.objectives import cross_entropy, spared
from raylab.core.pgd import descend


def linear(seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    layer = nn.Linear(16, 3)
    layer.weight.data = torch.randn(3, 16, generator=generator)
    layer.bias.data.zero_()
    return nn.Sequential(nn.Flatten(), layer).eval().requires_grad_(False)


def test_it_is_the_attack_plus_the_mean_loss_of_the_others_on_the_own_label() -> None:
    x = torch.rand(4, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    target, label = torch.tensor([1, 2, 0, 1]), torch.tensor([0, 1, 2, 2])
    attack = cross_entropy(linear(0), target)
    expected = attack(x) + (cross_entropy(linear(1), label)(x) + cross_entropy(linear(2), label)(x)) / 2
    torch.testing.assert_close(spared(attack, [linear(1), linear(2)], label)(x), expected)


def test_the_source_is_misled_and_the_others_are_not() -> None:
    x = torch.full((1, 1, 4, 4), 0.5)
    source, other = linear(0), linear(1)
    label = other(x).argmax(1)
    target = (source(x).argmax(1) + 1) % 3
    attack, ball = cross_entropy(source, target), L2Ball(1.5)
    plain = descend(attack, x, ball, 0.1, 40).best
    bugs = descend(spared(attack, [other], label), x, ball, 0.1, 40).best
    assert source(plain).argmax(1) == source(bugs).argmax(1) == target
    keeps = cross_entropy(other, label)
    assert float(keeps(bugs)) < float(keeps(plain)) / 4
