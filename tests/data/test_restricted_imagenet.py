"""Restricted ImageNet, from a made-up tree with ImageNet's 1000 folders."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sets_of_images import encoded

from raylab import data
from raylab.data.decode import decode
from raylab.data.restricted_imagenet import SUPERCLASSES

RANGES = {  # science: the table of the paper
    "dog": (151, 268), "cat": (281, 285), "frog": (30, 32), "turtle": (33, 37), "bird": (80, 100),
    "primate": (365, 382), "fish": (389, 397), "crab": (118, 121), "insect": (300, 319),
}  # fmt: skip
OPTIONS = {"size": 8}


def wnids() -> list[str]:
    """1000 names in ImageNet's order; real ones where a superclass begins or ends, made up between."""
    fixed = {index: wnid for s in SUPERCLASSES for index, wnid in ((s.first, s.first_wnid), (s.last, s.last_wnid))}
    numbers, places = [], sorted(fixed)
    for low, high in zip([-1, *places], [*places, 1000], strict=True):
        start, end = (int(fixed[low][1:]) if low >= 0 else 1440000), int(fixed[high][1:]) if high < 1000 else 16000000
        numbers += [start + (end - start) * step // (high - low) for step in range(1, high - low + (high < 1000))]
    return [f"n{number:08d}" for number in numbers]


WNIDS = wnids()


def shade(index: int) -> tuple[int, int, int]:
    return index % 251, index // 251, 7


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One image a class for training and testing, and a second of the first dog; its colour tells its class."""
    root = tmp_path_factory.mktemp("imagenet")
    for index, wnid in enumerate(WNIDS):
        image = encoded(np.full((9, 9, 3), shade(index), dtype=np.uint8))
        for split in ("train", "val"):
            folder = root / split / wnid
            folder.mkdir(parents=True)
            (folder / f"{wnid}_1.JPEG").write_bytes(image)
    (root / "train" / WNIDS[151] / "z.jpeg").write_bytes(encoded(np.full((9, 9), 99, dtype=np.uint8)))  # grey
    return root


def small_tree(tree: Path, root: Path) -> Path:
    """Only the folders that are needed."""
    for split in ("train", "val"):
        for wnid in (WNIDS[index] for low, high in RANGES.values() for index in range(low, high + 1)):
            shutil.copytree(tree / split / wnid, root / split / wnid)
    return root


def test_the_made_up_tree_is_a_sorted_thousand() -> None:
    assert len(set(WNIDS)) == 1000
    assert sorted(WNIDS) == WNIDS


def test_the_table_is_that_of_the_paper() -> None:
    assert {s.name: (s.first, s.last) for s in SUPERCLASSES} == RANGES
    assert [s.name for s in SUPERCLASSES] == list(RANGES)


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_superclass_has_the_classes_of_its_indices_and_no_others(tree: Path, split: str) -> None:
    found = data.read("restricted_imagenet", tree, split, OPTIONS)
    colours = found.images[:, :, 4, 4].astype(int)
    indices = colours[:, 0] + 251 * colours[:, 1]
    coloured = colours[:, 2] == 7  # the grey one is no class
    for label, (low, high) in enumerate(RANGES.values()):
        np.testing.assert_array_equal(indices[(found.labels == label) & coloured], np.arange(low, high + 1))
    assert len(found.ids) == 203 + (split == "train")


def test_it_is_described_with_the_constants_of_the_paper(tree: Path) -> None:
    about = data.describe("restricted_imagenet", tree)
    assert about.shape == (3, 224, 224)
    assert about.class_names == tuple(RANGES)
    assert about.rows == {"train": 204, "test": 203}
    assert (about.mean, about.std) == ((0.4717, 0.4499, 0.3837), (0.2600, 0.2516, 0.2575))
    assert data.describe("restricted_imagenet", tree, OPTIONS).shape == (3, 8, 8)


def test_a_cut_takes_images_of_all_breeds_before_the_second_of_any(tree: Path) -> None:
    # The grey one sorts after Chihuahua's first by name; all 118 breeds come before it.
    (dogs,) = np.flatnonzero(data.read("restricted_imagenet", tree, "train", OPTIONS).images[:, 2, 4, 4] == 99)
    assert dogs == 118
    found = data.read("restricted_imagenet", tree, "train", OPTIONS, data.Cut(per_class=3))
    first = found.images[found.labels == 0][:, 0, 4, 4]
    np.testing.assert_array_equal(first, [151, 152, 153])


def test_photographs_are_scaled_to_a_little_more_than_the_cut(tmp_path: Path) -> None:
    # 256 wide and high after scaling, of which the middle 224 stay: a frame of 16 goes.
    framed = np.zeros((512, 512, 3), dtype=np.uint8)
    framed[32:-32, 32:-32] = 255
    (tmp_path / "x.png").write_bytes(encoded(framed))
    image = decode(tmp_path / "x.png", "x", 224, 256)
    assert image.shape == (3, 224, 224)
    assert image[:, 1:-1, 1:-1].min() == 255
    assert decode(tmp_path / "x.png", "x", 224)[:, 10, 10].max() == 0


def test_its_images_lose_the_frame_that_the_papers_lose(tree: Path, tmp_path: Path) -> None:
    root = small_tree(tree, tmp_path)
    framed = np.zeros((512, 512, 3), dtype=np.uint8)
    framed[32:-32, 32:-32] = 255
    (photograph,) = (root / "val" / WNIDS[151]).iterdir()
    photograph.write_bytes(encoded(framed))
    image = data.read("restricted_imagenet", root, "test", {"size": 224}, data.Cut(per_class=1)).images[0]
    assert image[:, 1:-1, 1:-1].min() == 255


def test_a_wide_photograph_is_cut_at_both_sides(tmp_path: Path) -> None:
    wide = Image.new("RGB", (600, 300))
    wide.save(tmp_path / "wide.png")
    assert decode(tmp_path / "wide.png", "wide", 224, 256).shape == (3, 224, 224)


def test_the_needed_folders_alone_will_do(tree: Path, tmp_path: Path) -> None:
    small = small_tree(tree, tmp_path)
    for split in ("train", "test"):
        for a, b in zip(*(data.read("restricted_imagenet", r, split, OPTIONS) for r in (tree, small)), strict=True):
            np.testing.assert_array_equal(a, b)
        assert data.content("restricted_imagenet", tree, split) == data.content("restricted_imagenet", small, split)


def test_a_folder_with_other_classes_is_refused(tree: Path, tmp_path: Path) -> None:
    root = small_tree(tree, tmp_path)
    between = root / "train" / "n02085621"
    between.mkdir()
    with pytest.raises(
        data.DataError, match=r"train: dog is 118 folders from n02085620 .*151 to 268.*, found 119 there, 204 in all"
    ):
        data.describe("restricted_imagenet", root)
    between.rmdir()
    shutil.rmtree(root / "val" / SUPERCLASSES[7].first_wnid)
    with pytest.raises(data.DataError, match=r"val: crab is 4 folders .* found 3 there"):
        data.describe("restricted_imagenet", root)
    (root / "val" / "n01978288").mkdir()  # the right number, from another first
    with pytest.raises(data.DataError, match=r"val: crab is 4 folders .* found 4 there"):
        data.describe("restricted_imagenet", root)


def test_a_class_without_images_and_absent_folders_are_named(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(data.DataError, match=r"train/n02085620/\*\.JPEG not found; set data\.root"):
        data.describe("restricted_imagenet", tmp_path)
    root = small_tree(tree, tmp_path)
    next((root / "val" / WNIDS[281]).iterdir()).unlink()
    with pytest.raises(data.DataError, match=rf"val/{WNIDS[281]}: class {WNIDS[281]} has no image; images \(\.png"):
        data.describe("restricted_imagenet", root)


@pytest.mark.timeout(60)  # a pipe that is opened waits for ever
def test_images_that_would_be_left_out_are_named(tree: Path, tmp_path: Path) -> None:
    folder = small_tree(tree, tmp_path) / "train" / WNIDS[281]
    for name, make in (("x.JPEG", os.mkfifo), ("images", Path.mkdir), ("y.gif", Path.touch)):
        make(folder / name)
        with pytest.raises(
            data.DataError, match=rf"{WNIDS[281]}: .* beside its images {name}.*, which would be left out"
        ):
            data.describe("restricted_imagenet", tmp_path)
        (folder / name).rename(tmp_path / name)
    (folder / "._x.JPEG").touch()  # as macOS lays beside every file that it copies
    assert data.describe("restricted_imagenet", tmp_path).rows["train"] == 203 + 1


def test_content_knows_the_class_of_every_file(tree: Path, tmp_path: Path) -> None:
    root = small_tree(tree, tmp_path)
    first = data.content("restricted_imagenet", root, "train")
    one, other = (root / "train" / WNIDS[index] for index in (152, 153))
    one.rename(root / "swap")
    other.rename(one)
    (root / "swap").rename(other)
    assert data.content("restricted_imagenet", root, "train") != first


def test_content_knows_which_breed_an_image_is_of(tree: Path, tmp_path: Path) -> None:
    # The same bytes in the same order of rows: only the name of a folder differs.
    root = small_tree(tree, tmp_path)
    first = data.content("restricted_imagenet", root, "train")
    (root / "train" / WNIDS[152]).rename(root / "train" / f"{WNIDS[152]}x")
    assert data.content("restricted_imagenet", root, "train") != first
