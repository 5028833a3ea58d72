"""Patches of scikit-learn's photographs."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from raylab import data
from raylab.data.photos import POOLS, Photos


def test_a_patch_is_an_averaged_grey_window_of_its_photograph() -> None:
    ids, images, labels = data.read("photos", None, "train", {"train_rows": 40})
    greys = [image @ np.array([0.299, 0.587, 0.114]) / 255 for image in load_sample_images().images]
    places = Photos(40)._places("train", ids)
    for row, (photo, pool, top, left) in enumerate(places):
        assert photo == labels[row]
        window = greys[photo][top : top + 8 * pool, left : left + 8 * pool]
        assert window.shape == (8 * pool, 8 * pool)
        assert images[row, 0, 2, 5] == pytest.approx(window[2 * pool : 3 * pool, 5 * pool : 6 * pool].mean(), abs=1e-5)
    assert images.dtype == np.float32
    assert images.shape == (40, 1, 8, 8)


def test_patches_come_from_both_photographs_at_every_scale_and_split() -> None:
    places = Photos()._places("train", np.arange(3000))
    assert np.bincount(places[:, 0]).min() > 1300
    assert sorted(np.unique(places[:, 1])) == list(POOLS)
    assert (places[:200] != Photos()._places("test", np.arange(200))).any(axis=1).all()


def test_a_patch_does_not_depend_on_how_many_there_are() -> None:
    few, many = (data.read("photos", None, "train", {"train_rows": rows}).images for rows in (10, 50))
    np.testing.assert_array_equal(few, many[:10])


def test_what_is_described_is_what_is_read() -> None:
    about = data.describe("photos", None, {"size": 16, "train_rows": 5})
    read = data.read("photos", None, "train", {"size": 16, "train_rows": 5})
    assert about.shape == read.images.shape[1:] == (1, 16, 16)
    assert about.rows["train"] == len(read.ids) == 5
    assert about.class_names == ("china", "flower")
    assert len(data.content("photos", None, "train")) == 64


@pytest.mark.parametrize("wrong", [{"size": 65}, {"size": 0}, {"train_rows": 0}])
def test_what_no_photograph_holds_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(data.DataError, match=rf"data\.{next(iter(wrong))}: "):
        data.read("photos", None, "train", wrong)
