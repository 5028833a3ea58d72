"""TRADES and AWP against their authors' loops, written down here from their code, and inside a training."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from raylab.core import adversary
from raylab.core.balls import Ball, L2Ball, LinfBall
from raylab.core.fit import fit
from raylab.core.networks import Network, build
from raylab.core.trades import NOISE, Trades, WeightPerturbation
from raylab.data.embedded import Digits
from raylab.stages.recipe import Adversary, Recipe
from raylab.stages.training import arguments

LINF = Trades(LinfBall(0.03), 10, 0.25, 0.0, 6.0)
L2 = Trades(L2Ball(0.5), 10, 0.2, 0.0, 6.0)  # 2 / steps, as in the authors' code


def network(name: str = "cnn", seed: int = 0) -> Network:
    return build(name, (1, 8, 8), 10, [0.5], [0.25], seed).eval()


def images(count: int = 24) -> tuple[Tensor, Tensor, Tensor]:
    """Off the edges, where clipping and projecting do not meet."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(count, 1, 8, 8, generator=generator)
    return 0.35 + 0.3 * torch.rand(count, 1, 8, 8, generator=generator), torch.arange(count) % 10, noise


def authors(of: Network, x: Tensor, noise: Tensor, norm: str, eps: float, steps: int, step: float) -> Tensor:
    """The inner loop of yaodongyu/TRADES, trades.py."""
    delta = NOISE * noise
    for _ in range(steps):
        delta.requires_grad_()
        loss = F.kl_div(of(x + delta).log_softmax(1), of(x).softmax(1), reduction="sum")
        (gradient,) = torch.autograd.grad(loss, [delta])
        delta = delta.detach()
        if norm == "linf":
            delta = (delta + step * gradient.sign()).clamp(-eps, eps)
        else:
            delta += step * gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            delta = ((x + delta).clamp(0, 1) - x).renorm(p=2, dim=0, maxnorm=eps)
    return (x + delta).clamp(0, 1)


@pytest.mark.parametrize(("trades", "norm"), [(LINF, "linf"), (L2, "l2")])
def test_the_attack_is_that_of_its_authors(trades: Trades, norm: str) -> None:
    x, _, noise = images()
    ours = trades.attack(network(), x, noise, 0.5)
    theirs = authors(network(), x, noise, norm, trades.ball.eps, trades.steps, trades.step_share * trades.ball.eps)
    torch.testing.assert_close(ours, theirs, rtol=0.0, atol=1e-5)
    assert float((ours - x).abs().amax()) > 0.5 * trades.ball.eps / (1 if norm == "linf" else 8)


def test_the_loss_and_its_gradient_are_those_of_its_authors() -> None:
    x, y, noise = images()
    gradients = []
    for ours in (True, False):
        of = network().train()
        attacked = (x + 0.02 * noise).clamp(0, 1)
        clean = of(x)
        if ours:
            loss = L2.loss(clean, of(attacked), y)
        else:
            robust = F.kl_div(of(attacked).log_softmax(1), of(x).softmax(1), reduction="sum") / len(x)
            loss = F.cross_entropy(clean, y) + 6.0 * robust
        gradients.append([loss.detach(), *torch.autograd.grad(loss, list(of.parameters()))])
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("ball", [LinfBall(0.03), L2Ball(0.5)])
def test_the_ramp_scales_radius_and_steps(ball: Ball) -> None:
    x, _, noise = images()
    ramped = Trades(ball, 5, 0.25, 0.6, 6.0)
    half = Trades(type(ball)(ball.eps / 2), 5, 0.25, 0.0, 6.0)  # type: ignore[call-arg]
    assert torch.equal(ramped.attack(network(), x, noise, 0.0), x)
    assert torch.equal(ramped.attack(network(), x, noise, 0.3), half.attack(network(), x, noise, 0.3))


