"""What a site may ask of a machine and of a cluster."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs
from pydantic import ValidationError
from test_trials import toys
from toy import numbers

from raylab.cluster import preflight, probe, tasks, trials
from raylab.cluster.backend import RayBackend
from raylab.cluster.probe import Sight
from raylab.engine.artifact import StoreError
from raylab.engine.store import Store
from raylab.site import Actors, SiteFile, Trials

GB = 2**30
DRIVER = Sight(code="a" * 64, packages={"torch": "2.13.0", "numpy": "2.4.6"}, free={"/tmp": 50 * GB})


def nodes(monkeypatch: pytest.MonkeyPatch, *resources: Mapping[str, float]) -> list[str]:
    """A cluster in Ray's books alone, whose workers see what the driver sees; the names of those that were asked."""
    alive: list[dict[str, Any]] = [
        {"Alive": True, "NodeID": f"{i:08d}", "NodeManagerHostname": f"n{i}", "Resources": dict(one)}
        for i, one in enumerate(resources)
    ]
    dead = {"Alive": False, "NodeID": "dead", "Resources": {"CPU": 1000.0, "GPU": 1000.0, "memory": 1e15}}
    asked: list[str] = []

    def ask(them: list[Mapping[str, Any]], uri: str, *_: object) -> Mapping[str, Sight]:
        asked[:] = [node["NodeManagerHostname"] for node in them]
        return {name: probe.here(uri) for name in asked}

    monkeypatch.setattr(preflight.ray, "nodes", lambda: [*alive, dead])
    monkeypatch.setattr(preflight.probe, "ask", ask)
    return asked


def test_one_node_must_have_all_that_a_worker_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes(monkeypatch, {"CPU": 64, "memory": 8 * GB}, {"CPU": 1, "GPU": 1, "memory": 80 * GB})
    preflight.check_cluster(SiteFile(actors=Actors(cpus=1, gpus=0.5, memory_gb=64)))
    preflight.check_cluster(SiteFile(actors=Actors(cpus=64)))
    with pytest.raises(preflight.SiteError, match=r"actors: a worker asks for 8 CPU, 1 GPU.*64 CPU.* 8.0 GB; 1 CPU"):
        preflight.check_cluster(SiteFile(actors=Actors(cpus=8, gpus=1)))
    with pytest.raises(preflight.SiteError, match=r"trials: a worker asks for 4 CPU, 0 GPU, 64.0 GB"):
        preflight.check_cluster(SiteFile(trials=Trials(cpus=4, memory_gb=64)))


def test_a_head_without_cpus_is_fine_where_nodes_come_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes(monkeypatch, {"CPU": 0})
    with pytest.raises(preflight.SiteError, match="no node"):
        preflight.check_cluster(SiteFile())
    actors, trials = Actors(max=8, gpus=1), Trials(gpus=1)
    preflight.check_cluster(SiteFile(autoscaling=True, actors=actors, trials=trials))
    with pytest.raises(ValidationError, match=r"name actors.max, actors.gpus and trials.gpus"):
        SiteFile(autoscaling=True)


def joining(monkeypatch: pytest.MonkeyPatch, *counts: int) -> None:
    """A head without CPUs, and as many workers as are said, one number after each look, two seconds apart."""
    head = {"Alive": True, "NodeID": "head", "NodeManagerHostname": "head", "Resources": {"memory": 8 * GB}}
    workers = [head | {"NodeID": f"{i:08d}", "Resources": {"CPU": 2, "memory": 4 * GB}} for i in range(9)]
    looks, clock = iter(counts), [0.0]

    def look() -> list[dict[str, Any]]:
        return [head, *workers[: next(looks, counts[-1])]]

    monkeypatch.setattr(preflight.ray, "nodes", look)
    monkeypatch.setattr(preflight.probe, "ask", lambda *_: {})
    monkeypatch.setattr(preflight.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(preflight.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))


