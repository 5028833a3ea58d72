"""CIFAR-10 as pickles and as Parquet."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from sets_of_images import encoded, write_parquet
from test_pickles import python2_batch

from raylab import data

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 3072), dtype=np.uint8)
LABELS = [3, 1, 4, 0, 5, 9, 2, 6, 7, 8, 5, 3]


def write_pickles(root: Path) -> Path:
    """Five batches of two and a test batch of two."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for number, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        rows = slice(2 * number, 2 * number + 2)
        (folder / name).write_bytes(python2_batch(PIXELS[rows], LABELS[rows]))
    return folder


def write_as_parquet(root: Path, ending: str) -> None:
    rng = np.random.default_rng(1)
    for split, rows in (("train", 11), ("test", 3)):
        images = [encoded(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8), ending) for _ in range(rows)]
        write_parquet(root / "cifar10" / "plain_text" / f"{split}-00000-of-00001.parquet", images, LABELS[:rows])


def test_pickled_batches_are_joined_in_their_order(tmp_path: Path) -> None:
    write_pickles(tmp_path)
    description = data.describe("cifar10", tmp_path)
    assert description.shape == (3, 32, 32)
    assert description.rows == {"train": 10, "test": 2}
    assert description.class_names[3] == "cat"
    assert description.note == ""
    ids, images, labels = data.read("cifar10", tmp_path, "train")
    np.testing.assert_array_equal(ids, np.arange(10))
    np.testing.assert_array_equal(images, PIXELS[:10].reshape(10, 3, 32, 32))  # red plane, green plane, blue plane
    np.testing.assert_array_equal(labels, LABELS[:10])
    np.testing.assert_array_equal(data.read("cifar10", tmp_path, "test").labels, LABELS[10:])


def test_a_missing_batch_is_named(tmp_path: Path) -> None:
    folder = write_pickles(tmp_path)
    (folder / "data_batch_4").unlink()
    with pytest.raises(data.DataError, match=r"cifar-10-batches-py/data_batch_4 not found; set data\.root"):
        data.read("cifar10", tmp_path, "train")


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"data": PIXELS[:2]}, r"has `data` and `labels`, got \['data'\]"),
        ({"data": PIXELS[:2], "labels": [1, 2, 3]}, r"3 labels need data of shape \(3, 3072\), got \(2, 3072\)"),
        ({"data": PIXELS[:2, :100], "labels": [1, 2]}, r"got \(2, 100\)"),
        ({"data": PIXELS[:2], "labels": ["a", "b"]}, "labels must be whole numbers"),
        ({"data": PIXELS[:2], "labels": [1, 10]}, r"row 1: labels lie in 0\.\.9, got 10"),
        ({"data": PIXELS[:2], "labels": [1, 10**30]}, r"row 1: labels lie in 0\.\.9, got 10{30};"),
    ],
)
def test_a_batch_of_something_else_is_refused(tmp_path: Path, batch: dict[str, object], message: str) -> None:
    folder = write_pickles(tmp_path)
    (folder / "data_batch_2").write_bytes(pickle.dumps(batch, protocol=2))
    with pytest.raises(data.DataError, match=f"data_batch_2: .*{message}"):
        data.read("cifar10", tmp_path, "train")


def test_pickles_go_before_parquet(tmp_path: Path) -> None:
    write_as_parquet(tmp_path, "PNG")
    assert data.describe("cifar10", tmp_path).rows["train"] == 11
    before = data.content("cifar10", tmp_path, "train")
    write_pickles(tmp_path)
    assert data.describe("cifar10", tmp_path).rows["train"] == 10
    assert data.content("cifar10", tmp_path, "train") != before


@pytest.mark.parametrize(("ending", "noted"), [("PNG", False), ("JPEG", True)])
def test_images_that_went_through_jpeg_carry_a_note(tmp_path: Path, ending: str, noted: bool) -> None:
    write_as_parquet(tmp_path, ending)
    description = data.describe("cifar10", tmp_path)
    assert description.note.startswith("JPEG CIFAR:") == noted
    assert description.rows == {"train": 11, "test": 3}
    np.testing.assert_array_equal(data.read("cifar10", tmp_path, "train").labels, LABELS[:11])


def test_images_of_another_size_are_not_cifar(tmp_path: Path) -> None:
    image = encoded(np.zeros((28, 28, 3), dtype=np.uint8), "PNG")
    for split in data.SPLITS:
        write_parquet(tmp_path / "cifar10" / "plain_text" / f"{split}-0.parquet", [image], [0])
    with pytest.raises(data.DataError, match=r"CIFAR-10 have shape \(3, 32, 32\), got \(3, 28, 28\)"):
        data.describe("cifar10", tmp_path)


def test_both_layouts_are_named_where_neither_is_there(tmp_path: Path) -> None:
    with pytest.raises(data.DataError, match=r"cifar-10-batches-py/data_batch_1 or cifar10/plain_text/train-\*"):
        data.describe("cifar10", tmp_path)
