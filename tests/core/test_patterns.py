"""Patterns that many images share: their size, that they are of no class, and a universal one's closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from raylab.core.balls import L2Ball, LinfBall
from raylab.core.patterns import base_rows, textures, universal


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 12)])
def test_textures_lie_on_the_border_of_the_ball_and_repeat_every_second_pixel(shape) -> None:
    pattern = textures(10, shape, L2Ball(0.5), seed=0)
    assert pattern.shape == (10, *shape)
    torch.testing.assert_close(pattern.flatten(1).norm(dim=1), torch.full((10,), 0.5))
    assert torch.equal(textures(10, shape, LinfBall(0.03), seed=0).abs().flatten(1).amax(1), torch.full((10,), 0.03))
    inner = pattern[..., : 2 * ((shape[1] - 1) // 2), : 2 * ((shape[2] - 1) // 2)]
    torch.testing.assert_close(inner[..., 2:, :], inner[..., :-2, :])
    torch.testing.assert_close(inner[..., :, 2:], inner[..., :, :-2])
    assert (inner[..., 1:, :] - inner[..., :-1, :]).abs().mean() > 0.01 * pattern.abs().mean()  # and not every first


def test_each_class_has_a_texture_of_its_own_and_the_seed_decides() -> None:
    flat = textures(10, (1, 16, 16), L2Ball(1.0), seed=0).flatten(1)
    cosine = (flat @ flat.T)[~torch.eye(10, dtype=torch.bool)]
    assert cosine.max() < 0.99
    assert cosine.min() < 0  # not all of one sign either
    again, other = (textures(10, (1, 16, 16), L2Ball(1.0), seed).flatten(1) for seed in (0, 1))
    assert torch.equal(flat, again)
    assert not torch.allclose(flat, other)
    # A class's texture does not depend on how many others there are.
    torch.testing.assert_close(textures(3, (1, 16, 16), L2Ball(1.0), seed=0).flatten(1), flat[:3])


def linear(weights: torch.Tensor) -> nn.Module:
    layer = nn.Linear(weights.shape[1], len(weights), bias=False)
    layer.weight.data = weights
    return nn.Sequential(nn.Flatten(), layer).eval().requires_grad_(False)


def test_the_universal_perturbation_of_a_linear_network_is_the_one_of_every_image() -> None:
    """Two classes: the loss falls fastest along w_t - w_other, wherever the image is, so one serves all."""
    weights = torch.tensor([[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0]])
    base = 0.5 + 0.1 * torch.rand(5, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    delta, loss = universal(linear(weights), base, 1, L2Ball(0.2), 0.05, 20)
    direction = weights[1] - weights[0]
    torch.testing.assert_close(delta.flatten(), 0.2 * direction / direction.norm(), rtol=1e-4, atol=1e-5)
    says = nn.functional.cross_entropy(linear(weights)(base + delta), torch.ones(5, dtype=torch.int64))
    assert loss == pytest.approx(float(says))


def test_pixels_that_clipping_takes_away_get_no_perturbation() -> None:
    weights = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.1, 0.1]])
    base = torch.tensor([[1.0, 1.0, 0.5, 0.5]]).view(1, 1, 2, 2)  # the first two are white already
    delta, _ = universal(linear(weights), base, 1, L2Ball(0.2), 0.05, 20)
    gained = (base + delta).clamp(0, 1) - base
    assert float(gained.flatten() @ weights[1]) == pytest.approx(0.2 * 0.02**0.5, rel=1e-3)  # all on the last two


def test_base_images_are_of_other_classes_and_their_order_decides_nothing() -> None:
    label, ids = np.arange(100) % 4, np.arange(100) * 7
    rows = base_rows(label, ids, target=2, size=30, seed=0)
    assert len(set(rows)) == 30
    assert (label[rows] != 2).all()
    shuffled = np.random.default_rng(0).permutation(100)
    again = base_rows(label[shuffled], ids[shuffled], target=2, size=30, seed=0)
    assert np.array_equal(ids[shuffled][again], ids[rows])
    assert set(base_rows(label, ids, 2, 30, seed=1)) != set(rows)
    with pytest.raises(ValueError, match=r"1 to 75 \(those of other classes than 2\), got 76"):
        base_rows(label, ids, target=2, size=76, seed=0)
