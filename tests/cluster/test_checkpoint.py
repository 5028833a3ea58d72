"""A training goes on from the bytes that it kept, or begins again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from ray import tune

from raylab.cluster import checkpoint, sweep
from raylab.engine.artifact import StoreError
from raylab.engine.store import Store

STATE_BYTES = b"weights and what the optimizer remembers"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Tune has put a checkpoint away, and gives it back from."""
    away = tmp_path / "checkpoint_000000"

    def report(numbers: dict[str, Any], checkpoint: tune.Checkpoint) -> None:
        del numbers
        with checkpoint.as_directory() as kept:
            shutil.copytree(kept, away)

    monkeypatch.setattr(tune, "report", report)
    monkeypatch.setattr(tune, "get_checkpoint", lambda: tune.Checkpoint.from_directory(str(away)))
    checkpoint.keep({"epoch": 1}, STATE_BYTES)
    return away


def test_a_state_comes_back_as_it_was_kept(folder: Path) -> None:
    assert checkpoint.kept() == STATE_BYTES
    assert {path.name for path in folder.iterdir()} == {checkpoint.STATE, checkpoint.SUM}


def test_a_state_of_an_older_raylab_has_no_sum_and_is_taken(folder: Path) -> None:
    (folder / checkpoint.SUM).unlink()
    assert checkpoint.kept() == STATE_BYTES


@pytest.mark.parametrize("damage", ["a changed byte", "an end that is cut off", "a file that is gone"])
def test_a_damaged_state_is_told_and_the_training_begins_again(
    damage: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / checkpoint.STATE
    if damage == "a file that is gone":
        path.unlink()
    else:
        path.write_bytes(STATE_BYTES[:-1] + (b"R" if damage == "a changed byte" else b""))
    assert checkpoint.kept() is None
    assert "not the state that was kept; this training begins again" in capsys.readouterr().err


def test_a_folder_of_tune_s_that_another_driver_writes_to_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two drivers of one plan share it: the first to end could not remove it, and failed with all its results."""

    def refuse(_: Store, path: str) -> None:
        raise StoreError(f"{path}: cannot be removed (Directory not empty)")

    monkeypatch.setattr(Store, "remove_folder", refuse)
    sweep._remove(Store(str(tmp_path)), f"{tmp_path}/tune/abc")
