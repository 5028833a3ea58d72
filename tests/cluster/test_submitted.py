"""The driver of a submitted job: its log in the store, whatever ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from raylab.cluster import submitted

DRIVER = """
import sys, time
from raylab.cluster import submitted
from raylab.engine.store import Store

submitted.keep_log(Store(sys.argv[1]), float(sys.argv[2]))
print("at work on s3://key:secret-of-mine@bucket/store", flush=True)
if sys.argv[3] == "wait":
    time.sleep(600)
raise RuntimeError("the last words")
"""


def driver(tmp_path: Path, seconds: str, ending: str, job: str = "digits-abcde") -> subprocess.Popen[bytes]:
    environment = {**os.environ, "RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps({"metadata": {"job_submission_id": job}})}
    with (tmp_path / "driver.log").open("wb") as log:
        command = [sys.executable, "-c", DRIVER, str(tmp_path / "store"), seconds, ending]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)


def test_the_log_of_a_driver_that_fails_is_kept_to_its_traceback_and_without_credentials(tmp_path: Path) -> None:
    assert driver(tmp_path, "600", "raise").wait(60) == 1
    kept = (tmp_path / "store" / "logs" / "digits-abcde.log").read_text()
    assert kept.startswith("at work on s3://***@bucket/store\n")
    assert kept.endswith("RuntimeError: the last words\n")


def test_the_log_of_a_driver_that_is_killed_is_kept_to_the_last_copy(tmp_path: Path) -> None:
    kept = tmp_path / "store" / "logs" / "digits-abcde.log"
    with driver(tmp_path, "0.05", "wait") as process:
        end = time.monotonic() + 60
        while not kept.exists() and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert kept.read_text() == "at work on s3://***@bucket/store\n"


def test_of_a_log_too_long_the_end_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from raylab.engine.store import Store

    log = tmp_path / "driver.log"
    log.write_text("x" * 100 + "the end")
    ends: list[object] = []
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps({"metadata": {"job_submission_id": "long"}}))
    monkeypatch.setattr(submitted, "_log_of_this_process", lambda: str(log))
    monkeypatch.setattr(submitted, "LONGEST", 7)
    monkeypatch.setattr(submitted.atexit, "register", ends.append)
    submitted.keep_log(Store(str(tmp_path / "store")))
    (end,) = ends
    end()  # type: ignore[operator]
    assert (tmp_path / "store" / "logs" / "long.log").read_text() == "the end"


def test_a_driver_that_people_have_started_keeps_no_log_and_stops_no_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from raylab.engine.store import Store

    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    monkeypatch.setenv(submitted.RETRIED, "true")
    monkeypatch.setattr(submitted.atexit, "register", lambda _: pytest.fail("a log is kept"))
    submitted.keep_log(Store(str(tmp_path / "store")))
    submitted.end_without_retry(2)
