"""Warnings of gradient masking, each from the results that it reads."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from raylab.core import masking
from raylab.core.networks import build


@cache
def _digits() -> tuple[Tensor, Tensor]:
    bunch = load_digits()
    return torch.from_numpy(bunch.images).float()[:, None] / 16, torch.from_numpy(bunch.target).long()


def test_a_sure_network_has_gradients_where_its_cross_entropy_has_none() -> None:
    network = build("mlp", (1, 8, 8), 10, [0.5], [0.25], seed=0).eval().requires_grad_(False)
    network.head.weight *= 1e5
    x = _digits()[0][:20]
    assert masking.zero_gradients(masking.gradient_size(network, x, network(x).argmax(1)).numpy() == 0) is None


def test_one_pass_that_differs_is_random_output() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 3))
    other = logits.copy()
    assert masking.random_output(masking.difference(logits, other)) is None
    other[3] *= 1.01  # only its length
    assert masking.random_output(masking.difference(logits, other + 1e-7)) is None
    other[3, 0] += 0.1
    between = masking.difference(logits, other)
    assert (between > 1e-6).tolist() == [False, False, False, True, False]
    assert "two passes over the same images differ" in str(masking.random_output(between))


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


def test_pgd_may_leave_two_points_more_than_the_ensemble() -> None:
    assert masking.ensemble_below(0.50, 0.481) is None
    assert masking.ensemble_below(0.48, 0.50) is None
    assert "50.0% of the images withstand it, 47.9%" in str(masking.ensemble_below(0.50, 0.479))
