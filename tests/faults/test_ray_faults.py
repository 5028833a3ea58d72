"""Processes of a job on Ray are killed at any moment, nodes and heads are lost: the results are those without Ray."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from pathlib import Path

import psutil
import pytest
from harness import STUDY, Job, Left, Tell, ended, finished_work, is_as_it_was, times, wait_for, whole

SITE = (
    "backend: ray\ncpus: 2\nfree_gb: 0\nactors: {max: 2, gpus: 0, shards_per_task: 1}\n"
    "trials: {gpus: 0, checkpoint_seconds: 0}\n"
)
# The same study with enough to do for something to be killed at it.
LONG = ("transfer_matrix", *STUDY, "data.per_class=40", "attack.steps=150", "train.epochs=12")
KILLS = 2  # of a kind in a run: three of one trial would be the third strike, and it is given up


@pytest.fixture(scope="session")
def long_undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """Without Ray."""
    job = Job(tmp_path_factory.mktemp("undisturbed") / "home", LONG)
    assert job.run() == 0, job.said()
    return Left.of(job.home)


def worker(job: Job, kind: str) -> psutil.Process | None:
    """An actor or a trial that is there."""
    for process in job.family():
        try:
            title = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if title.startswith("ray::") and ("MapWorker" in title if kind == "actor" else "training" in title):
            return process
    return None


@pytest.mark.parametrize("draw", times(quick=0, whole=10))
def test_actors_and_trials_that_are_killed_cost_nothing_but_time(
    draw: int, tmp_path: Path, long_undisturbed: Left, tell: Tell
) -> None:
    draws, killed = random.Random(draw), []
    with ended(Job(tmp_path / "home", LONG, SITE)) as job:
        process = job.start()
        while process.poll() is None and len(killed) < 2 * KILLS:
            kinds = [kind for kind in ("trial", "actor") if killed.count(kind) < KILLS]
            victims = [(kind, one) for kind in kinds if (one := worker(job, kind)) is not None]
            time.sleep(draws.uniform(0.2, 1.5))
            for kind, one in victims[:1]:
                if one.is_running():
                    one.kill()
                    killed.append(kind)
        assert process.wait(600) == 0, job.said()
        assert Left.of(job.home) == long_undisturbed
        assert job.orphans() == 0
    for kind in killed:
        tell(
            f"kill -9 of {'an actor' if kind == 'actor' else 'a trial'}, Ray",
            "at its work",
            "same digests, tables and runs; the driver goes on",
        )


@pytest.mark.parametrize("draw", times(quick=0, whole=5))
def test_drivers_on_ray_that_are_killed_go_on(draw: int, tmp_path: Path, long_undisturbed: Left, tell: Tell) -> None:
    """Four times in a row, then undisturbed."""
    draws, phases = random.Random(draw), []
    with ended(Job(tmp_path / "home", LONG, SITE)) as job:
        for _ in range(4):
            done = finished_work(job.home)
            process = job.start()
            mark = draws.choice(("", "to build:", "[2/", "[3/", "\nbuilt "))
            with contextlib.suppress(TimeoutError):  # what was looked for may be done already
                wait_for(lambda: mark in job.said() or process.poll() is not None, 40)  # noqa: B023
            time.sleep(draws.uniform(0, 4))
            phases.append(
                "publishing" if "\nbuilt " in job.said() else "building" if "[1/" in job.said() else "start-up"
            )
            process.kill()
            if process.wait() == 0:
                phases.pop()
                break
            assert job.orphans() == 0
            assert is_as_it_was(done)
        assert job.run(600) == 0, job.said()
        assert Left.of(job.home) == long_undisturbed
    for one in phases:
        tell("kill -9 of the driver, Ray", one, "no process left; same digests, tables and runs; nothing built twice")


@whole
@pytest.mark.parametrize("sites", [(SITE, SITE), (SITE, Job.site)], ids=["ray+ray", "ray+inline"])
def test_two_drivers_one_of_them_on_ray(
    sites: tuple[str, str], tmp_path: Path, long_undisturbed: Left, tell: Tell, request: pytest.FixtureRequest
) -> None:
    with ended(Job(tmp_path / "home", LONG)) as job:
        drivers = []
        for number, text in enumerate(sites):
            job.site, job.name = text, f"site-{number}"
            drivers.append(job.start())
        codes = [driver.wait(600) for driver in drivers]
        assert Left.of(job.home).digests == long_undisturbed.digests
        assert codes == [0, 0], job.said()
        assert Left.of(job.home) == long_undisturbed
        assert job.orphans() == 0
    tell("two drivers on the same key", request.node.callspec.id, "both end well; one artifact and one run a cell")


@pytest.mark.parametrize("draw", times(quick=0, whole=5))
def test_two_sigterms_leave_ray_soon(draw: int, tmp_path: Path, long_undisturbed: Left, tell: Tell) -> None:
    draws = random.Random(draw)
    with ended(Job(tmp_path / "home", LONG, SITE)) as job:
        process = job.start()
        wait_for(lambda: "[1/5]" in job.said() or process.poll() is not None)
        time.sleep(draws.uniform(0, 15))
        began = time.monotonic()
        for stop in (draws.choice((signal.SIGINT, signal.SIGTERM)) for _ in range(2)):
            process.send_signal(stop)
            time.sleep(draws.uniform(0, 1))
        code = process.wait(60)
        took = time.monotonic() - began
        assert "Traceback" not in job.said(), job.said()
        assert job.orphans() == 0
        assert job.run(600) == 0, job.said()
        assert Left.of(job.home) == long_undisturbed
    tell("SIGINT or SIGTERM, twice", "on Ray", f"exit code {code} after {took:.0f} s; no process left; went on")
