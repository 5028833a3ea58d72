"""Building: what exists is kept, what is missing is made, what fails is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import toy

from raylab.engine import runner
from raylab.engine.artifact import MANIFEST
from raylab.engine.backend import BackendFailed, OnOutcome
from raylab.engine.runner import BuildFailed, InlineBackend
from raylab.engine.stage import Stage, closure, rounds
from raylab.engine.store import Store
from raylab.engine.worker import Worker


def build(cells: dict[str, Stage], store: Store, backend: runner.Backend | None = None) -> toy.Recorder:
    recorder = toy.Recorder()
    runner.build(cells, store, backend or InlineBackend(), recorder)
    return recorder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


def test_a_key_covers_config_version_and_inputs_and_not_name_or_where_it_runs() -> None:
    a = toy.squares(toy.numbers(10))
    slow = replace(a.config, pause=3.0)
    assert a.key == Stage(a.kind, a.version, slow, a.inputs, "another name").key
    assert a.key != Stage(a.kind, 2, a.config, a.inputs).key
    assert a.key != toy.squares(toy.numbers(11)).key
    assert a.key != toy.squares(toy.numbers(10), shard_rows=20).key
    assert a.key != Stage(a.kind, a.version, a.config, {"other role": toy.numbers(10)}).key


def test_rounds_are_of_one_shape_and_inputs_come_first() -> None:
    data = toy.numbers(10)
    first, second = toy.squares(data), toy.squares(toy.squares(data), name="again")
    groups = rounds([second, first, toy.numbers(3, "late")])
    assert [{stage.kind for stage in group} for group in groups] == [{"numbers"}, {"squares"}, {"squares"}]
    seen: set[str] = set()
    for group in groups:
        assert all(needed.key in seen for stage in group for needed in stage.inputs.values())
        seen |= {stage.key for stage in group}
    assert len(seen) == len(closure([second, first])) + 1


def test_a_second_build_computes_nothing(store: Store) -> None:
    cells = {"x": toy.squares(toy.numbers(30))}
    assert len(build(cells, store).built_labels) == 2
    again = build(cells, store)
    assert (again.missing, again.outcomes, again.built_labels, again.ended) == ([], [], [], 1)


def test_inputs_that_nothing_missing_needs_are_not_rebuilt(store: Store) -> None:
    data = toy.numbers(30)
    build({"x": toy.squares(data)}, store)
    (Path(store.folder(data)) / MANIFEST).unlink()
    assert build({"x": toy.squares(data)}, store).missing == []


def test_a_build_after_an_interrupt_computes_only_the_missing_shards(store: Store) -> None:
    class Interrupted(InlineBackend):
        def map_shards(self, shards: Sequence[tuple[Stage, int]], store: Store, on_outcome: OnOutcome) -> None:
            super().map_shards(shards[:2], store, on_outcome)
            raise KeyboardInterrupt

    cells = {"x": toy.squares(toy.numbers(50))}
    with pytest.raises(KeyboardInterrupt):
        build(cells, store, Interrupted())
    assert store.find(cells["x"]) is None
    recorder = build(cells, store)
    assert [outcome.shard for outcome in recorder.outcomes] == [2, 3, 4]


def test_a_driver_that_died_before_the_manifest_only_writes_the_manifest(store: Store) -> None:
    stage = toy.squares(toy.numbers(30))
    build({"x": stage}, store)
    done = store.require(stage)
    for index, part in enumerate(done.parts):
        store.put_shard(stage, index, done.read(part.name), part.rows or 0)
    (Path(done.folder) / MANIFEST).unlink()
    recorder = build({"x": stage}, store)
    assert recorder.outcomes == []
    assert store.require(stage).digest == done.digest


def test_a_backend_that_loses_shards_is_found_out(store: Store) -> None:
    class Forgetful(InlineBackend):
        def map_shards(self, shards: Sequence[tuple[Stage, int]], store: Store, on_outcome: OnOutcome) -> None:
            super().map_shards(shards[1:], store, on_outcome)

    with pytest.raises(BuildFailed, match=r"ended without shards \[0\]"):
        build({"x": toy.squares(toy.numbers(30))}, store, Forgetful())


def test_failures_are_listed_with_what_was_not_tried_and_the_rest_is_kept(store: Store, tmp_path: Path) -> None:
    bad = toy.faulty("raise", tmp_path)
    cells = {"good": toy.numbers(3), "bad": bad, "needs bad": toy.squares(bad)}
    with pytest.raises(BuildFailed, match=r"1 stage.* failed, and 1 were not tried") as failure:
        build(cells, store)
    assert list(failure.value.errors) == [bad.label]
    assert store.find(cells["good"]) is not None


def test_a_check_that_fails_ends_the_run_before_anything_else_is_computed_and_again_when_it_is_remembered(
    store: Store, tmp_path: Path
) -> None:
    class Checking(toy.FaultyBody):
        is_check = True

    check = Stage("faulty", 1, Checking("raise", "checked", str(tmp_path)), {}, "check")
    cells = {"data": toy.numbers(3), "squares": toy.squares(toy.numbers(3)), "needs check": toy.squares(check)}
    for _ in range(2):
        with pytest.raises(BuildFailed, match=r"1 stage.* failed, and 3 were not tried") as failure:
            build({**cells, "check": check}, store)
        assert list(failure.value.errors) == [check.label]
        assert "check" in failure.value.missing["squares"]
    assert store.find(cells["data"]) is None
    assert (tmp_path / "started").read_text() == "1"


def test_shards_meet_in_fixed_batches_whatever_is_resumed(store: Store) -> None:
    stage = toy.squares(toy.numbers(27), shard_rows=12, batch_rows=4)
    build({"x": stage}, store)
    assert store.require(stage).batch()["met"].tolist() == [4] * 24 + [3] * 3


def test_a_late_worker_leaves_a_committed_artifact_alone(store: Store) -> None:
    stage = toy.squares(toy.numbers(30))
    build({"x": stage}, store)
    done = store.require(stage)
    before = {p: p.stat().st_mtime_ns for p in Path(done.folder).rglob("*")}
    assert Worker(store, "cpu", {}).run_shard(stage, 1) == done.parts[1]
    assert {p: p.stat().st_mtime_ns for p in Path(done.folder).rglob("*")} == before


def test_the_manifest_says_on_what_every_shard_was_computed(store: Store) -> None:
    """A set that was begun on one device and finished on another is not told from either."""
    stage = toy.squares(toy.numbers(20))
    build({"data": toy.numbers(20)}, store)
    Worker(store, "cpu", {}).run_shard(stage, 0)
    part = store.shard(stage, 0)
    assert part is not None
    store.put_shard(stage, 1, store.get(f"{store.folder(stage)}/{part.path}") or b"", 10, device="NVIDIA H200")
    build({"x": stage}, store)
    assert store.require(stage).manifest["provenance"]["device"] == "NVIDIA H200, cpu"


def test_a_backend_that_stops_fails_what_it_did_not_do_and_keeps_the_rest(store: Store) -> None:
    class Stopping(InlineBackend):
        def map_shards(self, shards: Sequence[tuple[Stage, int]], store: Store, on_outcome: OnOutcome) -> None:
            super().map_shards(shards[:1], store, on_outcome)
            raise BackendFailed("no progress for too long")

    stage = toy.squares(toy.numbers(30))
    with pytest.raises(BuildFailed, match=r"without shards \[1, 2\]: no progress for too long"):
        build({"x": stage}, store, Stopping())
    assert store.shard(stage, 0) is not None


def test_a_committed_stage_keeps_no_notes_of_its_making(store: Store) -> None:
    stage = toy.squares(toy.numbers(30))
    build({"x": stage}, store)
    left = {p.name for p in Path(store.folder(stage)).rglob("*") if p.is_file()}
    assert left == {MANIFEST, "part-00000.parquet", "part-00001.parquet", "part-00002.parquet"}


def test_tasks_of_the_driver_never_reach_the_backend(store: Store) -> None:
    class Refusing(InlineBackend):
        def run_tasks(self, name: str, stages: Sequence[Stage], store: Store, on_outcome: OnOutcome) -> None:
            raise AssertionError(f"{name}: {stages} were sent away to {store} {on_outcome}")

    build({"x": toy.numbers(3, in_driver=True)}, store, Refusing())


def test_the_manifest_tells_where_the_artifact_comes_from(store: Store) -> None:
    stage = toy.squares(toy.numbers(30))
    build({"x": stage}, store)
    manifest = store.require(stage).manifest
    assert manifest["inputs"] == {"data": toy.numbers(30).key}
    assert manifest["metrics"]["sum"] == pytest.approx(sum((i / 2) ** 2 for i in range(30)))
    assert {"commit", "argv", "packages", "machine", "device", "seconds", "finished"} <= manifest["provenance"].keys()
    assert manifest["digest"] == store.require(stage).digest
