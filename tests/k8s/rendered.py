"""The manifests as `kubectl kustomize` renders them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

Object = dict[str, Any]

ROOT = Path(__file__).parent.parent.parent
K8S = ROOT / "k8s"
PLACES = ("small", "gpu-autoscaled", "kueue")
RUNS = ("transfer-matrix", "sweep", "reproduce")


WANTED = "kubectl 1.21 or newer renders the manifests: older ones carry a kustomize below 4, without components"


@cache
def _lacking() -> str:
    """Why nothing can be rendered here; "" where it can."""
    if shutil.which("kubectl") is None:
        return f"no kubectl; {WANTED} (Debian: kubernetes-client)"
    asked = ["kubectl", "version", "--client", "--output", "json"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
    return too_old(done.stdout)


def too_old(told: str) -> str:
    """Of what `kubectl version --client --output json` says; "" for one that is new enough."""
    try:
        version = str(json.loads(told)["clientVersion"]["gitVersion"])
    except (ValueError, KeyError):
        return f"kubectl says no version; {WANTED}"
    numbers = [int(number) for number in re.findall(r"\d+", version)[:2]]
    return "" if numbers >= [1, 21] else f"kubectl is {version}; {WANTED}"


@cache
def _rendered(folder: Path) -> str:
    if lacking := _lacking():
        pytest.skip(lacking)
    done = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def parsed(folder: Path) -> list[Object]:
    # libyaml, for speed: a key given twice is gone by now (test_manifests.py reads the sources for that).
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [each for each in yaml.load_all(_rendered(folder), Loader=loader) if each is not None]


def overlay(name: str) -> list[Object]:
    """The objects of `k8s/overlays/<name>`; not to be changed, for they are kept."""
    return parsed(K8S / "overlays" / name)


def place(name: str, run: str = "transfer-matrix") -> list[Object]:
    """What stands in a place, and one run in it."""
    return [*overlay(f"{name}/platform"), *overlay(f"{name}/{run}")]


def rayjob(place_name: str, run: str = "transfer-matrix") -> Object:
    (job,) = [each for each in overlay(f"{place_name}/{run}") if each["kind"] == "RayJob"]
    return job


def spoken(each: Mapping[str, Any]) -> str:
    return f"{each.get('kind')}/{each.get('metadata', {}).get('name')}"
