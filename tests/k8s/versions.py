"""Versions in the manifests against constraints.txt and pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from k8s.pods import Pod
from k8s.rendered import ROOT

IMAGE = re.compile(r"[a-z0-9./-]+/raylab(?::(?P<tag>[\w.-]+)|@sha256:[0-9a-f]{64})")


@cache
def pinned(package: str) -> str:
    found = re.search(rf"^{package}==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert found is not None, package
    return found[1]


@cache
def own() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def problems(objects: Iterable[dict[str, Any]], found: Iterable[Pod]) -> Iterator[str]:
    for each in objects:
        if each["kind"] == "RayJob" and (said := each["spec"]["rayClusterSpec"].get("rayVersion")) != pinned("ray"):
            yield f"rayVersion {said}, constraints.txt says {pinned('ray')}"
    for pod in found:
        for container in pod.containers:
            yield from (f"{pod.name}, container {container['name']}: {line}" for line in _image(pod, container))


def _image(pod: Pod, container: dict[str, Any]) -> Iterator[str]:
    image = IMAGE.fullmatch(container["image"])
    if image is None:
        yield f"image {container['image']} is not raylab's with a tag or digest"
        return
    gpus = any("nvidia.com/gpu" in each.get("resources", {}).get("limits", {}) for each in pod.containers)
    expected = f"{own()}-ray{pinned('ray')}-"
    if image["tag"] and not image["tag"].startswith(expected):
        yield f"image tag {image['tag']} is not of these versions: {expected}cpu or {expected}cuda"
    if image["tag"] and gpus and not image["tag"].endswith("-cuda"):
        yield f"image tag {image['tag']} has no CUDA, and the container asks for a GPU"
