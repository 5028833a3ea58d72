"""The adversary inside the training loop: its eps over time, and the collapse that the ramp prevents."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from raylab.core import adversary
from raylab.core.balls import Ball, L2Ball, LinfBall
from raylab.core.fit import Epoch, fit
from raylab.core.networks import Network, build
from raylab.core.objectives import away
from raylab.core.pgd import descend
from raylab.data.embedded import Digits


def _network(name: str = "mlp", seed: int = 0) -> Network:
    return build(name, (1, 8, 8), 10, [0.5], [0.25], seed).eval()


def _images(count: int = 20) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return 0.3 + 0.4 * torch.rand(count, 1, 8, 8, generator=generator), torch.arange(count) % 10


def _size(delta: Tensor, ball: Ball) -> Tensor:
    return torch.linalg.vector_norm(delta.flatten(1), 2 if isinstance(ball, L2Ball) else math.inf, dim=1)


@pytest.mark.parametrize("ball", [L2Ball(0.5), LinfBall(0.05)])
@pytest.mark.parametrize(("progress", "share"), [(0.0, 0.0), (0.15, 0.25), (0.3, 0.5), (0.6, 1.0), (0.99, 1.0)])
def test_eps_grows_linearly_over_the_ramp_and_then_stays(ball: Ball, progress: float, share: float) -> None:
    """On a linear network of two classes PGD goes straight out: 7 steps of eps / 5 reach the sphere."""
    network = build("linear", (1, 8, 8), 2, [0.5], [0.25], seed=0).eval()
    x, y = _images()
    z = adversary.pgd(ball)(network, x, y % 2, progress)
    # float32: a pixel near 1 is known to 6e-8, 64 of them to 5e-7
    torch.testing.assert_close(_size(z - x, ball), torch.full((len(x),), share * ball.eps), rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("progress", [0.0, 0.5])
def test_without_a_ramp_it_is_the_published_recipe(progress: float) -> None:
    network, (x, y) = _network(), _images()
    z = adversary.pgd(L2Ball(0.5), ramp=0.0)(network, x, y, progress)
    assert torch.equal(z, descend(away(network, y), x, L2Ball(0.5), 0.1, 7).best)
    assert (away(network, y)(z) < away(network, y)(x)).all()


def test_the_steps_grow_with_eps() -> None:
    network, (x, y) = _network(), _images()
    z = adversary.pgd(L2Ball(0.5), ramp=0.6)(network, x, y, 0.3)
    torch.testing.assert_close(z, descend(away(network, y), x, L2Ball(0.25), 0.05, 7).best)


def test_a_resumed_adversarial_training_ends_in_the_same_bits() -> None:
    x, y = _images(48)
    states = []
    recipe = {"epochs": 4, "batch_size": 16, "optimizer": "adamw", "lr": 2e-3, "seed": 3}
    whole, resumed = _network(), _network(seed=9)
    attack = adversary.pgd(L2Ball(0.5))
    fit(whole, x, y, np.arange(48), adversary=attack, on_epoch=lambda _, state: states.append(state()), **recipe)
    fit(resumed, x, y, np.arange(48), adversary=adversary.pgd(L2Ball(0.5)), resume=states[1], **recipe)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "at least 1 step"),
        ({"step_share": math.nan}, "finite share"),
        ({"ramp": 1.5}, r"\[0, 1\], got 1.5"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        adversary.pgd(L2Ball(0.5), **arguments)  # type: ignore[arg-type]


@cache
def _digits(split: str) -> tuple[Tensor, Tensor, np.ndarray]:
    digits = Digits(0)
    ids, labels = digits.labels(Path(), split)
    return torch.from_numpy(digits.images(Path(), split, ids)), torch.from_numpy(labels), ids


def _trained(eps: float, ramp: float, seed: int) -> tuple[float, str | None]:
    """Clean test accuracy of a network with 16 features after 12 epochs, and what the detector says."""
    network = _network("mlp_bottleneck16", seed)
    images, labels, ids = _digits("train")
    attack = adversary.pgd(L2Ball(eps), ramp=ramp)
    recipe = {"epochs": 12, "batch_size": 64, "optimizer": "adamw", "lr": 2e-3, "seed": seed}
    records = fit(network, images, labels, ids, adversary=attack, **recipe)
    test_images, test_labels, _ = _digits("test")
    clean = float((network(test_images).argmax(1) == test_labels).float().mean())
    seen = float((network(images).argmax(1) == labels).float().mean())
    return clean, adversary.collapse(records, float(labels.bincount().max()) / len(labels), lambda: seen, ramp)


def test_with_the_ramp_every_seed_trains() -> None:
    for seed in range(5):
        clean, reason = _trained(1.25, adversary.RAMP, seed)
        assert clean > 0.7, seed  # measured .84 to .90
        assert reason is None


def test_without_the_ramp_seeds_collapse_and_the_detector_names_exactly_those() -> None:
    """At eps 1.25 all seeds collapse; at .75 one of four, so that it has to tell them apart.  Chance is .1."""
    runs = [_trained(eps, 0.0, seed) for eps, seed in [(1.25, 0), (1.25, 1), (0.75, 0), (0.75, 1), (0.75, 3)]]
    collapsed = [clean < 0.3 for clean, _ in runs]  # measured: .14 or less, or .61 or more
    assert 2 <= sum(collapsed) < len(runs)
    assert [reason is not None for _, reason in runs] == collapsed


def test_the_last_epoch_decides() -> None:
    rising, falling = [0.1, 0.5], [0.5, 0.1]
    assert adversary.collapse([Epoch(i + 1, 2.0, a) for i, a in enumerate(rising)], 0.1, lambda: 0.1) is None
    reason = adversary.collapse([Epoch(i + 1, 2.0, a) for i, a in enumerate(falling)], 0.1, lambda: 0.1)
    assert reason is not None
    assert "epoch 2 ended at 10.0% under attack" in reason


def test_half_right_is_a_collapse_of_two_classes_and_not_of_ten() -> None:
    record = [Epoch(1, 0.7, 0.51)]
    assert adversary.collapse(record, 0.5, lambda: 0.51) is not None
    assert adversary.collapse(record, 0.1, lambda: 0.51) is None


def test_a_network_that_tells_images_apart_has_not_collapsed_though_the_attack_leaves_nothing() -> None:
    """26 classes, 28.7 % right: under attack above a constant answer's 3.8 %, or below."""
    weak, nothing = [Epoch(12, 3.1, 0.06)], [Epoch(12, 3.1, 0.01)]
    assert adversary.collapse(weak, 1 / 26, lambda: 0.287) is None
    said = str(adversary.collapse(nothing, 1 / 26, lambda: 0.287))
    assert "collapsed" not in said
    assert "reached no robust accuracy: epoch 12 ended at 1.0% under attack and at 28.7% without" in said
    assert "adversarial training collapsed" in str(adversary.collapse(weak, 1 / 26, lambda: 0.05))


def test_who_has_the_ramp_on_is_not_told_to_switch_it_on() -> None:
    record = [Epoch(12, 2.3, 0.1)]
    on, off = (str(adversary.collapse(record, 0.1, lambda: 0.1, ramp)) for ramp in (0.6, 0.0))
    assert "eps grew over 60% of the training already: lower it, or train longer" in on
    assert "let eps grow (ramp), or lower it" in off
