"""Warnings of gradient masking: networks masked on purpose trip them, honest ones do not."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from raylab.core import masking, robust
from raylab.core.balls import L2Ball
from raylab.core.fit import fit
from raylab.core.networks import Network, build
from raylab.core.objectives import Classifier

EPS, EVERYTHING = 0.4, 8.0  # the latter: the diagonal of the cube of 64 pixels
IDS = np.arange(100)


@cache
def _digits() -> tuple[Tensor, Tensor]:
    bunch = load_digits()
    return torch.from_numpy(bunch.images).float()[:, None] / 16, torch.from_numpy(bunch.target).long()


@cache
def _trained(name: str) -> Network:
    images, labels = _digits()
    network = build(name, (1, 8, 8), 10, [0.5], [0.25], seed=0)
    recipe = {"epochs": 8, "batch_size": 64, "optimizer": "adamw", "seed": 0, "lr": 1e-2 if name == "linear" else 2e-3}
    fit(network, images[100:], labels[100:], np.arange(len(images) - 100), **recipe)  # type: ignore[arg-type]
    return network.requires_grad_(False)


class _Masked(nn.Module):
    """A trained network behind something that hides its gradients."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.network, self.kind = _trained("mlp"), kind

    def forward(self, x: Tensor) -> Tensor:
        logits = self.network(x)
        if self.kind == "quantised logits":
            return (logits / 2).round() * 2 + 1e-3 * logits.detach()
        if self.kind == "saturated logits":
            return torch.tanh(1e4 * (logits - logits.max(dim=1, keepdim=True).values)) + 1e-3 * logits.detach()
        if self.kind == "quantised pixels":
            return self.network((x * 32).round() / 32)
        return logits + torch.randn_like(logits)


def _warnings(network: Classifier) -> set[str]:
    """The first words of each warning."""
    x, label = (rows[:100] for rows in _digits())
    attacks = robust.standard(L2Ball(EPS), 10, seed=0, steps=50, queries=300)
    worst = robust.worst_case(network, x, label, IDS, attacks)
    gradients = torch.stack([worst.margins[name] for name in worst.margins if name != "square"]).amin(dim=0)
    eps = [EPS / 2, EPS, EVERYTHING]
    stands = [robust.worst_case(network, x, label, IDS, robust.pgd(L2Ball(e), 0, 50)).margin > 0 for e in eps]
    with torch.no_grad():
        first, second = network(x).numpy(), network(x).numpy()
    found = [
        masking.zero_gradients(masking.gradient_size(network, x, label).numpy()),
        masking.random_output(first, second),
        masking.black_box_wins(gradients.numpy(), worst.margins["square"].numpy()),
        masking.accuracy_stays(eps, torch.stack(stands).numpy()),
    ]
    return {" ".join(message.split()[:2]) for message in found if message is not None}


@pytest.mark.parametrize("name", ["linear", "mlp", "cnn"])
def test_honest_networks_trip_none(name: str) -> None:
    assert _warnings(_trained(name).eval()) == set()


@pytest.mark.parametrize("kind", ["quantised logits", "saturated logits", "quantised pixels"])
def test_networks_masked_on_purpose_trip_two_or_more(kind: str) -> None:
    """Square finds what gradients missed, and PGD stays where it began even where everything is allowed."""
    assert _warnings(_Masked(kind).eval()) == {"zero gradients:", "a black-box", "accuracy does"}


def test_a_random_network_is_named() -> None:
    torch.manual_seed(0)
    assert "random output:" in _warnings(_Masked("random logits").eval())


def test_a_sure_network_has_gradients_where_its_cross_entropy_has_none() -> None:
    network = build("mlp", (1, 8, 8), 10, [0.5], [0.25], seed=0).eval().requires_grad_(False)
    network.head.weight *= 1e5
    x = _digits()[0][:20]
    assert masking.zero_gradients(masking.gradient_size(network, x, network(x).argmax(1)).numpy()) is None


def test_one_pass_that_differs_is_random_output() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 3))
    other = logits.copy()
    assert masking.random_output(logits, other) is None
    other[3] *= 1.01  # only its length
    assert masking.random_output(logits, other + 1e-7) is None
    other[3, 0] += 0.1
    assert "two passes over the same images differ" in str(masking.random_output(logits, other))


def test_the_black_box_wins_by_what_it_breaks_and_by_how_near_it_comes() -> None:
    gradient = np.array([-1.0, -1.0, 0.5, 0.5, 0.5])
    assert masking.black_box_wins(gradient, np.array([-9.0, np.inf, 0.6, 0.6, 0.4])) is None
    assert "it broke 20.0% of 5" in str(masking.black_box_wins(gradient, np.array([np.inf, np.inf, 0.6, 0.6, -0.1])))
    nearer = masking.black_box_wins(gradient, np.array([np.inf, np.inf, 0.1, 0.1, 0.6]))
    assert "came nearer to breaking 67%" in str(nearer)
    assert masking.black_box_wins(-np.ones(4), np.full(4, np.inf)) is None


def test_accuracy_must_fall_and_vanish() -> None:
    def correct(*shares: float) -> np.ndarray:
        return np.arange(1000) < 1000 * np.array(shares)[:, None]

    assert masking.accuracy_stays([0.1, 0.2, 8], correct(0.9, 0.5, 0.0)) is None
    assert masking.accuracy_stays([0.1, 0.2, 8], correct(0.5, 0.51, 0.0)) is None  # within two searches' luck
    assert "rises with eps: 50.0% at 0.1, 70.0% at 0.2" in str(
        masking.accuracy_stays([0.1, 0.2, 8], correct(0.5, 0.7, 0))
    )
    assert "does not fall with eps: 90.0% at 8" in str(masking.accuracy_stays([0.1, 8], correct(0.9, 0.9)))
    with pytest.raises(ValueError, match="at least 2 increasing eps"):
        masking.accuracy_stays([0.2, 0.1], correct(0.5, 0.5))
