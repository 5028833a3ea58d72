"""A training goes on from the bytes that it kept, or begins again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from ray import tune

from raylab.cluster import checkpoint, tasks
from raylab.engine.artifact import StoreError
from raylab.engine.store import Store

STATE_BYTES = b"weights\nand what the optimizer remembers"


@pytest.fixture(params=["in the store", "by Tune"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Path]:
    """How a state is read, and the file that it was written to."""
    store, away = Store(str(tmp_path)), tmp_path / "checkpoint_000000"
    if request.param == "in the store":
        checkpoint.keep(store, f"{store.root}/state", STATE_BYTES)
        return (lambda: checkpoint.kept(store, f"{store.root}/state")), tmp_path / "state"

    def report(numbers: dict[str, Any], checkpoint: tune.Checkpoint) -> None:
        del numbers
        with checkpoint.as_directory() as kept:
            shutil.copytree(kept, away)

    monkeypatch.setattr(tune, "report", report)
    monkeypatch.setattr(tune, "get_checkpoint", lambda: tune.Checkpoint.from_directory(str(away)))
    checkpoint.hand_on({"epoch": 1}, STATE_BYTES)
    return checkpoint.handed_on, away / checkpoint.STATE


def test_a_state_comes_back_as_it_was_kept(place: tuple[Any, Path]) -> None:
    read, _ = place
    assert read() == STATE_BYTES


@pytest.mark.parametrize("damage", ["a changed byte", "an end that is cut off", "nothing left", "another sum"])
def test_a_damaged_state_is_told_and_the_training_begins_again(
    damage: str, place: tuple[Any, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    read, path = place
    data = path.read_bytes()
    damaged = {
        "a changed byte": data[:-1] + b"R",
        "an end that is cut off": data[:-1],
        "nothing left": b"",
        "another sum": b"\xff" + data[1:],
    }
    path.write_bytes(damaged[damage])
    assert read() is None
    assert "not the state that was kept; this training begins again" in capsys.readouterr().err


def test_who_kept_nothing_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checkpoint.kept(Store(str(tmp_path)), f"{tmp_path}/state") is None
    assert capsys.readouterr().err == ""


def test_a_folder_of_tune_s_that_another_driver_writes_to_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two drivers of one plan share it: the first to end could not remove it, and failed with all its results."""

    def refuse(_: Store, path: str) -> None:
        raise StoreError(f"{path}: cannot be removed (Directory not empty)")

    monkeypatch.setattr(Store, "remove_folder", refuse)
    tasks._remove(Store(str(tmp_path)), f"{tmp_path}/tune/abc")
