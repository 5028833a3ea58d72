"""The Ray backend against the inline one: the same bytes, whatever happens on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
import toy

from raylab.cluster.backend import RayBackend
from raylab.engine import runner
from raylab.engine.runner import BuildFailed, InlineBackend
from raylab.engine.stage import Stage
from raylab.engine.store import Store
from raylab.site import Actors, SiteFile, Trials

pytestmark = pytest.mark.usefixtures("ray_cluster")


def ray_backend(actors: int = 2, *, gpus: float = 0.0, checkpoint_seconds: float = 30.0) -> RayBackend:
    site = SiteFile(
        actors=Actors(max=actors, gpus=gpus, shards_per_task=2),
        trials=Trials(gpus=0.0, checkpoint_seconds=checkpoint_seconds),
        no_progress_seconds=60,
    )
    return RayBackend(site)


def plan() -> dict[str, Stage]:
    data = toy.numbers(95)
    return {"a": toy.squares(data), "b": toy.squares(data, shard_rows=20, batch_rows=10, name="b"), "data": data}


def digests(cells: dict[str, Stage], folder: Path, backend: runner.Backend) -> dict[str, str]:
    built = runner.build(cells, Store(str(folder)), backend, toy.Recorder())
    return {cell: artifact.digest for cell, artifact in built.items()}


def test_inline_one_actor_and_two_actors_give_the_same_bytes(tmp_path: Path) -> None:
    inline = digests(plan(), tmp_path / "inline", InlineBackend())
    assert digests(plan(), tmp_path / "one", ray_backend(1)) == inline
    assert digests(plan(), tmp_path / "two", ray_backend(2)) == inline


def test_an_exception_in_one_task_leaves_the_others_built_and_is_told_with_its_text(tmp_path: Path) -> None:
    cells = {
        "bad": toy.faulty("raise", tmp_path),
        "good": toy.numbers(5),
        "after": toy.squares(toy.faulty("raise", tmp_path)),
    }
    store = Store(str(tmp_path / "store"))
    with pytest.raises(BuildFailed, match="this task always fails") as failure:
        runner.build(cells, store, ray_backend(), toy.Recorder())
    assert failure.value.skipped == 1
    assert store.find(cells["good"]) is not None
    assert store.find(cells["bad"]) is None
    assert (tmp_path / "started").read_text() == "1"  # an exception is not tried again


def test_an_error_that_was_told_is_kept_and_tried_again_when_asked(tmp_path: Path) -> None:
    store, mended = Store(str(tmp_path / "store")), toy.faulty("raise once", tmp_path)
    with pytest.raises(BuildFailed, match="always fails"):
        runner.build({"x": mended}, store, ray_backend(), toy.Recorder())
    with pytest.raises(BuildFailed, match="when it was tried before"):  # a trial keeps it, as any worker does
        runner.build({"x": mended}, store, ray_backend(), toy.Recorder())
    runner.build({"x": mended}, store, ray_backend(), toy.Recorder(), retry=True)
    assert store.require(mended).metrics["starts"] == 2


def test_a_task_whose_process_dies_once_is_started_again(tmp_path: Path) -> None:
    stage = toy.faulty("exit once", tmp_path)
    built = runner.build({"x": stage}, Store(str(tmp_path / "store")), ray_backend(), toy.Recorder())
    assert built["x"].metrics["starts"] == 2


def test_a_task_that_always_ends_its_process_is_given_up_and_reported(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="given up"):
        runner.build({"x": toy.faulty("exit", tmp_path)}, Store(str(tmp_path / "s")), ray_backend(), toy.Recorder())
    assert int((tmp_path / "started").read_text()) == 3


def test_a_shard_that_always_ends_its_process_is_given_up_and_the_others_are_kept(tmp_path: Path) -> None:
    data, store = toy.numbers(40), Store(str(tmp_path))
    stage = toy.squares(data, poison=(2,))
    with pytest.raises(BuildFailed, match="shard 2 ended its process"):
        runner.build({"x": stage}, store, ray_backend(), toy.Recorder())
    assert [index for index in range(4) if store.shard(stage, index)] == [0, 1, 3]


def test_a_shard_that_raises_is_reported_and_a_second_run_computes_only_what_is_missing(tmp_path: Path) -> None:
    data, store = toy.numbers(40), Store(str(tmp_path))
    with pytest.raises(BuildFailed, match="cannot be squared"):
        runner.build({"x": toy.squares(data, broken=(1,))}, store, ray_backend(), toy.Recorder())
    mended, recorder = toy.squares(data), toy.Recorder()  # the same key: faults are no part of the identity
    runner.build({"x": mended}, store, ray_backend(), recorder, retry=True)
    assert [outcome.shard for outcome in recorder.outcomes] == [1]


def test_the_pool_asks_for_the_share_of_a_gpu_and_the_device_follows_what_ray_assigns(tmp_path: Path) -> None:
    """Two GPUs that only Ray believes in: a worker with a share of one is told "cuda". Without one it stays on the CPU,
    or the bytes above would differ."""
    cells = {"x": toy.squares(toy.numbers(40))}
    half = runner.build(cells, Store(str(tmp_path)), ray_backend(1, gpus=0.5), toy.Recorder())
    assert set(half["x"].batch()["on"]) == {"cuda"}
