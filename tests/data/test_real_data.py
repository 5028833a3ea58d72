"""The real data sets, where a data root is at hand."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from raylab import data
from raylab.data.idx import read_idx

MNIST_TRAIN_MD5 = "6bbc9ace898e44ae57da46a324031adb"  # of the unpacked training images, as published
MNIST_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


@pytest.fixture
def root(data_root: Path, request: pytest.FixtureRequest) -> Path:
    needed = data_root / request.param
    if not needed.exists():
        pytest.skip(f"{needed} is not there")
    return data_root


@pytest.mark.parametrize("root", ["MNIST"], indirect=True)
def test_mnist_is_the_published_one(root: Path) -> None:
    ids, images, labels = data.read("mnist", root, "train")
    assert images.shape == (60_000, 1, 28, 28)
    header = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in (60_000, 28, 28))
    assert hashlib.md5(header + images.tobytes()).hexdigest() == MNIST_TRAIN_MD5
    np.testing.assert_array_equal(np.bincount(labels), MNIST_COUNTS)
    np.testing.assert_array_equal(labels[:5], [5, 0, 4, 1, 9])
    np.testing.assert_array_equal(ids, np.arange(60_000))
    assert data.describe("mnist", root).rows == {"train": 60_000, "test": 10_000}
    pixels = images / 255
    description = data.describe("mnist", root)
    assert pixels.mean() == pytest.approx(description.mean[0], abs=5e-5)  # the constants have four digits
    assert pixels.std() == pytest.approx(description.std[0], abs=5e-5)


@pytest.mark.parametrize("root", ["FashionMNIST"], indirect=True)
def test_fashion_mnist_has_its_images_in_any_order(root: Path) -> None:
    for split, rows in (("train", 60_000), ("test", 10_000)):
        _, images, labels = data.read("fashion_mnist", root, split)
        assert images.shape == (rows, 1, 28, 28)
        np.testing.assert_array_equal(np.bincount(labels), [rows // 10] * 10)
    description = data.describe("fashion_mnist", root)
    train = data.read("fashion_mnist", root, "train").images / 255
    assert train.mean() == pytest.approx(description.mean[0], abs=5e-5)
    assert train.std() == pytest.approx(description.std[0], abs=5e-5)
    assert description.class_names[9] == "Ankle boot"


@pytest.mark.parametrize("root", ["cifar10"], indirect=True)
def test_cifar10_went_through_jpeg_and_says_so(root: Path) -> None:
    description = data.describe("cifar10", root)
    assert description.shape == (3, 32, 32)
    assert description.rows == {"train": 50_000, "test": 10_000}
    if (root / "cifar-10-batches-py").exists():
        pytest.skip("the original pickles lie in this root")
    assert description.note.startswith("JPEG CIFAR")
    ids, images, labels = data.read("cifar10", root, "test", cut=data.Cut(per_class=200))
    assert images.shape == (2000, 3, 32, 32)
    np.testing.assert_array_equal(np.bincount(labels), [200] * 10)
    assert (np.diff(ids) > 0).all()
    # JPEG narrows the spread a little; three standard errors over 2000 images of the mean of a channel are 0.01.
    np.testing.assert_allclose((images / 255).mean(axis=(0, 2, 3)), description.mean, atol=0.01)
    np.testing.assert_allclose((images / 255).std(axis=(0, 2, 3)), description.std, atol=0.01)


@pytest.mark.parametrize("root", ["cifar10_lossless_subset"], indirect=True)
def test_the_lossless_subset_starts_as_cifar10_does(root: Path) -> None:
    description = data.describe("cifar10_lossless_subset", root)
    assert description.rows == {"train": 5085, "test": 1017}
    assert description.note == ""
    _, images, labels = data.read("cifar10_lossless_subset", root, "train")
    np.testing.assert_array_equal(labels[:5], [6, 9, 9, 4, 1])  # frog, truck, truck, deer, automobile
    np.testing.assert_array_equal(images[0, :, 0, 0], [59, 62, 63])  # the first pixel of the first frog
    assert len(images) == 5085


@pytest.mark.parametrize("root", ["MNIST"], indirect=True)
def test_reading_some_images_gives_the_same_images(root: Path) -> None:
    part = data.read("mnist", root, "test", cut=data.Cut(per_class=5))
    raw = next(path for path in (root / "MNIST" / "raw").glob("t10k-images*"))
    np.testing.assert_array_equal(part.images[:, 0], read_idx(raw, 3)[part.ids])
