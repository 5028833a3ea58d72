"""Which Pod may speak to what, computed from NetworkPolicies.

A connection needs both ends: the source's egress and the target's ingress. A Pod that no policy of a direction
selects is free in that direction; selected, it has the union of what its policies allow. An ipBlock is taken to speak
of addresses outside the cluster only: what it does to Pods is each network's own affair.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

Policy = dict[str, Any]


@dataclass(frozen=True)
class End:
    """A Pod (with a namespace), or an address outside the cluster."""

    name: str
    namespace: str | None = None
    labels: dict[str, str] = field(default_factory=dict, hash=False)
    address: str | None = None
    ports: dict[str, int] = field(default_factory=dict, hash=False)  # by name


@dataclass(frozen=True, order=True)
class Port:
    protocol: str
    number: int

    def __str__(self) -> str:
        return f"{self.protocol}/{self.number}"


def flows(policies: Sequence[Policy], ends: Sequence[End], ports: Sequence[Port]) -> Iterator[str]:
    """`source -> target TCP/5000` for all that is allowed, `source -> target all` where every port is."""
    for source, target in product(ends, ends):
        if source is target or source.namespace is None:
            continue
        open_ports = [port for port in ports if allowed(policies, source, target, port)]
        if len(open_ports) == len(ports):
            yield f"{source.name} -> {target.name} all"
        else:
            yield from (f"{source.name} -> {target.name} {port}" for port in open_ports)


def allowed(policies: Iterable[Policy], source: End, target: End, port: Port) -> bool:
    policies = list(policies)
    return _direction(policies, "Egress", source, target, target, port) and _direction(
        policies, "Ingress", target, source, target, port
    )


def _direction(policies: list[Policy], kind: str, this: End, other: End, target: End, port: Port) -> bool:
    """Do the policies on `this` end allow the `other`?"""
    selecting = [each for each in policies if _selects(each, this) and kind in _types(each["spec"])]
    if not selecting:
        return True
    rules = [rule for each in selecting for rule in each["spec"].get(kind.lower()) or ()]
    peers = "to" if kind == "Egress" else "from"
    namespaces = {each["metadata"]["namespace"] for each in selecting}
    return any(
        _any(rule.get(peers), lambda peer: _is(peer, other, namespaces))
        and _any(rule.get("ports"), lambda each: _covers(each, target, port))
        for rule in rules
    )


def _any(given: Sequence[Any] | None, matches: Any) -> bool:
    """An absent or empty list says "all"."""
    return not given or any(matches(each) for each in given)


def _selects(policy: Policy, end: End) -> bool:
    here = end.namespace == policy["metadata"].get("namespace", "default")
    return here and selected(policy["spec"].get("podSelector") or {}, end.labels)


def _types(spec: dict[str, Any]) -> list[str]:
    """Without policyTypes: Ingress, and Egress where it has rules."""
    return spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]


def _is(peer: dict[str, Any], end: End, namespaces: set[str]) -> bool:
    if "ipBlock" in peer:
        return end.address is not None and _within(peer["ipBlock"], ipaddress.ip_address(end.address))
    if end.namespace is None:
        return False
    if "namespaceSelector" in peer:
        labels = {"kubernetes.io/metadata.name": end.namespace}
        if not selected(peer["namespaceSelector"] or {}, labels):
            return False
    elif end.namespace not in namespaces:
        return False
    return selected(peer.get("podSelector") or {}, end.labels)


def _within(block: dict[str, Any], address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    inside = address in ipaddress.ip_network(block["cidr"])
    return inside and not any(address in ipaddress.ip_network(each) for each in block.get("except", ()))


def _covers(rule: dict[str, Any], target: End, port: Port) -> bool:
    if rule.get("protocol", "TCP") != port.protocol:
        return False
    first = rule.get("port")
    if first is None:
        return True
    if isinstance(first, str):  # a name, of the target's container
        return target.ports.get(first) == port.number
    return bool(first <= port.number <= rule.get("endPort", first))


def selected(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """matchLabels and matchExpressions, all of them."""
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_expression(each, labels) for each in selector.get("matchExpressions") or ())


def _expression(each: dict[str, Any], labels: dict[str, str]) -> bool:
    key, values = each["key"], each.get("values", ())
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[each["operator"]]
