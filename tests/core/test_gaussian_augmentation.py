"""Noise on training images: its distribution, whose it is, and that a training sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from raylab.core import fit as training
from raylab.core import networks
from raylab.core.augment import noise
from raylab.engine.identity import canonical_json
from raylab.stages.recipe import Recipe


def drawn(ids: Any, seed: int = 0, epoch: int = 0, largest: float = 0.1) -> torch.Tensor:
    return noise(largest, np.asarray(ids), (2, 8, 8), seed=seed, epoch=epoch)


def test_the_deviation_is_uniform_over_images_and_the_noise_normal_within_one() -> None:
    made = drawn(np.arange(3000)).double()
    sd = made.flatten(1).std(dim=1)
    assert sd.mean() == pytest.approx(0.05, abs=5 * 0.1 / np.sqrt(12 * 3000))
    quartiles = torch.quantile(sd, torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64))
    assert quartiles.numpy() == pytest.approx([0.025, 0.05, 0.075], abs=0.005)
    assert sd.max() < 0.1 * 1.3  # a sample deviation of 128 draws lies within 6 % of its own
    assert made.mean().abs() < 5 * 0.06 / np.sqrt(made.numel())


def test_an_image_has_its_noise_in_whatever_company_anew_each_epoch() -> None:
    made = drawn(np.arange(100, 140))
    assert torch.equal(drawn([131, 105]), made[[31, 5]])
    for other in (drawn(np.arange(100, 140), seed=1), drawn(np.arange(100, 140), epoch=1)):
        assert not torch.equal(other, made)


@pytest.mark.parametrize("largest", [0.0, -1.0, float("nan")])
def test_no_noise_is_asked_for_by_none(largest: float) -> None:
    with pytest.raises(ValueError, match="None switches it off"):
        drawn([1], largest=largest)


def test_a_training_sees_the_clipped_noise_of_each_image_and_none_without(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (12, 1, 8, 8)).astype(np.uint8))
    ids, labels = np.arange(50, 62), torch.arange(12) % 3
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(
        networks.Network, "forward", lambda self, x: seen.append(x.clone()) or self.head(self.features(x))
    )

    def trained(gaussian: float | None) -> torch.Tensor:
        seen.clear()
        network = networks.build("linear", (1, 8, 8), 3, (0.5,), (0.25,), seed=1)
        settings: dict[str, Any] = {"epochs": 1, "batch_size": 5, "optimizer": "sgd", "lr": 0.1, "seed": 7}
        training.fit(network, images, labels, ids, gaussian=gaussian, **settings)
        return torch.cat(seen)

    plain, noisy = trained(None), trained(0.5)
    order = [int((plain[k] == images.float() / 255).flatten(1).all(dim=1).nonzero()[0]) for k in range(12)]
    assert sorted(order) == list(range(12))
    added = noise(0.5, ids[order], (1, 8, 8), seed=7, epoch=0)
    torch.testing.assert_close(noisy, (plain + added).clamp(0, 1))
    assert noisy.min() == 0
    assert noisy.max() == 1


def test_recipes_from_before_keep_their_keys() -> None:
    """The canonical form of a recipe without noise does not know the field; with noise it does."""
    assert "gaussian" not in canonical_json(Recipe())
    assert '"gaussian":0.1' in canonical_json(Recipe(gaussian=0.1))
    assert canonical_json(Recipe(gaussian=None)) == canonical_json(Recipe())
