"""Heat maps, changed images and bands as stages: against a loop, and whatever the shards."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toy
from frost_files import FROSTS, write_frosts
from PIL import Image
from pydantic import ValidationError

from raylab.core import fourier_basis, spectra
from raylab.data.reader import DataError
from raylab.engine import runner
from raylab.engine.artifact import Artifact
from raylab.engine.identity import canonical
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Compute, Stage
from raylab.engine.store import Store
from raylab.stages import frost as frosts
from raylab.stages import heat_map as heat_maps
from raylab.stages.band import band_passed
from raylab.stages.corruption import DEFAULT, NAMES, Corruptions, FilteredNoise, as_bytes, changed, corrupted
from raylab.stages.dataset import SeeFarData, open_data
from raylab.stages.frost import PUBLISHED
from raylab.stages.heat_map import HeatMap, heat_map
from raylab.stages.images import to_tensor
from raylab.stages.recipe import Recipe
from raylab.stages.training import train
from raylab.stages.weights import load_network

DATA = open_data(SeeFarData(name="seefar", train_rows=300, test_rows=50), 0)
COMPUTE = Compute(batch_rows=10, shard_rows=20)
NETWORK = train("linear", Recipe(epochs=2), DATA.train, DATA.images, 0, rows=300, name="linear")
OTHER = train("linear", Recipe(epochs=0), DATA.train, DATA.images, 1, rows=300, name="untrained")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(str(tmp_path_factory.mktemp("store")))


def built(stage: Stage, store: Store) -> Artifact:
    return runner.build({"x": stage}, store, InlineBackend(), toy.Recorder())["x"]


def mapped(config: HeatMap, compute: Compute = COMPUTE) -> Stage:
    return heat_map(config, NETWORK, DATA.test, DATA.images, 3, compute, rows=50, name="map")


def test_a_heat_map_is_what_a_loop_over_waves_finds(store: Store) -> None:
    found = built(mapped(HeatMap(norm=6.0)), store)
    rows, test = found.batch(), built(DATA.test, store).batch()
    assert len(rows["i"]) == (16 * 16 - 4) // 2 + 4
    network = load_network(built(NETWORK, store), "cpu")
    pixels = test["image"] / 255.0
    for k in (0, 17, 60, len(rows["i"]) - 1):
        frequency = (int(rows["i"][k]), int(rows["j"][k]))
        sign = fourier_basis.signs(frequency, test["id"], 1, seed=3)[:, :, None, None]
        shown = np.clip(pixels + sign * 6.0 * fourier_basis.vector(frequency, (16, 16)), 0, 1).astype(np.float32)
        assert rows["errors"][k] == (network(torch.from_numpy(shown)).argmax(1).numpy() != test["label"]).sum()
    assert (rows["n"] == 50).all()


def test_the_bands_of_a_heat_map_average_its_cells_and_sum_to_the_plane(store: Store) -> None:
    found = built(mapped(HeatMap(norm=6.0)), store)
    rows, metrics = found.batch(), found.metrics
    frequencies = np.stack([rows["i"], rows["j"]], axis=1)
    weight = fourier_basis.multiplicity(frequencies, (16, 16))
    radius = np.hypot(rows["i"], rows["j"]) / 8
    for name, (low, high) in {"low": (0, 1 / 3), "middle": (1 / 3, 2 / 3), "high": (2 / 3, 2)}.items():
        inside = (low <= radius) & (radius < high)
        expected = np.average(rows["errors"][inside] / 50, weights=weight[inside])
        assert metrics[name][0] == pytest.approx(expected)
        assert metrics["rises"][name][0] == pytest.approx(expected - metrics["clean"][0])
    assert metrics["norm_a_channel"] == metrics["norm_of_the_image"] == 6.0  # of one channel
    network, test = load_network(built(NETWORK, store), "cpu"), built(DATA.test, store).batch()
    wrong = network(to_tensor(test["image"], "cpu")).argmax(1).numpy() != test["label"]
    assert metrics["clean"] == pytest.approx((wrong.mean(), wrong.std(ddof=1) / np.sqrt(50)))


def test_a_heat_map_of_some_images_takes_them_by_id_and_never_more_than_a_batch_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    load = heat_maps.load_network

    def counted(*given: Any) -> Any:
        network = load(*given)
        network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
        return network

    monkeypatch.setattr(heat_maps, "load_network", counted)
    found = built(mapped(HeatMap(norm=6.0, rows=25)), store)
    assert found.metrics["n"] == 25
    assert max(sizes) == 10
    assert sum(sizes) == 25 * (found.rows + 1)


def test_every_network_is_asked_about_the_same_changed_images(store: Store) -> None:
    config = Corruptions(names=("fog", "jpeg_compression", "contrast"))
    models = {"one": NETWORK, "two": OTHER}
    stage = changed(config, models, DATA.test, DATA.images, 5, COMPUTE, rows=50, name="changed")
    found = built(stage, store)
    rows, test = found.batch(), built(DATA.test, store).batch()
    assert rows["right"].shape == (50, 2, 15)
    metrics = found.metrics
    for k, (name, model) in enumerate(models.items()):
        network = load_network(built(model, store), "cpu")
        for v, (what, level) in enumerate(zip(metrics["variants"], metrics["levels"], strict=True)):
            shown = corrupted(what, level, test["image"], test["id"], 5)
            right = network(to_tensor(shown, "cpu")).argmax(1).numpy() == test["label"]
            assert np.array_equal(rows["right"][:, k, v], right)
            assert metrics["accuracy"][name][v] == pytest.approx(right.mean())
    assert metrics["clean"]["one"] > metrics["clean"]["two"]


def test_changed_images_do_not_depend_on_shards(store: Store) -> None:
    config = FilteredNoise(norm=4.0, low=(3,), high=(5,), rows=30)
    made = [
        built(changed(config, {"m": NETWORK}, DATA.test, DATA.images, 1, compute, rows=50, name="noise"), store)
        for compute in (COMPUTE, Compute(batch_rows=25, shard_rows=50))
    ]
    one, other = (artifact.batch() for artifact in made)
    assert len(one["id"]) == 30
    assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_and_pixels_are_pillows(channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, channels, 32, 32)).astype(np.uint8)
    for image, jpeg, pixels in zip(
        images,
        corrupted("jpeg_compression", 5, images, np.arange(2), 0),
        corrupted("pixelate", 5, images, np.arange(2), 0),
        strict=True,
    ):
        shown = Image.fromarray(image[0] if channels == 1 else image.transpose(1, 2, 0))
        stream = io.BytesIO()
        shown.save(stream, "JPEG", quality=40)
        assert np.array_equal(np.asarray(Image.open(stream)), jpeg[0] if channels == 1 else jpeg.transpose(1, 2, 0))
        assert len(np.unique(pixels[0, 0])) <= 20  # int(0.65 * 32) blocks across


def test_every_name_of_the_benchmark_can_be_made_and_is_stored_as_bytes() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 1, 16, 16)).astype(np.uint8)
    assert len(NAMES) == 19
    for name in NAMES:
        shown = images.repeat(3, axis=1) if name == "saturate" else images
        made = corrupted(name, 3, shown, np.arange(2), 0, FROSTS if name == "frost" else ())
        assert made.dtype == np.uint8
        assert made.shape == shown.shape


def test_a_corruption_that_is_added_changes_no_key_of_a_run_that_did_not_name_it() -> None:
    """The default is a list of its own, and where photographs lie is no part of it."""
    assert sorted(set(NAMES) - set(Corruptions().names)) == ["frost", "saturate", "spatter"]
    assert canonical(Corruptions()) == {"names": list(DEFAULT), "rows": None}


def frosted(folder: Path, **more: Any) -> Stage:
    config = Corruptions(names=("frost", "contrast"), frost=str(folder), **more)
    return changed(config, {"m": NETWORK}, DATA.test, DATA.images, 5, COMPUTE, rows=50, name="frosted")


def test_frost_is_made_of_the_photographs_in_a_folder(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frosts, "PUBLISHED", write_frosts(tmp_path / "one"))
    found, test = built(frosted(tmp_path / "one"), store), built(DATA.test, store).batch()
    network = load_network(built(NETWORK, store), "cpu")
    pictures = [np.asarray(Image.open(tmp_path / "one" / name)).transpose(2, 0, 1) for name in PUBLISHED]
    for severity in range(1, 6):
        shown = corrupted("frost", severity, test["image"], test["id"], 5, pictures)
        right = network(to_tensor(shown, "cpu")).argmax(1).numpy() == test["label"]
        assert np.array_equal(found.batch()["right"][:, 0, severity - 1], right)
    write_frosts(tmp_path / "two")
    assert frosted(tmp_path / "two").key == frosted(tmp_path / "one").key  # what, not where


def test_photographs_that_are_missing_or_others_are_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"corruptions.frost: .*frost1.png: no such file; .* hendrycks/robustness has"):
        frosted(tmp_path / "nothing")
    write_frosts(tmp_path)
    with pytest.raises(DataError, match=r"frost1.png: not the photograph that CIFAR-10-C was made with"):
        frosted(tmp_path)
    with pytest.raises(ValidationError, match="frost: the folder of CIFAR-10-C's photographs of frost, got none"):
        Corruptions(names=("frost",))
    with pytest.raises(ValidationError, match="names: frost is not among them, got its photographs; add it there"):
        Corruptions(frost=str(tmp_path))
    with pytest.raises(ValidationError, match="no corruption of that name, got 'frst'; did you mean 'frost'"):
        Corruptions(names=("frst",))


def test_colours_of_grey_images_are_refused_before_anything_runs() -> None:
    with pytest.raises(
        ValueError, match=r"corruptions\.names: saturate changes colours, got grey images; leave it out"
    ):
        changed(Corruptions(names=("saturate",)), {"m": NETWORK}, DATA.test, DATA.images, 5, COMPUTE, rows=50, name="x")


def test_images_that_are_no_bytes_are_rounded_to_them_first() -> None:
    assert as_bytes(np.array([0.0, 0.0625, 0.5, 1.0])).tolist() == [0, 16, 128, 255]
    assert as_bytes(np.arange(3, dtype=np.uint8)).tolist() == [0, 1, 2]


def test_a_band_is_the_filter_of_the_images_with_their_ids_and_labels(store: Store) -> None:
    test = built(DATA.test, store).batch()
    for passes, keep in (("low", spectra.low_pass), ("high", spectra.high_pass)):
        made = built(band_passed(DATA.test, passes, 5, COMPUTE, rows=50, name="band"), store).batch()  # type: ignore[arg-type]
        np.testing.assert_allclose(made["image"], keep(test["image"], 5), atol=1e-6)
        assert np.array_equal(made["id"], test["id"])
        assert np.array_equal(made["label"], test["label"])
    assert abs(made["image"].mean()) < 1e-6  # as published: not stretched, not shifted


@pytest.mark.parametrize(("config", "said"), [
    (FilteredNoise(low=(4,), high=()), "bandwidth: 4 of 16"), (Corruptions(rows=51), "rows at most the 50 images"),
])  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_runs(config: Any, said: str) -> None:
    with pytest.raises(ValueError, match="rows at most the 50 images"):
        mapped(HeatMap(rows=51))
    with pytest.raises(ValueError, match=said):
        changed(config, {"m": NETWORK}, DATA.test, DATA.images, 0, COMPUTE, rows=50, name="x")
