"""A network that multiplies its logits answers as before, and so must attacks find it: the old floor under a gradient's
norm and the cross-entropy's underflow made the same network look robust."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from raylab.core import apgd, masking, robust
from raylab.core.balls import Ball, BandBall, Free, L1Ball, L2Ball, LinfBall, unit
from raylab.core.fit import fit
from raylab.core.networks import Network, build
from raylab.core.objectives import away, log_odds_against, towards
from raylab.core.pgd import descend

TRAIN, ATTACKED = 600, 80
SCALES = (10.0, 30.0, 100.0)
BALLS = {"l2": L2Ball(0.5), "linf": LinfBall(0.1)}


@cache
def _digits() -> tuple[Tensor, Tensor]:
    images, labels = load_digits(return_X_y=True)
    rows = slice(0, TRAIN + ATTACKED)
    return torch.from_numpy(images[rows]).float().view(-1, 1, 8, 8) / 16, torch.from_numpy(labels[rows])


@cache
def _trained(name: str, classes: int) -> Network:
    """Sure of itself, as networks are that were trained to the end; resnet9_w16 is convolutional with BatchNorm."""
    images, labels = _digits()
    network = build(name, (1, 8, 8), classes, [0.3], [0.37], seed=0)
    epochs, lr = {"linear": (40, 0.03), "mlp": (30, 0.01), "resnet9_w16": (5, 0.005)}[name]
    rows = slice(0, TRAIN)
    ids = np.arange(TRAIN)
    own = labels[rows] % classes
    fit(network, images[rows], own, ids, epochs=epochs, batch_size=64, optimizer="adamw", lr=lr, seed=0)
    return network.eval().requires_grad_(False)


class Louder(nn.Module):
    """The same answers, its logits times `scale`."""

    def __init__(self, network: nn.Module, scale: float) -> None:
        super().__init__()
        self.network, self.scale = network, scale
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.scale * self.network(x)
        return logits


def _attacks(name: str) -> Mapping[str, robust.Attack]:
    kind, ball = name.split(" on ")
    if kind == "pgd":
        sizes = {"l2": 0.5, "linf": 0.1, "l1": 2.0, "l2_low": 0.5, "l2_high": 0.5}
        return robust.among(ball, sizes[ball], seed=0, steps=15)  # type: ignore[arg-type]
    found = robust.standard(BALLS[ball], 10, seed=0, steps=15)
    return {"apgd_ce": found["apgd_ce"], "apgd_t1": found["apgd_t1"]} if kind == "apgd" else {kind: found[kind]}


def _accuracy(network: nn.Module, classes: int, attacks: Mapping[str, robust.Attack]) -> float:
    images, labels = _digits()
    rows = slice(TRAIN, TRAIN + ATTACKED)
    found = robust.worst_case(network, images[rows], labels[rows] % classes, np.arange(ATTACKED), attacks)
    return float((found.margin > 0).float().mean())


EVERY = [f"pgd on {ball}" for ball in ("l2", "linf", "l1", "l2_low", "l2_high")]
EVERY += [f"apgd_ce on {ball}" for ball in BALLS]


@pytest.mark.parametrize("attack", EVERY)
@pytest.mark.parametrize("name", ["linear", "mlp", "resnet9_w16"])
def test_success_does_not_depend_on_the_scale_of_the_logits(name: str, attack: str) -> None:
    """Of ten classes up to 6 of 80 images, by the processor that trained: the cross-entropy weighs the other classes by
    a softmax, harder where the logits are louder, in exact arithmetic too.  Before, they rose by 20 to 80 points."""
    network = _trained(name, 10)
    quiet = _accuracy(network, 10, _attacks(attack))
    assert [_accuracy(Louder(network, scale), 10, _attacks(attack)) for scale in SCALES] == pytest.approx(
        [quiet] * len(SCALES), abs=6.01 / ATTACKED
    )


@pytest.mark.parametrize("attack", EVERY)
@pytest.mark.parametrize("name", ["linear", "mlp", "resnet9_w16"])
def test_with_two_classes_not_even_the_softmax_differs(name: str, attack: str) -> None:
    """But for rounding, which a sign step may turn into a pixel: an image of 80."""
    network = _trained(name, 2)
    quiet = _accuracy(network, 2, _attacks(attack))
    for scale in (SCALES[-1], 1e-20):
        assert _accuracy(Louder(network, scale), 2, _attacks(attack)) == pytest.approx(quiet, abs=1.01 / ATTACKED)


@pytest.mark.parametrize("ball", [L2Ball(0.5), LinfBall(0.1), L1Ball(2.0), BandBall(0.5, "low"), BandBall(0.5, "high")])
def test_iterates_are_those_of_the_cross_entropy_where_it_does_not_underflow(ball) -> None:
    """In float64 and with moderate logits: the published loop's loss, ours, the same images."""
    generator = torch.Generator().manual_seed(0)
    first, second = nn.Linear(64, 32).double(), nn.Linear(32, 10).double()
    network = nn.Sequential(nn.Flatten(), first, nn.Tanh(), second).eval().requires_grad_(False)
    x, label = torch.rand(12, 1, 8, 8, generator=generator, dtype=torch.float64), torch.arange(12) % 10
    for ours, sign in ((towards(network, label), 1.0), (away(network, label), -1.0)):

        def published(z: Tensor, sign: float = sign) -> Tensor:
            return sign * nn.functional.cross_entropy(network(z), label, reduction="none")

        theirs = descend(published, x, ball, 0.1, 15)
        found = descend(ours, x, ball, 0.1, 15)
        torch.testing.assert_close(found.best, theirs.best, rtol=0.0, atol=1e-9)
        torch.testing.assert_close(nn.functional.softplus(sign * found.best_loss), sign * theirs.best_loss)


