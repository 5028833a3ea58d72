"""A set as arrays that are mapped from a file: the same values, in no memory, and nothing left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raylab.engine.artifact import Artifact, CorruptArtifact, StoreError
from raylab.engine.memory_map import memory_mapped
from raylab.engine.stage import Stage, TaskContext
from raylab.engine.store import Store
from raylab.engine.worker import NullReporter
from raylab.stages.training import CHUNK, _moved_up

SIZES = (70, 1, 0, 200)  # rows of the parts


def written(store: Store, rows: dict[str, np.ndarray[Any, Any]], sizes: tuple[int, ...] = SIZES) -> Artifact:
    """Rows in parts."""
    stage, parts = Stage("handmade", 1, "rows", {}), list[Any]()
    context = TaskContext({}, "cpu", lambda *part: parts.append(store.put_part(stage, *part)), NullReporter())
    for index, (low, size) in enumerate(zip(np.cumsum((0, *sizes)), sizes, strict=False)):
        context.write_table({name: column[low : low + size] for name, column in rows.items()}, index)
    return store.commit(stage, parts, {}, {})


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    count, draws = sum(SIZES), np.random.default_rng(0)
    return written(
        Store(str(tmp_path / "store")),
        {
            "id": np.arange(count)[::-1],
            "image": draws.integers(0, 256, (count, 3, 4, 5)).astype(np.uint8),
            "logits": draws.normal(size=(count, 10)).astype(np.float32),
            "hit": np.arange(count) % 3 == 0,
            "said": np.array([f"class {number}" for number in range(count)]),
        },
    )


def test_it_is_what_the_parts_hold(artifact: Artifact) -> None:
    rows, whole = memory_mapped(artifact), artifact.batch()
    assert rows.keys() == whole.keys()
    for name, column in whole.items():
        assert rows[name].dtype == column.dtype
        np.testing.assert_array_equal(rows[name], column)


def test_images_lie_in_a_file_that_has_no_name(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one that is mapped and shared the system can drop every page: none counts as the process's own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    image = memory_mapped(artifact)["image"]
    image[0] = 7  # whoever has it may write into it
    assert (artifact.batch()["image"][0] != 7).any()
    assert list(folder.iterdir()) == []
    (line,) = (line for line in Path("/proc/self/maps").read_text().splitlines() if str(folder) in line)
    assert " rw-s " in line
    del image
    assert str(folder) not in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("sizes", [(0,), (3, 0)])
def test_of_no_rows_there_are_columns(sizes: tuple[int, ...], tmp_path: Path) -> None:
    count = sum(sizes)
    rows = {"id": np.arange(count), "image": np.ones((count, 3, 2, 2), np.float32)}
    found = memory_mapped(written(Store(str(tmp_path)), rows, sizes))
    assert found["image"].shape == (count, 3, 2, 2)
    np.testing.assert_array_equal(found["id"], rows["id"])


def test_a_damaged_part_is_found_and_what_holds_no_table_refused(artifact: Artifact, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="it holds no table"):
        memory_mapped(written(Store(str(tmp_path / "empty")), {}, ()))
    part = Path(artifact.folder) / artifact.parts[-1].path
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(CorruptArtifact, match="does not have the bytes that were committed"):
        memory_mapped(artifact)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99, 1.0])
def test_rows_of_a_training_are_moved_up_in_their_order(share: float) -> None:
    draws = np.random.default_rng(1)
    images, rows = draws.random((2 * CHUNK + 7, 1, 2, 2)), draws.random(2 * CHUNK + 7) < share
    kept = images[rows]
    np.testing.assert_array_equal(_moved_up(images, rows), kept)
