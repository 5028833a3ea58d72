"""A disk is full, or can no longer be written, while something is written to it: the error names what and where, and
with space the same command goes on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamed_set
import toy
from harness import Job, Left, Tell, ended, times, wait_for, whole

from raylab.engine import runner
from raylab.engine.backend import WorkOutcome
from raylab.engine.runner import BuildFailed, InlineBackend
from raylab.engine.store import Store

sys.path.append(str(Path(__file__).parent / "inside"))
from sitecustomize import fill

WRITES = {  # what is written when the disk gets full -> the name that is opened for it
    "a part": "part-00003.parquet.tmp-",
    "a sidecar": "part-00003.parquet.json.tmp-",
    "a note of an attempt": "part-00003.parquet.attempt-",
    "a manifest": "MANIFEST.json.tmp-",
}


def mount(folder: Path, *words: str) -> None:
    done = subprocess.run(["mount", *words, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mount: {done.stderr.strip()}; this test needs root, and a machine that lets it mount")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(folder, "-t", "tmpfs", "-o", "size=8m", "faults")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def broken_off(store: Store, at_shard: int, fault: Callable[[], object]) -> str:
    """What a build says whose disk fails after some shards."""

    class Breaking(toy.Recorder):
        def outcome(self, outcome: WorkOutcome) -> None:
            if outcome.shard == at_shard:
                fault()

    with pytest.raises(BuildFailed) as failed:
        runner.build({"squares": toy.squares(toy.numbers(80))}, store, InlineBackend(), Breaking())
    return str(failed.value)


def assert_goes_on(store: Store, tmp_path: Path, spared: int) -> None:
    """The same build ends with what an undisturbed one has, and computes only what lacked."""
    cells = {"squares": toy.squares(toy.numbers(80))}
    plain = runner.build(cells, Store(str(tmp_path / "plain")), InlineBackend(), toy.Recorder())
    built = runner.build(cells, store, InlineBackend(), recorder := toy.Recorder())
    assert built["squares"].digest == plain["squares"].digest
    assert len(recorder.outcomes) <= 8 - spared


@pytest.mark.parametrize("what", WRITES)
def test_a_disk_that_gets_full_is_told_and_with_space_the_build_goes_on(
    what: str, disk: Path, tmp_path: Path, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(str(disk / "store"))
    put = Store._put

    def filling(self: Store, path: str, data: bytes) -> None:
        if f"{path}.tmp-".endswith(WRITES[what]) or (WRITES[what] in path and "attempt" in what):
            fill(str(disk))
        put(self, path, data)

    if what == "a manifest":
        said = broken_off(store, 7, lambda: fill(str(disk)))
    else:
        monkeypatch.setattr(Store, "_put", filling)
        said = broken_off(store, -1, lambda: None)
        monkeypatch.undo()
    assert WRITES[what].removesuffix(".tmp-") in said
    assert "bytes cannot be written (No space left on device); make space there, then run the same command" in said
    (disk / "ballast").unlink()
    assert_goes_on(store, tmp_path, spared=3)
    tell("disk full", f"while {what} is written", "the error names the path and the bytes; the same build goes on")


@pytest.mark.parametrize("draw", times(quick=1, whole=3))
def test_a_store_that_becomes_read_only_is_told(draw: int, disk: Path, tmp_path: Path, tell: Tell) -> None:
    store = Store(str(disk / "store"))
    said = broken_off(store, 2 + draw, lambda: mount(disk, "-o", "remount,ro"))
    assert f"part-{3 + draw:05d}.parquet" in said
    assert "bytes cannot be written (Read-only file system); mend this, then run the same command" in said
    mount(disk, "-o", "remount,rw")
    assert_goes_on(store, tmp_path, spared=3 + draw)
    tell("store gone read-only", "between two shards", "the error names the path; the same build goes on")


def test_a_training_whose_images_have_no_room_in_tmpdir_is_told_and_with_another_it_goes_on(
    disk: Path, tmp_path: Path, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """12 MB, on a disk of 8."""
    store, cells = Store(str(tmp_path / "store")), {"network": streamed_set.network(1000)}
    monkeypatch.setattr("tempfile.tempdir", str(disk))
    with pytest.raises(BuildFailed) as failed:
        runner.build(cells, store, InlineBackend(), toy.Recorder())
    assert f"{disk}: 12,288,000 bytes cannot be reserved for images" in str(failed.value)
    assert "(No space left on device); make space there, then run the same command" in str(failed.value)
    assert list(disk.iterdir()) == []
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    runner.build(cells, store, InlineBackend(), recorder := toy.Recorder())
    assert len(recorder.built_labels) == 1
    tell("disk full", "while room is reserved for a training's images", "the error names folder and bytes; it goes on")


@whole
@pytest.mark.parametrize("when", ["[2/5]", "\nbuilt "])
def test_a_full_disk_of_mlflow_loses_no_result(
    when: str, disk: Path, tmp_path: Path, undisturbed: Left, tell: Tell
) -> None:
    """A job's: its library decides when the database is written."""
    site = f"backend: inline\nfree_gb: 0\ntracking: sqlite:///{disk}/mlflow.db\n"
    with ended(Job(tmp_path / "home", site=site)) as job:
        process = job.start()
        wait_for(lambda: when in job.said() or process.poll() is not None)
        fill(str(disk))
        assert process.wait() == 1
        assert "Traceback" not in job.said()
        assert str(disk) in job.said()
        (disk / "ballast").unlink()
        assert job.run() == 0, job.said()
        assert Left.of(job.home, database=disk / "mlflow.db") == undisturbed
    tell(
        "disk full",
        f"while MLflow's database is written, from {when.strip()!r} on",
        "results kept; the same command completes them",
    )
