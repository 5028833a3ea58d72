"""Every line of Pod Security "restricted", broken one by one."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from k8s.restricted import problems

GOOD: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {"name": "one", "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
    ],
    "volumes": [{"name": "tmp", "emptyDir": {}}],
}


def changed(where: str, **fields: Any) -> dict[str, Any]:
    spec = copy.deepcopy(GOOD)
    parts = {"spec": spec, "pod": spec["securityContext"], "container": spec["containers"][0]}
    parts["own"] = spec["containers"][0]["securityContext"]
    parts[where].update(fields)
    return spec


def test_what_keeps_the_rules_is_taken() -> None:
    assert list(problems(GOOD)) == []
    bound = {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}
    assert list(problems(changed("own", **bound))) == []
    assert list(problems(changed("own", runAsNonRoot=True) | {"securityContext": GOOD["securityContext"]})) == []


def test_a_container_may_say_for_itself_what_the_pod_does_not() -> None:
    spec = changed("own", runAsNonRoot=True, seccompProfile={"type": "RuntimeDefault"})
    assert list(problems(spec | {"securityContext": {}})) == []
    assert len(list(problems(copy.deepcopy(GOOD) | {"securityContext": {}}))) == 2


@pytest.mark.parametrize(
    ("where", "fields"),
    [
        ("spec", {"hostNetwork": True}),
        ("spec", {"hostPID": True}),
        ("spec", {"hostIPC": True}),
        ("spec", {"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}),
        ("spec", {"volumes": [{"name": "x", "nfs": {"server": "a", "path": "/"}}]}),
        ("pod", {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}),
        ("pod", {"runAsUser": 0}),
        ("pod", {"runAsNonRoot": False}),
        ("pod", {"seccompProfile": {"type": "Unconfined"}}),
        ("pod", {"seLinuxOptions": {"type": "spc_t"}}),
        ("pod", {"appArmorProfile": {"type": "Unconfined"}}),
        ("pod", {"windowsOptions": {"hostProcess": True}}),
        ("own", {"privileged": True}),
        ("own", {"allowPrivilegeEscalation": True}),
        ("own", {"capabilities": {}}),
        ("own", {"capabilities": {"drop": ["ALL"], "add": ["SYS_PTRACE"]}}),
        ("own", {"procMount": "Unmasked"}),
        ("own", {"runAsUser": 0}),
        ("own", {"runAsNonRoot": False}),
        ("own", {"seccompProfile": {"type": "Unconfined"}}),
        ("container", {"ports": [{"containerPort": 80, "hostPort": 80}]}),
        ("container", {"securityContext": {}}),
        ("spec", {"initContainers": [{"name": "init"}]}),
        ("spec", {"ephemeralContainers": [{"name": "debug"}]}),
    ],
)
def test_what_breaks_a_rule_is_refused(where: str, fields: dict[str, Any]) -> None:
    assert list(problems(changed(where, **fields)))
