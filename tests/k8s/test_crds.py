"""The judge of custom resources on definitions small enough to know the answer."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from k8s.crds import Definition, defaulted, definition
from k8s.rendered import PLACES, RUNS, rayjob

SPEC: dict[str, Any] = {
    "type": "object",
    "required": ["most"],
    "properties": {
        "most": {"type": "integer", "format": "int32", "default": 3},
        "least": {"type": "integer", "format": "int32"},
        "note": {"type": "string", "nullable": True},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "amount": {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True},
        "ports": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["number", "protocol"],
            "items": {
                "type": "object",
                "properties": {"number": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}},
            },
        },
        "modes": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "kept": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]},
    },
    "x-kubernetes-validations": [
        {"rule": "!has(self.least) || self.least <= self.most", "message": "least above most"}
    ],
}
JUDGE = Definition({"type": "object", "properties": {"spec": SPEC, "metadata": {"type": "object"}}})


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"most": None},
        {"note": None},
        {"labels": {"a": "b"}},
        {"amount": "2Gi"},
        {"amount": 2},
        {"ports": [{"number": 1}, {"number": 1, "protocol": "UDP"}]},
        {"modes": ["a", "b"]},
        {"free": {"any": ["thing"]}},
        {"kept": "asked only when it changes"},
        {"least": 3},
        {"labels": None},
    ],
)
def test_what_an_api_server_takes_is_taken(spec: dict[str, Any]) -> None:
    assert JUDGE.problems({"metadata": {"name": "any"}, "spec": spec}) == []


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"moost": 1}, "'moost' was unexpected"),
        ({"most": "3"}, "not of type 'integer'"),
        ({"most": 2**31}, "is not a 'int32'"),
        ({"labels": {"a": 1}}, "not of type 'string'"),
        ({"amount": 1.5}, "is not valid under any"),
        ({"ports": [{"number": 1}, {"number": 1, "protocol": "TCP"}]}, "spec.ports: Duplicate value [1, 'TCP']"),
        ({"modes": ["a", "a"]}, "spec.modes: Duplicate value a"),
        ({"least": 4}, "spec: least above most"),
        ({"least": 2, "most": 1}, "spec: least above most"),
        ({"ports": [{"numbr": 1}]}, "'numbr' was unexpected"),
    ],
)
def test_what_an_api_server_refuses_is_refused(spec: dict[str, Any], found: str) -> None:
    problems = JUDGE.problems({"spec": spec})
    assert any(found in line for line in problems), problems


def test_defaults_come_after_nulls_are_pruned_and_reach_into_lists() -> None:
    value = {"most": None, "note": None, "ports": [{"number": 1}]}
    assert defaulted(SPEC, value) == {"most": 3, "note": None, "ports": [{"number": 1, "protocol": "TCP"}]}


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("name", PLACES)
def test_every_run_is_taken_by_kuberays_own_definition(name: str, run: str) -> None:
    assert definition("RayJob", "v1").problems(rayjob(name, run)) == []


def test_what_is_judged_is_not_changed() -> None:
    job = rayjob("small")
    before = copy.deepcopy(job)
    definition("RayJob", "v1").problems(job)
    assert job == before


def test_a_cluster_alone_is_judged_by_its_own_definition() -> None:
    metadata = {"name": "standing", "namespace": "raylab"}
    cluster = {"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": metadata}
    assert definition("RayCluster", "v1").problems(cluster | {"spec": rayjob("small")["spec"]["rayClusterSpec"]}) == []
    found = definition("RayCluster", "v1").problems(cluster | {"spec": {"rayVersion": "2.60.0"}})
    assert found == ["spec: 'headGroupSpec' is a required property"]
