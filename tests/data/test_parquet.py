"""Anybody's labelled images in Parquet."""

from __future__ import annotations

import json
import os
import re
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sets_of_images import encoded, random_images, write_parquet

from raylab import data

PIXELS = random_images(9)
PNGS = [encoded(pixels) for pixels in PIXELS]
LABELS = [2, 0, 2, 1, 1, 0, 0, 2, 1]  # the first of class 1 is not the first of its row group


def write_set(root: Path, **changes: Any) -> None:
    """Seven training images in two files of groups of two, two test images."""
    write_parquet(root / "train-00000-of-00002.parquet", PNGS[:5], LABELS[:5], **changes)
    write_parquet(root / "train-00001-of-00002.parquet", PNGS[5:7], LABELS[5:7], **changes)
    write_parquet(root / "test.parquet", PNGS[7:], LABELS[7:], **changes)


def test_rows_run_through_the_files_by_name(tmp_path: Path) -> None:
    write_set(tmp_path)
    description = data.describe("parquet", tmp_path)
    assert description.shape == (3, 6, 5)
    assert description.rows == {"train": 7, "test": 2}
    assert description.class_names == ("0", "1", "2")
    assert description.mean == (0.5,) * 3
    assert description.std == (0.25,) * 3
    ids, images, labels = data.read("parquet", tmp_path, "train")
    np.testing.assert_array_equal(ids, np.arange(7))
    np.testing.assert_array_equal(images, PIXELS[:7].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(labels, LABELS[:7])
    np.testing.assert_array_equal(data.read("parquet", tmp_path, "test").images, PIXELS[7:].transpose(0, 3, 1, 2))


def test_files_are_joined_by_name_whatever_order_they_came_in(tmp_path: Path) -> None:
    for number in (3, 1, 4, 0, 2):
        write_parquet(tmp_path / f"train-{number}.parquet", [PNGS[number]], [number])
    write_parquet(tmp_path / "test.parquet", PNGS[7:], LABELS[7:])
    ids, images, labels = data.read("parquet", tmp_path, "train")
    np.testing.assert_array_equal(labels, ids)
    np.testing.assert_array_equal(images, PIXELS[ids].transpose(0, 3, 1, 2))


@pytest.mark.parametrize("per_class", [1, 2, 5])
def test_a_cut_keeps_ids_and_their_images(tmp_path: Path, per_class: int) -> None:
    write_set(tmp_path)
    ids, images, labels = data.read("parquet", tmp_path, "train", cut=data.Cut(per_class=per_class))
    assert np.bincount(labels).max() <= per_class
    np.testing.assert_array_equal(images, PIXELS[ids].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(labels, np.array(LABELS)[ids])


def test_what_a_cut_leaves_out_is_not_decoded(tmp_path: Path) -> None:
    broken = [*PNGS[:6], b"no image"]
    write_parquet(tmp_path / "train.parquet", broken, LABELS[:7])
    write_parquet(tmp_path / "test.parquet", PNGS[7:], LABELS[7:])
    assert len(data.read("parquet", tmp_path, "train", cut=data.Cut(per_class=2)).ids) == 6
    with pytest.raises(data.DataError, match=r"train\.parquet: row 6: no readable image"):
        data.read("parquet", tmp_path, "train")


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    write_set(tmp_path, columns=("picture", "kind"))
    options = {"image": "picture", "label": "kind"}
    np.testing.assert_array_equal(data.read("parquet", tmp_path, "train", options).labels, LABELS[:7])
    with pytest.raises(data.DataError, match=r"column label not found among picture, kind; .*data\.label=COLUMN"):
        data.read("parquet", tmp_path, "train", {"image": "picture"})
    with pytest.raises(data.DataError, match=r"column image or img not found among picture, kind; .*data\.image="):
        data.read("parquet", tmp_path, "train", {"label": "kind"})


def test_class_names_come_from_the_metadata_or_the_options(tmp_path: Path) -> None:
    names = {"info": {"features": {"label": {"names": ["ant", "bee", "cow", "dog"], "_type": "ClassLabel"}}}}
    write_set(tmp_path, metadata={b"huggingface": json.dumps(names).encode()})
    assert data.describe("parquet", tmp_path).class_names == ("ant", "bee", "cow", "dog")
    assert data.describe("parquet", tmp_path, {"class_names": ("a", "b", "c")}).class_names == ("a", "b", "c")


@pytest.mark.parametrize(
    ("labels", "absent"), [((0, 5, 9), 1), ((1, 2, 3), 0), ((0, 2, 2), 1), ((0, 1, 10**9), 2), ((0, 1, -1), 2)]
)
def test_labels_with_gaps_need_class_names(tmp_path: Path, labels: tuple[int, ...], absent: int) -> None:
    write_parquet(tmp_path / "train-0.parquet", PNGS[:2], [0 if absent else 1] * 2)
    write_parquet(tmp_path / "train-1.parquet", PNGS[:6], labels * 2)
    write_parquet(tmp_path / "test.parquet", PNGS[7:], [0, 0])
    row, wrong = next((row, label) for row, label in enumerate(labels) if not 0 <= label < absent)
    file = "train-1" if absent else "train-0"
    with pytest.raises(
        data.DataError,
        match=rf"{file}\.parquet: row {row if absent else 0}: label {wrong}, but no training image has label {absent}; "
        r"number the classes .*, or name all of them with data\.class_names=",
    ):
        data.describe("parquet", tmp_path)


def test_classes_that_are_declared_may_lack_training_images_and_a_note_says_which(tmp_path: Path) -> None:
    write_set(tmp_path)
    assert data.describe("parquet", tmp_path).note == ""
    found = data.describe("parquet", tmp_path, {"class_names": ("ant", "bee", "cow", "dog", "elk")})
    assert found.num_classes == 5
    assert found.note.startswith("Declared, but without training images: dog, elk.")


def peak_of(call: Any) -> int:
    """The most that was allocated meanwhile, in bytes."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("split", data.SPLITS)
@pytest.mark.parametrize("label", [10**9, 2**63 - 1, 2**63 + 5, 2**64 - 1])
def test_a_huge_label_is_named_with_file_and_row_and_costs_no_memory(tmp_path: Path, split: str, label: int) -> None:
    write_set(tmp_path)
    (tmp_path / "train-00000-of-00002.parquet").unlink()
    (tmp_path / "train-00001-of-00002.parquet").unlink()
    write_parquet(tmp_path / "train.parquet", PNGS[:3], [0, 1, 2])
    wide = pa.array([0, 1, label], pa.uint64() if label >= 2**63 else pa.int64())
    write_parquet(tmp_path / f"{split}.parquet", PNGS[:3], wide)

    def refused() -> None:
        with pytest.raises(data.DataError, match=rf"{split}\.parquet: row 2: (label |labels lie in .* got ){label}"):
            data.describe("parquet", tmp_path)

    assert peak_of(refused) < 10**7


def test_unsigned_labels_are_read(tmp_path: Path) -> None:
    write_set(tmp_path)
    write_parquet(tmp_path / "test.parquet", PNGS[7:], pa.array([2, 1], pa.uint64()))
    labels = data.read("parquet", tmp_path, "test").labels
    assert (labels.tolist(), labels.dtype) == ([2, 1], np.int64)


@pytest.mark.parametrize(
    "name",
    [
        "training_args.parquet",
        "train-copy.parquet",
        "train (1).parquet",
        "train-00000-of-00002.old.parquet",
        "train-00000-of-00002-copy.parquet",
    ],
)
def test_files_that_only_begin_like_a_split_are_refused(tmp_path: Path, name: str) -> None:
    write_set(tmp_path)
    shutil.copy(tmp_path / "train-00000-of-00002.parquet", tmp_path / name)
    for ask in (data.describe, lambda *where: data.content(*where, "train")):
        with pytest.raises(data.DataError, match=rf"{re.escape(name)} would be read as train too; .*move away"):
            ask("parquet", tmp_path)
    (tmp_path / name).rename(tmp_path / name.replace("train", "test", 1))
    with pytest.raises(data.DataError, match=rf"{re.escape(name.replace('train', 'test', 1))} would be read as test"):
        data.describe("parquet", tmp_path)


@pytest.mark.parametrize(
    "name", ["train.parquet", "train-1.parquet", "train-00000-of-00001.parquet", "train_00001-of-00002.parquet"]
)
def test_the_same_rows_are_not_taken_twice(tmp_path: Path, name: str) -> None:
    write_set(tmp_path)
    shutil.copy(tmp_path / "train-00001-of-00002.parquet", tmp_path / name)
    with pytest.raises(data.DataError, match=r"train-00000-of-00002\.parquet.* overlap; train is train\.parquet, or"):
        data.describe("parquet", tmp_path)


def test_a_part_that_is_not_there_is_missed(tmp_path: Path) -> None:
    write_set(tmp_path)
    (tmp_path / "train-00001-of-00002.parquet").unlink()
    with pytest.raises(data.DataError, match=r"1 of 2 parts are there: train-00000-of-00002\.parquet; train is"):
        data.describe("parquet", tmp_path)


@pytest.mark.parametrize("names", [["train-0.parquet", "train-2.parquet"], ["train-5.parquet"], ["train2024.parquet"]])
def test_parts_that_do_not_say_how_many_they_are_have_no_gaps(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        write_parquet(tmp_path / name, PNGS[:3], [0, 1, 2])
    write_parquet(tmp_path / "test.parquet", PNGS[7:], [0, 1])
    with pytest.raises(data.DataError, match=rf"{len(names)} of \d+ parts are there: {names[0]}"):
        data.describe("parquet", tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ["train.parquet"],
        ["train-0.parquet", "train-1.parquet"],
        ["train_0.parquet", "train_1.parquet"],
        ["train-00001-of-00002.parquet", "train-00002-of-00002.parquet"],
        ["train-00000-of-00001-a09b74b3ef9c3b56.parquet"],
    ],
)
def test_all_usual_names_of_parts_are_read(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        write_parquet(tmp_path / name, PNGS[:3], [0, 1, 2])
    write_parquet(tmp_path / "test.parquet", PNGS[7:], [0, 1])
    assert data.describe("parquet", tmp_path).rows == {"train": 3 * len(names), "test": 2}


@pytest.mark.timeout(60, method="thread")  # a pipe that is opened waits for ever, and no signal gets through
@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to(path.name)])
def test_what_is_no_regular_file_is_not_opened(tmp_path: Path, make: Any) -> None:
    write_set(tmp_path)
    (tmp_path / "test.parquet").unlink()
    make(tmp_path / "test.parquet")
    with pytest.raises(data.DataError, match=r"test\.parquet \(no regular file\) would be read as test too"):
        data.describe("parquet", tmp_path)


def declared(names: object) -> dict[bytes, bytes]:
    features = {"label": {"names": names, "_type": "ClassLabel"}}
    return {b"huggingface": json.dumps({"info": {"features": features}}).encode()}


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([0, 1, 2], r"must be text in Unicode, got 0 for class 0"),
        (["ant", None, "cow"], r"must be text in Unicode, got None for class 1"),
        (["ant", "bee", " "], r"must be text in Unicode, got ' ' for class 2"),
        (["ant", "bee", "c\ud800"], r"must be text in Unicode, got 'c.ud800' for class 2"),
        (["ant", "bee", "ant"], r"every class needs a name of its own, got 'ant' twice"),
        ({"0": "ant", "1": 7, "2": "cow"}, r"must be text in Unicode, got 7 for class 1"),
    ],
)
def test_class_names_that_are_no_names_are_refused(tmp_path: Path, names: object, told: str) -> None:
    write_set(tmp_path, metadata=declared(names))
    with pytest.raises(data.DataError, match=rf"train-00000-of-00002\.parquet: its Hugging Face metadata: .*{told}"):
        data.describe("parquet", tmp_path)
    assert data.describe("parquet", tmp_path, {"class_names": ("a", "b", "c")}).num_classes == 3
    if isinstance(names, list):
        with pytest.raises(data.DataError, match=rf"data\.class_names: .*{told}"):
            data.describe("parquet", tmp_path, {"class_names": tuple(names)})


def test_class_names_by_number_are_taken_in_the_order_of_the_numbers(tmp_path: Path) -> None:
    write_set(tmp_path, metadata=declared({"2": "cow", "0": "ant", "1": "bee"}))
    assert data.describe("parquet", tmp_path).class_names == ("ant", "bee", "cow")


@pytest.mark.parametrize("other", ["test.parquet", "train-00001-of-00002.parquet"])
def test_files_that_number_the_classes_otherwise_are_refused(tmp_path: Path, other: str) -> None:
    write_set(tmp_path, metadata=declared(["ant", "bee", "cow"]))
    write_parquet(tmp_path / other, PNGS[7:], [0, 1], metadata=declared(["bee", "ant", "cow"]))
    with pytest.raises(
        data.DataError, match=rf"{re.escape(other)}: classes bee, ant, cow, but ant, bee, cow elsewhere"
    ):
        data.describe("parquet", tmp_path)
    assert data.describe("parquet", tmp_path, {"class_names": ("a", "b", "c")}).num_classes == 3


def test_a_column_without_images_is_found_in_every_file_before_it_is_read(tmp_path: Path) -> None:
    write_set(tmp_path)
    pq.write_table(pa.table({"image": [[1, 2], [3, 4]], "label": [0, 1]}), tmp_path / "test.parquet")
    with pytest.raises(data.DataError, match=r"test\.parquet: column image: encoded images .*, got list<"):
        data.describe("parquet", tmp_path)


def test_damage_between_header_and_footer_is_named(tmp_path: Path) -> None:
    write_set(tmp_path)
    path = tmp_path / "test.parquet"
    whole = path.read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little")
    path.write_bytes(whole[:4] + b"\xff" * (len(whole) - footer - 12) + whole[-footer - 8 :])
    with pytest.raises(data.DataError, match=r"test\.parquet: no readable Parquet file"):
        data.describe("parquet", tmp_path)


def test_a_split_without_rows_is_refused(tmp_path: Path) -> None:
    write_set(tmp_path)
    write_parquet(tmp_path / "test.parquet", [], pa.array([], pa.int64()))
    with pytest.raises(data.DataError, match=rf"{tmp_path}: test has no rows"):
        data.describe("parquet", tmp_path)


def test_labels_out_of_range_are_named_with_file_and_row(tmp_path: Path) -> None:
    write_set(tmp_path)
    with pytest.raises(data.DataError, match=r"train-00000-of-00002\.parquet: row 0: labels lie in 0\.\.1, got 2"):
        data.read("parquet", tmp_path, "train", {"class_names": ("a", "b")})
    write_parquet(tmp_path / "test.parquet", PNGS[7:], [-1, -1])
    with pytest.raises(data.DataError, match=r"test\.parquet: row 0: .* got -1; .*withheld"):
        data.read("parquet", tmp_path, "test")


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (["a", "b"], "column label: labels are integers, got string"),
        ([0.5, 1.0], "column label: labels are integers, got double"),
        ([0, None], "row 1: column label: labels are integers, got null"),
    ],
)
def test_labels_that_are_no_integers_are_refused(tmp_path: Path, labels: list[Any], told: str) -> None:
    write_set(tmp_path)
    write_parquet(tmp_path / "test.parquet", PNGS[7:], labels)
    with pytest.raises(data.DataError, match=rf"test\.parquet: {told}"):
        data.read("parquet", tmp_path, "test")


def test_the_first_image_of_another_size_is_named(tmp_path: Path) -> None:
    other = encoded(random_images(1, 8, 5)[0])
    write_set(tmp_path)
    write_parquet(tmp_path / "train-00001-of-00002.parquet", [PNGS[0], other, other], [0, 1, 2])
    with pytest.raises(data.DataError, match=r"00001-of-00002\.parquet: row 1: .*first is \(6, 5\), this one \(8, 5\)"):
        data.read("parquet", tmp_path, "train")
    assert data.read("parquet", tmp_path, "train", {"size": 4}).images.shape == (8, 3, 4, 4)


def test_grey_images_among_coloured_ones_become_grey_rgb(tmp_path: Path) -> None:
    grey = random_images(1)[0, ..., 0]
    write_set(tmp_path)
    write_parquet(tmp_path / "test.parquet", [PNGS[0], encoded(grey)], [0, 1])
    image = data.read("parquet", tmp_path, "test").images[1]
    np.testing.assert_array_equal(image, np.stack([grey] * 3))


def test_grey_sets_have_one_channel_and_refuse_coloured_images(tmp_path: Path) -> None:
    greys = [encoded(pixels[..., 0]) for pixels in PIXELS]
    write_parquet(tmp_path / "train.parquet", greys[:7], LABELS[:7])
    write_parquet(tmp_path / "test.parquet", [greys[7], PNGS[8]], LABELS[7:])
    assert data.describe("parquet", tmp_path).shape == (1, 6, 5)
    np.testing.assert_array_equal(data.read("parquet", tmp_path, "train").images[:, 0], PIXELS[:7, ..., 0])
    with pytest.raises(data.DataError, match=r"test\.parquet: row 1: a coloured image, the first is grey"):
        data.read("parquet", tmp_path, "test")


def test_alpha_is_dropped_and_16_bits_are_refused(tmp_path: Path) -> None:
    alpha = np.concatenate([PIXELS[0], np.full((6, 5, 1), 255, dtype=np.uint8)], axis=2)
    write_set(tmp_path)
    write_parquet(tmp_path / "test.parquet", [encoded(alpha)], [0])
    np.testing.assert_array_equal(data.read("parquet", tmp_path, "test").images[0], PIXELS[0].transpose(2, 0, 1))
    deep = tmp_path / "deep.png"
    Image.fromarray(np.full((6, 5), 40_000, dtype=np.uint16)).save(deep)
    write_parquet(tmp_path / "test.parquet", [deep.read_bytes()], [0])
    with pytest.raises(data.DataError, match=r"row 0: 8 bits a channel are read, got mode I;16"):
        data.read("parquet", tmp_path, "test")


@pytest.mark.parametrize("cut", [10, 60])
def test_an_image_cut_short_is_named(tmp_path: Path, cut: int) -> None:
    write_set(tmp_path)
    write_parquet(tmp_path / "test.parquet", [PNGS[7], PNGS[8][:cut]], LABELS[7:])
    with pytest.raises(data.DataError, match=r"test\.parquet: row 1: no readable image"):
        data.read("parquet", tmp_path, "test")


def test_images_that_are_only_paths_or_numbers_are_refused(tmp_path: Path) -> None:
    write_set(tmp_path)
    write_parquet(tmp_path / "test.parquet", [PNGS[0], None], [0, 1])
    with pytest.raises(data.DataError, match=r"test\.parquet: row 1: no bytes in column img"):
        data.read("parquet", tmp_path, "test")
    pq.write_table(pa.table({"image": [[1, 2], [3, 4]], "label": [0, 1]}), tmp_path / "test.parquet")
    with pytest.raises(data.DataError, match=r"column image: encoded images .*, got list<"):
        data.read("parquet", tmp_path, "test")


def test_plain_binary_columns_are_images_too(tmp_path: Path) -> None:
    write_set(tmp_path)
    pq.write_table(pa.table({"image": PNGS[7:], "label": LABELS[7:]}), tmp_path / "test.parquet")
    np.testing.assert_array_equal(data.read("parquet", tmp_path, "test").images, PIXELS[7:].transpose(0, 3, 1, 2))


def test_a_missing_split_and_a_broken_file_are_named(tmp_path: Path) -> None:
    write_set(tmp_path / "data")
    (tmp_path / "data" / "test.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(data.DataError, match=r"test\.parquet: no readable Parquet file"):
        data.describe("parquet", tmp_path, {"folder": "data"})
    (tmp_path / "data" / "test.parquet").unlink()
    with pytest.raises(data.DataError, match=r"data: data/test\*\.parquet not found; set data\.root"):
        data.describe("parquet", tmp_path, {"folder": "data"})


def test_an_empty_training_set_is_refused(tmp_path: Path) -> None:
    write_set(tmp_path)
    (tmp_path / "train-00001-of-00002.parquet").unlink()
    (tmp_path / "train-00000-of-00002.parquet").unlink()
    write_parquet(tmp_path / "train.parquet", [], pa.array([], pa.int64()))
    with pytest.raises(data.DataError, match="the training files have no rows"):
        data.describe("parquet", tmp_path)


def test_constants_of_normalisation_are_one_number_or_one_a_channel(tmp_path: Path) -> None:
    write_set(tmp_path)
    options = {"mean": (0.1, 0.2, 0.3), "std": 0.5}
    description = data.describe("parquet", tmp_path, options)
    assert (description.mean, description.std) == ((0.1, 0.2, 0.3), (0.5, 0.5, 0.5))
    with pytest.raises(data.DataError, match=r"data\.mean: one number, or one for each of 3 channels"):
        data.describe("parquet", tmp_path, {"mean": (0.1, 0.2)})
    with pytest.raises(data.DataError, match=r"data\.std: finite and above 0"):
        data.describe("parquet", tmp_path, {"std": 0.0})


@pytest.mark.parametrize("name", ["validation", "val"])
def test_test_rows_may_be_called_validation(tmp_path: Path, name: str) -> None:
    write_set(tmp_path)
    before = data.read("parquet", tmp_path, "test")
    for path in tmp_path.glob("test*.parquet"):
        path.rename(tmp_path / path.name.replace("test", name))
    after = data.read("parquet", tmp_path, "test")
    assert np.array_equal(before.images, after.images)
    assert np.array_equal(before.labels, after.labels)
