"""Two-layer networks that see perturbations alone, and the published run's very draws."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from raylab.core import philox, two_layer
from raylab.core.two_layer import Draws, Weights, expected, learn, train

N, D, WIDTH, LR, STEPS = 400, 40, 50, 1.0, 200


def test_philox_has_its_published_words() -> None:
    """Random123's known answer for counter and key of zeros."""
    words = philox.philox([np.zeros(1, dtype=np.uint64)] * 4, 0)
    assert [int(w[0]) for w in words] == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


def test_the_normals_are_those_that_a_cuda_generator_of_seed_0_begins_with() -> None:
    assert philox.normals(0, 0, 3) == pytest.approx([-0.9247, -0.4253, -2.6438], abs=1e-4)


def test_the_random_labels_of_the_published_run_sum_to_minus_12() -> None:
    labels = philox.signs(0, 2, 1000)
    assert set(labels.tolist()) == {-1.0, 1.0}
    assert labels.sum() == -12


def test_the_published_initial_networks_are_those_of_the_modules_that_drew_them() -> None:
    torch.manual_seed(two_layer.PUBLISHED_SEED)
    layer = torch.nn.Linear(20, 30)
    torch.nn.init.normal_(layer.weight, 0, 1 / 20**0.5)
    torch.nn.init.normal_(layer.bias, 0, 1)
    readout = torch.normal(0, 1 / 30**0.5, (1, 30))
    first = two_layer.published_draws(100, 20, 30, calls=2, loader=False).first
    assert torch.equal(first.hidden, layer.weight)
    assert torch.equal(first.bias, layer.bias)
    assert torch.equal(first.readout, readout[0])


def test_a_loader_between_them_changes_the_second_network_only() -> None:
    without, with_one = (two_layer.published_draws(100, 20, 30, calls=0, loader=loader) for loader in (False, True))
    assert torch.equal(without.first.hidden, with_one.first.hidden)
    assert not torch.equal(without.second.hidden, with_one.second.hidden)


def test_training_follows_autograd_and_momentum() -> None:
    x, y = two_layer.shifted_gaussians(0, "train", 30, 5)
    start = two_layer.initial(0, 5, 8)
    w, b = start.hidden.clone().requires_grad_(), start.bias.clone().requires_grad_()
    optimizer = torch.optim.SGD([w, b], 0.1, momentum=0.9)
    for _ in range(4):
        optimizer.zero_grad()
        (-y * Weights(w, b, start.readout)(x)).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    found = train(start, x, y, 0.1, 4)
    torch.testing.assert_close(found.hidden, w.detach())
    torch.testing.assert_close(found.bias, b.detach())
    assert found.readout is start.readout


def test_the_gradient_is_that_of_the_network_at_unit_length() -> None:
    x, _ = two_layer.shifted_gaussians(0, "train", 6, 5)
    network = two_layer.initial(1, 5, 8)
    z = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(network(z).sum(), z)
    torch.testing.assert_close(network.gradient(x), slope / slope.norm(dim=1, keepdim=True))


def _accuracy(label_sum: int, eps: float) -> float:
    x, y = two_layer.shifted_gaussians(3, "train", N, D)
    test = two_layer.shifted_gaussians(3, "test", N, D)
    drawn = two_layer.draws(3, N, D, WIDTH)
    towards = torch.ones(N)
    towards[: (N - label_sum) // 2] = -1.0
    towards = towards[torch.from_numpy(np.random.default_rng(0).permutation(N))]
    first = train(drawn.first, x, y, LR, STEPS)
    return learn(first, Draws(drawn.first, drawn.second, towards), x, y, test, eps, LR, STEPS).learned_test


def test_perturbations_alone_teach_where_the_labels_balance_and_not_where_their_sum_outweighs() -> None:
    assert _accuracy(0, 1e-3) > 0.85  # .971 if g were the direction between the means; half of the published least eps
    assert _accuracy(60, 1e-3) == pytest.approx(0.5, abs=0.05)
    assert _accuracy(60, 1.0) > 0.9


def test_the_closed_form_is_what_its_own_model_samples() -> None:
    label_sum, eps = 12.0, 0.004
    generator = np.random.default_rng(0)
    y = np.where(np.arange(200_000) % 2, 1.0, -1.0)
    score = 1000 * eps * (y * 0.3 * 10 + generator.normal(size=len(y))) + label_sum
    assert (score * y > 0).mean() == pytest.approx(expected(label_sum, 1000, 100, eps), abs=0.005)
    assert expected(0, 1000, 100, eps) == pytest.approx(0.99865, abs=1e-5)
    assert expected(12, 1000, 100, eps) == expected(-12, 1000, 100, eps)


def test_moving_the_pre_activations_along_is_gradient_descent() -> None:
    """Against torch's optimizer on -y f, with a learning rate at which units change sides until late."""
    x, y = two_layer.shifted_gaussians(3, "train", 100, 100)
    start = two_layer.initial(3, 100, 20)
    hidden, bias = start.hidden.clone().requires_grad_(), start.bias.clone().requires_grad_()
    plain = torch.optim.SGD([hidden, bias], lr=0.05, momentum=two_layer.MOMENTUM)
    sides = []
    for _ in range(200):
        inner = x @ hidden.T + bias
        sides.append(inner.detach() > 0)
        plain.zero_grad()
        (-y * (torch.relu(inner) @ start.readout)).mean().backward()
        plain.step()
    changed = [not torch.equal(a, b) for a, b in pairwise(sides)]
    assert 20 < sum(changed) < 180  # both kinds of step are gone through
    ended = two_layer.train(start, x, y, 0.05, 200)
    torch.testing.assert_close(ended.hidden, hidden.detach(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ended.bias, bias.detach(), rtol=1e-4, atol=1e-4)
