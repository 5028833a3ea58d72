"""What is in a store is damaged, or built by two drivers at once: found before it is used, named, and made again."""

from __future__ import annotations

import random
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import toy
from harness import Job, Left, Tell, ended, times, whole

from raylab.engine import runner
from raylab.engine.artifact import MANIFEST, StoreError
from raylab.engine.runner import BuildFailed, InlineBackend
from raylab.engine.stage import Stage
from raylab.engine.store import Store


def cells() -> dict[str, Stage]:
    """Numbers, their squares in six shards, and the squares of these."""
    squares = toy.squares(toy.numbers(60))
    return {"squares": squares, "again": toy.squares(squares, name="again")}


def build(store: Store) -> dict[str, str]:
    return {cell: one.digest for cell, one in runner.build(cells(), store, InlineBackend(), toy.Recorder()).items()}


def flip(path: Path, draws: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[draws.randrange(len(data))] ^= 1 << draws.randrange(8)
    path.write_bytes(data)


def truncate(path: Path, draws: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: draws.randrange(path.stat().st_size)])


def remove(path: Path, draws: random.Random) -> None:
    del draws
    path.unlink()


DAMAGE: dict[str, Callable[[Path, random.Random], None]] = {
    "truncated": truncate, "with one bit flipped": flip, "missing": remove,
}  # fmt: skip


@pytest.mark.parametrize("draw", times(quick=2, whole=20))
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_part_is_found_before_it_is_used(damage: str, draw: int, tmp_path: Path, tell: Tell) -> None:
    draws, store = random.Random(draw), Store(str(tmp_path / "store"))
    before = build(store)
    squares, again = (Path(store.folder(stage)) for stage in cells().values())
    part = draws.choice(sorted(squares.glob("part-*.parquet")))
    DAMAGE[damage](part, draws)
    shutil.rmtree(again)  # so that the damaged one is needed
    with pytest.raises(BuildFailed) as failed:
        build(store)
    assert f"{part} " in str(failed.value)
    assert f"remove {squares / MANIFEST} to have it built again" in str(failed.value)
    (squares / MANIFEST).unlink()
    assert build(store) == before
    tell(f"a part {damage}", "when another artifact needs it", "named with the remedy; made again, same digests")


@pytest.mark.parametrize("draw", times(quick=2, whole=20))
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("what", ["part", "sidecar"])
def test_a_damaged_shard_of_an_interrupted_build_is_computed_again(
    what: str, damage: str, draw: int, tmp_path: Path, tell: Tell
) -> None:
    draws, plain, store = random.Random(draw), Store(str(tmp_path / "plain")), Store(str(tmp_path / "store"))
    stage = cells()["squares"]

    class Stopped(toy.Recorder):
        def outcome(self, outcome: object) -> None:
            super().outcome(outcome)  # type: ignore[arg-type]
            if len(self.outcomes) == 5:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.build({"squares": stage}, store, InlineBackend(), Stopped())
    folder = Path(store.folder(stage))
    files = sorted(folder.glob("part-*.parquet") if what == "part" else folder.glob("progress/part-*.parquet.json"))
    DAMAGE[damage](draws.choice(files), draws)
    runner.build({"squares": stage}, store, InlineBackend(), recorder := toy.Recorder())
    assert len([one for one in recorder.outcomes if one.stage is stage]) in (2, 3)
    runner.build({"squares": stage}, plain, InlineBackend(), toy.Recorder())
    assert store.require(stage).digest == plain.require(stage).digest
    tell(f"a {what} of an unfinished set {damage}", "before it is resumed", "that shard is computed again, no other")


@pytest.mark.parametrize("draw", times(quick=2, whole=20))
@pytest.mark.parametrize("damage", ["altered", "of another key"])
def test_a_manifest_that_is_not_the_one_committed_is_refused(
    damage: str, draw: int, tmp_path: Path, tell: Tell
) -> None:
    draws, store = random.Random(draw), Store(str(tmp_path / "store"))
    before = build(store)
    squares, again = (Path(store.folder(stage)) / MANIFEST for stage in cells().values())
    if damage == "altered":
        flip(squares, draws)
    else:
        squares.write_bytes(again.read_bytes())
    with pytest.raises(StoreError, match=re.escape(str(squares))):
        build(store)
    squares.unlink()
    assert build(store) == before
    tell(f"a manifest {damage}", "before the next build", "refused, with path and remedy; made again, same digests")


@whole
@pytest.mark.parametrize("seconds", [0.0, 1.0, 2.0, 3.0, 5.0])
def test_two_drivers_of_the_same_study_end_with_one_of_everything(
    seconds: float, tmp_path: Path, undisturbed: Left, tell: Tell
) -> None:
    with ended(Job(tmp_path / "home")) as job:
        drivers = [job.start()]
        time.sleep(seconds)
        drivers.append(job.start())
        codes = [driver.wait(600) for driver in drivers]
        assert codes == [0, 0], job.said()
        assert Left.of(job.home) == undisturbed
    tell(
        "two drivers on the same key",
        f"inline and inline, {seconds:g} s apart",
        "both end well; one artifact and one run a cell",
    )
