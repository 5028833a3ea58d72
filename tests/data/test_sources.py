"""The facade: names, options, roots and cuts."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_idx import idx_bytes, write_mnist

from raylab import data
from raylab.stages.data_config import KnownData
from raylab.stages.dataset import open_data

FROM_FILES = [name for name, source in data.SOURCES.items() if source.files]


def test_every_source_that_was_promised_is_there() -> None:
    assert set(data.SOURCES) == {
        "digits",
        "seefar",
        "photos",
        "mnist",
        "fashion_mnist",
        "cifar10",
        "cifar100",
        "cifar10_1",
        "cifar10_c",
        "cifar10_lossless_subset",
        "constructed_datasets",
        "restricted_imagenet",
        "parquet",
        "npz",
        "exported",
        "own",
        "image_folder",
    }


def test_an_unknown_source_an_unknown_option_and_an_unknown_split_are_named() -> None:
    with pytest.raises(data.DataError, match=r"data\.source: one of digits, .*, got 'imagenet'"):
        data.describe("imagenet")
    with pytest.raises(data.DataError, match=r"data\.sede: no option of source digits; its options: seed"):
        data.describe("digits", None, {"sede": 1})
    with pytest.raises(data.DataError, match=r"data\.seed: no option of source mnist; its options: none"):
        data.describe("mnist", None, {"seed": 1})
    with pytest.raises(data.DataError, match="split: one of train, test, got 'validation'"):
        data.read("digits", None, "validation")


def test_a_home_is_found_where_no_shell_has_looked_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path / "data")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data.describe("mnist", "~/data").rows == {"train": 11, "test": 3}
    with pytest.raises(data.DataError, match=rf"data\.root: {tmp_path}/nowhere is no folder"):
        data.describe("mnist", "~/nowhere")
    monkeypatch.setenv("RAYLAB_DATA", "~/data")
    for given in (KnownData(name="mnist"), KnownData(name="mnist", root="~/data")):
        assert given.folder_of_data == str(tmp_path / "data")
        assert open_data(given, 0).rows == {"train": 11, "test": 3}


@pytest.mark.parametrize(("name", "told"), [
    ("digits", r"data\.name=digits: no training image of class 1, 2, 3, 4, 5 and 4 more, which .*\(data\.train_rows\)"),
    ("seefar", r"data\.name=seefar: no training image of class .* and 4 more, which .*\(data\.train_rows\)"),
    ("photos", r"data\.name=photos: no training image of class (china|flower), which .*\(data\.train_rows\)"),
])  # fmt: skip
def test_so_few_rows_that_a_class_has_none_are_refused(name: str, told: str) -> None:
    with pytest.raises(data.DataError, match=told):
        data.describe(name, None, {"train_rows": 1})


def test_a_known_data_set_that_lacks_a_class_is_refused(tmp_path: Path) -> None:
    raw = write_mnist(tmp_path)
    (raw / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.array([0, 1] * 5 + [3], dtype=np.uint8)))
    with pytest.raises(
        data.DataError,
        match=rf"{tmp_path}: mnist: no training image of class 2, 4, 5, 6, 7 and 2 more, .*data\.name=parquet or",
    ):
        data.describe("mnist", tmp_path)


def test_a_test_set_may_lack_a_class(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    assert set(data.read("mnist", tmp_path, "test").labels) == {1, 3, 4}
    assert data.describe("mnist", tmp_path).note == ""


@pytest.mark.parametrize("name", FROM_FILES)
def test_a_missing_root_says_what_it_must_hold(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        data.DataError, match=r"data\.root: no data root is given; .*data\.root=FOLDER .*RAYLAB_DATA"
    ) as no:
        data.describe(name)
    assert data.SOURCES[name].files in str(no.value)
    with pytest.raises(data.DataError, match="nowhere is no folder"):
        data.describe(name, tmp_path / "nowhere")
    for call in (data.describe, lambda *where: data.read(*where, "train"), lambda *where: data.content(*where, "test")):
        with pytest.raises(data.DataError) as empty:
            call(name, tmp_path)
        assert str(tmp_path) in str(empty.value)
        assert "RAYLAB_DATA" in str(empty.value)


def test_the_description_counts_what_a_cut_leaves() -> None:
    options = {"train_rows": 400}
    cuts = {"train": data.Cut(per_class=7), "test": data.Cut(fraction=0.5)}
    rows = data.describe("seefar", None, options, cuts).rows
    assert rows["train"] == 70
    for split, cut in cuts.items():
        assert rows[split] == len(data.read("seefar", None, split, options, cut).ids)


def test_a_cut_takes_the_first_of_every_class_also_where_classes_are_stored_one_after_the_other() -> None:
    labels = np.array([0] * 30 + [1] * 10 + [3] * 5)
    np.testing.assert_array_equal(data.Cut(per_class=2).positions(labels), [0, 1, 30, 31, 40, 41])
    kept = data.Cut(fraction=0.1).positions(labels)
    np.testing.assert_array_equal(kept, [0, 1, 2, 30, 40])  # the half of a row counts as one
    assert len(data.Cut(fraction=0.07).positions(np.zeros(100))) == 7  # although 0.07 * 100 > 7 in binary
    for cut in (data.Cut(), data.Cut(per_class=100), data.Cut(fraction=1.0)):
        np.testing.assert_array_equal(cut.positions(labels), np.arange(45))
    assert len(data.Cut(per_class=2).positions(labels[:0])) == 0


def test_a_larger_cut_contains_a_smaller_one() -> None:
    labels = np.random.default_rng(0).integers(0, 5, 200)
    for small, large in ((data.Cut(3), data.Cut(9)), (data.Cut(fraction=0.2), data.Cut(fraction=0.6))):
        assert set(small.positions(labels)) < set(large.positions(labels))


@pytest.mark.parametrize(
    "arguments",
    [{"per_class": 0}, {"fraction": 0.0}, {"fraction": 1.5}, {"fraction": math.nan}, {"per_class": 1, "fraction": 0.5}],
)
def test_impossible_cuts_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="Cut"):
        data.Cut(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [1, 7, 70, 1000])
def test_blocks_are_what_is_read_at_once(rows: int) -> None:
    request = ("seefar", None, "train", {"train_rows": 400}, data.Cut(per_class=7))
    whole, blocks = data.read(*request), list(data.blocks(*request, rows))
    assert [len(block.ids) for block in blocks] == [min(rows, 70 - low) for low in range(0, 70, rows)]
    for column, values in whole.columns().items():
        np.testing.assert_array_equal(np.concatenate([block.columns()[column] for block in blocks]), values)


def test_columns_are_those_of_every_data_set() -> None:
    columns = data.read("seefar", None, "test", {"test_rows": 5}).columns()
    assert list(columns) == ["id", "image", "label"]
    assert columns["image"].shape == (5, 1, 16, 16)


def test_reading_needs_neither_torch_nor_ray() -> None:
    code = (
        "import sys, raylab.data; sys.exit(any(name in sys.modules for name in ('torch', 'ray', 'mlflow', 'sklearn')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
