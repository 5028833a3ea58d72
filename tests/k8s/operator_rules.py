"""What KubeRay 1.7's operator refuses, though the definitions allow it.

After its source, ray-operator/controllers/ray/utils/validation.go, with its feature gates as they come:
RayJobDeletionPolicy on; RayClusterNetworkPolicy, RayClusterMTLS, RayClusterHistoryServer and
GCSFaultToleranceEmbeddedStorage off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML, YAMLError

MOST_OF_A_NAME = 47  # "-xxxxx" of the cluster and "-head-svc" of its Service must fit into a DNS label
DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
GATED = {"networkPolicy": "RayClusterNetworkPolicy", "tlsOptions": "RayClusterMTLS"}
GATED |= {"historyServerOptions": "RayClusterHistoryServer"}
V2 = "RAY_enable_autoscaler_v2"


def problems(job: dict[str, Any]) -> Iterator[str]:
    """Of a RayJob."""
    name, spec = job["metadata"]["name"], job["spec"]
    if len(name) > MOST_OF_A_NAME:
        yield f"the name has {len(name)} characters, at most {MOST_OF_A_NAME} are taken"
    if not DNS_1035.fullmatch(name):
        yield f"the name {name!r} is no DNS-1035 label"
    yield from _ending(spec)
    yield from _mode(spec)
    for field in ("activeDeadlineSeconds", "preRunningDeadlineSeconds"):
        if spec.get(field, 1) <= 0:
            yield f"{field} must be positive"
    if spec.get("backoffLimit", 0) < 0:
        yield "backoffLimit must not be negative"
    try:
        YAML(typ="safe", pure=True).load(spec.get("runtimeEnvYAML", ""))
    except YAMLError:
        yield "runtimeEnvYAML is no YAML"
    if cluster := spec.get("rayClusterSpec"):
        yield from _cluster(cluster)


def _ending(spec: dict[str, Any]) -> Iterator[str]:
    shutdown, ttl = spec.get("shutdownAfterJobFinishes", False), spec.get("ttlSecondsAfterFinished", 0)
    if ttl < 0:
        yield "ttlSecondsAfterFinished must not be negative"
    if ttl > 0 and not shutdown:
        yield "ttlSecondsAfterFinished needs shutdownAfterJobFinishes: true"
    if spec.get("suspend") and not shutdown:
        yield "suspend needs shutdownAfterJobFinishes: true"
    strategy = spec.get("deletionStrategy")
    if strategy is None:
        return
    if strategy.get("deletionRules") and shutdown:
        yield "shutdownAfterJobFinishes and deletionStrategy.deletionRules exclude each other"
    scaled = spec.get("rayClusterSpec", {}).get("enableInTreeAutoscaling")
    policies = [rule.get("policy") for rule in strategy.get("deletionRules", ())]
    policies += [strategy.get(when, {}).get("policy") for when in ("onSuccess", "onFailure")]
    if scaled and "DeleteWorkers" in policies:
        yield "DeleteWorkers is not for autoscaled clusters"


def _mode(spec: dict[str, Any]) -> Iterator[str]:
    mode, selector, retries = spec.get("submissionMode"), spec.get("clusterSelector"), spec.get("backoffLimit", 0)
    if not selector and not spec.get("rayClusterSpec"):
        yield "one of rayClusterSpec and clusterSelector must be set"
    if selector and retries > 0:
        yield "backoffLimit does not go with clusterSelector"
    if selector and spec.get("suspend"):
        yield "suspend does not go with clusterSelector"
    if selector and mode == "SidecarMode":
        yield "SidecarMode does not go with clusterSelector"
    if mode == "InteractiveMode" and retries > 0:
        yield "backoffLimit does not go with InteractiveMode"
    if mode == "SidecarMode" and {"submitterPodTemplate", "submitterConfig"} & set(spec):
        yield "SidecarMode takes neither submitterPodTemplate nor submitterConfig"


def _cluster(cluster: dict[str, Any]) -> Iterator[str]:
    for field, gate in GATED.items():
        if field in cluster:
            yield f"{field} is refused: the feature gate {gate} is off"
    if cluster.get("gcsFaultToleranceOptions", {}).get("backend") == "rocksdb":
        yield "gcsFaultToleranceOptions.backend rocksdb is refused: its feature gate is off"
    if "upgradeStrategy" in cluster:
        yield "upgradeStrategy is not for a RayJob's cluster"
    yield from _authentication(cluster)
    yield from _group("head", cluster["headGroupSpec"])
    for group in cluster.get("workerGroupSpecs", ()):
        yield from _group(group["groupName"], group)
        yield from _replicas(group)
    yield from _autoscaling(cluster)


def _authentication(cluster: dict[str, Any]) -> Iterator[str]:
    options = cluster.get("authOptions", {})
    if options.get("enableK8sTokenAuth"):
        yield "enableK8sTokenAuth is not for RayJobs"
    if options.get("mode") == "token" and _version(cluster) < (2, 52, 0):
        yield f"authOptions.mode token needs rayVersion 2.52.0 or newer, got {cluster.get('rayVersion')!r}"


def _version(cluster: dict[str, Any]) -> tuple[int, ...]:
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", str(cluster.get("rayVersion", "")))
    return tuple(map(int, numbers.groups())) if numbers else (0,)


def _group(name: str, group: dict[str, Any]) -> Iterator[str]:
    params = group.get("rayStartParams", {})
    if group.get("resources") and {"num-cpus", "num-gpus", "memory", "resources"} & set(params):
        yield f"group {name}: resources are said in rayStartParams and in resources; only one may"
    if "labels" in params:
        yield f"group {name}: rayStartParams.labels is refused; use labels"
    if not group["template"]["spec"].get("containers"):
        yield f"group {name}: no container"


def _replicas(group: dict[str, Any]) -> Iterator[str]:
    name, least, most = group["groupName"], group.get("minReplicas", 0), group.get("maxReplicas", 2**31 - 1)
    if least < 0 or most < 0:
        yield f"group {name}: negative replicas"
    if least > most:
        yield f"group {name}: minReplicas {least} is above maxReplicas {most}"


def _autoscaling(cluster: dict[str, Any]) -> Iterator[str]:
    on, options = cluster.get("enableInTreeAutoscaling", False), cluster.get("autoscalerOptions", {})
    groups = cluster.get("workerGroupSpecs", ())
    head = cluster["headGroupSpec"]["template"]["spec"]
    variables = {each["name"]: each.get("value") for each in head["containers"][0].get("env", ())}
    second = on and options.get("version", "v2") == "v2"
    if on and "version" in options and V2 in variables:
        yield f"autoscalerOptions.version and the head's {V2} are both set"
    if not on and variables.get(V2) in ("1", "true"):
        yield f"the head's {V2} without enableInTreeAutoscaling"
    if "RAY_REDIS_ADDRESS" in variables and "gcsFaultToleranceOptions" not in cluster:
        yield "RAY_REDIS_ADDRESS without gcsFaultToleranceOptions"
    for name, spec in [("head", head), *((each["groupName"], each["template"]["spec"]) for each in groups)]:
        if second and spec.get("restartPolicy", "Never") != "Never":
            yield f"group {name}: autoscaler v2 wants restartPolicy Never or none"
    for group in groups:
        if on and group.get("suspend"):
            yield f"group {group['groupName']}: suspend does not go with autoscaling"
        for field in ("idleTimeoutSeconds", "priority"):
            if group.get(field) and not second:
                yield f"group {group['groupName']}: {field} needs autoscaler v2"
    if options.get("idleTimeoutSeconds", 0) < 0:
        yield "autoscalerOptions.idleTimeoutSeconds must not be negative"
    if any(each["name"] == "KUBERAY_GEN_AUTOSCALER_START_CMD" for each in options.get("env", ())):
        yield "autoscalerOptions.env must not set KUBERAY_GEN_AUTOSCALER_START_CMD"
