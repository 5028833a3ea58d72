"""What each node of a cluster sees for itself: one short task a node, all at the same time, that takes no CPU."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raylab.engine import code, objects, provenance
from raylab.engine.artifact import StoreError
from raylab.engine.redaction import excerpt
from raylab.engine.store import Store

ANSWER_SECONDS = 120  # a worker's first process takes 5 to 20 s to start where many start at once
LONGEST = 300  # characters of an error
COUNT_GPUS = "import torch; print(torch.cuda.device_count() if torch.cuda.is_available() else 0)"


@dataclass(frozen=True)
class Sight:
    """One process's view: of the driver, or of a worker on some node."""

    code: str  # digest of raylab's files
    packages: Mapping[str, str]  # name -> version
    store: str = ""  # why the store cannot be used from there
    free: Mapping[str, float] = field(default_factory=dict)  # folder -> bytes
    gpus: int | None = None  # that PyTorch can use; None: not asked
    modules: tuple[str, ...] = ()  # what is wrong with the modules that were asked for


def here(uri: str) -> Sight:
    """The driver's view, which the others must match."""
    return Sight(code.digest(), _packages(), free=_free(uri))


def ask(
    nodes: Sequence[Mapping[str, Any]], uri: str, with_gpus: bool, modules: Mapping[str, str] | None = None
) -> Mapping[str, Sight | str]:
    """Node's name -> what a worker there sees, or why it cannot tell."""
    remote_look = ray.remote(look)
    with _note(uri) as note:
        asked = {
            remote_look.options(
                name="check of a node",
                num_cpus=0,  # also where others are at work
                max_retries=0,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
            ).remote(uri, note, with_gpus and node["Resources"].get("GPU", 0) >= 1, dict(modules or {})): name_of(node)
            for node in nodes
        }
        ready, late = ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_SECONDS)
        answers: dict[str, Sight | str] = {asked[one]: f"no answer within {ANSWER_SECONDS} s" for one in late}
        for one in late:
            ray.cancel(one, force=True)
        for one in ready:
            try:
                answers[asked[one]] = Sight(**ray.get(one))
            except Exception as error:  # an older raylab there, a node that went away: whatever it is, it is told
                last = (str(error).strip().splitlines() or [""])[-1]
                answers[asked[one]] = f"{type(error).__name__}: {excerpt(last, LONGEST, uri)}"
    return answers


def name_of(node: Mapping[str, Any]) -> str:
    return f"{node.get('NodeManagerHostname') or node.get('NodeManagerAddress')} ({node['NodeID'][:8]})"


def look(uri: str, note: str, with_gpus: bool, modules: Mapping[str, str]) -> dict[str, Any]:
    """On a worker. Plain values go there and back, so that raylabs that differ can still tell of it."""
    return {
        "code": code.digest(),
        "packages": _packages(),
        "store": _store_obstacle(uri, note),
        "free": _free(uri),
        "gpus": _gpus() if with_gpus else None,
        "modules": tuple(objects.differing(modules)),
    }


def _store_obstacle(uri: str, note: str) -> str:
    """Writable is not enough: a path of the node's own disk is writable, and nobody else sees what is written."""
    try:
        store = Store(uri)
        store.check_writable()
        if note and store.get(f"{store.root}/{note}") is None:
            return "another store than the driver's: what the driver has just written there is not seen"
    except (OSError, StoreError) as error:
        return str(error)
    return ""


@contextmanager
def _note(uri: str) -> Iterator[str]:
    """A file of the driver's in the store, for the workers to find; "" where the driver itself cannot write."""
    name = f".preflight-{secrets.token_hex(6)}"
    try:
        store = Store(uri)
        store.put(f"{store.root}/{name}", b"ok")
    except (OSError, StoreError):  # told of by the check of the store
        yield ""
        return
    try:
        yield name
    finally:
        with suppress(StoreError):  # keys that may not delete: told of by the check of the store
            store.delete(f"{store.root}/{name}")


def _packages() -> Mapping[str, str]:
    versions = provenance.collect()["packages"]
    assert isinstance(versions, dict)
    # Of these bits depend, or what can be read; Ray itself refuses other versions of Ray and Python.
    return {name: versions[name] for name in ("torch", "torchvision", "numpy", "pyarrow", "scikit-learn")}


def _free(uri: str) -> Mapping[str, float]:
    """Bytes that are free where temporary files go (Ray's own too, unless moved), and in a store that is a folder."""
    store = Store(uri)
    folders = [tempfile.gettempdir(), *([store.root] if store.is_local else [])]
    return {folder: float(shutil.disk_usage(folder).free) for folder in folders if os.path.isdir(folder)}


def _gpus() -> int:
    """In a process of its own: Ray hides the GPUs from a worker that was assigned none."""
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    counted = subprocess.run(
        [sys.executable, "-c", COUNT_GPUS], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    return int(counted.stdout.strip() or 0) if counted.returncode == 0 else 0
