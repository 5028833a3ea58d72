"""The operator's own rules, broken one by one on the run that the GPUs' overlay renders."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from k8s.operator_rules import problems
from k8s.rendered import PLACES, RUNS, rayjob

CLUSTER, HEAD, WORKER = "rayClusterSpec", "headGroupSpec", "workerGroupSpecs"
V2 = {"name": "RAY_enable_autoscaler_v2", "value": "1"}


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("name", PLACES)
def test_the_operator_takes_what_is_rendered(name: str, run: str) -> None:
    assert list(problems(rayjob(name, run))) == []


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("ttlSecondsAfterFinished", -1, "ttlSecondsAfterFinished must not be negative"),
        ("deletionStrategy", {"deletionRules": [{"policy": "DeleteSelf"}]}, "exclude each other"),
        ("deletionStrategy", {"onSuccess": {"policy": "DeleteWorkers"}}, "DeleteWorkers is not for autoscaled"),
        ("clusterSelector", {"ray.io/cluster": "standing"}, "backoffLimit does not go with clusterSelector"),
        ("submissionMode", "InteractiveMode", "backoffLimit does not go with InteractiveMode"),
        ("submissionMode", "SidecarMode", "takes neither submitterPodTemplate nor"),
        ("activeDeadlineSeconds", 0, "activeDeadlineSeconds must be positive"),
        ("preRunningDeadlineSeconds", -5, "preRunningDeadlineSeconds must be positive"),
        ("backoffLimit", -1, "backoffLimit must not be negative"),
        ("runtimeEnvYAML", "env_vars: {", "runtimeEnvYAML is no YAML"),
        ("rayClusterSpec", None, "one of rayClusterSpec and clusterSelector"),
    ],
)
def test_a_field_of_the_run_is_refused(field: str, value: Any, found: str) -> None:
    job = copy.deepcopy(rayjob("gpu-autoscaled"))
    job["spec"][field] = value
    assert any(found in line for line in problems(job))


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("tlsOptions", {}, "tlsOptions is refused"),
        ("historyServerOptions", {}, "historyServerOptions is refused"),
        ("gcsFaultToleranceOptions", {"backend": "rocksdb"}, "rocksdb is refused"),
        ("upgradeStrategy", {"type": "Recreate"}, "upgradeStrategy is not for"),
        ("rayVersion", "2.51.0", "needs rayVersion 2.52.0 or newer, got '2.51.0'"),
        ("authOptions", {"mode": "token", "enableK8sTokenAuth": True}, "enableK8sTokenAuth is not for RayJobs"),
        ("autoscalerOptions", {"idleTimeoutSeconds": -1}, "must not be negative"),
        ("autoscalerOptions", {"env": [{"name": "KUBERAY_GEN_AUTOSCALER_START_CMD"}]}, "must not set KUBERAY_GEN"),
    ],
)
def test_a_field_of_the_cluster_is_refused(field: str, value: Any, found: str) -> None:
    job = copy.deepcopy(rayjob("gpu-autoscaled"))
    job["spec"][CLUSTER][field] = value
    assert any(found in line for line in problems(job))


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("minReplicas", -1, "negative replicas"),
        ("minReplicas", 9, "minReplicas 9 is above maxReplicas 8"),
        ("suspend", True, "suspend does not go with autoscaling"),
        ("rayStartParams", {"labels": "a=b"}, "use labels"),
        ("template", {"spec": {}}, "no container"),
        ("template", {"spec": {"containers": [{}], "restartPolicy": "OnFailure"}}, "wants restartPolicy Never"),
    ],
)
def test_a_field_of_the_workers_is_refused(field: str, value: Any, found: str) -> None:
    job = copy.deepcopy(rayjob("gpu-autoscaled"))
    job["spec"][CLUSTER][WORKER][0][field] = value
    assert any(found in line for line in problems(job))


@pytest.mark.parametrize(
    ("place", "variable", "found"),
    [
        ("gpu-autoscaled", V2, "are both set"),
        ("small", V2, "without enableInTreeAutoscaling"),
        ("small", {"name": "RAY_REDIS_ADDRESS", "value": "redis:6379"}, "without gcsFaultToleranceOptions"),
    ],
)
def test_a_variable_of_the_head_is_refused(place: str, variable: dict[str, str], found: str) -> None:
    job = copy.deepcopy(rayjob(place))
    job["spec"][CLUSTER][HEAD]["template"]["spec"]["containers"][0]["env"].append(variable)
    assert any(found in line for line in problems(job))


@pytest.mark.parametrize("field", ["idleTimeoutSeconds", "priority"])
def test_what_only_the_second_autoscaler_knows_is_refused_without_it(field: str) -> None:
    job = copy.deepcopy(rayjob("kueue"))
    job["spec"][CLUSTER][WORKER][0][field] = 60
    assert any(f"{field} needs autoscaler v2" in line for line in problems(job))
