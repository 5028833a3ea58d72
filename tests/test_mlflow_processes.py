"""Drivers of their own that publish: quiet, killed, together, and to a server."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow_runs import cells, opened, publish, runs, study

from raylab.tracking import Publication, Record
from raylab.tracking.mlflow.run import CONTENT, KEY
from raylab.tracking.mlflow.tracker import MlflowTracker

SCRIPT = """
import os, sys
from raylab.tracking import Publication, Record
from raylab.tracking.mlflow.tracker import MlflowTracker
tracker = MlflowTracker(sys.argv[1], sys.argv[2])
parent = Record("parent", "study")
children = tuple(Record(f"cell-{i}", f"cell {i}", metrics={"m": i}) for i in range(6))
publication = Publication(parent, children, {"a.txt": b"a"})
"""


def process(script: str, *args: str, cwd: Path | None = None) -> subprocess.Popen[str]:
    # Without what switches telemetry off by itself, in tests and in CI.
    known = ("PATH", "HOME", "PYTHONPATH", "VIRTUAL_ENV", "LANG")
    clean = {name: os.environ[name] for name in known if name in os.environ}
    command = [sys.executable, "-c", SCRIPT + textwrap.dedent(script), *args]
    pipes = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipes, stderr=pipes, text=True, env=clean, cwd=cwd)


@pytest.mark.slow
def test_a_job_prints_nothing_sends_nothing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "cwd").mkdir()
    quiet = process(
        """
        from mlflow.telemetry import get_telemetry_client
        assert get_telemetry_client() is None  # at once: without a network it would give up, and be None later
        tracker.check()
        with tracker.job("study", parent) as run:
            run.publish(publication)
        """,
        f"sqlite:///{tmp_path}/home/mlflow.db",
        str(tmp_path / "home/files"),
        cwd=tmp_path / "cwd",
    )
    out, err = quiet.communicate(timeout=120)
    assert (out, err, quiet.returncode) == ("", "", 0)
    assert list((tmp_path / "cwd").iterdir()) == []


@pytest.mark.slow
def test_a_driver_killed_while_it_publishes_is_completed_by_the_next(tracker: MlflowTracker, tmp_path: Path) -> None:
    killed = process(
        """
        from mlflow import MlflowClient
        log_batch, calls = MlflowClient.log_batch, []
        def dying(self, *args, **kwargs):
            calls.append(None)
            if len(calls) == 5:
                os.kill(os.getpid(), 9)
            return log_batch(self, *args, **kwargs)
        MlflowClient.log_batch = dying
        with tracker.job("study", parent) as run:
            run.publish(publication)
        """,
        tracker.uri,
        str(tmp_path / "files"),
    )
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert [run.info.status for run in cells(tracker).values()].count("RUNNING") == 1
    assert len(cells(tracker)) == 4
    parent = Record("parent", "study")
    publication = Publication(parent, tuple(Record(f"cell-{i}", f"cell {i}", metrics={"m": i}) for i in range(6)), {})
    with tracker.job("study", parent) as run:
        run.publish(publication)
    assert {run.data.tags[KEY]: run.data.metrics["m"] for run in cells(tracker).values()} == {
        f"cell-{i}": i for i in range(6)
    }
    assert {run.info.status for run in runs(tracker)} == {"FINISHED"}


@pytest.mark.slow
def test_drivers_that_make_the_database_together_both_succeed(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/new/mlflow.db"
    together = [process("tracker.check()", uri, str(tmp_path / "files")) for _ in range(3)]
    ends = [(*one.communicate(timeout=200), one.returncode) for one in together]
    assert ends == [("", "", 0)] * 3


@pytest.fixture
def server(empty_database: Path, tmp_path: Path) -> Iterator[str]:
    shutil.copy(empty_database, tmp_path / "server.db")
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path}/server.db"]
    command += ["--artifacts-destination", str(tmp_path / "server-files")]
    env = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=env, cwd=tmp_path, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail((tmp_path / "server.log").read_text())
                time.sleep(0.3)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


@pytest.mark.slow
def test_a_server_is_told_the_same_as_a_database(server: str, capfd: pytest.CaptureFixture[str]) -> None:
    tracker = MlflowTracker(server, "/not/for/servers")
    tracker.check()
    run_id = publish(tracker, study())
    ids = {key: run.info.run_id for key, run in cells(tracker).items()}
    assert publish(tracker, study()) == run_id
    assert {key: run.info.run_id for key, run in cells(tracker).items()} == ids
    assert ids.keys() == {"cell-0", "cell-1", "cell-2"}
    assert cells(tracker)["cell-1"].data.metrics["accuracy"] == 0.51
    assert CONTENT in opened(tracker).data.tags
    local = MlflowClient(server).download_artifacts(run_id, "page.html")
    assert Path(local).read_bytes() == b"<h1>matrix</h1>"
    assert "View run" not in capfd.readouterr().out
