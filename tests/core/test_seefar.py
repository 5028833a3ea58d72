"""See-Far: its ground truth is what all claims about it rest on, so it is measured here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from raylab.core.seefar import ABSENT, CLASS_NAMES, PROBES, USES, World

WORLDS = (0, 1, 2)


def share_band(patterns: NDArray[np.float64], low: float, high: float) -> float:
    """Largest share of a pattern's energy outside low <= |f| <= high cycles per image."""
    side = patterns.shape[-1]
    energy = np.abs(np.fft.fft2(patterns)) ** 2
    f = np.fft.fftfreq(side) * side
    radius = np.hypot(f[:, None], f[None, :])
    outside = (radius < low) | (radius > high)
    return float((energy[:, outside].sum(axis=1) / energy.sum(axis=(1, 2))).max())


@pytest.mark.parametrize("seed", WORLDS)
def test_oracles_read_every_clean_image_right(seed: int) -> None:
    sample = World(seed).sample("test", 2000)
    assert (World(seed).read_shape(sample["image"]) == sample["shape_class"]).mean() > 0.999
    assert (World(seed).read_toogit(sample["image"]) == sample["toogit_class"]).mean() > 0.999


@pytest.mark.parametrize("seed", WORLDS)
def test_each_feature_agrees_with_the_label_at_its_reliability(seed: int) -> None:
    sample = World(seed).sample("train", 4000)
    shape, toogit = sample["shape_class"] == sample["label"], sample["toogit_class"] == sample["label"]
    # Four standard errors of 4000 draws: 0.023 and 0.014.
    assert shape.mean() == pytest.approx(0.85, abs=0.023)
    assert toogit.mean() == pytest.approx(0.95, abs=0.014)
    assert (shape & toogit).mean() == pytest.approx(0.85 * 0.95, abs=0.025)  # independent given the label


def test_wrong_features_are_uniform_over_the_other_classes() -> None:
    sample = World(0, shape_reliability=0.0).sample("train", 9000)
    step = (sample["shape_class"] - sample["label"]) % 10
    counts = np.bincount(step, minlength=10)
    assert counts[0] == 0
    assert np.abs(counts[1:] - 1000).max() < 4 * np.sqrt(1000)


def test_control_worlds_keep_the_patterns_and_lose_one_feature() -> None:
    world = World(3)
    for control, lost, kept, rate in (
        (replace(world, toogit_reliability=0.1), "toogit_class", "shape_class", 0.85),
        (replace(world, shape_reliability=0.1), "shape_class", "toogit_class", 0.95),
    ):
        sample = control.sample("train", 4000)
        assert (sample[lost] == sample["label"]).mean() == pytest.approx(0.1, abs=0.02)
        assert (sample[kept] == sample["label"]).mean() == pytest.approx(rate, abs=0.023)
        np.testing.assert_array_equal(control.shapes, world.shapes)
        np.testing.assert_array_equal(control.toogits, world.toogits)
        assert (control.read_toogit(sample["image"]) == sample["toogit_class"]).mean() > 0.999


@pytest.mark.parametrize("size", [16, 17, 32])
def test_patterns_have_the_norms_and_the_bands_they_promise(size: int) -> None:
    world = World(1, size=size)
    np.testing.assert_allclose((world.shapes**2).mean(axis=(1, 2)), 1.0, rtol=1e-12)
    np.testing.assert_allclose(world.shapes.mean(axis=(1, 2)), 0.0, atol=1e-12)
    flat = world.toogits.reshape(10, -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(10), atol=1e-12)
    assert share_band(world.shapes, 0.5, 2.3) < 1e-20
    assert share_band(world.toogits, 4.9, 8.1) < 1e-20


@pytest.mark.parametrize("seed", range(6))
def test_no_two_shapes_look_alike_however_they_are_shifted(seed: int) -> None:
    shapes = World(seed).shapes
    flat = shapes.reshape(10, -1) / 16
    correlation = np.full((10, 10), -1.0)
    for shift in product(range(-2, 3), repeat=2):
        moved = np.roll(shapes, shift, axis=(1, 2)).reshape(10, -1) / 16
        correlation = np.maximum(correlation, flat @ moved.T)
    largest = correlation[~np.eye(10, dtype=bool)].max()
    assert largest < 0.38
    assert np.sqrt(2 - 2 * largest) * 3.2 / 2 > 1.75  # half-way from shape to shape: twice an eps of 0.8


