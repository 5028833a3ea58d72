"""CIFAR-10.1: other test images for the same training images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_constructed_datasets import write_cifar

from raylab import data
from raylab.stages.data_config import CorruptedData, KnownData, ShiftedData
from raylab.stages.dataset import open_data

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 5], dtype=np.int32)  # as they were released


def write(root: Path, images: Any = IMAGES, labels: Any = LABELS, version: str = "v6") -> None:
    folder = root / "CIFAR-10.1" / "datasets"
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"cifar10.1_{version}_data.npy", images)
    np.save(folder / f"cifar10.1_{version}_labels.npy", labels)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_cifar(tmp_path)
    write(tmp_path)
    return tmp_path


def test_its_test_images_are_channels_first_with_labels_beside_them(root: Path) -> None:
    found = data.read("cifar10_1", root, "test")
    np.testing.assert_array_equal(found.images, IMAGES.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(found.labels, LABELS)
    np.testing.assert_array_equal(found.ids, np.arange(5))
    assert (found.images.dtype, found.labels.dtype) == (np.uint8, np.int64)
    about, cifar = data.describe("cifar10_1", root), data.describe("cifar10", root)
    assert about.rows == {"train": 10, "test": 5}
    assert (about.mean, about.std, about.class_names) == (cifar.mean, cifar.std, cifar.class_names)


def test_what_was_trained_on_cifar10_is_found_again(root: Path) -> None:
    """The training set is the very artifact; the test set is another."""
    shifted = open_data(ShiftedData(name="cifar10_1", root=str(root)), 0)
    known = open_data(KnownData(name="cifar10", root=str(root)), 0)
    assert shifted.train.key == known.train.key
    assert shifted.test.key != known.test.key
    assert shifted.images == known.images
    assert dict(shifted.rows) == {"train": 10, "test": 5}


def test_a_version_is_a_test_set_of_its_own(root: Path) -> None:
    write(root, IMAGES[:2], LABELS[:2], "v4")
    assert data.read("cifar10_1", root, "test", {"version": "v4"}).images.shape == (2, 3, 32, 32)
    keys = {open_data(ShiftedData(name="cifar10_1", version=v, root=str(root)), 0).test.key for v in ("v4", "v6")}
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"images": IMAGES.transpose(0, 3, 1, 2)}, r"5 labels need uint8 images of shape \(5, 32, 32, 3\), got uint8"),
        ({"images": IMAGES / 255}, r"need uint8 images .*, got float64"),
        ({"images": IMAGES[1:]}, r"got uint8 \(4, 32, 32, 3\); is it a file of another version"),
        ({"labels": LABELS + 5}, r"v6_labels.npy: row 4: labels lie in 0\.\.9, got 10"),
        ({"labels": LABELS / 1}, r"one whole number an image, got float64 \(5,\)"),
        ({"labels": LABELS[:, None]}, r"one whole number an image, got int32 \(5, 1\)"),
        (
            {"labels": np.array([0, 1, 2, 3, 2**63 + 5], np.uint64)},
            r"row 4: labels lie in 0\.\.9, got 9223372036854775813",
        ),
        ({"labels": LABELS.astype("m8[s]")}, r"one whole number an image, got timedelta64\[s\] \(5,\)"),
        ({"labels": np.array([{}], dtype=object)}, "labels.npy: not a NumPy array .*; copy the original file again"),
    ],
)
def test_files_that_are_something_else_are_refused(root: Path, changed: dict[str, Any], told: str) -> None:
    write(root, **changed)
    for ask in (data.describe, lambda *where: data.read(*where, "test")):
        with pytest.raises(data.DataError, match=told):
            ask("cifar10_1", root)


def test_an_archive_of_arrays_is_no_array(root: Path) -> None:
    path = root / "CIFAR-10.1" / "datasets" / "cifar10.1_v6_labels.npy"
    with path.open("wb") as stream:
        np.savez(stream, labels=LABELS)
    with pytest.raises(data.DataError, match=r"v6_labels\.npy: not a NumPy array \(a NpzFile\); copy the original"):
        data.describe("cifar10_1", root)


def test_what_is_not_there_is_named(root: Path) -> None:
    with pytest.raises(data.DataError, match=r"CIFAR-10\.1/datasets/cifar10\.1_v4_data\.npy"):
        data.describe("cifar10_1", root, {"version": "v4"})
    with pytest.raises(data.DataError, match=r"data\.version: one of v4, v6, got 'v5'"):
        data.describe("cifar10_1", root, {"version": "v5"})


# -- CIFAR-10-C


def write_corrupted(root: Path, rows: int = 3) -> np.ndarray[Any, Any]:
    """In the layout of the archive: five severities one after the other, and one file of labels."""
    folder = root / "CIFAR-10-C"
    folder.mkdir()
    images = np.random.default_rng(2).integers(0, 256, (5 * rows, 32, 32, 3), dtype=np.uint8)
    np.save(folder / "fog.npy", images)
    np.save(folder / "labels.npy", np.tile(np.arange(rows, dtype=np.uint8), 5))
    return images


def test_a_severity_of_cifar_10_c_is_a_fifth_of_its_file(root: Path) -> None:
    images = write_corrupted(root)
    found = {}
    for severity in range(1, 6):
        options = {"corruption": "fog", "severity": severity}
        assert data.describe("cifar10_c", root, options).rows == {"train": 10, "test": 3}
        read = data.read("cifar10_c", root, "test", options)
        np.testing.assert_array_equal(read.labels, [0, 1, 2])
        np.testing.assert_array_equal(read.ids, [0, 1, 2])
        found[severity] = read.images.transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(np.concatenate(list(found.values())), images)


def test_what_was_trained_on_cifar10_is_found_again_for_cifar_10_c(root: Path) -> None:
    write_corrupted(root)
    made = [CorruptedData(name="cifar10_c", corruption="fog", severity=s, root=str(root)) for s in (1, 5)]
    opened = [open_data(one, 0) for one in made]
    known = open_data(KnownData(name="cifar10", root=str(root)), 0)
    assert {one.train.key for one in opened} == {known.train.key}
    assert len({known.test.key, *(one.test.key for one in opened)}) == 3


def test_files_of_cifar_10_c_that_are_something_else_are_refused(root: Path) -> None:
    images = write_corrupted(root)
    with pytest.raises(data.DataError, match=r"CIFAR-10-C/frost\.npy not found"):
        data.describe("cifar10_c", root, {"corruption": "frost"})
    with pytest.raises(data.DataError, match=r"data\.severity: 1 to 5, got 6"):
        data.describe("cifar10_c", root, {"corruption": "fog", "severity": 6})
    np.save(root / "CIFAR-10-C" / "fog.npy", images[:12])
    with pytest.raises(data.DataError, match=r"15 labels need uint8 images of shape \(15, 32, 32, 3\)"):
        data.describe("cifar10_c", root, {"corruption": "fog"})
    np.save(root / "CIFAR-10-C" / "fog.npy", images[:12])
    np.save(root / "CIFAR-10-C" / "labels.npy", np.zeros(12, np.uint8))
    with pytest.raises(data.DataError, match="as many rows of each of 5 severities, got 12"):
        data.describe("cifar10_c", root, {"corruption": "fog"})
