"""What this project asks of its own manifests, above what Kubernetes and KubeRay accept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from k8s.pods import Pod
from k8s.quantities import amount

AUTOSCALED_HEAD = "raylab-autoscaler"


def of_rayjob(job: dict[str, Any]) -> Iterator[str]:
    spec = job["spec"]
    cluster = spec["rayClusterSpec"]
    for field in ("activeDeadlineSeconds", "preRunningDeadlineSeconds", "ttlSecondsAfterFinished", "backoffLimit"):
        if not spec.get(field):
            yield f"{field} is not set"
    if spec.get("submissionMode") != "K8sJobMode":
        yield "submissionMode must be K8sJobMode: the others lose runs (kuberay 4199, 4285, 4945)"
    if not spec.get("submitterConfig", {}).get("backoffLimit"):
        yield "submitterConfig.backoffLimit is not set"
    if not spec.get("shutdownAfterJobFinishes"):
        yield "shutdownAfterJobFinishes must be true: a cluster without a job costs as much as one with a job"
    if "submitterPodTemplate" not in spec:
        yield "submitterPodTemplate is not set: Pod Security refuses the default one, and the run hangs in Running"
    options = cluster.get("authOptions", {})
    if options.get("mode") != "token" or not options.get("secretName"):
        yield "authOptions must say mode token and the secretName of a Secret that the user made"
    if cluster.get("enableInTreeAutoscaling") and "securityContext" not in cluster.get("autoscalerOptions", {}):
        yield "autoscalerOptions.securityContext is not set: Pod Security refuses the head"
    head = cluster["headGroupSpec"]
    if head.get("rayStartParams", {}).get("num-cpus") != "0":
        yield "the head's num-cpus must be 0: a busy head loses the run"
    for group in [head, *cluster.get("workerGroupSpecs", ())]:
        container = group["template"]["spec"]["containers"][0]
        lines = _node(group, group["template"]["spec"], container)
        yield from (f"container {container['name']}: {line}" for line in lines)
    yield from _of_driver(spec, cluster)
    queued = "kueue.x-k8s.io/queue-name" in job["metadata"].get("labels", {})
    if queued and cluster.get("enableInTreeAutoscaling"):
        yield "a queued run must have a fixed number of workers: enableInTreeAutoscaling is true"


def _of_driver(spec: dict[str, Any], cluster: dict[str, Any]) -> Iterator[str]:
    """What it is told of the manifest: whether it is tried again, and how many workers a fixed cluster has."""
    environment = cluster["headGroupSpec"]["template"]["spec"]["containers"][0]["env"]
    given = {each["name"]: each.get("value") for each in environment}
    if spec.get("backoffLimit") and not given.get("RAYLAB_RETRIED"):
        yield "RAYLAB_RETRIED is not set: bad input would be tried again, each time on a new cluster"
    said = given.get("RAYLAB_WORKERS")
    workers = sum(group["replicas"] for group in cluster["workerGroupSpecs"])
    if said != (expected := "0" if cluster.get("enableInTreeAutoscaling") else str(workers)):
        yield f"RAYLAB_WORKERS is {said}, the driver has {expected} workers to wait for"


def _node(group: dict[str, Any], spec: dict[str, Any], container: dict[str, Any]) -> Iterator[str]:
    """Of a Ray node."""
    limits = container["resources"]["limits"]
    if amount(limits["cpu"]) % 1:
        yield f"cpu {limits['cpu']} is no whole number: Ray counts whole ones"
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe in container:
            yield f"{probe} is set: KubeRay gives probes of its own"
    mounted = {each["mountPath"]: each["name"] for each in container.get("volumeMounts", ())}
    volumes = {each["name"]: each for each in spec.get("volumes", ())}
    shared = volumes.get(mounted.get("/dev/shm", ""), {}).get("emptyDir", {})
    if shared.get("medium") != "Memory" or "sizeLimit" not in shared:
        yield "/dev/shm is no emptyDir of medium Memory with a sizeLimit: KubeRay would give it the whole memory limit"
        return
    size, store = amount(shared["sizeLimit"]), amount(group["rayStartParams"].get("object-store-memory", "inf"))
    if store >= size:
        yield f"object-store-memory {store:.0f} does not fit into /dev/shm of {size:.0f}"
    if size > amount(limits["memory"]) / 2:
        yield f"/dev/shm of {shared['sizeLimit']} takes more than half of the memory limit {limits['memory']}"


def of_pods(found: Iterable[Pod]) -> Iterator[str]:
    """Of every Pod, those of Ray included."""
    for pod in found:
        token = pod.spec.get("automountServiceAccountToken", True)
        if token and pod.spec.get("serviceAccountName") != AUTOSCALED_HEAD:
            yield f"{pod.name}: automountServiceAccountToken must be false: it does not speak to Kubernetes"
        for container in pod.containers:
            yield from (f"{pod.name}, container {container['name']}: {line}" for line in _container(pod, container))


def _container(pod: Pod, container: dict[str, Any]) -> Iterator[str]:
    resources = container.get("resources", {})
    if not resources.get("limits") or resources.get("requests") != resources.get("limits"):
        yield "requests and limits must be given and equal"
    if not container.get("securityContext", {}).get("readOnlyRootFilesystem"):
        yield "readOnlyRootFilesystem must be true"
    scratch = {each["name"] for each in pod.spec.get("volumes", ()) if "emptyDir" in each}
    written = {each["mountPath"] for each in container.get("volumeMounts", ()) if each["name"] in scratch}
    home = {each["name"]: each.get("value", "") for each in container.get("env", ())}.get("HOME", "")
    if not {"/tmp", home} <= written:
        yield f"/tmp and $HOME ({home or 'not set'}) must be emptyDirs: the root file system is read-only"
    ports = {one[key] for one in container.get("ports", ()) for key in ("name", "containerPort") if key in one}
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        asked = container.get(probe, {}).get("httpGet", {}).get("port")
        if asked is not None and asked not in ports:
            yield f"{probe} asks port {asked}, which the container has not"
    user = container.get("securityContext", {}).get(
        "runAsUser", pod.spec.get("securityContext", {}).get("runAsUser", 0)
    )
    if user < 10_000:
        yield f"runAsUser {user} may be a user of the node; take one from 10000"
