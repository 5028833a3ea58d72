"""A driver that was submitted as a job: its log lasts longer than its cluster, and bad input is not tried again."""

from __future__ import annotations

import atexit
import json
import os
import signal
import stat
import sys
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from raylab.engine.artifact import StoreError
from raylab.engine.redaction import redacted
from raylab.engine.store import Store

RETRIED = "RAYLAB_RETRIED"  # set where a job that fails is submitted again, as by KubeRay's backoffLimit
FOLDER = "logs"
COPY_SECONDS = 60.0
LONGEST = 4 * 2**20  # bytes of a log, from its end
STOP_SECONDS = 30  # Ray's agent has SIGTERM on its way within one


def job_id() -> str | None:
    """The id of the submission whose driver this process is; None where people have started it themselves."""
    injected = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR") or "{}")
    found = injected.get("metadata", {}).get("job_submission_id")
    return None if found is None else str(found)


def keep_log(store: Store, seconds: float = COPY_SECONDS) -> None:
    """Copy what this driver writes to `<store>/logs/<job>.log`, every `seconds` and when it ends, until it ends.

    A retry of KubeRay removes cluster and submitter, and with them the log of the attempt that failed. Does nothing for
    a driver that was not submitted. A copy that fails ends no run, and the next one is tried.
    """
    job, log = job_id(), _log_of_this_process()
    if job is None or log is None:
        return
    path, lock, copied, ended = f"{store.root}/{FOLDER}/{job}.log", threading.Lock(), [0], threading.Event()

    def copy() -> None:
        with lock, suppress(OSError, StoreError), open(log, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size != copied[0]:
                file.seek(max(0, size - LONGEST))
                store.put(path, redacted(file.read().decode(errors="replace"), store.uri).encode())
                copied[0] = size

    def copy_again() -> None:
        while not ended.wait(seconds):
            copy()

    def copy_last() -> None:
        ended.set()
        copy()

    atexit.register(copy_last)  # after a traceback is written, and before Arrow leaves S3
    threading.Thread(target=copy_again, name="copy of the log", daemon=True).start()


def _log_of_this_process() -> str | None:
    """The file that stdout is written to; None where it is none, as in a terminal."""
    with suppress(OSError):
        if stat.S_ISREG(os.fstat(1).st_mode):
            return os.readlink("/proc/self/fd/1")
    return None


def end_without_retry(code: int) -> None:
    """Have Ray stop this driver's job where somebody would submit it again if it failed; else do nothing.

    KubeRay tries again what has failed, on a new cluster each time, and knows no exit codes; a job that was stopped is
    over. Comes back where the job cannot be stopped.
    """
    job = job_id()
    if job is None or not os.environ.get(RETRIED):
        return

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        del number, frame
        raise SystemExit(code)

    from ray.job_submission import JobSubmissionClient  # seconds

    signal.signal(signal.SIGTERM, leave)
    print("A retry would end alike: this job is stopped.", file=sys.stderr, flush=True)
    with suppress(RuntimeError, OSError):  # no dashboard: the job fails, and is tried again
        if JobSubmissionClient().stop_job(job):
            time.sleep(STOP_SECONDS)
