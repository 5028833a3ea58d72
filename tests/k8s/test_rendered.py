"""What can render the manifests, and how their quantities and values are read."""

from __future__ import annotations

import copy
import json

import pytest
from k8s.quantities import amount
from k8s.rendered import place, too_old

from k8s import findings


@pytest.mark.parametrize(
    ("version", "taken"), [("v1.20.15", False), ("v1.9.0", False), ("v1.21.0", True), ("v1.32.4-dispatcher", True)]
)
def test_a_kubectl_whose_kustomize_has_no_components_is_named(version: str, taken: bool) -> None:
    said = too_old(json.dumps({"clientVersion": {"gitVersion": version}}))
    assert (said == "") is taken
    assert taken or (version in said and "1.21 or newer" in said)
    assert "no version" in too_old("error: unknown flag")


@pytest.mark.parametrize(
    ("quantity", "number"),
    [("1Ei", 2.0**60), ("1E", 1e18), ("1e3", 1e3), ("2E-1", 0.2), ("100m", 0.1), ("5u", 5e-6), ("1.5Pi", 1.5 * 2**50)],
)
def test_a_legal_quantity_is_read(quantity: str, number: float) -> None:
    assert amount(quantity) == pytest.approx(number)


@pytest.mark.parametrize("quantity", ["8GB", "1ei", "1e3Ki", "", "Gi", "1 Gi", "one"])
def test_what_kubernetes_would_not_read_is_refused(quantity: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        amount(quantity)


def test_a_value_that_comes_from_a_secret_is_no_error_of_ours() -> None:
    objects = copy.deepcopy(place("kueue"))
    (job,) = [each for each in objects if each["kind"] == "RayJob"]
    (head,) = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"]
    (uri,) = [each for each in head["env"] if each["name"] == "MLFLOW_TRACKING_URI"]
    del uri["value"]
    uri["valueFrom"] = {"secretKeyRef": {"name": "raylab-object-store", "key": "AWS_REGION"}}
    assert findings.problems(objects, "kueue") == []
