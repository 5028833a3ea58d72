"""Linear classifiers on features, and the two specifications of robust ones: closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from raylab.core import leakage

FITS = [leakage.correlation, leakage.least_squares, leakage.logistic]


def clusters(n: int = 600, spread: float = 0.3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Three classes at the corners of a triangle, far from the origin."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.arange(n) % 3
    corners = torch.tensor([[0.0, 1.0], [0.9, -0.5], [-0.9, -0.5]], dtype=torch.float64)
    noise = spread * torch.randn(n, 2, generator=generator, dtype=torch.float64)
    return corners[label] + noise + 50.0, label


@pytest.mark.parametrize("fit", FITS, ids=lambda fit: fit.__name__)
def test_every_fit_separates_clusters_and_means_the_same_in_shifted_and_scaled_features(fit) -> None:
    x, y = clusters()
    unseen, truth = clusters(seed=1)
    weights, bias = fit(x, y, 3)
    said = (unseen @ weights + bias).argmax(1)
    assert (said == truth).double().mean() > 0.95
    weights, bias = fit(3.0 * x - 700.0, y, 3)
    assert ((3.0 * unseen - 700.0) @ weights + bias).argmax(1).eq(said).double().mean() > 0.99


def test_least_squares_sees_through_correlated_noise_and_the_correlation_does_not() -> None:
    """The label is the small difference of two features that share a large noise."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(1000) % 2
    shared = 10.0 * torch.randn(1000, generator=generator, dtype=torch.float64)
    own = 0.1 * torch.randn(1000, generator=generator, dtype=torch.float64)
    x = torch.stack([shared + y.double() + own, shared], dim=1)
    right = {}
    for fit in (leakage.correlation, leakage.least_squares):
        weights, bias = fit(x, y, 2)
        right[fit.__name__] = float(((x @ weights + bias).argmax(1) == y).double().mean())
    assert right["least_squares"] > 0.99
    assert right["correlation"] < 0.7


def test_features_that_are_always_zero_do_no_harm() -> None:
    """Units of a deep network that are never active."""
    x, y = clusters()
    dead = torch.cat([x, torch.zeros(len(x), 5, dtype=torch.float64)], dim=1)
    for fit in FITS:
        weights, bias = fit(dead, y, 3)
        assert weights.isfinite().all()
        assert ((dead @ weights + bias).argmax(1) == y).double().mean() > 0.95


def test_robust_usefulness_is_the_radius_at_which_the_worst_perturbation_takes_the_mean_away() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(2, 5, generator=generator, dtype=torch.float64)
    y = torch.arange(400) % 2
    x = torch.randn(400, 5, generator=generator, dtype=torch.float64) + y[:, None].double()
    radius = leakage.robust_usefulness(x @ weights.T + 3.0, y, weights)
    for c in range(2):
        sign = (y == c).double() * 2 - 1
        f = (x - x.mean(0)) @ weights[c]
        moved = f - sign * float(radius[c]) * weights[c].norm()  # what a perturbation of that size does at worst
        assert float((sign * moved).mean()) == pytest.approx(0.0, abs=1e-12)
    assert float(radius.max()) > 0


def test_the_certified_radius_is_where_the_answer_changes_and_no_sooner() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    bias = torch.randn(4, generator=generator, dtype=torch.float64)
    x = torch.randn(50, 6, generator=generator, dtype=torch.float64)
    scores = x @ weights.T + bias
    radius, said = leakage.certified_radius(scores, weights), scores.argmax(1)
    for factor, changed in ((1.001, True), (0.999, False)):
        flipped = torch.zeros(50, dtype=torch.bool)
        for other in range(4):  # the shortest way to each other class
            gap = weights[other] - weights[said]
            step = gap / gap.norm(dim=1, keepdim=True).clamp(min=1e-12) * (factor * radius)[:, None]
            flipped |= ((x + step) @ weights.T + bias).argmax(1) != said
        assert bool(flipped.all()) if changed else not bool(flipped.any())
    assert not math.isinf(float(radius.max()))
