"""A tracker that cannot be used says so before anything is computed."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from raylab.tracking import Tracker, TrackerError
from raylab.tracking.mlflow import connection as mlflow_connection
from raylab.tracking.mlflow.tracker import MlflowTracker

PATIENCE_SECONDS = 30  # MLflow's own is minutes; a loaded machine may take many seconds for what takes one


def test_nothing_is_opened_before_it_is_used(tmp_path: Path) -> None:
    tracker: Tracker = MlflowTracker(f"sqlite:///{tmp_path}/deep/mlflow.db", None)
    assert f"mlflow ui --backend-store-uri sqlite:///{tmp_path}/deep/mlflow.db" in tracker.describe()
    assert list(tmp_path.iterdir()) == []


def test_a_password_is_not_shown() -> None:
    tracker = MlflowTracker("http://me:secret@127.0.0.1:9", None)
    assert tracker.describe() == "MLflow at http://***@127.0.0.1:9"
    with pytest.raises(TrackerError) as caught:
        tracker.check()
    assert "secret" not in str(caught.value)


def test_a_server_that_is_down_is_an_error_within_seconds() -> None:
    started = time.monotonic()
    with pytest.raises(TrackerError) as caught:
        MlflowTracker("http://127.0.0.1:9", None).check()
    assert time.monotonic() - started < PATIENCE_SECONDS
    text = str(caught.value)
    assert text.startswith("MLflow at http://127.0.0.1:9: it cannot be used (ConnectionRefusedError:")
    assert "`tracking:` in the site file or MLFLOW_TRACKING_URI" in text
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "30"  # as it was before


def test_a_server_that_goes_away_is_waited_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", waits.append)
    with pytest.raises(MlflowException, match="refused"):
        mlflow_connection.connect("http://127.0.0.1:9").search_experiments()
    assert 60 <= sum(waits) <= 65


def test_a_server_that_never_answers_is_an_error_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_connection, "QUICK_SECONDS", 1)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        started = time.monotonic()
        with pytest.raises(TrackerError, match="timed out"):
            MlflowTracker(f"http://127.0.0.1:{silent.getsockname()[1]}", None).check()
    assert time.monotonic() - started < PATIENCE_SECONDS


@pytest.mark.parametrize("uri", ["htp://host", "runs", "/tmp/runs", "file:///tmp/runs", "mongodb://host/x"])
def test_a_uri_of_another_kind_is_refused_with_those_that_are_taken(uri: str) -> None:
    with pytest.raises(TrackerError, match="begins with one of http, https, databricks, sqlite"):
        MlflowTracker(uri, None).check()


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///runs.db", "sqlite:///:memory:"])
def test_a_database_that_depends_on_the_working_directory_is_refused(uri: str) -> None:
    with pytest.raises(TrackerError, match=f"write sqlite:///{Path.cwd()}/"):
        MlflowTracker(uri, None).check()


def test_a_place_that_cannot_hold_a_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no database")
    with pytest.raises(TrackerError, match="file is not a database"):
        MlflowTracker(f"sqlite:///{tmp_path}/file", None).check()
    with pytest.raises(TrackerError, match=r"NotADirectoryError|FileExistsError"):
        MlflowTracker(f"sqlite:///{tmp_path}/file/mlflow.db", None).check()
    with pytest.raises(TrackerError, match="unable to open database file"):
        MlflowTracker(f"sqlite:///{tmp_path}", None).check()


def test_a_driver_that_is_not_installed_or_a_database_that_is_down_is_an_error() -> None:
    with pytest.raises(TrackerError, match=r"ModuleNotFoundError|refused"):
        MlflowTracker("postgresql://me:secret@127.0.0.1:9/runs", None).check()


def test_a_folder_of_files_that_cannot_be_made_is_an_error(empty_database: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrackerError, match="file"):
        MlflowTracker(f"sqlite:///{empty_database}", str(tmp_path / "file" / "files")).check()
