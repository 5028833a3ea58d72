"""Whether a run's nodes have what its site file speaks of: keys of the bucket, the folder of results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import yaml
from k8s.commands import mounted_files
from k8s.pods import Pod

KEYS = "raylab-object-store"


def problems(objects: list[dict[str, Any]], found: Iterable[Pod]) -> Iterator[str]:
    for text in (text for path, text in mounted_files(objects).items() if path.endswith("/site.yaml")):
        store = (yaml.safe_load(text) or {}).get("store") or ""
        for pod in found:
            if pod.name in ("head", "worker"):
                yield from (f"{pod.name}: {line}" for line in _of_node(pod.spec["containers"][0], store))


def _of_node(container: dict[str, Any], store: str) -> Iterator[str]:
    secrets = {each["secretRef"]["name"] for each in container.get("envFrom", ()) if "secretRef" in each}
    if store.startswith("s3://") and KEYS not in secrets:
        yield f"{store} without the keys of Secret {KEYS}"
    home = next((each.get("value") for each in container.get("env", ()) if each["name"] == "RAYLAB_HOME"), None)
    if home not in {each["mountPath"] for each in container.get("volumeMounts", ())}:
        yield f"RAYLAB_HOME ({home}) is no volume: what is written there is lost, or refused"
