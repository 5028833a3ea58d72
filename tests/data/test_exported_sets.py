"""Sets that were exported as Parquet or WebDataset, as data sources: every bit, and clear errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from raylab import data
from raylab.api import export
from raylab.api.export import Exported, Format
from raylab.config import load
from raylab.data.exported import FILES
from raylab.stages.data_config import ExportedData
from raylab.stages.dataset import open_data

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.random((30, 3, 8, 8), dtype=np.float32)
LABELS, IDS = np.arange(30) % 3, GENERATOR.permutation(100)[:30]
FORMATS: tuple[Format, ...] = ("huggingface", "webdataset")


@pytest.fixture(params=FORMATS)
def format(request: pytest.FixtureRequest) -> Format:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def root(tmp_path: Path, format: Format) -> Path:
    for split, rows in (("train", slice(0, 24)), ("test", slice(24, 30))):
        columns = {"id": IDS[rows], "image": IMAGES[rows], "label": LABELS[rows], "source_label": 2 - LABELS[rows]}
        export.write(Exported(columns, split, ("a", "b", "c"), "card"), format, tmp_path / "set" / split)
    return tmp_path


def test_images_come_back_to_the_last_bit_in_the_order_of_their_ids(root: Path, format: Format) -> None:
    options = {"format": format, "folder": "set"}
    about = data.describe("exported", root, options)
    assert (about.shape, dict(about.rows), about.num_classes) == ((3, 8, 8), {"train": 24, "test": 6}, 3)
    order = np.argsort(IDS[:24])
    found = data.read("exported", root, "train", options)
    assert found.images.dtype == np.float32
    np.testing.assert_array_equal(found.ids, IDS[:24][order])
    np.testing.assert_array_equal(found.images, IMAGES[:24][order])
    np.testing.assert_array_equal(found.labels, LABELS[:24][order])
    block = list(data.blocks("exported", root, "train", options, rows=10))
    np.testing.assert_array_equal(np.concatenate([one.images for one in block]), found.images)


def test_a_config_names_them_and_their_bytes_are_the_key(root: Path, format: Format) -> None:
    given = load(ExportedData, f"name: exported\nformat: {format}\nfolder: set\nroot: '{root}'\nclass_names: [a, b, c]")
    before = open_data(given, 0)
    assert before.class_names == ("a", "b", "c")
    moved = root / "elsewhere"
    (root / "set").rename(moved)
    assert open_data(given.model_copy(update={"folder": "elsewhere"}), 0).train.key == before.train.key


def test_what_was_never_exported_is_named(root: Path, format: Format) -> None:
    with pytest.raises(data.DataError, match=r"nowhere/train/.* of `raylab store export` not found"):
        data.describe("exported", root, {"format": format, "folder": "nowhere"})
    for file in (root / "set" / "test").glob(FILES[format]):
        file.write_bytes(b"something else")
    with pytest.raises(data.DataError, match=rf"test: no set that `raylab store export --format {format}` wrote"):
        data.describe("exported", root, {"format": format, "folder": "set"})
