"""Processes end at any moment; a constructed set has the same bytes all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
import sets
import toy
from thorough import whole

from raylab.engine import runner
from raylab.engine.artifact import MANIFEST
from raylab.engine.runner import InlineBackend
from raylab.engine.store import Store

TESTS = Path(__file__).parent.parent


def wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("what the test waits for did not happen")
        time.sleep(0.05)


def alive(process: psutil.Process) -> bool:
    """A zombie is not: where nobody reaps orphans they stay for ever."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def family(first: psutil.Process) -> Iterator[tuple[psutil.Process, str]]:
    """What a process has started, with command lines: another cluster of this machine has such workers too."""
    for process in first.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            yield process, " ".join(process.cmdline())


def finished_shards(folder: Path) -> int:
    """os.walk, for pathlib's rglob raises where the driver removes a folder that it is about to read."""
    files = (name for _, _, names in os.walk(folder) for name in names)
    return sum(name.startswith("part-") and name.endswith(".parquet.json") for name in files)


def digests(store: Store) -> dict[str, str]:
    return {name: store.require(stage).digest for name, stage in sets.constructed_sets().items()}


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The oracle: the same sets without Ray."""
    store = Store(str(tmp_path_factory.mktemp("inline")))
    runner.build(sets.constructed_sets(), store, InlineBackend(), toy.Recorder())
    return store


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start_driver() -> Iterator[Start]:
    """Drivers end with the test, also where it fails: an orphan would fail the next one."""
    with ExitStack() as drivers:

        def start(store: Path, actors: int, *arguments: str) -> subprocess.Popen[bytes]:
            environment = {**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}"}
            command = [sys.executable, str(TESTS / "sets.py"), str(store), str(actors), *arguments]
            with (store.parent / "driver.log").open("ab") as log:
                driver = drivers.enter_context(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
            drivers.callback(driver.kill)
            return driver

        yield start


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_the_bytes_survive_the_end_of_an_actor(tmp_path: Path, inline: Store) -> None:
    killed: list[int] = []

    def kill_one_actor() -> None:
        wait_for(lambda: finished_shards(tmp_path) >= 3)
        actor = next(p for p, line in family(psutil.Process()) if "MapWorker" in line)
        os.kill(actor.pid, signal.SIGKILL)
        killed.append(actor.pid)

    killer = threading.Thread(target=kill_one_actor)
    killer.start()
    store = Store(str(tmp_path))
    runner.build(sets.constructed_sets(), store, sets.backend(2), toy.Recorder())
    killer.join()
    assert killed
    assert digests(store) == digests(inline)


@pytest.mark.slow
def test_the_bytes_survive_the_end_of_the_driver_and_finished_shards_are_not_computed_again(
    tmp_path: Path, inline: Store, start_driver: Start
) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    driver = start_driver(folder, actors=1)
    wait_for(lambda: finished_shards(folder) >= 5 or driver.poll() is not None)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    done = {
        path: path.stat().st_mtime_ns
        for path in folder.rglob("part-*.parquet")
        if (path.parent / "progress" / f"{path.name}.json").exists()
    }
    assert 5 <= len(done) < 45
    assert not [path for path in folder.glob(f"constructed/*/{MANIFEST}") if len(done) < 15]
    assert start_driver(folder, actors=2).wait(timeout=200) == 0, (tmp_path / "driver.log").read_text()
    assert digests(Store(str(folder))) == digests(inline)
    assert {path: path.stat().st_mtime_ns for path in done} == done


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_a_task_goes_on_from_its_last_checkpoint_when_its_process_ends(tmp_path: Path) -> None:
    stage = sets.counting_task(tmp_path)
    steps, hold = tmp_path / "steps", tmp_path / "hold"
    hold.write_text("8")

    def kill_the_trial() -> None:
        wait_for(lambda: steps.exists() and len(steps.read_text().split()) >= 7)
        worker = next(
            p for p, line in family(psutil.Process()) if line.startswith("ray::") and "1 counting artifact" in line
        )
        os.kill(worker.pid, signal.SIGKILL)
        hold.unlink()

    killer = threading.Thread(target=kill_the_trial)
    killer.start()
    store = Store(str(tmp_path / "store"))
    built = runner.build({"x": stage}, store, sets.backend(1), toy.Recorder())
    killer.join()
    taken = [int(step) for step in steps.read_text().split()]
    assert sorted(set(taken)) == list(range(1, 13))
    assert built["x"].metrics["resumed_at"] >= 5
    assert len(taken) <= 14  # one step of the dead process, and perhaps one that was not yet kept
    assert store.names(f"{store.root}/tune") == []
    assert not Path(store.state_of(stage)).exists()


@whole
def test_a_task_goes_on_from_its_last_checkpoint_when_the_driver_ends(tmp_path: Path, start_driver: Start) -> None:
    folder, steps, hold = tmp_path / "store", tmp_path / "steps", tmp_path / "hold"
    hold.write_text("8")
    driver = start_driver(folder, 1, str(tmp_path))
    wait_for(lambda: steps.exists() and len(steps.read_text().split()) >= 7)
    (trial,) = (process for process, line in family(psutil.Process(driver.pid)) if "1 counting artifact" in line)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    wait_for(lambda: not alive(trial))  # all follow their driver, Ray's agents half a minute later
    taken_before = steps.read_text().split()
    assert len(taken_before) <= 8
    hold.unlink()
    assert start_driver(folder, 1, str(tmp_path)).wait(timeout=200) == 0, (tmp_path / "driver.log").read_text()
    built = Store(str(folder)).require(sets.counting_task(tmp_path))
    assert built.metrics["resumed_at"] > 0
    assert int(steps.read_text().split()[-1]) == 12
