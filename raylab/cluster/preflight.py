"""What a site asks for against what there is, before anything is computed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ray
from ray._private.utils import estimate_available_memory

from raylab.cluster import probe, reach
from raylab.cluster.connect import OBJECT_STORE_BYTES
from raylab.cluster.probe import Sight
from raylab.engine.redaction import public
from raylab.site import SiteFile, too_full

WORKERS = (
    "RAYLAB_WORKERS"  # nodes with CPUs that a cluster of fixed size has been given (k8s/components/run/fixed-size)
)
JOIN_SECONDS = 300  # after a restart of the head its workers need 85 s to find it again
JOIN_POLL_SECONDS = 2
NAMED = 3  # nodes in a message
SMI_SECONDS = 20


class SiteError(ValueError):
    """The site file asks for what the machine or the cluster does not have."""


Node = Mapping[str, float]  # CPU, GPU, memory in bytes


def check_machine(site: SiteFile, gpus: int | None) -> None:
    """Against this machine, on which a cluster would be started. Raises SiteError."""
    cpus = float(site.cpus or os.cpu_count() or 1)
    # What Ray will write into its books, and a worker that asks for more waits for ever: not the machine's memory, but
    # what is free of it as Ray counts it (a container's limit too; there is no public way), less the object store.
    memory = float(estimate_available_memory() - OBJECT_STORE_BYTES)
    here = {"CPU": cpus, "GPU": float(_gpus_here() if gpus is None else gpus), "memory": memory}
    problems = _shortfalls(site, [here], "this machine has for Ray")
    try:
        reach.check_temporary_folder()
    except ValueError as error:
        problems.append(str(error))
    if problems:
        raise SiteError("\n".join(problems))


def check_cluster(site: SiteFile, modules: Mapping[str, str] | None = None, room: int = 0) -> None:
    """Against the nodes of the cluster that is joined and what workers on them see, of `modules` too: name -> sha256.
    `room`: bytes of temporary files that a worker needs. Raises SiteError, all at once."""
    problems = _loose_ends(site)
    declared = 0 if site.autoscaling else _declared()
    nodes = _joined(declared)
    if declared and not _working(nodes):
        problems.append(
            f"{WORKERS}: no worker of {declared} has joined within {JOIN_SECONDS} s; see why their Pods do not come"
        )
    elif not site.autoscaling:  # nodes that come when they are asked for cannot be judged by those there are
        problems += _shortfalls(
            site, [node["Resources"] for node in nodes], "no node of the cluster has all; they have"
        )
    with_gpus = bool(site.actors.gpus or site.trials.gpus)
    seen = probe.ask(_working(nodes) or nodes, site.store_uri, with_gpus, modules or {})
    problems += disagreements(site, probe.here(site.store_uri), seen, room)
    if problems:
        raise SiteError("\n".join(problems))


def _declared() -> int:
    """Workers that are to be waited for. Raises SiteError."""
    text = os.environ.get(WORKERS, "0")
    if not text.isdecimal():
        raise SiteError(f"{WORKERS}: a number of workers is needed, got {text!r}; set it to theirs, or unset it")
    return int(text)


def _joined(declared: int) -> list[Mapping[str, Any]]:
    """Nodes that are alive, when the declared workers have joined, or after JOIN_SECONDS: one that is lost for good
    ends no run that the others can do. Says on stderr that it waits."""
    begin, told = time.monotonic(), -1
    while True:
        nodes = [node for node in ray.nodes() if node["Alive"]]
        there, is_late = len(_working(nodes)), time.monotonic() - begin >= JOIN_SECONDS
        count = f"workers   {there} of {declared} have joined"
        if there >= declared or is_late:
            if told >= 0:  # it has waited
                print(f"{count}; going on" + " without the others" * is_late, file=sys.stderr, flush=True)
            return nodes
        if there != told:
            print(f"{count}; waiting up to {JOIN_SECONDS} s for the others", file=sys.stderr, flush=True)
            told = there
        time.sleep(JOIN_POLL_SECONDS)


def _working(nodes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those with CPUs: a head may have none."""
    return [node for node in nodes if node["Resources"].get("CPU", 0) > 0]


