"""Anybody's folder of class folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sets_of_images import encoded, random_images

from raylab import data

PIXELS = random_images(6)
PLACES = (
    "train/cat/b.png",
    "train/cat/a.PNG",
    "train/ant/9.png",
    "train/ant/10.png",
    "test/cat/x.png",
    "test/ant/y.png",
)


def write_folder(root: Path) -> None:
    for place, pixels in zip(PLACES, PIXELS, strict=True):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_bytes(encoded(pixels))


def test_classes_and_files_are_taken_by_name(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "train" / "cat" / "Thumbs.db").write_bytes(b"not an image")
    (tmp_path / "train" / ".cache").mkdir()
    description = data.describe("image_folder", tmp_path)
    assert description.shape == (3, 6, 5)
    assert description.class_names == ("ant", "cat")
    assert description.rows == {"train": 4, "test": 2}
    ids, images, labels = data.read("image_folder", tmp_path, "train")
    np.testing.assert_array_equal(ids, [0, 1, 2, 3])
    np.testing.assert_array_equal(labels, [0, 0, 1, 1])
    # 10.png before 9.png, a.PNG before b.png
    np.testing.assert_array_equal(images, PIXELS[[3, 2, 1, 0]].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(
        data.read("image_folder", tmp_path, "test").images, PIXELS[[5, 4]].transpose(0, 3, 1, 2)
    )


def test_a_class_of_the_test_set_keeps_its_number_where_others_are_absent(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "test" / "ant" / "y.png").unlink()
    (tmp_path / "test" / "ant").rmdir()
    np.testing.assert_array_equal(data.read("image_folder", tmp_path, "test").labels, [1])


def test_a_class_that_training_does_not_have_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "test" / "zebra").mkdir()
    with pytest.raises(data.DataError, match="test: class zebra has no folder in train; the classes are ant, cat"):
        data.describe("image_folder", tmp_path)


def test_a_size_scales_the_shorter_side_and_cuts_out_the_centre(tmp_path: Path) -> None:
    write_folder(tmp_path)
    # 12 wide, 4 high: scaled by half, the middle 2 of 6 columns stay; white there, black elsewhere.
    wide = np.zeros((4, 12, 3), dtype=np.uint8)
    wide[:, 2:10] = 255
    (tmp_path / "test" / "cat" / "x.png").write_bytes(encoded(wide))
    with pytest.raises(
        data.DataError, match=r"x\.png: images must be of one size, the first is \(6, 5\), this one \(4, 12\)"
    ):
        data.read("image_folder", tmp_path, "test")
    images = data.read("image_folder", tmp_path, "test", {"size": 2}).images
    assert images.shape == (2, 3, 2, 2)
    np.testing.assert_array_equal(images[1], 255)
    assert data.describe("image_folder", tmp_path, {"size": 2}).shape == (3, 2, 2)


def test_a_size_below_one_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path)
    with pytest.raises(data.DataError, match=r"data\.size: at least 1 pixel, got 0"):
        data.describe("image_folder", tmp_path, {"size": 0})


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "train" / "cat" / "b.png").write_bytes(b"GIF, said the file")
    assert data.describe("image_folder", tmp_path).rows["train"] == 4
    with pytest.raises(data.DataError, match=r"train/cat/b\.png: no readable image"):
        data.read("image_folder", tmp_path, "train")


def test_missing_folders_say_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(data.DataError, match=r"train: train/CLASS/\*\.png not found; set data\.root"):
        data.describe("image_folder", tmp_path)
    write_folder(tmp_path / "mine")
    with pytest.raises(data.DataError, match=r"train/CLASS/\*\.png not found"):
        data.describe("image_folder", tmp_path)
    assert data.describe("image_folder", tmp_path, {"folder": "mine"}).rows["train"] == 4
    for place in ("cat/x.png", "ant/y.png"):
        (tmp_path / "mine" / "test" / place).unlink()
    with pytest.raises(data.DataError, match=r"test: test/CLASS/\*\.png \(or \.jpg"):
        data.describe("image_folder", tmp_path, {"folder": "mine"})


def test_content_knows_classes_and_bytes_and_not_the_root(tmp_path: Path) -> None:
    write_folder(tmp_path / "one")
    write_folder(tmp_path / "two")
    first = data.content("image_folder", tmp_path / "one", "train")
    assert data.content("image_folder", tmp_path / "two", "train") == first
    (tmp_path / "two" / "train" / "cat").rename(tmp_path / "two" / "train" / "dog")
    assert data.content("image_folder", tmp_path / "two", "train") != first
    Image.new("RGB", (5, 6)).save(tmp_path / "one" / "train" / "cat" / "b.png")
    assert data.content("image_folder", tmp_path / "one", "train") != first
