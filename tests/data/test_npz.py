"""Arrays of one's own as a data source, exported sets first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_data_fuzz import claim

from raylab import data
from raylab.api import export
from raylab.api.export import Exported
from raylab.stages.data_config import NpzData
from raylab.stages.dataset import open_data

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.random((12, 1, 8, 8), dtype=np.float32)
LABELS = np.arange(12) % 3
IDS = np.array([7, 3, 11, 0, 1, 2, 4, 5, 6, 8, 9, 10])


def write(root: Path, split: str = "train", **arrays: Any) -> None:
    np.savez(root / f"{split}.npz", **({"image": IMAGES, "label": LABELS} | arrays))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, id=IDS)
    write(tmp_path, "test", image=(IMAGES[:5] * 255).astype(np.uint8), label=LABELS[:5].astype(np.uint8))
    return tmp_path


def test_arrays_are_read_in_the_order_of_their_ids(root: Path) -> None:
    found, order = data.read("npz", root, "train"), np.argsort(IDS)
    np.testing.assert_array_equal(found.ids, IDS[order])
    np.testing.assert_array_equal(found.images, IMAGES[order])
    np.testing.assert_array_equal(found.labels, LABELS[order])
    about = data.describe("npz", root)
    assert (about.shape, about.class_names, dict(about.rows)) == ((1, 8, 8), ("0", "1", "2"), {"train": 12, "test": 5})
    test = data.read("npz", root, "test")
    assert (test.images.dtype, test.labels.dtype, test.ids.tolist()) == (np.uint8, np.int64, list(range(5)))


def test_a_block_holds_the_images_of_its_ids(root: Path) -> None:
    blocks = list(data.blocks("npz", root, "train", rows=5))
    assert [len(block.ids) for block in blocks] == [5, 5, 2]
    np.testing.assert_array_equal(np.concatenate([block.images for block in blocks]), IMAGES[np.argsort(IDS)])


def test_an_exported_set_is_a_training_set_under_its_own_ids(tmp_path: Path) -> None:
    columns = {"id": IDS, "image": IMAGES, "label": LABELS, "source_label": (LABELS + 2) % 3}
    for split in ("train", "test"):
        export.write(Exported(columns, split, (), ""), "npz", tmp_path / "made" / split)
    found = data.read("npz", tmp_path, "train", {"folder": "made"})
    np.testing.assert_array_equal(found.images[np.argsort(np.argsort(IDS))], IMAGES)
    one = open_data(NpzData(name="npz", root=str(tmp_path), folder="made", class_names=("a", "b", "c")), 0)
    assert (one.images.num_classes, one.rows["train"]) == (3, 12)
    moved = (tmp_path / "made").rename(tmp_path / "elsewhere")
    again = open_data(NpzData(name="npz", root=str(tmp_path), folder=moved.name, class_names=("a", "b", "c")), 0)
    assert again.train.key == one.train.key  # by its bytes, wherever it lies


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"image": IMAGES.transpose(0, 2, 3, 1)[:, 0]}, r"uint8 or float32 of shape \(N, C, H, W\), got float32"),
        ({"image": IMAGES.astype(np.float64)}, "got float64"),
        ({"image": IMAGES * 255}, r"pixels lie in \[0, 1\], got"),
        ({"image": np.where(IMAGES > 0.9, np.nan, IMAGES).astype(np.float32)}, r"pixels lie in \[0, 1\], got nan"),
        ({"label": LABELS[1:]}, r"label: a whole number for each of 12 images, got int64 \(11,\)"),
        ({"label": LABELS * 1.0}, "got float64"),
        ({"label": LABELS - 1}, r"row 0: labels lie in 0\.\.1, got -1"),
        ({"id": LABELS}, "id: each once"),
    ],
)
def test_what_is_wrong_with_an_array_is_said(root: Path, arrays: dict[str, Any], said: str) -> None:
    write(root, **arrays)
    with pytest.raises(data.DataError, match=said):
        (data.describe("npz", root), data.read("npz", root, "train"))


def test_an_array_that_claims_more_rows_than_memory_holds_is_refused(root: Path) -> None:
    claim(root / "train.npz", (10**13, 1, 8, 8))
    with pytest.raises(data.DataError, match=r"label: a whole number for each of 10.* images, got int64 \(6,\)"):
        data.describe("npz", root)


def test_what_is_wrong_with_the_files_is_said(root: Path) -> None:
    np.savez(root / "train.npz", x=IMAGES)
    with pytest.raises(data.DataError, match="no array image, only x; name the arrays image and label"):
        data.describe("npz", root)
    (root / "train.npz").write_bytes(b"no archive")
    with pytest.raises(data.DataError, match="no npz file"):
        data.describe("npz", root)
    (root / "train.npz").unlink()
    with pytest.raises(data.DataError, match=r"train\.npz \(or train/set\.npz\) not found"):
        data.describe("npz", root)
    write(root)
    (root / "train").mkdir()
    (root / "train" / "set.npz").write_bytes((root / "train.npz").read_bytes())
    with pytest.raises(data.DataError, match="is there too, and would be train as well"):
        data.describe("npz", root)