def disagreements(site: SiteFile, driver: Sight, seen: Mapping[str, Sight | str], room: int = 0) -> list[str]:
    """What is wrong on which nodes, a line for each kind of trouble: a thousand nodes of one image fail alike."""
    places: dict[str, list[str]] = {}
    for node, sight in seen.items():
        for problem in _of(site, driver, sight, room):
            places.setdefault(problem, []).append(node)
    return [f"{_where(nodes, len(seen))}: {problem}" for problem, nodes in places.items()]


def _of(site: SiteFile, driver: Sight, sight: Sight | str, room: int) -> Iterator[str]:
    if isinstance(sight, str):
        yield f"the check did not run there ({sight}); is raylab of this version installed on the node, and is it well?"
        return
    if sight.code != driver.code:
        yield (
            f"code: raylab {sight.code[:12]} there, {driver.code[:12]} in the driver; give all nodes the same image, "
            "or submit from one checkout with --working-dir ."
        )
    others = [
        f"{n} {v} there, {driver.packages.get(n)} here"
        for n, v in sight.packages.items()
        if driver.packages.get(n) != v
    ]
    if others:
        yield f"packages: {', '.join(others)}; use one image (results depend on them)"
    for module in sight.modules:
        yield (
            f"factories of your own: {module}; workers need the driver's modules: submit the folder that has them "
            "(--working-dir), or install them in the image"
        )
    if sight.store:
        yield (
            f"store: {sight.store}; every worker needs the same place and the right to write it: s3://bucket/raylab "
            "or a shared folder as `store:`, credentials in the driver's environment (AWS_... is passed on)"
        )
    for place, (folder, free) in enumerate(sight.free.items()):  # that of temporary files is the first
        if problem := too_full(folder, free, site.free_gb, room if place == 0 else 0):
            yield problem
    if sight.gpus == 0:
        yield "GPUs: Ray was told of some, PyTorch there finds none; use the image with CUDA, check the node's driver"


def _where(nodes: Sequence[str], of: int) -> str:
    named = ", ".join(sorted(nodes)[:NAMED]) + (", ..." if len(nodes) > NAMED else "")
    return f"{len(nodes)} of {of} nodes, {named}"


def _loose_ends(site: SiteFile) -> list[str]:
    """A store that outlives the head, and a tracker that does not."""
    if "://" in site.store_uri and site.tracking_uri.startswith("sqlite:"):
        return [
            f"tracking: {public(site.tracking_uri)} lies on the head's own disk, though the store does not; set "
            "MLFLOW_TRACKING_URI or `tracking:` to a server, or to none"
        ]
    return []


def gpu_share(asked: float | None) -> float:
    """GPUs of a worker: what the site says, otherwise one where the cluster has any."""
    if asked is not None:
        return asked
    return 1.0 if ray.cluster_resources().get("GPU", 0) >= 1 else 0.0


def _shortfalls(site: SiteFile, nodes: Sequence[Node], whose: str) -> list[str]:
    """A worker runs on one node: what it asks for must be there together."""
    problems = []
    for field, part in (("actors", site.actors), ("trials", site.trials)):
        asked = {"CPU": part.cpus, "GPU": part.gpus or 0.0, "memory": (part.memory_gb or 0.0) * 2**30}
        if not any(all(node.get(name, 0.0) >= amount for name, amount in asked.items()) for node in nodes):
            there = "; ".join(_spoken(node) for node in nodes) or "nothing"
            problems.append(f"{field}: a worker asks for {_spoken(asked)}, but {whose} {there}; ask for less")
    return problems


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
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=SMI_SECONDS)
    except (OSError, subprocess.TimeoutExpired):  # a driver that hangs has no GPUs to give
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
