"""The idx files of MNIST and Fashion-MNIST."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from raylab import data
from raylab.data.idx import read_idx

IMAGES = np.random.default_rng(0).integers(0, 256, (11, 5, 4), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 5, 9, 2, 6, 0, 7, 8], dtype=np.uint8)


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_mnist(root: Path, zipped: bool = False) -> Path:
    """A data root with 11 training and 3 test images."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix, rows in (("train", 11), ("t10k", 3)):
        for kind, array in (("images-idx3", IMAGES), ("labels-idx1", LABELS)):
            content, name = idx_bytes(array[:rows]), f"{prefix}-{kind}-ubyte"
            if zipped:
                (raw / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (raw / name).write_bytes(content)
    return raw


@pytest.mark.parametrize("zipped", [False, True])
def test_images_and_labels_come_back_as_they_were_written(tmp_path: Path, zipped: bool) -> None:
    write_mnist(tmp_path, zipped)
    description = data.describe("mnist", tmp_path)
    assert description.shape == (1, 5, 4)
    assert description.rows == {"train": 11, "test": 3}
    assert description.num_classes == 10
    ids, images, labels = data.read("mnist", tmp_path, "train")
    np.testing.assert_array_equal(ids, np.arange(11))
    np.testing.assert_array_equal(images, IMAGES[:, None])
    np.testing.assert_array_equal(labels, LABELS)
    assert (ids.dtype, images.dtype, labels.dtype) == (np.int64, np.uint8, np.int64)
    assert len(data.read("mnist", tmp_path, "test").ids) == 3


def test_another_magic_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(idx_bytes(LABELS))
    with pytest.raises(data.DataError, match="idx file of 3 dimensions starts with 00000803"):
        read_idx(path, 3)
    path.write_bytes(gzip.compress(idx_bytes(IMAGES)))  # zipped without saying so
    with pytest.raises(data.DataError, match=r"gzipped without \.gz"):
        read_idx(path, 3)
    path.write_bytes(b"")
    with pytest.raises(data.DataError, match="got nothing"):
        read_idx(path, 3)


@pytest.mark.parametrize("change", [lambda content: content[:-1], lambda content: content + b"\0"])
def test_too_few_or_too_many_bytes_are_refused(tmp_path: Path, change) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "images"
    path.write_bytes(change(idx_bytes(IMAGES)))
    with pytest.raises(data.DataError, match=r"images: the header says \(11, 5, 4\), 220 bytes, got 2(19|21)"):
        read_idx(path, 3)


def test_a_zipped_file_cut_short_or_damaged_is_refused(tmp_path: Path) -> None:
    path, content = tmp_path / "images.gz", gzip.compress(idx_bytes(IMAGES))
    for broken in (
        content[:40],
        content[:10] + b"\xff" * 8 + content[18:],
        content[:-8] + bytes(8),
        b"not gzip at all, but long enough",
    ):
        path.write_bytes(broken)
        with pytest.raises(data.DataError, match=r"images\.gz: a gzip file cut short or damaged"):
            read_idx(path, 3)


def test_a_label_out_of_range_is_named_with_its_row(tmp_path: Path) -> None:
    raw = write_mnist(tmp_path)
    (raw / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.array([0, 1, 2, 10, 3, 4, 5], dtype=np.uint8)))
    with pytest.raises(data.DataError, match=r"train-labels-idx1-ubyte: row 3: labels lie in 0\.\.9, got 10"):
        data.read("mnist", tmp_path, "train")


def test_labels_of_other_images_are_refused(tmp_path: Path) -> None:
    raw = write_mnist(tmp_path)
    (raw / "train-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS[:6]))
    with pytest.raises(data.DataError, match="6 labels for 11 images"):
        data.read("mnist", tmp_path, "train")


def test_a_missing_file_is_named_with_the_folder_searched_and_what_to_do(tmp_path: Path) -> None:
    raw = write_mnist(tmp_path)
    (raw / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(data.DataError) as caught:
        data.describe("mnist", tmp_path)
    for part in (str(raw), "MNIST/raw/t10k-images-idx3-ubyte (or t10k-images-idx3-ubyte.gz)", "RAYLAB_DATA"):
        assert part in str(caught.value)
