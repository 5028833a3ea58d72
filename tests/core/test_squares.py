"""Squares: who is robust, and what a fitted tenth of wrong labels does to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from raylab.core.squares import SquareWorld, Whitened, interpolator_radius, linear_rule_withstands, robust, trained

SMALL: dict[str, Any] = {
    "examples": 1000, "test": 300, "width": 64, "lr": 1e-3, "batch": 50,
    "epochs": 20, "fitted": 0.999, "radii": (0.01,),
}  # fmt: skip


class _Mean(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=1)


def test_the_rule_of_the_mean_withstands_what_is_said_and_no_more() -> None:
    world = SquareWorld(4)
    x, y = world.sample(0, "test", 2000)
    assert linear_rule_withstands(world) == pytest.approx(0.9)
    assert robust(_Mean(), x, y, 0.9) == 1.0
    assert robust(_Mean(), x, y, 1.1) == 0.0


def test_only_training_examples_may_have_the_other_sign() -> None:
    world = SquareWorld(10)
    wrong = {
        split: float((x.mean(dim=1) * y < 0).float().mean())
        for split in ("train", "test")
        for x, y in [world.sample(0, split, 5000)]
    }
    assert wrong["train"] == pytest.approx(0.1, abs=0.015)
    assert wrong["test"] == 0.0


def test_fitted_label_noise_is_what_makes_adversarial_examples_and_pixel_noise_is_needed_to_fit_it() -> None:
    both = trained(SquareWorld(400), 0, **SMALL)
    assert both.train >= 0.99
    assert both.clean > 0.85
    assert both.robust[0] < 0.3 < 0.9 < both.first_robust[0]
    no_labels = trained(SquareWorld(400, flipped=0.0), 0, **SMALL)
    assert no_labels.robust[0] > 0.9
    no_pixels = trained(SquareWorld(400, noise=0.0), 0, **{**SMALL, "epochs": 4})
    assert no_pixels.train < 0.95
    assert no_pixels.robust[0] > 0.9


def test_the_interpolator_of_least_norm_loses_its_median_point_at_its_radius() -> None:
    """Exactly: min ||w|| on the noise so that every label is right by the margin of the mean."""
    n, d = 600, 6000
    x, y = SquareWorld(d).sample(1, "train", n)
    noise = (x - x.sign()).double().numpy()
    wrong = (x[:, 0].sign() != y).numpy()
    added = np.linalg.lstsq(noise[wrong], 2.0 * y.double().numpy()[wrong], rcond=None)[0]  # the mean says -y there
    radius = 1.0 / np.abs(added).sum()
    share = wrong.mean()
    assert radius == pytest.approx(interpolator_radius(n, d, flipped=float(share)), rel=0.05)


def test_too_few_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="mislabelled"):
        interpolator_radius(10_000, 500)


def test_the_network_is_a_function_of_the_seed_and_of_mean_and_deviations() -> None:
    x = torch.randn(5, 20, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Whitened(20, 8, 3)(x), Whitened(20, 8, 3)(x))
    assert not torch.equal(Whitened(20, 8, 3)(x), Whitened(20, 8, 4)(x))
