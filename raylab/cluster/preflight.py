"""What a site asks for against what there is, before anything is computed."""

from __future__ import annotations

import os
import shutil
import subprocess

import ray

from raylab.site import SiteFile


class SiteError(ValueError):
    """The site file asks for what the machine or the cluster does not have."""


def check_machine(site: SiteFile, gpus: int | None) -> None:
    """Against this machine, on which a cluster would be started. Raises SiteError."""
    _check(site, float(site.cpus or os.cpu_count() or 1), float(_gpus_here() if gpus is None else gpus), "this machine")


def check_cluster(site: SiteFile) -> None:
    """Against the nodes of the cluster that is joined; a node that an autoscaler would add does not count yet."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cpus = max((node.get("CPU", 0.0) for node in nodes), default=0.0)
    gpus = max((node.get("GPU", 0.0) for node in nodes), default=0.0)
    _check(site, cpus, gpus, "the largest node of the cluster")


def gpu_share(asked: float | None) -> float:
    """GPUs of a worker: what the site says, otherwise one where the cluster has any."""
    if asked is not None:
        return asked
    return 1.0 if ray.cluster_resources().get("GPU", 0) >= 1 else 0.0


def _check(site: SiteFile, cpus: float, gpus: float, where: str) -> None:
    problems = []
    for field, part in (("actors", site.actors), ("trials", site.trials)):
        if part.cpus > cpus:
            problems.append(f"{field}.cpus: {part.cpus:g} a worker, but {where} has {cpus:g}; ask for at most that")
        if (part.gpus or 0) > gpus:
            problems.append(f"{field}.gpus: {part.gpus:g} a worker, but {where} has {gpus:g}; set it to 0 for the CPU")
    if problems:
        raise SiteError("\n".join(problems))


def _gpus_here() -> int:
    """GPUs that Ray would find on this machine, without starting it."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip() not in ("", "-1")])
    if shutil.which("nvidia-smi") is None:
        return 0
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=20)
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