def test_a_budget_of_a_toogit_turns_toogits_and_never_shapes() -> None:
    world = World(0)
    sample = world.sample("test", 1000)
    target = (sample["toogit_class"] + 1) % 10
    towards = (world.toogits[target] - world.toogits[sample["toogit_class"]])[:, None] / np.sqrt(2)
    turned = np.clip(sample["image"] / 255 + 0.8 * towards, 0, 1)
    assert (world.read_toogit(turned) == target).mean() > 0.999
    assert (world.read_shape(turned) == sample["shape_class"]).mean() > 0.999


def test_an_example_depends_on_its_id_alone() -> None:
    world = World(5)
    whole = world.sample("train", 1300)  # more than two blocks of rendering
    ids = np.array([1299, 3, 512, 511, 700, 3])
    some = world.examples("train", ids)
    for column, values in some.items():
        np.testing.assert_array_equal(values, whole[column][ids])
    np.testing.assert_array_equal(world.labels("train", ids), some["label"])
    assert whole["image"].shape == (1300, 1, 16, 16)
    assert whole["image"].dtype == np.uint8


def test_splits_and_seeds_give_other_images_of_the_same_world() -> None:
    world = World(5)
    train = world.sample("train", 200)["image"]
    for other in (world.sample("test", 200), world.sample("train", 200, seed=6)):
        assert (other["image"] != train).any(axis=(1, 2, 3)).all()
        assert (world.read_toogit(other["image"]) == other["toogit_class"]).all()
    assert (World(6).toogits != world.toogits).any()


def test_images_stay_the_same_over_releases() -> None:
    # If this changes on purpose, raise seefar.VERSION, which is the content of every stored See-Far set.
    sample = World(0).sample("train", 64)
    found = hashlib.sha256(sample["image"].tobytes() + sample["label"].tobytes()).hexdigest()
    assert found == "5d59fa1506e188d7ddb9b0b860920cb029d563309acb3555857d75601d19c53d"


def test_few_pixels_are_clipped() -> None:
    image = World(0).sample("train", 1000)["image"]
    assert ((image == 0) | (image == 255)).mean() < 0.04


def test_probes_show_two_classes_at_once_or_one_feature_alone() -> None:
    world = World(2)
    shown = {kind: world.probe(kind, 500) for kind in PROBES}
    conflict = shown["conflict"]
    assert (conflict["shape_class"] != conflict["toogit_class"]).all()
    assert (world.read_shape(conflict["image"]) == conflict["shape_class"]).mean() > 0.99
    assert (world.read_toogit(conflict["image"]) == conflict["toogit_class"]).mean() > 0.99
    assert (shown["only_shape"]["toogit_class"] == ABSENT).all()
    assert (shown["only_toogit"]["shape_class"] == ABSENT).all()
    for kind, patterns, weakest in (
        ("only_shape", world.toogits, 0.42),
        ("only_toogit", world.shapes / 16, 2.24),
    ):
        pixels = shown[kind]["image"].reshape(500, -1) / 255
        projections = np.abs(pixels @ patterns.reshape(10, -1).T)
        assert np.median(projections) < weakest / 3  # what is left is clutter, noise and rounding


def test_oracles_follow_exactly_the_feature_they_read() -> None:
    world = World(1)
    shown = {kind: world.probe(kind, 300) for kind in PROBES}

    def follows(read: Callable[[Any], Any]) -> dict[str, float]:
        return {
            name: float((read(shown[kind]["image"]) == shown[kind][f"{feature}_class"]).mean())
            for name, (kind, feature) in USES.items()
        }

    reliant = {"follow_r": 1.0, "follow_n": 0.0, "only_r": 1.0, "only_n": 0.1}
    assert follows(world.read_shape) == pytest.approx(reliant, abs=0.1)
    read_toogit = follows(world.read_toogit)
    assert read_toogit["follow_n"] == read_toogit["only_n"] == 1.0
    assert read_toogit["follow_r"] == 0.0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", 15),
        ("num_classes", 11),
        ("num_classes", 1),
        ("shape_reliability", 1.1),
        ("toogit_reliability", float("nan")),
        ("toogit_amplitude", -0.1),
        ("noise", float("inf")),
    ],
)
def test_impossible_worlds_are_refused_by_field_and_value(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"World\.{field}: .*{value}"):
        World(0, **{field: value})  # type: ignore[arg-type]


def test_oracles_refuse_images_of_another_size() -> None:
    with pytest.raises(ValueError, match=r"\(N, 1, 16, 16\), got \(5, 1, 8, 8\)"):
        World(0).read_shape(np.zeros((5, 1, 8, 8)))


def test_a_world_of_four_classes_has_four_names_and_labels() -> None:
    world = World(0, num_classes=4)
    assert world.class_names == CLASS_NAMES[:4]
    sample = world.sample("train", 500)
    assert set(sample["label"]) == set(sample["shape_class"]) == {0, 1, 2, 3}
