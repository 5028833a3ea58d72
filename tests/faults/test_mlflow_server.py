"""The server of MLflow is down, or becomes slow, at any time of a job: its results stay, and the same command completes
what MLflow has of them, each run once."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty_proxy import proxy
from harness import Job, Left, Tell, ended, wait_for, whole


class Server:
    """A server of MLflow that can be taken away and brought back, on the same port and database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.port = int(free.getsockname()[1])
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def database(self) -> Path:
        return self.folder / "server.db"

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.database}"]
        command += ["--artifacts-destination", str(self.folder / "files")]
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=os.environ | quiet, cwd=self.folder, start_new_session=True
            )
        wait_for(self._answers, pause=0.3)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    one = Server(tmp_path)
    one.start()
    yield one
    one.kill()


@whole
@pytest.mark.parametrize("when", ["at the start", "in the middle", "at the end"])
def test_a_server_that_goes_away_takes_no_result_along(
    when: str, server: Server, tmp_path: Path, undisturbed: Left, tell: Tell
) -> None:
    site = f"backend: inline\nfree_gb: 0\ntracking: http://127.0.0.1:{server.port}\n"
    with ended(Job(tmp_path / "home", site=site)) as job:
        if when == "at the start":
            server.kill()
        began = time.monotonic()
        process = job.start()
        if when != "at the start":
            mark = "[3/5]" if when == "in the middle" else "\nbuilt "
            wait_for(lambda: mark in job.said() or process.poll() is not None)
            server.kill()
        code = process.wait(600)
        took = time.monotonic() - began
        assert code in (1, 2), job.said()
        assert "Traceback" not in job.said(), job.said()
        assert str(server.port) in job.said()
        if when != "at the start":
            assert Left.of(job.home, database=server.database).digests == undisturbed.digests
        server.start()
        assert job.run(600) == 0, job.said()
        assert Left.of(job.home, database=server.database) == undisturbed
    tell(
        "MLflow's server down",
        when,
        f"exit code {code} after {took:.0f} s, results kept; the same command completes them, no run twice",
    )


@whole
@pytest.mark.parametrize("shares", [{"slow": 1.0}, {"500": 0.1, "503": 0.1, "unanswered": 0.1}], ids=["slow", "faulty"])
def test_a_server_that_is_slow_or_fails_at_times(
    shares: dict[str, float], server: Server, tmp_path: Path, undisturbed: Left, tell: Tell
) -> None:
    with proxy(server.port, shares, seed=0, slow_seconds=1.0) as between:
        site = f"backend: inline\nfree_gb: 0\ntracking: http://127.0.0.1:{between.port}\n"
        with ended(Job(tmp_path / "home", site=site)) as job:
            codes = [job.run(800)]
            assert "Traceback" not in job.said(), job.said()
            between.shares.clear()
            assert job.run(600) == 0, job.said()
            codes.append(0)
            assert Left.of(job.home, database=server.database) == undisturbed
        what = "every answer 1 s late" if "slow" in shares else "a tenth each 500, 503, done without an answer"
        tell(
            "MLflow's server slow or faulty",
            f"{what} ({sum(between.injected.values())} requests)",
            f"exit codes {codes}; no run twice",
        )
