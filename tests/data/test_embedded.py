"""Digits and See-Far as sources."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from raylab import data
from raylab.core.seefar import World
from raylab.data import embedded
from raylab.data.embedded import seefar
from raylab.engine.identity import canonical
from raylab.stages.dataset import DigitsData


@pytest.mark.parametrize("seed", [0, 1])
def test_digits_are_split_without_overlap_and_keep_their_rows_as_ids(seed: int) -> None:
    bunch = load_digits()
    train = data.read("digits", None, "train", {"seed": seed})
    test = data.read("digits", None, "test", {"seed": seed})
    np.testing.assert_array_equal(np.sort(np.concatenate([train.ids, test.ids])), np.arange(1797))
    for split in (train, test):
        assert split.images.dtype == np.float32
        np.testing.assert_array_equal(split.images[:, 0] * 16, bunch.images[split.ids])
        np.testing.assert_array_equal(split.labels, bunch.target[split.ids])
        assert (np.diff(split.ids) > 0).all()
    description = data.describe("digits", None, {"seed": seed})
    assert description.rows == {"train": len(train.ids), "test": len(test.ids)} == {"train": 1437, "test": 360}
    assert description.shape == train.images.shape[1:] == (1, 8, 8)


def test_the_seed_chooses_the_split_of_the_digits() -> None:
    one, two = (data.read("digits", None, "test", {"seed": seed}).ids for seed in (0, 1))
    assert 20 < len(np.intersect1d(one, two)) < 130  # 72 expected of two independent splits, sd 7


def test_more_digits_may_be_tested_and_a_network_may_see_them_as_they_are() -> None:
    """Of one seed the smaller training set is a part of the larger one."""
    options = {"seed": 3, "train_rows": 1400, "mean": 0.0, "std": 1.0}
    train, test = (data.read("digits", None, split, options).ids for split in ("train", "test"))
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(1797))
    assert (len(train), len(test)) == (1400, 397)
    assert set(train) < set(data.read("digits", None, "train", {"seed": 3}).ids)
    found = data.describe("digits", None, options)
    assert (found.rows, found.mean, found.std) == ({"train": 1400, "test": 397}, (0.0,), (1.0,))
    with pytest.raises(data.DataError, match=r"train_rows: 1 to 1796 of the digits, got 1797"):
        data.read("digits", None, "train", {"train_rows": 1797})


def test_digits_of_the_usual_split_have_the_identity_that_they_had() -> None:
    assert canonical(DigitsData()) == {"name": "digits", "per_class": None, "fraction": None}
    assert canonical(DigitsData(train_rows=1400))["train_rows"] == 1400


def test_other_digits_than_the_known_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "DIGITS_SHA256", "0" * 64)
    with pytest.raises(data.DataError, match=r"scikit-learn's digits: sha256 0{64}, got 87ff"):
        data.read("digits", None, "train")


def test_seefar_reads_its_world() -> None:
    options = {"seed": 4, "train_rows": 50, "test_rows": 20, "toogit_reliability": 0.1}
    world = seefar(**options).world
    assert world == World(4, toogit_reliability=0.1)
    for split, rows in (("train", 50), ("test", 20)):
        ids, images, labels = data.read("seefar", None, split, options)
        sample = world.sample(split, rows)
        np.testing.assert_array_equal(ids, sample["id"])
        np.testing.assert_array_equal(images, sample["image"])
        np.testing.assert_array_equal(labels, sample["label"])
    assert data.describe("seefar", None, options).rows == {"train": 50, "test": 20}


def test_a_cut_of_seefar_holds_the_same_images() -> None:
    whole, part = (data.read("seefar", None, "train", {"train_rows": 300}, cut) for cut in (None, data.Cut(3)))
    assert len(part.ids) == 30
    np.testing.assert_array_equal(part.images, whole.images[part.ids])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"train_rows": 0}, r"data\.train_rows: at least 1, got 0"), ({"size": 8}, r"World\.size: .* got 8")],
)
def test_impossible_options_of_seefar_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(data.DataError, match=message):
        data.describe("seefar", None, options)


def test_embedded_content_names_generator_and_version() -> None:
    assert data.content("seefar", None, "train") == "raylab seefar 1"
    assert data.content("digits", None, "test").startswith("scikit-learn digits sha256 87ff")


def test_a_plan_of_many_seeds_reads_the_digits_once(monkeypatch: pytest.MonkeyPatch) -> None:
    embedded._table.cache_clear()
    read: list[object] = []
    monkeypatch.setattr(embedded.gzip, "open", lambda path, given=embedded.gzip.open: read.append(path) or given(path))
    for seed in range(20):
        data.describe("digits", None, {"seed": seed})
    assert len(read) == 1
