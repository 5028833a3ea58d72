"""Whether what the manifests name is there: no schema sees a missing account, claim or key, and the Pod waits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from k8s.pods import Pod

# Secrets and claims are made by hand or by a tool for secrets, and never committed: the first lines of k8s/README.md.
SECRETS = {
    "raylab-ray-token": {"auth_token"},
    "raylab-object-store": {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"},
    "raylab-mlflow-database": {"uri"},
    "raylab-mlflow-admin": {"username", "password", "flask-secret-key", "basic_auth.ini"},
    "raylab-mlflow-login": {"username", "password"},
}
CLAIMS = {"raylab-data"}
# What Ray's autoscaler does: ray/autoscaler/_private/kuberay/node_provider.py, and v2's cloud provider.
DONE = {"raylab-autoscaler": {("pods", "get"), ("pods", "list"), ("rayclusters", "get"), ("rayclusters", "patch")}}


def problems(objects: list[dict[str, Any]], found: Iterable[Pod]) -> Iterator[str]:
    names = {(each["kind"], each["metadata"]["name"]) for each in objects}
    for each in objects:
        if each["kind"] == "Secret":
            yield f"Secret {each['metadata']['name']} is part of the manifests: secrets are never committed"
        if each["kind"] == "RayJob":
            secret = each["spec"]["rayClusterSpec"].get("authOptions", {}).get("secretName")
            if secret not in SECRETS:
                yield f"{each['metadata']['name']}: Secret {secret} is not among those that the user makes"
    for pod in found:
        yield from (f"{pod.name}: {line}" for line in _of_pod(pod, names))
    yield from _unselected(objects)


def _of_pod(pod: Pod, names: set[tuple[str, str]]) -> Iterator[str]:
    account = pod.spec.get("serviceAccountName")
    if ("ServiceAccount", account) not in names:
        yield f"ServiceAccount {account} is not there"
    for volume in pod.spec.get("volumes", ()):
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        if claim and ("PersistentVolumeClaim", claim) not in names and claim not in CLAIMS:
            yield f"PersistentVolumeClaim {claim} is not there"
        config = volume.get("configMap", {}).get("name")
        if config and ("ConfigMap", config) not in names:
            yield f"ConfigMap {config} is not there"
        if secret := volume.get("secret"):
            for item in secret.get("items", ()):
                yield from _key(secret["secretName"], item["key"])
    volumes = {volume["name"] for volume in pod.spec.get("volumes", ())}
    for container in pod.containers:
        for mount in container.get("volumeMounts", ()):
            if mount["name"] not in volumes:
                yield f"container {container['name']} mounts {mount['name']}, which is no volume of the Pod"
        for source in container.get("envFrom", ()):
            if "secretRef" in source:
                yield from _key(source["secretRef"]["name"], None)
            if "configMapRef" in source and ("ConfigMap", source["configMapRef"]["name"]) not in names:
                yield f"ConfigMap {source['configMapRef']['name']} is not there"
        for variable in container.get("env", ()):
            if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                yield from _key(reference["name"], reference["key"])


def _key(secret: str, key: str | None) -> Iterator[str]:
    if secret not in SECRETS:
        yield f"Secret {secret} is not among those that the user makes"
    elif key is not None and key not in SECRETS[secret]:
        yield f"Secret {secret} has no key {key}"


def _unselected(objects: list[dict[str, Any]]) -> Iterator[str]:
    """Services and roles that lead nowhere, or not far enough."""
    pods = [each["spec"]["template"] for each in objects if each["kind"] == "Deployment"]
    for each in objects:
        name = each["metadata"]["name"]
        if each["kind"] == "Service":
            wanted = each["spec"]["selector"].items()
            chosen = [pod for pod in pods if wanted <= pod["metadata"]["labels"].items()]
            ports = {port["name"] for pod in chosen for part in pod["spec"]["containers"] for port in part["ports"]}
            if not {port["targetPort"] for port in each["spec"]["ports"]} <= ports:
                yield f"Service {name} leads to no port of a Pod"
        if each["kind"] == "Role":
            rules = [rule for rule in each.get("rules") or () if rule.get("verbs")]
            may = {(what, verb) for rule in rules for what in rule["resources"] for verb in rule["verbs"]}
            if not may:
                yield f"Role {name} allows nothing"
            elif lacking := DONE.get(name, set()) - may:
                yield f"Role {name} does not allow {sorted(lacking)}"
        if each["kind"] == "RoleBinding":
            if not any(one["kind"] == "Role" and one["metadata"]["name"] == each["roleRef"]["name"] for one in objects):
                yield f"RoleBinding {name}: Role {each['roleRef']['name']} is not there"
            accounts = {one["metadata"]["name"] for one in objects if one["kind"] == "ServiceAccount"}
            for subject in each["subjects"]:
                if subject["kind"] == "ServiceAccount" and subject["name"] not in accounts:
                    yield f"RoleBinding {name}: ServiceAccount {subject['name']} is not there"