def test_the_declared_workers_of_a_fixed_cluster_are_waited_for_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(preflight.WORKERS, "2")
    joining(monkeypatch, 0, 0, 1, 2)
    preflight.check_cluster(SiteFile())
    assert capsys.readouterr().err.splitlines() == [
        "workers   0 of 2 have joined; waiting up to 300 s for the others",
        "workers   1 of 2 have joined; waiting up to 300 s for the others",
        "workers   2 of 2 have joined; going on",
    ]
    joining(monkeypatch, 2)
    preflight.check_cluster(SiteFile())
    assert capsys.readouterr().err == ""


def test_workers_that_do_not_come_are_done_without_and_named_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(preflight.WORKERS, "2")
    joining(monkeypatch, 1)
    preflight.check_cluster(SiteFile())
    assert "1 of 2 have joined; going on without the others" in capsys.readouterr().err
    joining(monkeypatch, 0)
    with pytest.raises(preflight.SiteError, match=r"^RAYLAB_WORKERS: no worker of 2 has joined within 300 s; see why"):
        preflight.check_cluster(SiteFile())
    monkeypatch.setenv(preflight.WORKERS, "two")
    with pytest.raises(preflight.SiteError, match=r"RAYLAB_WORKERS: a number of workers is needed, got 'two'; set it"):
        preflight.check_cluster(SiteFile())


def test_a_head_without_cpus_is_asked_only_where_there_is_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = nodes(monkeypatch, {"CPU": 0}, {"CPU": 2})
    preflight.check_cluster(SiteFile())
    assert asked == ["n1"]
    asked = nodes(monkeypatch, {"CPU": 0})
    preflight.check_cluster(SiteFile(autoscaling=True, actors=Actors(max=8, gpus=1), trials=Trials(gpus=1)))
    assert asked == ["n0"]


def test_more_gpus_than_this_machine_has_are_refused_before_ray_starts() -> None:
    preflight.check_machine(SiteFile(actors=Actors(gpus=0.5)), gpus=1)
    with pytest.raises(preflight.SiteError, match=r"asks for 1 CPU, 2 GPU, but this machine has .* 1 GPU"):
        preflight.check_machine(SiteFile(actors=Actors(gpus=2)), gpus=1)


def test_more_memory_than_ray_will_count_is_refused_though_the_machine_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "estimate_available_memory", lambda: GB)
    preflight.check_machine(SiteFile(actors=Actors(memory_gb=0.75)), gpus=0)
    with pytest.raises(preflight.SiteError, match=r"asks for .* 0.9 GB, but this machine has for Ray .* 0.8 GB"):
        preflight.check_machine(SiteFile(actors=Actors(memory_gb=0.9)), gpus=0)


@pytest.mark.usefixtures("ray_cluster")
def test_what_ray_counts_as_free_is_what_its_books_begin_with() -> None:
    import ray

    (books,) = [node["Resources"] for node in ray.nodes()]
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < preflight.estimate_available_memory() <= total
    assert books["memory"] + books["object_store_memory"] < total  # what others use is not in them


def test_a_driver_that_hangs_counts_as_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: one'\n$WAIT\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("WAIT", "true")
    preflight.check_machine(SiteFile(actors=Actors(gpus=1)), gpus=None)
    monkeypatch.setattr(preflight, "SMI_SECONDS", 2)
    monkeypatch.setenv("WAIT", "exec sleep 60")
    with pytest.raises(preflight.SiteError, match="0 GPU"):
        preflight.check_machine(SiteFile(actors=Actors(gpus=1)), gpus=None)


class WithoutDelete(fs.LocalFileSystem):  # type: ignore[misc]  # Arrow has no types
    """Answers as a bucket does to keys that may write and not delete."""

    def delete_file(self, path: str) -> None:
        raise OSError(f"AccessDenied: DeleteObject {path}")

    def delete_dir(self, path: str) -> None:
        raise OSError(f"AccessDenied: DeleteObjects {path}")


