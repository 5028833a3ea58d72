"""What a site may ask of a machine and of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from raylab.cluster import preflight
from raylab.site import Actors, SiteFile, Trials

GB = 2**30


def nodes(monkeypatch: pytest.MonkeyPatch, *resources: Mapping[str, float]) -> None:
    alive: list[dict[str, Any]] = [{"Alive": True, "Resources": dict(one)} for one in resources]
    dead = {"Alive": False, "Resources": {"CPU": 1000.0, "GPU": 1000.0, "memory": 1e15}}
    monkeypatch.setattr(preflight.ray, "nodes", lambda: [*alive, dead])


def test_one_node_must_have_all_that_a_worker_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes(monkeypatch, {"CPU": 64, "memory": 8 * GB}, {"CPU": 1, "GPU": 1, "memory": 80 * GB})
    preflight.check_cluster(SiteFile(actors=Actors(cpus=1, gpus=0.5, memory_gb=64)))
    preflight.check_cluster(SiteFile(actors=Actors(cpus=64)))
    with pytest.raises(preflight.SiteError, match=r"actors: a worker asks for 8 CPU, 1 GPU.*64 CPU.* 8.0 GB; 1 CPU"):
        preflight.check_cluster(SiteFile(actors=Actors(cpus=8, gpus=1)))
    with pytest.raises(preflight.SiteError, match=r"trials: a worker asks for 4 CPU, 0 GPU, 64.0 GB"):
        preflight.check_cluster(SiteFile(trials=Trials(cpus=4, memory_gb=64)))


def test_a_head_without_cpus_is_fine_where_nodes_come_when_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nodes(monkeypatch, {"CPU": 0})
    with pytest.raises(preflight.SiteError, match="no node"):
        preflight.check_cluster(SiteFile())
    actors, trials = Actors(max=8, gpus=1), Trials(gpus=1)
    preflight.check_cluster(SiteFile(autoscaling=True, actors=actors, trials=trials))
    with pytest.raises(ValidationError, match=r"name actors.max, actors.gpus and trials.gpus"):
        SiteFile(autoscaling=True)


def test_more_gpus_than_this_machine_has_are_refused_before_ray_starts() -> None:
    preflight.check_machine(SiteFile(actors=Actors(gpus=0.5)), gpus=1)
    with pytest.raises(preflight.SiteError, match=r"asks for 1 CPU, 2 GPU, but this machine has .* 1 GPU"):
        preflight.check_machine(SiteFile(actors=Actors(gpus=2)), gpus=1)
