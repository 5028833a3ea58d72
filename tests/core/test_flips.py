"""How far See-Far's features are from another class: against the geometry and against the oracles themselves."""

from __future__ import annotations

import numpy as np
import pytest

from raylab.core.flips import Feature, distances, flippable
from raylab.core.seefar import World

WORLD = World(3)


def test_a_lone_toogit_is_half_the_way_from_another() -> None:
    """Orthonormal toogits at amplitude a: the border to another class is a / sqrt(2) away."""
    image = np.float64(0.6) * WORLD.toogits[2].reshape(1, 1, 16, 16)
    found = distances(WORLD, "toogit", image, np.array([5]))
    assert found == pytest.approx([0.6 / np.sqrt(2)], abs=1e-12)


@pytest.mark.parametrize("feature", ["shape", "toogit"])
def test_what_is_read_already_is_no_distance_away(feature: Feature) -> None:
    sample = WORLD.sample("test", 50)
    said = {"shape": WORLD.read_shape, "toogit": WORLD.read_toogit}[feature](sample["image"])
    assert not distances(WORLD, feature, sample["image"], said).any()
    assert (distances(WORLD, feature, sample["image"], (said + 1) % 10) > 0).all()


@pytest.mark.parametrize("feature", ["shape", "toogit"])
def test_no_change_that_turns_a_feature_is_smaller(feature: Feature) -> None:
    """Towards the target's filters, in steps: wherever the oracle says the target, the distance had been walked."""
    sample = WORLD.sample("test", 40)
    image = sample["image"].astype(np.float64) / 255
    target = (sample[f"{feature}_class"] + 1) % 10
    least = distances(WORLD, feature, image, target)
    own, others = (getattr(WORLD, f"{feature}s")[c] for c in (sample[f"{feature}_class"], target))
    way = (others - own)[:, None]
    way /= np.linalg.norm(way, axis=(2, 3), keepdims=True)
    read = {"shape": WORLD.read_shape, "toogit": WORLD.read_toogit}[feature]
    turned = 0
    for eps in (0.3, 0.5, 1.0, 2.0, 3.0):
        says = read(image + eps * way) == target
        assert (least[says] <= eps).all()
        turned += int(says.sum())
    assert turned > 40  # the walk does turn them


def test_the_bound_is_reached_by_toogits() -> None:
    sample = WORLD.sample("test", 40)
    image, own = sample["image"].astype(np.float64) / 255, sample["toogit_class"]
    target = (own + 1) % 10
    least = distances(WORLD, "toogit", image, target)[:, None, None, None]
    way = (WORLD.toogits[target] - WORLD.toogits[own])[:, None] / np.sqrt(2)
    assert (WORLD.read_toogit(image + 1.001 * least * way) == target).mean() > 0.95
    assert not (WORLD.read_toogit(image + 0.999 * least * way) == target).any()


def test_a_budget_turns_toogits_long_before_shapes() -> None:
    assert flippable(WORLD, "toogit", 0.8, 200) == 1.0
    assert flippable(WORLD, "shape", 0.8, 200) == 0.0
    assert flippable(WORLD, "toogit", 0.2, 200) == 0.0
    assert flippable(WORLD, "shape", 3.0, 200) > 0.9
