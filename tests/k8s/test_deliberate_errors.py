"""Deliberate errors in the rendered manifests: each must be found, by what it says."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import pytest
from k8s.crds import definition
from k8s.rendered import place

from k8s import findings

GONE = object()
HEAD, WORKER = "spec.rayClusterSpec.headGroupSpec", "spec.rayClusterSpec.workerGroupSpecs.0"
HEAD_POD, WORKER_POD = f"{HEAD}.template.spec", f"{WORKER}.template.spec"


@dataclass(frozen=True)
class Error:
    what: str
    target: str  # Kind/name
    path: str
    value: Any  # GONE: the field is removed
    found: str  # part of what the check says
    place: str = "small"


RUN, GPUS = "RayJob/transfer-matrix", "gpu-autoscaled"
AGAINST_THE_DEFINITION = [  # KubeRay's own, where it is at hand
    Error("a misspelt field", RUN, "spec.shutdownAfterJobFinish", True, "'shutdownAfterJobFinish' was unexpected"),
    Error("a misspelt field deep inside", RUN, f"{HEAD_POD}.containers.0.imagePullPolice", "Always", "unexpected"),
    Error("a number in place of a string", RUN, f"{HEAD}.rayStartParams.num-cpus", 0, "0 is not of type 'string'"),
    Error("a string in place of a number", RUN, "spec.backoffLimit", "2", "'2' is not of type 'integer'"),
    Error("a number beyond 32 bits", RUN, "spec.activeDeadlineSeconds", 2**40, "is not a 'int32'"),
    Error("a quantity that is none", RUN, f"{HEAD_POD}.containers.0.resources.limits.memory", "8GB", "does not match"),
    Error("no template of a worker", RUN, f"{WORKER}.template", GONE, "'template' is a required property"),
    Error(
        "two ports of one number",
        RUN,
        f"{HEAD_POD}.containers.0.ports.1",
        {"name": "second", "containerPort": 6379, "protocol": "TCP"},
        "Duplicate value",
    ),
    Error("a foreign manager (a CEL rule)", RUN, "spec.managedBy", "raylab", "the managedBy field value must be"),
    Error("an empty deletion strategy (a CEL rule)", RUN, "spec.deletionStrategy", {}, "deletionStrategy requires"),
]
ERRORS = [
    Error("a misspelt field of a core kind", "NetworkPolicy/ray-nodes", "spec.podselector", {}, "unexpected"),
    Error("an unknown mode", RUN, "spec.submissionMode", "K8SJobMode", "submissionMode must be K8sJobMode"),
    Error("labels that are no map", RUN, "metadata.labels", ["raylab"], "is not of type 'object'"),
    Error(
        "a name too long", RUN, "metadata.name", "transfer-matrix-of-cifar10-at-the-published-radius", "50 characters"
    ),
    Error("a name with a dot", RUN, "metadata.name", "transfer.matrix", "is no DNS-1035 label"),
    Error(
        "a time to live without shutdown", RUN, "spec.shutdownAfterJobFinishes", GONE, "ttlSecondsAfterFinished needs"
    ),
    Error("fewer at most than at least", RUN, f"{WORKER}.maxReplicas", 1, "minReplicas 2 is above maxReplicas 1"),
    Error(
        "resources said twice", RUN, f"{HEAD}.resources", {"cpu": "2"}, "resources are said in rayStartParams and in"
    ),
    Error("a token without a version", RUN, "spec.rayClusterSpec.rayVersion", GONE, "token needs rayVersion 2.52.0"),
    Error(
        "a field behind a gate",
        RUN,
        "spec.rayClusterSpec.networkPolicy",
        {"mode": "DenyAll"},
        "networkPolicy is refused",
    ),
    Error(
        "restarts under autoscaler v2",
        RUN,
        f"{WORKER_POD}.restartPolicy",
        "Always",
        "autoscaler v2 wants restartPolicy Never",
        "gpu-autoscaled",
    ),
    Error("the default submitter", RUN, "spec.submitterPodTemplate", GONE, "submitter: Pod Security refuses it"),
    Error(
        "a submitter without securityContext",
        RUN,
        "spec.submitterPodTemplate.spec.securityContext",
        GONE,
        "submitter: Pod Security refuses it: container ray-job-submitter: runAsNonRoot must be true",
    ),
    Error(
        "a worker that may gain privileges",
        RUN,
        f"{WORKER_POD}.containers.0.securityContext.allowPrivilegeEscalation",
        GONE,
        "container wait-gcs-ready: allowPrivilegeEscalation must be false",
    ),
    Error(
        "a folder of the node",
        RUN,
        f"{WORKER_POD}.volumes.0",
        {"name": "tmp", "hostPath": {"path": "/tmp"}},
        "hostPath",
    ),
    Error(
        "an autoscaler without securityContext",
        RUN,
        "spec.rayClusterSpec.autoscalerOptions.securityContext",
        GONE,
        "head: Pod Security refuses it: container autoscaler",
        "gpu-autoscaled",
    ),
    Error("another Ray", RUN, "spec.rayClusterSpec.rayVersion", "2.59.0", "rayVersion 2.59.0, constraints.txt says"),
    Error(
        "another image",
        RUN,
        f"{HEAD_POD}.containers.0.image",
        "registry.example.org/raylab:0.1.0-ray2.59.0-cpu",
        "is not of these versions",
    ),
    Error("an image without a tag", RUN, f"{WORKER_POD}.containers.0.image", "raylab", "is not raylab's with a tag"),
    Error(
        "PyTorch without CUDA on a GPU",
        RUN,
        f"{WORKER_POD}.containers.0.image",
        "registry.example.org/raylab:0.1.0-ray2.60.0-cpu",
        "has no CUDA, and the container asks for a GPU",
        "kueue",
    ),
    Error(
        "an account that is not there", RUN, f"{HEAD_POD}.serviceAccountName", "ray", "ServiceAccount ray is not there"
    ),
    Error("a volume that is not there", RUN, f"{HEAD_POD}.volumes.1.name", "shmem", "mounts shm, which is no volume"),
    Error(
        "a key that the Secret has not",
        "Deployment/raylab-mlflow",
        "spec.template.spec.containers.0.env.1.valueFrom.secretKeyRef.key",
        "url",
        "Secret raylab-mlflow-database has no key url",
        "kueue",
    ),
    Error("no deadline", RUN, "spec.activeDeadlineSeconds", GONE, "activeDeadlineSeconds is not set"),
    Error("no second try", RUN, "spec.backoffLimit", GONE, "backoffLimit is not set"),
    Error("no token", RUN, "spec.rayClusterSpec.authOptions", GONE, "authOptions must say mode token"),
    Error("a head that computes", RUN, f"{HEAD}.rayStartParams.num-cpus", "2", "the head's num-cpus must be 0"),
    Error("more than /dev/shm holds", RUN, f"{HEAD}.rayStartParams.object-store-memory", "2147483648", "does not fit"),
    Error("no /dev/shm", RUN, f"{WORKER_POD}.containers.0.volumeMounts.1.mountPath", "/shm", "/dev/shm is no emptyDir"),
    Error(
        "more requested than the quota gives", RUN, f"{WORKER}.replicas", 20, "requests.cpu: two runs and what stand"
    ),
    Error(
        "GPUs without room for them",
        "ResourceQuota/raylab",
        "spec.hard.requests\\.nvidia\\.com/gpu",
        GONE,
        "bounded",
        "kueue",
    ),
    Error("Pods for one run alone", "ResourceQuota/raylab", "spec.hard.pods", "19", "pods: two runs", "kueue"),
    Error("a token of Kubernetes", RUN, f"{WORKER_POD}.automountServiceAccountToken", True, "must be false"),
    Error(
        "the wrong port of the dashboard",
        "NetworkPolicy/submitter",
        "spec.egress.0.ports.0.port",
        8080,
        "submitter -> head TCP/8265 is needed and not let through",
    ),
    Error(
        "a door left open",
        "NetworkPolicy/ray-dashboard",
        "spec.ingress.0.from.1",
        {"namespaceSelector": {}},
        "neighbour -> head TCP/8265 is let through",
    ),
    Error("no deny by default", "NetworkPolicy/default-deny", "spec.policyTypes", ["Egress"], "neighbour -> submitter"),
    Error(
        "a label that nothing has",
        "NetworkPolicy/dns",
        "spec.egress.0.to.0.podSelector.matchLabels.k8s-app",
        "coredns",
        "head -> dns UDP/53 is needed",
    ),
    Error(
        "the metadata service within reach",
        "NetworkPolicy/object-store",
        "spec.egress.0.to.0.ipBlock.except",
        GONE,
        "worker -> metadata TCP/443 is let through",
        "kueue",
    ),
    Error(
        "the wrong port of MLflow",
        RUN,
        f"{HEAD_POD}.containers.0.env.2.value",
        "http://raylab-mlflow.raylab-mlflow:5001",
        "no Service",
    ),
    Error(
        "an MLflow of the own namespace",
        RUN,
        f"{HEAD_POD}.containers.0.env.2.value",
        "http://raylab-mlflow:5000",
        "no Service",
    ),
    Error(
        "MLflow within reach of a run's code",
        "Deployment/raylab-mlflow",
        "metadata.namespace",
        "raylab",
        "Deployment raylab-mlflow stands in a namespace of runs",
        GPUS,
    ),
    Error(
        "a run with the key of MLflow's database",
        RUN,
        f"{HEAD_POD}.containers.0.envFrom.0.secretRef.name",
        "raylab-mlflow-database",
        "head: Secret raylab-mlflow-database is not among those that the user makes in raylab",
        GPUS,
    ),
    Error(
        "a way to MLflow for every namespace",
        "NetworkPolicy/mlflow",
        "spec.ingress.0.from.0.namespaceSelector",
        {},
        "neighbour -> mlflow TCP/5000 is let through",
    ),
    Error(
        "room for a head that waits",
        "ResourceQuota/raylab",
        "spec.hard",
        {"requests.cpu": "16", "limits.cpu": "16"},
        "the head of a third run fits",
    ),
    Error("a Service to no port", "Service/raylab-mlflow", "spec.ports.0.targetPort", "web", "leads to no port"),
    Error(
        "a script that is not there",
        RUN,
        "spec.entrypoint",
        "python jobs/transfer.py --site /etc/raylab/site.yaml",
        "no jobs",
    ),
    Error(
        "an option that a job has not", RUN, "spec.entrypoint", "python jobs/sweep.py --sites x.yaml", "has no --sites"
    ),
    Error("a parameter that Ray has not", RUN, f"{HEAD}.rayStartParams.num-cpu", "1", "`ray start` has no --num-cpu"),
    Error(
        "an option that MLflow has not",
        "Deployment/raylab-mlflow",
        "spec.template.spec.containers.0.args.0",
        "--hosts=0",
        "mlflow server",
    ),
    Error(
        "a command that MLflow's users have not",
        "Deployment/raylab-mlflow",
        "spec.template.spec.initContainers.1.command.4",
        "upgradee",
        "mlflow has no command upgradee",
        "kueue",
    ),
    Error(
        "a probe of a port that is not there",
        "Deployment/raylab-mlflow",
        "spec.template.spec.containers.0.startupProbe.httpGet.port",
        "web",
        "startupProbe asks port web",
    ),
    Error(
        "a Service's name that MLflow refuses",
        "Deployment/raylab-mlflow",
        "spec.template.spec.containers.0.env.1.value",
        "localhost:*",
        "MLFLOW_SERVER_ALLOWED_HOSTS has no raylab-mlflow:5000",
    ),
    Error("a role that allows nothing", "Role/raylab-mlflow-viewer", "rules", [], "allows nothing"),
    Error("a worker without keys", RUN, f"{WORKER_POD}.containers.0.envFrom", GONE, "worker: s3://raylab/store", GPUS),
    Error("a head without keys", RUN, f"{HEAD_POD}.containers.0.envFrom", GONE, "head: s3://raylab/store", "kueue"),
    Error("a worker without a home", RUN, f"{WORKER_POD}.containers.0.env.1", GONE, "worker: RAYLAB_HOME (None)"),
    Error(
        "more workers than the driver knows of", RUN, f"{WORKER}.replicas", 1, "RAYLAB_WORKERS is 2, the driver has 1"
    ),
    Error("bad input that is tried again", RUN, f"{HEAD_POD}.containers.0.env.5", GONE, "RAYLAB_RETRIED is not set"),
    Error("a queue that is scaled", RUN, "spec.rayClusterSpec.enableInTreeAutoscaling", True, "a queued run", "kueue"),
]


@pytest.mark.parametrize("error", AGAINST_THE_DEFINITION, ids=lambda error: error.what)
def test_the_definition_finds_it(error: Error) -> None:
    definition("RayJob", "v1")  # skips
    judge(error)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.what)
def test_it_is_found(error: Error) -> None:
    judge(error)


def judge(error: Error) -> None:
    objects = copy.deepcopy(place(error.place))
    named = [each for each in objects if f"{each['kind']}/{each['metadata']['name']}" == error.target]
    target = min(named, key=lambda each: str(each["metadata"]["namespace"]))  # of runs, where MLflow's has one too
    put(target, error.path, error.value)
    found = findings.problems(objects, error.place)
    assert any(error.found in line for line in found), found or "nothing was found"


def put(target: Any, path: str, value: Any) -> None:
    """`a.b.0.c`; a dot within a name is written `\\.`. What is to be removed or replaced in a list must be there."""
    *before, last = [word.replace("\0", ".") for word in path.replace("\\.", "\0").split(".")]
    for word in before:
        target = target[int(word)] if isinstance(target, list) else target[word]
    if value is GONE:
        del target[int(last) if isinstance(target, list) else last]
    elif isinstance(target, list):
        target[int(last)] = value
    else:
        target[last] = value
