"""The released sets of Ilyas et al. 2019, in files of their layout."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from raylab import data

FOLDERS = {
    "d_robust": "d_robust_CIFAR",
    "d_non_robust": "d_non_robust_CIFAR",
    "d_rand": "drand_CIFAR",
    "d_det": "ddet_CIFAR",
}
IMAGES = torch.rand(11, 3, 32, 32, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([3, 1, 4, 1, 5, 9, 2, 6, 0, 7, 8])


def write_set(
    root: Path, name: str = "d_rand", images: Any = IMAGES, labels: Any = LABELS, zipped: bool = False
) -> None:
    """As in 2019, unless zipped."""
    folder = root / "release_datasets" / FOLDERS[name]
    folder.mkdir(parents=True, exist_ok=True)
    for file, value in (("CIFAR_ims", images), ("CIFAR_lab", labels)):
        torch.save(value, folder / file, _use_new_zipfile_serialization=zipped)


def write_cifar(root: Path) -> None:
    """Batches of two images, two classes each; the pixels of the test batch are 100."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for number, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        pixels = np.full((2, 3072), 100 if name == "test_batch" else number, dtype=np.uint8)
        (folder / name).write_bytes(pickle.dumps({"data": pixels, "labels": [2 * number % 10, 2 * number % 10 + 1]}))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_cifar(tmp_path)
    write_set(tmp_path)
    return tmp_path


def read(root: Path, **more: Any) -> data.Images:
    return data.read("constructed_datasets", root, "train", {"set": "d_rand"}, **more)


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("zipped", [True, False], ids=["today", "2019"])
@pytest.mark.parametrize("pieces", [None, list, tuple])
def test_a_set_is_read_whether_it_was_saved_whole_or_in_batches(
    tmp_path: Path, name: str, zipped: bool, pieces: Any
) -> None:
    images, labels = (IMAGES, LABELS) if pieces is None else (pieces(IMAGES.split(3)), pieces(LABELS.split(3)))
    write_cifar(tmp_path)
    write_set(tmp_path, name, images, labels, zipped)
    found = data.read("constructed_datasets", tmp_path, "train", {"set": name})
    np.testing.assert_array_equal(found.images, IMAGES.numpy())
    np.testing.assert_array_equal(found.labels, LABELS.numpy())
    np.testing.assert_array_equal(found.ids, np.arange(11))
    assert (found.images.dtype, found.labels.dtype) == (np.float32, np.int64)


def test_it_is_described_as_cifar10_with_its_own_rows_and_the_constants_of_the_pixels(root: Path) -> None:
    about = data.describe("constructed_datasets", root, {"set": "d_rand"})
    cifar = data.describe("cifar10", root)
    assert about.rows == {"train": 11, "test": 2}
    assert (about.mean, about.std, about.class_names) == (cifar.mean, cifar.std, cifar.class_names)


def test_its_test_split_is_that_of_cifar10(root: Path) -> None:
    ours, theirs = (
        data.read("cifar10", root, "test"),
        data.read("constructed_datasets", root, "test", {"set": "d_rand"}),
    )
    assert (theirs.images == 100).all()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)
    contents = [data.content(name, root, "test") for name in ("cifar10", "constructed_datasets")]
    assert contents[0] == contents[1]


def test_a_cut_takes_the_first_of_every_class(root: Path) -> None:
    found = read(root, cut=data.Cut(per_class=1))
    np.testing.assert_array_equal(found.ids, [0, 1, 2, *range(4, 11)])
    np.testing.assert_array_equal(found.images, IMAGES.numpy()[[0, 1, 2, *range(4, 11)]])


def test_content_is_that_of_images_and_labels_and_not_of_the_place(root: Path, tmp_path: Path) -> None:
    def content(where: Path) -> str:
        return data.content("constructed_datasets", where, "train", {"set": "d_rand"})

    write_set(tmp_path / "elsewhere")
    first = content(root)
    assert content(tmp_path / "elsewhere") == first
    write_set(root, labels=LABELS.flip(0))
    assert content(root) != first
    write_set(root, images=IMAGES.flip(0))
    assert content(root) != first


def test_rounding_beyond_the_range_is_clipped(root: Path) -> None:
    images = IMAGES.clone()
    images[0, 0, 0, 0], images[1, 0, 0, 0] = 1 + 1e-7, -1e-7
    write_set(root, images=images)
    found = read(root).images
    assert (found.min(), found.max()) == (0, 1)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"images": IMAGES.double()}, "CIFAR_ims: float32 is expected, got float64"),
        ({"images": (IMAGES * 255).byte()}, "CIFAR_ims: float32 is expected, got uint8"),
        ({"images": IMAGES * 2 - 1}, r"CIFAR_ims: pixels lie in \[0, 1\], got -"),
        ({"images": IMAGES / 0.5}, r"CIFAR_ims: pixels lie in \[0, 1\], got .* to 2"),
        ({"images": IMAGES.clone().fill_(float("nan"))}, r"pixels lie in \[0, 1\], got nan"),
        ({"images": IMAGES[1:]}, r"11 labels need images of shape \(11, 3, 32, 32\), got \(10, 3, 32, 32\)"),
        ({"images": IMAGES.permute(0, 2, 3, 1)}, r"got \(11, 32, 32, 3\)"),
        ({"images": [IMAGES, IMAGES[:, :, :4]]}, "CIFAR_ims: its tensors cannot be joined"),
        ({"images": {"x": IMAGES}}, "CIFAR_ims: a tensor or a list of tensors, got dict"),
        ({"images": []}, "CIFAR_ims: a tensor or a list of tensors, got list"),
        ({"labels": LABELS + 5}, r"CIFAR_lab: row 4: labels lie in 0\.\.9, got 10"),
        ({"labels": LABELS.int()}, "CIFAR_lab: int64 is expected, got int32"),
        ({"labels": LABELS[:, None]}, r"CIFAR_lab: labels are one number an image, got shape \(11, 1\)"),
        ({"labels": [1, 2, 3]}, "CIFAR_lab: a tensor or a list of tensors"),
        ({"labels": Path("x")}, "CIFAR_lab: refused as a file of tensors"),
    ],
)
def test_files_that_are_something_else_are_refused(root: Path, changed: dict[str, Any], told: str) -> None:
    write_set(root, **changed)
    with pytest.raises(data.DataError, match=told):
        read(root)


def test_missing_files_and_sets_are_named(root: Path) -> None:
    with pytest.raises(data.DataError, match=r"release_datasets/ddet_CIFAR/CIFAR_lab not found; set data\.root"):
        data.describe("constructed_datasets", root, {"set": "d_det"})
    with pytest.raises(data.DataError, match=r"data\.set: one of d_robust, .*, got 'd_other'"):
        data.describe("constructed_datasets", root, {"set": "d_other"})
    (root / "release_datasets").rename(root / "mine")
    assert data.describe("constructed_datasets", root, {"set": "d_rand", "folder": "mine"}).rows["train"] == 11