def test_apgd_on_the_log_odds_is_apgd_on_the_cross_entropy() -> None:
    network, (images, labels) = _trained("mlp", 10).double(), _digits()
    x, label = images[TRAIN:].double(), labels[TRAIN:]
    start = robust.random_start(x, L2Ball(0.5), np.arange(ATTACKED), 0, "apgd/ce")
    try:
        quiet = Louder(network, 0.1)  # so that the cross-entropy does not underflow

        def cross_entropy(logits: Tensor, rows: Tensor | slice = apgd.ALL) -> Tensor:
            return nn.functional.cross_entropy(logits, label[rows], reduction="none")

        ours = apgd.ascend(quiet, apgd.cross_entropy(label), x, label, L2Ball(0.5), start, 20)
        theirs = apgd.ascend(quiet, cross_entropy, x, label, L2Ball(0.5), start, 20)
    finally:
        network.float()
    torch.testing.assert_close(ours.image, theirs.image, rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-37, 1e-30, 1e-12, 1.0, 1e12, 1e30])
@pytest.mark.parametrize("ball", [L2Ball(0.5), Free(), BandBall(0.5, "low")])
def test_the_steepest_step_is_of_one_length_whatever_the_gradient_s(ball: Ball, scale: float) -> None:
    gradient = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0)) + 0.5
    step = ball.steepest(scale * gradient)
    torch.testing.assert_close(step.flatten(1).norm(dim=1), torch.ones(3))
    torch.testing.assert_close(step, ball.steepest(gradient), rtol=1e-5, atol=1e-6)
    assert not ball.steepest(torch.zeros(3, 1, 4, 4)).any()


def test_a_power_of_two_changes_no_bit_of_a_unit_vector() -> None:
    x = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(unit(x), x / torch.linalg.vector_norm(x, dim=(1, 2, 3), keepdim=True))
    assert torch.equal(unit(2.0**-60 * x), unit(x))


def test_what_a_band_does_not_hold_is_no_direction_in_it() -> None:
    """The gradient of a constant brightness is low alone: its high part is rounding, and must not become a step."""
    bright = torch.full((2, 1, 8, 8), 0.3)
    assert not BandBall(0.5, "high").steepest(bright).any()
    assert BandBall(0.5, "low").steepest(bright).any()


def test_log_odds_keep_their_digits_where_a_probability_is_one() -> None:
    logits = torch.tensor([[200.0, 0.0, -1.0], [-1e4, 1e4, 0.0]], requires_grad=True)
    label = torch.tensor([0, 1])
    against = log_odds_against(logits, label)
    torch.testing.assert_close(against.detach(), torch.tensor([-200.0 + float(np.log1p(np.exp(-1.0))), -1e4]))
    (gradient,) = torch.autograd.grad(against.sum(), logits)
    assert (gradient.abs().amax(dim=1) > 0.5).all()


def test_a_gradient_that_is_really_zero_is_said_to_be() -> None:
    """A quantised image has none: the descent stays, says so by example, and masking warns."""

    class Quantised(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            flat = x.flatten(1)[:, :3]
            return torch.where(flat[:, :1] > 0.5, 10.0 * flat.round() + 0.0 * flat, 10.0 * flat)

    x = torch.cat([torch.full((3, 1, 2, 2), 0.9), torch.full((2, 1, 2, 2), 0.3)])
    network, label = Quantised().eval(), torch.zeros(5, dtype=torch.int64)
    found = descend(away(network, label), x, L2Ball(0.1), 0.05, 3)
    assert found.blind.tolist() == [True, True, True, False, False]
    assert torch.equal(found.last[:3], x[:3])
    warning = masking.zero_gradients(masking.gradient_size(network, x, label).numpy() == 0)
    assert warning is not None
    assert "60.0% of 5 images" in warning
