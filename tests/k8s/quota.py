"""Whether the Pods of a place with two runs, at their most, fit into the ResourceQuotas of their namespaces.

What is above a quota is never made: the run waits. Two, since a retry begins while the Pods of the try before are still
ending; and the head of a third must not fit, for it would hold its share and wait.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from k8s.pods import Pod
from k8s.quantities import amount

RUNS = 2
OF_A_RUN = ("head", "worker", "submitter")


def problems(objects: Iterable[dict[str, Any]], found: Iterable[Pod]) -> Iterator[str]:
    found = list(found)
    for quota in (each for each in objects if each["kind"] == "ResourceQuota"):
        hard, needed = quota["spec"]["hard"], defaultdict[str, float](float)
        inside = [pod for pod in found if pod.namespace == quota["metadata"]["namespace"]]
        for pod in inside:
            for name, number in _of_pod(pod).items():
                needed[name] += number * (pod.most * RUNS if pod.name in OF_A_RUN else pod.most + pod.surge)
        for name, number in needed.items():
            if name in hard and number > amount(hard[name]):
                yield f"{name}: two runs and what stands need {number:g}, the quota gives {hard[name]}"
            if "nvidia.com/gpu" in name and name.startswith("requests") and name not in hard:
                yield f"{name} is not bounded"
        for head in (_of_pod(pod) for pod in inside if pod.name == "head"):
            if all(needed[name] + number <= amount(hard[name]) for name, number in head.items() if name in hard):
                yield "the head of a third run fits into the quota, and would hold it while it waits"


def _of_pod(pod: Pod) -> dict[str, float]:
    """The larger of what its init containers need one by one and its containers together."""
    total: dict[str, float] = {"pods": 1.0}
    for kind in ("requests", "limits"):
        together: dict[str, float] = defaultdict(float)
        for container in pod.spec["containers"]:
            for name, quantity in container.get("resources", {}).get(kind, {}).items():
                together[name] += amount(quantity)
        for container in pod.spec.get("initContainers", ()):
            for name, quantity in container.get("resources", {}).get(kind, {}).items():
                together[name] = max(together[name], amount(quantity))
        total |= {f"{kind}.{name}": number for name, number in together.items()}
    return total
