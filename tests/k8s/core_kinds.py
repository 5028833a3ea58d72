"""Kubernetes' own kinds against the schemas that kubernetes-validate carries, unknown fields refused."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import kubernetes_validate

KUBERNETES = "1.36"  # what Pod Security is pinned to in k8s/base/platform/namespace.yaml


def problems(each: dict[str, Any]) -> list[str]:
    """The first problem of an object, or none."""
    return _problems(json.dumps(each, sort_keys=True))


@cache  # of a place and its changed copies, nearly all objects are the same
def _problems(text: str) -> list[str]:
    try:
        kubernetes_validate.validate(json.loads(text), KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}"]
    return []


@cache
def knows(api_version: str, kind: str) -> bool:
    try:
        kubernetes_validate.validate({"apiVersion": api_version, "kind": kind}, KUBERNETES, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        return False
    except kubernetes_validate.ValidationError:
        pass
    return True


def metadata_problems(each: dict[str, Any]) -> list[str]:
    """Of a custom resource, whose definition leaves its metadata to the API server."""
    return problems({"apiVersion": "v1", "kind": "ConfigMap", "metadata": each.get("metadata", {})})
