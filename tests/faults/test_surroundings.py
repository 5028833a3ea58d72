"""Machines as they are: clocks, locales, homes, paths, users and processors of all kinds give the same results."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from harness import WHOLE, Job, Left, Tell, ended, times, wait_for

ON_RAY = "backend: ray\ncpus: 2\nfree_gb: 0\nactors: {gpus: 0}\ntrials: {gpus: 0}\n"
SMALL_SHM = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=16m shm /dev/shm && exec "$@"', "sh")
CASES: dict[str, dict[str, object]] = {
    "a path with spaces and other letters, locale C, a read-only HOME": {
        "folder": "mit Leerzeichen & ü 数据 50%#1",
        "environment": {"LC_ALL": "C", "HOME": "/proc"},
    },
    "locale C": {"environment": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}},
    "a path with spaces and other letters": {"folder": "mit Leerzeichen & ü 数据 50%#1"},
    "the time zone of Kiritimati": {"environment": {"TZ": "Pacific/Kiritimati"}},
    "a HOME that nobody can write": {"environment": {"HOME": "/proc"}},
    "no HOME": {"environment": {"HOME": ""}},
    "a TMPDIR that is not there": {"environment": {"TMPDIR": "/nowhere"}},
    "one processor": {"before": ("taskset", "--cpu-list", "0")},
    "not root": {"before": ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")},
    "thread settings and hash seeds": {
        "environment": {"OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": "2", "PYTHONHASHSEED": "7"}, "cwd": Path("/proc"),
    },
    "a small /dev/shm, on Ray": {"before": SMALL_SHM, "site": ON_RAY},
}  # fmt: skip


@pytest.mark.parametrize("case", list(CASES) if WHOLE else list(CASES)[:1])
def test_the_surroundings_of_a_job_change_nothing(case: str, tmp_path: Path, undisturbed: Left, tell: Tell) -> None:
    given = dict(CASES[case])
    program = str(next(iter(given.get("before", ("env",)))))  # type: ignore[call-overload]
    if shutil.which(program) is None or (program in ("unshare", "setpriv") and os.geteuid()):
        pytest.skip(f"{program} is not at hand, or this is not root")
    folder = tmp_path / str(given.pop("folder", "home"))
    folder.mkdir()
    if case == "not root":
        for path in (folder, tmp_path, *tmp_path.parents[:2]):
            path.chmod(path.stat().st_mode | 0o777 if path == folder else path.stat().st_mode | 0o011)
        (folder / "site.yaml").write_text("backend: inline\nfree_gb: 0\n")
    with ended(Job(folder, **given)) as job:  # type: ignore[arg-type]
        assert job.run() == 0, job.said()
        assert Left.of(job.home) == undisturbed
        assert job.orphans() == 0
    tell("surroundings", case, "same digests, tables and runs")


@pytest.mark.parametrize("draw", times(quick=0, whole=2))
def test_a_clock_that_was_set_back_between_two_runs_is_nothing_to_a_job(
    draw: int, tmp_path: Path, undisturbed: Left, tell: Tell
) -> None:
    """The second run finds files of the future."""
    with ended(Job(tmp_path / "home")) as job:
        process = job.start()
        wait_for(lambda: f"[{2 + 2 * draw}/5]" in job.said() or process.poll() is not None)
        time.sleep(random.Random(draw).uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        future = time.time() + 10 * 24 * 3600
        for path in job.home.rglob("*"):
            os.utime(path, (future, future))
        assert job.run() == 0, job.said()
        assert Left.of(job.home) == undisturbed
    tell("surroundings", "a clock that was set back ten days between two runs", "same digests, tables and runs")