def test_weights_are_perturbed_as_by_its_authors_and_put_back() -> None:
    """csdongxian/AWP, utils_awp.py: one step of a copy, scaled to each weight's size; biases and BatchNorm stay."""
    x, y, _ = images()
    of = build("resnet9_w16", (3, 32, 32), 10, [0.5] * 3, [0.25] * 3, 0).train()
    x = x.repeat(1, 3, 4, 4)
    before = copy.deepcopy(of.state_dict())
    proxy = copy.deepcopy(of)
    descent = torch.optim.SGD(proxy.parameters(), lr=0.01)
    (-F.cross_entropy(proxy(x), y)).backward()
    descent.step()

    def forward() -> tuple[Tensor, Tensor]:
        logits = of(x)
        return logits, F.cross_entropy(logits, y)

    _, plain = forward()
    of.load_state_dict(before)
    with WeightPerturbation(0.005).worst(of, forward):
        for (name, weight), moved in zip(of.named_parameters(), proxy.parameters(), strict=True):
            old = before[name]
            move = torch.zeros_like(old)
            if old.ndim > 1:
                move = 0.005 * old.norm() * (moved - old) / (moved - old).norm()
            torch.testing.assert_close(weight - old, move, rtol=0.02, atol=2e-7)
        assert all(torch.equal(b, before[name]) for name, b in of.named_buffers())
        _, worst = forward()
    assert worst > plain
    for name, weight in of.named_parameters():
        torch.testing.assert_close(weight, before[name], rtol=0.0, atol=1e-6)


RECIPE: dict[str, Any] = {"epochs": 4, "batch_size": 32, "preset": "small"}


@pytest.mark.parametrize("more", [{"trades": 6.0}, {"awp": 0.01, "awp_after": 1}, {"trades": 6.0, "awp": 0.01}])
def test_a_resumed_training_ends_in_the_same_bits(more: dict[str, float]) -> None:
    x, y, _ = images(48)
    recipe = Recipe.model_validate({**RECIPE, "adversary": {"eps": 0.3, "steps": 3, "step_share": 0.5, **more}})
    states: list[Any] = []
    whole, resumed = network("mlp"), network("mlp", seed=9)
    run = {"seed": 3, **arguments(recipe)}
    fit(whole, x, y, np.arange(48), on_epoch=lambda _, state: states.append(state()), **run)
    fit(resumed, x, y, np.arange(48), resume=states[1], **run)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def digits(split: str) -> tuple[Tensor, Tensor]:
    ids, labels = Digits().labels(Path(), split)
    return torch.from_numpy(Digits().images(Path(), split, ids)), torch.from_numpy(labels)


def test_on_digits_both_are_robust_where_standard_training_is_not() -> None:
    """L2 1, 8 epochs, 360 test images: what an attack leaves standing."""
    (x, y), (shown, labels) = digits("train"), digits("test")
    found = {}
    for name, more in {"standard": None, "TRADES": {"trades": 3.0}, "AWP": {"awp": 0.005}}.items():
        of = network("mlp")
        adversarial = None if more is None else {"eps": 1.0, "steps": 3, "step_share": 0.5, **more}
        recipe = Recipe.model_validate({"preset": "small", "epochs": 8, "adversary": adversarial})
        fit(of, x, y, np.arange(len(y)), seed=0, **arguments(recipe))
        attacked = adversary.pgd(L2Ball(1.0), 10, 0.25, 0.0)(of, shown, labels, 1.0)
        with torch.no_grad():
            found[name] = float((of(attacked).argmax(1) == labels).float().mean())
    assert found["TRADES"] > found["standard"] + 0.1
    assert found["AWP"] > found["standard"] + 0.1


def test_a_recipe_that_has_neither_is_what_it_was() -> None:
    plain = Recipe(adversary=Adversary(eps=0.5))
    assert "trades" not in arguments(plain)
    assert "awp" not in arguments(plain)
    assert plain.passes == 12 * 8
    assert Recipe(adversary=Adversary(eps=0.5, trades=6.0)).passes == 12 * 9
    assert Recipe(adversary=Adversary(eps=0.5, trades=6.0, awp=0.005)).passes == 12 * 11
    with pytest.raises(ValidationError, match="awp_after belongs to awp"):
        Adversary(eps=0.5, awp_after=3)
