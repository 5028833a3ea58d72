"""Anybody's folder of class folders."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
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


def lay(root: Path, *places: str) -> None:
    """The folder of the other tests and more images."""
    write_folder(root)
    for place in places:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_bytes(encoded(PIXELS[0]))


@pytest.mark.parametrize("split", data.SPLITS)
@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("yak/images/a.png",), r"class yak has no image, but images \(a folder\); images \(\.png, .*remove the rest"),
        (("yak/a.tif", "yak/b.GIF", "yak/notes.txt"), r"class yak has no image, but a\.tif, b\.GIF, notes\.txt; "),
        (("__MACOSX/._a.png",), r"class __MACOSX has no image, but \._a\.png; "),
        (("ant/deeper/a.png",), r"class ant has beside its images deeper \(a folder\), which would be left out; "),
        (("ant/a.tif",), r"class ant has beside its images a\.tif, which would be left out; "),
        (("ant/a.heic",), r"class ant has beside its images a\.heic, which would be left out; "),
        (("ant/a.png/b.png",), r"class ant has beside its images a\.png \(a folder\), which would be left out; "),
    ],
)
def test_a_class_without_images_and_images_that_would_be_left_out_are_refused(
    tmp_path: Path, split: str, more: tuple[str, ...], told: str
) -> None:
    lay(tmp_path, *(f"{split}/{place}" for place in more))
    if split == "test" and not more[0].startswith("ant"):  # train has the class, with an image
        lay(tmp_path, f"train/{more[0].split('/')[0]}/a.png")
    with pytest.raises(data.DataError, match=rf"{split}/(yak|__MACOSX|ant): {told}"):
        data.describe("image_folder", tmp_path)


def test_an_empty_class_folder_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "train" / "yak").mkdir()
    with pytest.raises(data.DataError, match=r"train/yak: class yak has no image; images \(\.png"):
        data.describe("image_folder", tmp_path)


@pytest.mark.parametrize("split", data.SPLITS)
def test_an_image_outside_the_class_folders_is_refused(tmp_path: Path, split: str) -> None:
    lay(tmp_path, f"{split}/lost.png")
    (tmp_path / split / "labels.csv").write_text("no image")
    with pytest.raises(data.DataError, match=rf"{split}: lost\.png beside the class folders; move images into"):
        data.describe("image_folder", tmp_path)


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def broken_link(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.timeout(60)  # a pipe that is opened waits for ever
@pytest.mark.parametrize("make", [loop, broken_link, os.mkfifo, Path.mkdir])
@pytest.mark.parametrize("split", data.SPLITS)
def test_what_is_no_regular_file_is_no_image(tmp_path: Path, split: str, make: Callable[[Path], None]) -> None:
    write_folder(tmp_path)
    make(tmp_path / split / "cat" / "x2.png")
    with pytest.raises(data.DataError, match=rf"{split}/cat: .* x2\.png \((no regular file|a folder)\), which would"):
        data.describe("image_folder", tmp_path)


@pytest.mark.parametrize("make", [loop, broken_link, os.mkfifo])
def test_a_class_folder_that_is_a_link_to_nothing_is_not_forgotten(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    write_folder(tmp_path)
    make(tmp_path / "train" / "dog")
    with pytest.raises(data.DataError, match=r"train: dog \(no regular file\) beside the class folders"):
        data.describe("image_folder", tmp_path)


def test_links_to_images_and_to_class_folders_are_followed(tmp_path: Path) -> None:
    write_folder(tmp_path)
    expected = data.read("image_folder", tmp_path, "train")
    (tmp_path / "train" / "cat").rename(tmp_path / "cats")
    (tmp_path / "train" / "cat").symlink_to(tmp_path / "cats")
    (tmp_path / "train" / "ant" / "9.png").rename(tmp_path / "kept.png")
    (tmp_path / "train" / "ant" / "9.png").symlink_to(tmp_path / "kept.png")
    for one, other in zip(expected, data.read("image_folder", tmp_path, "train"), strict=True):
        np.testing.assert_array_equal(one, other)


def test_hidden_files_are_no_images(tmp_path: Path) -> None:
    """macOS lays a `._x.png` without an image beside every x.png that it copies."""
    lay(tmp_path)
    (tmp_path / "train" / "cat" / "._b.png").write_bytes(b"resource fork")
    (tmp_path / "train" / "._cat").write_bytes(b"resource fork")
    assert len(data.read("image_folder", tmp_path, "train").ids) == 4


def test_a_class_whose_name_no_page_can_hold_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path)
    os.rename(tmp_path / "train" / "cat", os.fsencode(tmp_path / "train") + b"/\xff")
    with pytest.raises(data.DataError, match=r"train: class names must be text in Unicode, got '.udcff' for class 1"):
        data.describe("image_folder", tmp_path)


def test_an_empty_file_is_found_before_it_is_read(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "train" / "cat" / "b.png").write_bytes(b"")
    with pytest.raises(data.DataError, match=r"train/cat/b\.png: an empty file; copy it again, or remove it"):
        data.content("image_folder", tmp_path, "train")


def test_what_the_system_does_not_hand_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path)

    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "train" / "cat"))

    monkeypatch.setattr("raylab.data.folder.os.scandir", denied)
    for ask in (data.describe, lambda *where: data.read(*where, "train"), lambda *where: data.content(*where, "train")):
        with pytest.raises(data.DataError, match=r"train/cat: cannot be read \(Permission denied\); see to its perm"):
            ask("image_folder", tmp_path)


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
    shutil.rmtree(tmp_path / "mine" / "test")
    with pytest.raises(data.DataError, match=r"test: test/CLASS/\*\.png not found; set data\.root"):
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


@pytest.mark.parametrize("name", ["validation", "val"])
def test_test_images_may_lie_in_a_folder_of_validation_images(tmp_path: Path, name: str) -> None:
    write_folder(tmp_path)
    content = data.content("image_folder", tmp_path, "test")
    (tmp_path / "test").rename(tmp_path / name)
    assert data.describe("image_folder", tmp_path).rows == {"train": 4, "test": 2}
    assert data.content("image_folder", tmp_path, "test") == content
