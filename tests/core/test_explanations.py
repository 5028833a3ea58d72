"""Energy of gradients in known patterns: closed forms of linear networks, and what must not matter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from raylab.core import explanations
from raylab.core.seefar import World

WORLD = World(0)
SPANS = {name: explanations.basis(WORLD.templates(name).reshape(-1, 256)) for name in ("shape", "toogit")}


def linear(weights: np.ndarray) -> Callable[[Tensor], Tensor]:  # (C, 256)
    matrix = torch.tensor(np.array(weights)).float()
    return lambda x: x.flatten(1) @ matrix.T


def images(count: int = 6) -> tuple[Tensor, Tensor]:
    sample = WORLD.sample("test", count)
    return torch.from_numpy(sample["image"]).float() / 255, torch.from_numpy(sample["label"])


@pytest.mark.parametrize(("feature", "other"), [("toogit", "shape"), ("shape", "toogit")])
def test_a_linear_network_whose_weights_are_toogits_has_all_its_energy_there(feature: str, other: str) -> None:
    x, label = images()
    network = linear(WORLD.templates(feature)[:, 0])  # type: ignore[arg-type]
    for sigma in (0.0, 0.2):
        found = explanations.smoothed(network, x, label, np.arange(len(x)), sigma, 3, 0).numpy()
        np.testing.assert_allclose(explanations.energy_share(found, SPANS[feature]), 1.0, atol=1e-5)
        np.testing.assert_allclose(explanations.energy_share(found, SPANS[other]), 0.0, atol=1e-5)


def test_energies_of_a_mixed_weight_are_the_squares_of_its_parts() -> None:
    toogit, shape = WORLD.toogits[0].ravel(), WORLD.shapes[0].ravel() / 16
    mixed = 0.6 * toogit + 0.8 * shape
    x, _ = images()
    found = explanations.gradients(linear(np.stack([mixed, -mixed])), x, torch.zeros(len(x), dtype=torch.int64)).numpy()
    np.testing.assert_allclose(explanations.energy_share(found, SPANS["toogit"]), 0.36, atol=1e-5)
    np.testing.assert_allclose(explanations.energy_share(found, SPANS["shape"]), 0.64, atol=1e-5)


def test_of_two_classes_the_gradient_is_the_difference_of_their_weights_and_noise_changes_nothing() -> None:
    weights = np.random.default_rng(0).normal(size=(2, 256))
    x, _ = images()
    label = torch.zeros(len(x), dtype=torch.int64)
    plain = explanations.gradients(linear(weights), x, label)
    np.testing.assert_allclose(plain[0].flatten().numpy(), weights[0] - weights[1], rtol=1e-5, atol=1e-5)
    noisy = explanations.smoothed(linear(weights), x, label, np.arange(len(x)), 0.3, 4, 0)
    torch.testing.assert_close(noisy, plain, rtol=1e-5, atol=1e-5)


def test_a_constant_added_to_all_logits_changes_no_explanation() -> None:
    weights = np.random.default_rng(1).normal(size=(4, 256))
    common = np.random.default_rng(2).normal(size=256)
    x, _ = images()
    label = torch.arange(len(x)) % 4
    torch.testing.assert_close(
        explanations.gradients(linear(weights), x, label),
        explanations.gradients(linear(weights + common), x, label),
        rtol=1e-3, atol=1e-3,  # logits of a hundred in float32
    )  # fmt: skip


def test_smoothing_depends_on_the_id_of_an_image_and_not_on_who_is_beside_it() -> None:
    def bent(x: Tensor) -> Tensor:
        return torch.relu(linear(np.random.default_rng(3).normal(size=(10, 256)))(x))

    x, label = images(5)
    whole = explanations.smoothed(bent, x, label, np.arange(5), 0.2, 3, 7)
    for row in (0, 4):
        alone = explanations.smoothed(bent, x[row : row + 1], label[row : row + 1], np.array([row]), 0.2, 3, 7)
        torch.testing.assert_close(alone, whole[row : row + 1])
    other = explanations.smoothed(bent, x, label, np.arange(5), 0.2, 3, 8)
    assert not torch.allclose(other, whole)


def test_a_basis_is_orthonormal_and_has_the_rank_of_its_patterns() -> None:
    rows = np.random.default_rng(4).normal(size=(3, 50))
    basis = explanations.basis(np.concatenate([rows, rows @ np.eye(50), rows[:1] - 2 * rows[1:2]]))
    assert basis.shape == (3, 50)
    np.testing.assert_allclose(basis @ basis.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(explanations.energy_share(rows, basis), 1.0)
    assert len(SPANS["toogit"]) == 10
    with pytest.raises(ValueError, match="all zero"):
        explanations.basis(np.zeros((2, 5)))


def test_a_random_direction_has_the_share_of_the_dimensions() -> None:
    vectors = np.random.default_rng(5).normal(size=(4000, 1, 16, 16))
    found = explanations.energy_share(vectors, SPANS["toogit"])
    assert found.mean() == pytest.approx(10 / 256, abs=4 * found.std() / np.sqrt(len(found)))


def test_shares_and_correlations_lie_where_they_must_and_of_nothing_are_nothing() -> None:
    toogits = WORLD.toogits[:3]
    np.testing.assert_allclose(explanations.correlation(toogits, toogits * 0.2), 1.0)
    np.testing.assert_allclose(explanations.correlation(toogits, -toogits), -1.0)
    np.testing.assert_allclose(explanations.correlation(toogits, np.roll(toogits, 1, axis=0)), 0.0, atol=1e-12)
    swap = WORLD.toogits[1:2] - WORLD.toogits[:1]
    np.testing.assert_allclose(explanations.correlation(swap, WORLD.toogits[1:2]), np.sqrt(0.5))
    nothing = np.zeros((2, 16, 16))
    assert np.isnan(explanations.energy_share(nothing, SPANS["shape"])).all()
    assert np.isnan(explanations.correlation(nothing, toogits[:2])).all()
    assert explanations.energy_share(np.zeros((0, 16, 16)), SPANS["shape"]).shape == (0,)
