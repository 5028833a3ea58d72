"""Drivers of sweeps whose schedulers end or change trials are killed at any moment, and what they left is moved: the
same command goes on, and what it finds can be had again without Ray."""

from __future__ import annotations

import random
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import sweeps
from harness import HERE, Job, Tell, ended, times, wait_for

from raylab.engine import runner
from raylab.engine.progress import Progress
from raylab.engine.runner import InlineBackend
from raylab.engine.store import Store
from raylab.sweep.records import Records, TrialRecord
from raylab.sweep.run import search
from raylab.sweep.schedule import under
from raylab.sweep.space import needed

KILLS = 3  # in a row
SEARCHES: dict[str, dict[str, Any]] = {"asha": sweeps.ASHA, "pbt": sweeps.PBT}


def assert_asha_is_right(records: list[TrialRecord], plain: Path) -> None:
    """What was finished has the numbers of a search that ends no trial early."""
    config = {**sweeps.ASHA, "scheduler": {"name": "fifo"}}
    expected = search(sweeps.prepared(**config), sweeps.site(plain))
    finished = [record for record in records if record.state == "finished"]
    assert {record.state for record in records} <= {"finished", "stopped"}
    for record in finished:
        assert record.point == expected[record.number].point
        assert record.value("D_det") == expected[record.number].value("D_det")
    assert max(finished, key=lambda record: record.value("D_det")).point == {"students.det.lr": 1e-2}


def assert_pbt_is_right(records: list[TrialRecord], plain: Path) -> None:
    """Every trial's schedule, run again, gives its number."""
    assert [record.state for record in records] == ["finished"] * 4
    prepared = sweeps.prepared(**sweeps.PBT)
    for number, record in enumerate(records):
        assert len(record.curve) == record.schedule[-1][0] == 8
        own = needed(prepared.sweep, prepared.base, record.point)
        (evaluation,) = under(prepared.sweep, prepared.base, own, record.schedule)["D_det"].values()
        store = Store(str(plain / "store"))
        (again,) = runner.build({number: evaluation}, store, InlineBackend(), Progress()).values()
        assert again.metrics["accuracy"] == pytest.approx(record.value("D_det"))


def move(home: Path, what: str) -> Path:
    """Where the home is afterwards."""
    if what == "the folder of Tune" and (home / "store" / "tune").exists():
        shutil.move(home / "store" / "tune", home.with_name(f"tune-{time.time_ns()}"))
    if what == "the home":
        return home.rename(home.with_name(f"home-{time.time_ns()}"))
    return home


@pytest.mark.parametrize("draw", times(quick=0, whole=5))
@pytest.mark.parametrize("kind", list(SEARCHES))
def test_a_sweep_goes_on_whenever_its_driver_is_killed(kind: str, draw: int, tmp_path: Path, tell: Tell) -> None:
    draws, prepared, killed = random.Random(draw), sweeps.prepared(**SEARCHES[kind]), []
    count = prepared.sweep.count
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with ended(Job(tmp_path / "home", (), site="", environment=token)) as job:
        for _ in range(KILLS):
            job.program = (str(HERE.parent / "sweeps.py"), str(job.home), kind)
            kept = Records(Store(str(job.home / "store")), prepared.key)
            before = kept.all(count)
            process, wanted = job.start(), draws.randrange(-1, count)
            states = job.home / "store" / "sweeps" / prepared.key[:12]
            wait_for(lambda: process.poll() is not None or wanted < 0 or len(list(states.glob("*/0*"))) > wanted)  # noqa: B023
            time.sleep(draws.uniform(0, 4))
            process.kill()
            if process.wait() == 0:
                break
            assert job.orphans() == 0
            assert before.items() <= kept.all(count).items()  # no trial that had ended was run again
            moved = draws.choice(("nothing", "the folder of Tune", "the home"))
            job.home = move(job.home, moved)
            killed.append(f"{kind}; {len(before)} of {count} trials had ended; {moved} was moved")
        job.program = (str(HERE.parent / "sweeps.py"), str(job.home), kind)
        assert job.run(800) == 0, job.said()
        assert job.orphans() == 0
        found = Records(Store(str(job.home / "store")), prepared.key).all(count)
    check = assert_asha_is_right if kind == "asha" else assert_pbt_is_right
    check([found[number] for number in range(count)], tmp_path / "plain")
    for one in killed:
        tell("kill -9 of a sweep's driver", one, "no process left; went on; its numbers without Ray are the same")
