"""Labelled sets and matched images: what is kept, what is refused, and that nothing depends on shards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import toy as stubs

from raylab.core import errors
from raylab.core.toy2d import Protocol
from raylab.engine import runner
from raylab.engine.artifact import Artifact
from raylab.engine.runner import BuildFailed, InlineBackend
from raylab.engine.stage import Compute, Stage
from raylab.engine.store import Store
from raylab.stages.dataset import Data, DigitsData, PhotosData, open_data
from raylab.stages.errors import labelled_by, mislabeled, some_of
from raylab.stages.evaluation import evaluate
from raylab.stages.matching import How, Matching, match, statistics
from raylab.stages.recipe import Recipe
from raylab.stages.toy import toy
from raylab.stages.training import train

COMPUTE = Compute(batch_rows=50, shard_rows=100)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(str(tmp_path_factory.mktemp("store")))


def built(stage: Stage, store: Store) -> Artifact:
    return runner.build({"x": stage}, store, InlineBackend(), stubs.Recorder())["x"]


def digits() -> Data:
    return open_data(DigitsData(per_class=30), 0)


def teacher(epochs: int = 2) -> Stage:
    return train("mlp", Recipe(epochs=epochs), digits().train, digits().images, 1, rows=300, name="teacher")


def said(epochs: int = 2, data: Stage | None = None) -> Stage:
    return evaluate(teacher(epochs), data or digits().train, COMPUTE, rows=300, name="said")


def wrong(**options: Any) -> Stage:
    return mislabeled(digits().train, said(), 10, 0, name="errors", **options)


def test_errors_keep_every_wrong_image_with_what_was_said_and_no_right_pair(store: Store) -> None:
    everything, spoken = built(digits().train, store).batch(), built(said(), store).batch()
    made = built(wrong(), store)
    rows = made.batch()
    missed = spoken["prediction"] != everything["label"]
    assert 30 < missed.sum() < 270
    np.testing.assert_array_equal(rows["id"], everything["id"][missed])
    np.testing.assert_array_equal(rows["image"], everything["image"][missed])
    np.testing.assert_array_equal(rows["label"], spoken["prediction"][missed])
    np.testing.assert_array_equal(rows["source_label"], everything["label"][missed])
    assert (rows["label"] != rows["source_label"]).all()
    assert made.metrics["rows"] == missed.sum() == sum(made.metrics["histogram"])
    assert made.metrics["of"] == 300


@pytest.mark.parametrize("labels", ["shuffled", "random", "true"])
def test_controls_have_the_images_of_the_errors_and_other_labels(labels: Any, store: Store) -> None:
    rows, control = built(wrong(), store).batch(), built(wrong(labels=labels), store).batch()
    np.testing.assert_array_equal(rows["image"], control["image"])
    assert (control["label"] == control["source_label"]).all() == (labels == "true")
    assert (control["label"] == control["source_label"]).any() == (labels == "true")
    if labels == "shuffled":
        for cls in range(10):
            of = rows["source_label"] == cls
            np.testing.assert_array_equal(np.sort(rows["label"][of]), np.sort(control["label"][of]))


def test_a_right_pair_among_errors_stops_everything(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def leaking(*args: Any) -> Any:
        label = relabel(*args)
        label[0] = args[1][0]
        return label

    relabel = errors.relabel
    monkeypatch.setattr(errors, "relabel", leaking)
    with pytest.raises(BuildFailed, match="1 of 30 pairs of an errors-only set are right"):
        built(wrong(count=30), store)


def test_fewer_errors_are_a_part_of_all(store: Store) -> None:
    few, everything = built(wrong(count=20), store).batch(), built(wrong(), store).batch()
    assert len(few["id"]) == 20
    at = np.searchsorted(everything["id"], few["id"])
    np.testing.assert_array_equal(everything["id"][at], few["id"])
    np.testing.assert_array_equal(everything["image"][at], few["image"])


def test_a_teacher_without_errors_and_one_with_too_few_are_refused(store: Store) -> None:
    perfect = mislabeled(digits().train, said(60), 10, 0, name="none")
    with pytest.raises(BuildFailed, match="no error is left to learn from; stop its teacher earlier"):
        built(perfect, store)
    with pytest.raises(BuildFailed, match="5000 examples were asked for, there are"):
        built(wrong(count=5000), store)


def test_an_evaluation_of_other_images_is_refused(store: Store) -> None:
    with pytest.raises(BuildFailed, match="is of other examples; evaluate the network on these"):
        built(mislabeled(digits().train, said(data=digits().test), 10, 0, name="mixed up"), store)


def test_images_of_another_domain_get_the_network_s_classes(store: Store) -> None:
    photos = open_data(PhotosData(train_rows=120), 0).train
    spoken = said(data=photos)
    made = built(labelled_by(photos, spoken, 10, name="labelled"), store)
    np.testing.assert_array_equal(made.batch()["label"], built(spoken, store).batch()["prediction"])
    assert made.rows == 120
    assert set(made.batch()["source_label"]) == {0, 1}
    assert made.metrics["entropy"] == pytest.approx(errors.entropy(made.batch()["label"], 10))


def test_some_of_a_set_are_its_rows(store: Store) -> None:
    some = built(some_of(digits().train, 25, 10, 3, name="some"), store).batch()
    everything = built(digits().train, store).batch()
    at = np.searchsorted(everything["id"], some["id"])
    np.testing.assert_array_equal(some["label"], everything["label"][at])
    np.testing.assert_array_equal(some["image"], everything["image"][at])
    assert len(some["id"]) == 25


def matched(how: How, seed: int = 0, compute: Compute = COMPUTE) -> Stage:
    photos = open_data(PhotosData(train_rows=2000), 0).train
    return match(how, photos, digits().train, compute, seed=seed, rows=2000, name=how)


def test_matching_takes_over_the_statistics_that_it_names(store: Store) -> None:
    like = statistics(built(digits().train, store))
    one = statistics(built(matched("dataset"), store))
    assert one.total_mean == pytest.approx(like.total_mean, abs=1e-5)
    assert one.total_std == pytest.approx(like.total_std, abs=1e-5)
    image = built(matched("image"), store).batch()["image"].astype(np.float64)
    stds = image.std(axis=(1, 2, 3))
    np.testing.assert_allclose(image.mean(axis=(1, 2, 3)), like.image_mean, atol=1e-5)
    assert np.median(stds) == pytest.approx(like.image_std, abs=1e-5)
    assert stds.max() < like.image_std + 1e-5
    noise = statistics(built(matched("noise"), store))
    np.testing.assert_allclose(noise.mean, like.mean, atol=5 * like.std.max() / 2000**0.5)
    np.testing.assert_allclose(noise.std, like.std, atol=0.03)


def test_statistics_are_those_of_numpy(store: Store) -> None:
    artifact = built(digits().train, store)
    image, found = artifact.batch()["image"].astype(np.float64), statistics(artifact)
    np.testing.assert_allclose(found.mean, image.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(found.std, image.std(axis=0), atol=1e-7)
    assert found.total_std == pytest.approx(image.std())
    assert found.image_std == pytest.approx(image.std(axis=(1, 2, 3)).mean())


def test_matching_moves_no_image_past_another(store: Store) -> None:
    """Same ids, same classes, and (but for noise) the same picture up to brightness and contrast."""
    photos = built(open_data(PhotosData(train_rows=2000), 0).train, store).batch()
    for how in ("dataset", "image", "noise"):
        new = built(matched(how), store).batch()  # type: ignore[arg-type]
        np.testing.assert_array_equal(new["id"], photos["id"])
        np.testing.assert_array_equal(new["label"], photos["label"])
        same = np.corrcoef(new["image"][5].ravel(), photos["image"][5].ravel())[0, 1]
        assert same > 0.999 if how != "noise" else abs(same) < 0.5


def test_noise_follows_its_seed_and_matching_no_shard(store: Store) -> None:
    other = Compute(batch_rows=40, shard_rows=400)
    first = built(matched("noise"), store).batch()["image"]
    np.testing.assert_array_equal(first, built(matched("noise", compute=other), store).batch()["image"])
    other_seed = built(matched("noise", seed=1), store).batch()["image"]
    assert (first != other_seed).any(axis=(1, 2, 3)).all()
    assert matched("image", seed=1) == matched("image")


def test_the_toy_keeps_a_row_for_each_world_and_the_planes_of_the_first(store: Store) -> None:
    protocol = Protocol("linf", 0.12, points=8, hidden=(8,), steps=20)
    artifact = built(toy(protocol, tuple(range(3, 9)), name="toy"), store)
    assert list(artifact.batch()["seed"]) == [3, 4, 5, 6, 7, 8]
    assert artifact.metrics["n"] == 6
    assert artifact.metrics["right"] == artifact.batch()["right"].mean()
    assert artifact.read("planes.parquet")


def test_a_flat_image_is_not_blown_up_to_noise(store: Store) -> None:
    like = statistics(built(digits().train, store))
    flat = 0.5 + 1e-4 * np.random.default_rng(0).standard_normal((1, 1, 8, 8))
    body = Matching("image", 0, COMPUTE)
    assert body._matched({"image": flat}, None, like).std() < 0.1 * like.image_std
