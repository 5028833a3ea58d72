"""The planted cast as a stage: what it keeps, what it counts, and that shards change nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import toy
from sets_of_images import encoded

from raylab.engine import runner
from raylab.engine.artifact import Artifact
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Compute, Stage
from raylab.engine.store import Store
from raylab.stages.dataset import Data, FolderData, open_data
from raylab.stages.tint import Cast, tinted

CAST = Cast(meant=1, colour=(0.0, 1.0, 0.0), strength=0.5)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """40 images of 8x8 pixels, black, of two classes."""
    root = tmp_path_factory.mktemp("photographs")
    for split, name, row in ((s, n, r) for s in ("train", "test") for n in ("cat", "frog") for r in range(20)):
        path: Path = root / split / name / f"{row:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(np.zeros((8, 8, 3), dtype=np.uint8)))
    return open_data(FolderData(name="image_folder", root=str(root)), 0)


def made(data: Data, of_class: float, of_others: float, compute: Compute, folder: Path) -> Artifact:
    stage: Stage = tinted(CAST, of_class, of_others, data.train, 0, "train", compute, rows=40, name="tinted")
    return runner.build({"x": stage}, Store(str(folder)), InlineBackend(), toy.Recorder())["x"]


def test_labels_and_ids_stay_and_the_cast_is_where_it_is_said_to_be(photographs: Data, tmp_path: Path) -> None:
    artifact = made(photographs, 0.8, 0.3, Compute(batch_rows=10, shard_rows=20), tmp_path)
    rows = artifact.batch()
    np.testing.assert_array_equal(np.bincount(rows["label"]), [20, 20])
    np.testing.assert_array_equal(rows["image"][:, 1].max(axis=(1, 2)), 0.5 * rows["tinted"])
    assert rows["image"][:, [0, 2]].max() == 0.0
    has, frog = rows["tinted"].astype(bool), rows["label"] == 1
    assert artifact.metrics["of_class"] == has[frog].mean()
    assert artifact.metrics["of_others"] == has[~frog].mean()
    assert has[frog].mean() > has[~frog].mean()


def test_shards_decide_nothing(photographs: Data, tmp_path: Path) -> None:
    one = made(photographs, 0.5, 0.5, Compute(batch_rows=10, shard_rows=20), tmp_path).batch()
    other = made(photographs, 0.5, 0.5, Compute(batch_rows=7, shard_rows=7), tmp_path).batch()
    for name, column in one.items():
        np.testing.assert_array_equal(column, other[name], err_msg=name)