def test_keys_that_may_write_and_not_delete_are_named_and_not_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fs, "LocalFileSystem", WithoutDelete)
    with probe._note(str(tmp_path)) as note:
        assert (tmp_path / note).is_file()
        assert "AccessDenied: DeleteObject" in probe._store_obstacle(str(tmp_path), note)


def test_states_that_cannot_be_removed_are_told_of_with_path_and_remedy_and_tunes_folders_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another driver may be at Tune's folders too, and what is left there is never believed; states are."""
    monkeypatch.setattr(fs, "LocalFileSystem", WithoutDelete)
    store, one = Store(str(tmp_path)), toys(1)
    folder = trials.folder_of(one, store)
    store.put(f"{folder}/trial-00000/checkpoint_000000/state", b"")
    tasks._remove(store, folder)
    trials._remove_checkpoints(folder, store)
    with pytest.raises(StoreError, match=rf"^{tmp_path}/sweeps/.*: cannot be removed \(AccessDenied: .*\); mend this"):
        trials.forget(one, store)


def test_what_cannot_be_tidied_away_after_a_commit_fails_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fs, "LocalFileSystem", WithoutDelete)
    store, stage = Store(str(tmp_path)), numbers(3)
    store.put_shard(stage, 0, b"", 0)
    store.remove_progress(stage)
    assert store.names(store._progress(stage)) == ["part-00000.parquet.json"]


def test_a_worker_that_sees_what_the_driver_sees_is_no_problem() -> None:
    assert preflight.disagreements(SiteFile(), DRIVER, {"n0": DRIVER, "n1": replace(DRIVER, gpus=2)}) == []


