"""The Pods that come of the manifests: of Deployments and Jobs as they say, of RayJobs as KubeRay 1.7 builds them.

After its source, ray-operator/controllers/ray/common/{pod,job}.go: labels, the init container in which workers wait,
the autoscaler's container, the submitter where no template is given.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

SMALL = {"cpu": "200m", "memory": "256Mi"}
AUTOSCALER = {"cpu": "500m", "memory": "512Mi"}


@dataclass(frozen=True)
class Pod:
    name: str  # role, within a place: head, worker, submitter, mlflow
    namespace: str
    labels: dict[str, str]
    spec: dict[str, Any]
    most: int  # replicas at once
    surge: int = 0  # and more while they are replaced

    @property
    def containers(self) -> list[dict[str, Any]]:
        return [*self.spec.get("initContainers", ()), *self.spec.get("containers", ())]

    def ports(self) -> dict[str, int]:
        found = [port for container in self.containers for port in container.get("ports", ())]
        return {port.get("name", str(port["containerPort"])): port["containerPort"] for port in found}


def pods(objects: Iterable[dict[str, Any]]) -> Iterator[Pod]:
    for each in objects:
        name, namespace = each["metadata"]["name"], each["metadata"].get("namespace", "default")
        if each["kind"] == "RayJob":
            yield from _of_rayjob(each["spec"], name, namespace)
        elif each["kind"] in ("Deployment", "Job"):
            template = each["spec"]["template"]
            short = name.removeprefix("raylab-")
            most, recreated = (
                each["spec"].get("replicas", 1),
                each["spec"].get("strategy", {}).get("type") == "Recreate",
            )
            labels, surge = template.get("metadata", {}).get("labels", {}), 0 if recreated else math.ceil(most / 4)
            yield Pod(short, namespace, labels, template["spec"], most, surge)


def _of_rayjob(spec: dict[str, Any], name: str, namespace: str) -> Iterator[Pod]:
    cluster = spec["rayClusterSpec"]
    head, scaled = cluster["headGroupSpec"]["template"], cluster.get("enableInTreeAutoscaling", False)
    containers = copy.deepcopy(head["spec"]["containers"])
    if scaled:
        containers.append(_autoscaler(containers[0], cluster.get("autoscalerOptions", {})))
    yield Pod("head", namespace, _labels(head, name, "head", "headgroup"), head["spec"] | {"containers": containers}, 1)
    for group in cluster.get("workerGroupSpecs", ()):
        template = group["template"]
        waiting = template["spec"]["containers"][0] | {"name": "wait-gcs-ready", "resources": _same(SMALL)}
        waiting = {key: value for key, value in waiting.items() if key not in ("ports", "envFrom", "workingDir")}
        before = [*template["spec"].get("initContainers", ()), waiting]
        labels = _labels(template, name, "worker", group["groupName"])
        most = group["maxReplicas"] if scaled else group.get("replicas", 0)
        yield Pod("worker", namespace, labels, template["spec"] | {"initContainers": before}, most)
    if spec.get("submissionMode", "K8sJobMode") == "K8sJobMode":
        yield _submitter(spec, name, namespace, containers[0]["image"])


def _submitter(spec: dict[str, Any], name: str, namespace: str, image: str) -> Pod:
    bare = {"name": "ray-job-submitter", "image": image, "resources": _same({"cpu": "1", "memory": "1Gi"})}
    template = spec.get("submitterPodTemplate") or {"spec": {"containers": [bare], "restartPolicy": "Never"}}
    labels = template.get("metadata", {}).get("labels", {}) | {
        "ray.io/originated-from-cr-name": name,
        "ray.io/originated-from-crd": "RayJob",
        "app.kubernetes.io/created-by": "kuberay-operator",
    }
    return Pod("submitter", namespace, labels, template["spec"], 1)


def _autoscaler(head: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    given = ("securityContext", "volumeMounts", "env", "envFrom", "image", "resources", "imagePullPolicy")
    container = {"name": "autoscaler", "image": head["image"], "resources": _same(AUTOSCALER)}
    return container | {key: options[key] for key in given if key in options}


def _labels(template: dict[str, Any], name: str, kind: str, group: str) -> dict[str, str]:
    operators = {"ray.io/is-ray-node": "yes", "app.kubernetes.io/name": "kuberay"}
    operators["app.kubernetes.io/created-by"] = "kuberay-operator"
    fixed = {"ray.io/cluster": f"{name}-abcde", "ray.io/node-type": kind, "ray.io/group": group}
    return operators | template.get("metadata", {}).get("labels", {}) | fixed


def _same(amounts: dict[str, str]) -> dict[str, Any]:
    return {"requests": amounts, "limits": amounts}
