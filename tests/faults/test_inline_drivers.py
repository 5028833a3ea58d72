"""A driver without Ray is killed or stopped at any moment; the same command ends as if nothing had been."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from harness import Job, Left, Tell, ended, finished_work, is_as_it_was, times, wait_for

from raylab.stop import STOPPED

RENAMES = 90  # files that an undisturbed run puts into place
LEAVING_SECONDS = 10.0


def phase(job: Job) -> str:
    """Of a run, by what it has printed."""
    said = job.said()
    return "publishing" if "\nbuilt " in said else "building" if "to build:" in said else "start-up"


def reach(job: Job, process: subprocess.Popen[bytes], wanted: str, draws: random.Random) -> None:
    """Wait for a random moment of a phase."""
    mark, longest = {"start-up": ("", 3.0), "building": ("to build:", 2.5), "publishing": ("\nbuilt ", 1.5)}[wanted]
    wait_for(lambda: mark in job.said() or process.poll() is not None)
    time.sleep(draws.uniform(0, longest))


def assert_goes_on(job: Job, undisturbed: Left) -> None:
    """The same command ends well and does nothing twice that was finished."""
    done = finished_work(job.home)
    assert job.run() == 0, job.said()
    assert Left.of(job.home) == undisturbed
    assert is_as_it_was(done)


@pytest.mark.parametrize("draw", times(quick=1, whole=20))
def test_the_same_command_goes_on_after_a_kill(draw: int, tmp_path: Path, undisturbed: Left, tell: Tell) -> None:
    draws = random.Random(draw)
    wanted = ("committing", "publishing", "building", "start-up")[draw % 4]
    with ended(Job(tmp_path / "home")) as job:
        if wanted == "committing":
            number = draws.randrange(1, RENAMES)
            job.environment = {"FAULT": f"os.rename|{job.home}|{number}|signal|9"}
        process = job.start()
        if wanted != "committing":
            reach(job, process, wanted, draws)
            wanted = phase(job)
            process.kill()
        assert process.wait(60) in (-signal.SIGKILL, 0)
        killed = process.returncode != 0
        job.environment = {}
        assert job.orphans(10) == 0
        assert_goes_on(job, undisturbed)
    if killed:
        tell("kill -9 of the driver, inline", wanted, "same digests, tables and runs; nothing built twice")


@pytest.mark.parametrize("draw", times(quick=0, whole=20))
def test_two_stops_in_a_row_leave_soon_and_lose_nothing(
    draw: int, tmp_path: Path, undisturbed: Left, tell: Tell
) -> None:
    draws = random.Random(draw)
    stops = [draws.choice((signal.SIGINT, signal.SIGTERM)) for _ in range(2)]
    with ended(Job(tmp_path / "home")) as job:
        process = job.start()
        reach(job, process, ("building", "publishing", "start-up", "building")[draw % 4], draws)
        wanted, began = phase(job), time.monotonic()
        for stop in stops:
            process.send_signal(stop)
            time.sleep(draws.choice((0.0, draws.uniform(0, 0.5))))
        code = process.wait(60)
        took = time.monotonic() - began
        assert took < LEAVING_SECONDS, f"{wanted}: {took:.0f} s"
        assert code in (0, STOPPED, -signal.SIGINT, -signal.SIGTERM), job.said()
        assert "Traceback" not in job.said(), job.said()
        assert job.orphans(10) == 0
        assert_goes_on(job, undisturbed)
    if code:
        names = " and ".join(stop.name for stop in stops)
        tell("SIGINT or SIGTERM, twice", f"{wanted}: {names}", f"left after {took:.0f} s; went on")