FAULTS: dict[str, tuple[Sight | str, str]] = {
    "code": (replace(DRIVER, code="b" * 64), r"raylab bbbbbbbbbbbb there, aaaaaaaaaaaa in the driver; .*same image"),
    "packages": (
        replace(DRIVER, packages={"torch": "2.12.0", "numpy": "2.4.6"}),
        r"^[^,]*, n0: packages: torch 2.12.0 there, 2.13.0 here; use one image",
    ),
    "store": (replace(DRIVER, store="cannot be written (AccessDenied)"), r"AccessDenied.*s3://bucket.*credentials"),
    "space": (replace(DRIVER, free={"/tmp": 0.25 * GB}), r"/tmp has 0.2 GB, free_gb asks for 1; remove"),
    "gpus": (replace(DRIVER, gpus=0), r"PyTorch there finds none; use the image with CUDA"),
    "modules": (
        replace(DRIVER, modules=("module mine is another one here",)),
        "factories of your own: module mine is another one here; .*submit",
    ),
    "silent": ("no answer within 120 s", r"did not run there \(no answer within 120 s\); is raylab"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_trouble_of_a_node_is_named_with_its_remedy(fault: str) -> None:
    sight, message = FAULTS[fault]
    (line,) = preflight.disagreements(SiteFile(), DRIVER, {"n0": sight, "n1": DRIVER})
    assert line.startswith("1 of 2 nodes, n0: ")
    assert re.search(message, line), line


def test_a_node_without_room_for_the_images_of_a_training_is_refused() -> None:
    """Its folder of temporary files counts, which is the first, and not that of a store."""
    node = replace(DRIVER, free={"/tmp": 30 * GB, "/store": 2 * GB})
    assert preflight.disagreements(SiteFile(), DRIVER, {"n0": node}, room=30 * GB) == []
    (line,) = preflight.disagreements(SiteFile(), DRIVER, {"n0": node}, room=39 * GB)
    assert re.fullmatch(r".*n0: free space: /tmp has 30.0 GB, a training .* at least 39.0 GB; .* set TMPDIR .*", line)


def test_many_nodes_of_one_image_fail_in_one_line() -> None:
    old = replace(DRIVER, code="b" * 64)
    (line,) = preflight.disagreements(SiteFile(), DRIVER, {f"n{i:02d}": old for i in range(40)})
    assert line.startswith("40 of 40 nodes, n00, n01, n02, ...: code: ")


def test_all_that_is_wrong_with_a_cluster_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes(monkeypatch, {"CPU": 1})
    bad = replace(DRIVER, code="b" * 64, store="AccessDenied", gpus=0, free={"/tmp": 0.0})
    monkeypatch.setattr(preflight.probe, "here", lambda _: DRIVER)
    monkeypatch.setattr(preflight.probe, "ask", lambda *_: {"n0": bad})
    site = SiteFile(store="s3://bucket/raylab", actors=Actors(gpus=0), trials=Trials(cpus=4))
    with pytest.raises(preflight.SiteError) as raised:
        preflight.check_cluster(site)
    lines = [line.removeprefix("1 of 1 nodes, n0: ") for line in str(raised.value).splitlines()]
    said = [line.split(":")[0] for line in lines]
    assert said == ["tracking", "trials", "code", "store", "free space", "GPUs"]


def test_a_store_that_outlives_the_head_needs_a_tracker_that_does(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes(monkeypatch, {"CPU": 4})
    monkeypatch.setattr(preflight.probe, "here", lambda _: DRIVER)
    monkeypatch.setattr(preflight.probe, "ask", lambda *_: {})
    with pytest.raises(preflight.SiteError, match="MLFLOW_TRACKING_URI"):
        preflight.check_cluster(SiteFile(store="s3://bucket/raylab"))
    preflight.check_cluster(SiteFile(store="s3://bucket/raylab", tracking="none"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    preflight.check_cluster(SiteFile(store="s3://bucket/raylab"))


# -- on a cluster of processes


def _sight(answers: Mapping[str, Sight | str]) -> Sight:
    (sight,) = answers.values()
    assert isinstance(sight, Sight), sight
    return sight


def _only_pretended(store: Store, path: str, data: bytes) -> None:
    """What the driver writes goes to a disk that no worker sees."""


@pytest.mark.usefixtures("ray_cluster")
def test_a_worker_of_a_real_cluster_is_asked_and_agrees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "auto")  # joined already
    folder = tmp_path / "store"
    RayBackend(SiteFile(store=str(folder), actors=Actors(gpus=0), trials=Trials(gpus=0))).check()
    assert list(folder.iterdir()) == []  # nothing of the check is left


@pytest.mark.usefixtures("ray_cluster")
def test_a_store_that_only_the_driver_can_write_is_found_by_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of the process's own, as the disk of a node is: what the driver writes there no worker sees."""
    import ray

    own = "/proc/self/task"  # exists everywhere, nobody writes there
    assert "cannot be written" in _sight(probe.ask(ray.nodes(), own, False)).store
    monkeypatch.setattr(probe.Store, "put", _only_pretended)
    seen = probe.ask(ray.nodes(), str(tmp_path), False)
    assert "another store than the driver's" in _sight(seen).store
    (line,) = preflight.disagreements(SiteFile(free_gb=0), probe.here(str(tmp_path)), seen)
    assert "store: another store" in line


@pytest.mark.usefixtures("ray_cluster")
def test_gpus_that_only_ray_believes_in_are_found(tmp_path: Path) -> None:
    import ray

    sight = _sight(probe.ask(ray.nodes(), str(tmp_path), True))
    if os.path.exists("/dev/nvidia0"):
        pytest.skip("this machine has a GPU")
    assert sight.gpus == 0


@pytest.mark.usefixtures("ray_cluster")
def test_a_node_that_cannot_run_the_check_is_told_of_and_not_raised(tmp_path: Path) -> None:
    import ray

    (node,) = ray.nodes()
    gone = {**node, "NodeID": "e" * len(node["NodeID"]), "NodeManagerHostname": "gone"}
    answers = probe.ask([node, gone], str(tmp_path), False)
    lost = answers[probe.name_of(gone)]
    assert isinstance(lost, str)
    assert isinstance(answers[probe.name_of(node)], Sight)
    (line,) = preflight.disagreements(SiteFile(), probe.here(str(tmp_path)), answers)
    assert line.startswith("1 of 2 nodes, gone")
