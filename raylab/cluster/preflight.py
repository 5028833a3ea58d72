"""What a site asks for against what there is, before anything is computed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

import ray

from raylab.site import SiteFile


class SiteError(ValueError):
    """The site file asks for what the machine or the cluster does not have."""


Node = Mapping[str, float]  # CPU, GPU, memory in bytes


def check_machine(site: SiteFile, gpus: int | None) -> None:
    """Against this machine, on which a cluster would be started. Raises SiteError."""
    cpus = float(site.cpus or os.cpu_count() or 1)
    memory = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    here = {"CPU": cpus, "GPU": float(_gpus_here() if gpus is None else gpus), "memory": memory}
    _check(site, [here], "this machine has")


def check_cluster(site: SiteFile) -> None:
    """Against the nodes of the cluster that is joined, unless the site says that nodes come when they are asked for."""
    if not site.autoscaling:
        _check(
            site,
            [node["Resources"] for node in ray.nodes() if node["Alive"]],
            "no node of the cluster has all; they have",
        )


def gpu_share(asked: float | None) -> float:
    """GPUs of a worker: what the site says, otherwise one where the cluster has any."""
    if asked is not None:
        return asked
    return 1.0 if ray.cluster_resources().get("GPU", 0) >= 1 else 0.0


def _check(site: SiteFile, nodes: Sequence[Node], whose: str) -> None:
    """A worker runs on one node: what it asks for must be there together."""
    problems = []
    for field, part in (("actors", site.actors), ("trials", site.trials)):
        asked = {"CPU": part.cpus, "GPU": part.gpus or 0.0, "memory": (part.memory_gb or 0.0) * 2**30}
        if not any(all(node.get(name, 0.0) >= amount for name, amount in asked.items()) for node in nodes):
            there = "; ".join(_spoken(node) for node in nodes) or "nothing"
            problems.append(f"{field}: a worker asks for {_spoken(asked)}, but {whose} {there}; ask for less")
    if problems:
        raise SiteError("\n".join(problems))


def _spoken(node: Node) -> str:
    memory = node.get("memory", 0.0) / 2**30
    return f"{node.get('CPU', 0):g} CPU, {node.get('GPU', 0):g} GPU" + (f", {memory:.1f} GB" if memory else "")


def _gpus_here() -> int:
    """GPUs that Ray would find on this machine, without starting it."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip() not in ("", "-1")])
    if shutil.which("nvidia-smi") is None:
        return 0
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=20)
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
