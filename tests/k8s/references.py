"""Whether what the manifests name is there: no schema sees a missing account, claim or key, and the Pod waits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from k8s.pods import Pod

# Secrets and claims are made by hand or by a tool for secrets, and never committed: the first lines of k8s/README.md.
# The code of a run can take every one of its namespace, so that there are none but those that it is given anyway.
OBJECT_STORE = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"}
REGISTRY = {".dockerconfigjson"}
SECRETS = {
    "raylab": {
        "raylab-ray-token": {"auth_token"},
        "raylab-object-store": OBJECT_STORE,
        "raylab-mlflow-login": {"username", "password"},
        "raylab-registry": REGISTRY,
    },
    "raylab-mlflow": {
        "raylab-object-store": OBJECT_STORE,
        "raylab-registry": REGISTRY,
        "raylab-mlflow-database": {"uri"},
        "raylab-mlflow-admin": {"username", "password", "flask-secret-key", "basic_auth.ini"},
    },
}
CLAIMS = {"raylab-data"}
SERVING = ("Service", "Deployment", "StatefulSet", "DaemonSet", "Job")


def problems(objects: list[dict[str, Any]], found: Iterable[Pod]) -> Iterator[str]:
    names = {(each["kind"], _namespace(each), each["metadata"]["name"]) for each in objects}
    of_runs = {_namespace(each) for each in objects if each["kind"] == "RayJob"}
    for each in objects:
        for login in each.get("imagePullSecrets", ()):  # of a ServiceAccount
            yield from (f"{each['metadata']['name']}: {line}" for line in _key(_namespace(each), login["name"], None))
        if each["kind"] == "Secret":
            yield f"Secret {each['metadata']['name']} is part of the manifests: secrets are never committed"
        if each["kind"] == "RayJob":
            secret = each["spec"]["rayClusterSpec"].get("authOptions", {}).get("secretName")
            yield from (f"{each['metadata']['name']}: {line}" for line in _key(_namespace(each), str(secret), None))
        if each["kind"] in SERVING and _namespace(each) in of_runs:
            yield (
                f"{each['kind']} {each['metadata']['name']} stands in a namespace of runs, whose code may change Pods "
                "there and take every Secret"
            )
    for pod in found:
        yield from (f"{pod.name}: {line}" for line in _of_pod(pod, names))
    yield from _unselected(objects, names)


def _namespace(each: dict[str, Any]) -> str:
    return str(each["metadata"].get("namespace", "default"))


def _of_pod(pod: Pod, names: set[tuple[str, str, str]]) -> Iterator[str]:
    def there(kind: str, name: str) -> bool:
        return (kind, pod.namespace, name) in names

    account = pod.spec.get("serviceAccountName")
    if not there("ServiceAccount", str(account)):
        yield f"ServiceAccount {account} is not there"
    for volume in pod.spec.get("volumes", ()):
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        if claim and not there("PersistentVolumeClaim", claim) and claim not in CLAIMS:
            yield f"PersistentVolumeClaim {claim} is not there"
        config = volume.get("configMap", {}).get("name")
        if config and not there("ConfigMap", config):
            yield f"ConfigMap {config} is not there"
        if secret := volume.get("secret"):
            for item in secret.get("items", ()):
                yield from _key(pod.namespace, secret["secretName"], item["key"])
    volumes = {volume["name"] for volume in pod.spec.get("volumes", ())}
    for container in pod.containers:
        for mount in container.get("volumeMounts", ()):
            if mount["name"] not in volumes:
                yield f"container {container['name']} mounts {mount['name']}, which is no volume of the Pod"
        for source in container.get("envFrom", ()):
            if "secretRef" in source:
                yield from _key(pod.namespace, source["secretRef"]["name"], None)
            if "configMapRef" in source and not there("ConfigMap", source["configMapRef"]["name"]):
                yield f"ConfigMap {source['configMapRef']['name']} is not there"
        for variable in container.get("env", ()):
            if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                yield from _key(pod.namespace, reference["name"], reference["key"])


def _key(namespace: str, secret: str, key: str | None) -> Iterator[str]:
    given = SECRETS.get(namespace, {})
    if secret not in given:
        yield f"Secret {secret} is not among those that the user makes in {namespace}"
    elif key is not None and key not in given[secret]:
        yield f"Secret {secret} has no key {key}"


def _unselected(objects: list[dict[str, Any]], names: set[tuple[str, str, str]]) -> Iterator[str]:
    """Services and roles that lead nowhere."""
    deployments = [each for each in objects if each["kind"] == "Deployment"]
    for each in objects:
        name = each["metadata"]["name"]
        if each["kind"] == "Service":
            wanted = each["spec"]["selector"].items()
            pods = [one["spec"]["template"] for one in deployments if _namespace(one) == _namespace(each)]
            chosen = [pod for pod in pods if wanted <= pod["metadata"]["labels"].items()]
            ports = {port["name"] for pod in chosen for part in pod["spec"]["containers"] for port in part["ports"]}
            if not {port["targetPort"] for port in each["spec"]["ports"]} <= ports:
                yield f"Service {name} leads to no port of a Pod"
        if each["kind"] == "Role" and not any(rule.get("verbs") for rule in each.get("rules") or ()):
            yield f"Role {name} allows nothing"
        if each["kind"] == "RoleBinding" and ("Role", _namespace(each), each["roleRef"]["name"]) not in names:
            yield f"RoleBinding {name}: Role {each['roleRef']['name']} is not there"
