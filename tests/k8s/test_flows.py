"""The flows of each place, and the semantics of NetworkPolicies on small ones."""

from __future__ import annotations

from typing import Any

import pytest
from k8s.flows import End, Port, allowed, selected
from k8s.rendered import PLACES, RUNS, place

from k8s import flow_list

WEB, DB = End("web", "shop", {"app": "web"}), End("db", "shop", {"app": "db"}, ports={"sql": 5432})
OTHER, ADDRESS = End("other", "bank", {"app": "web"}), End("address", address="10.1.2.3")
SQL = Port("TCP", 5432)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("name", PLACES)
def test_a_place_lets_through_exactly_its_list(name: str, run: str) -> None:
    assert flow_list.computed(place(name, run)) == flow_list.EXPECTED[name]


def policy(pods: dict[str, Any], **rules: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "shop"}, "spec": {"podSelector": pods, **rules}}


def test_without_policies_all_may_speak() -> None:
    assert allowed([], WEB, DB, SQL)
    assert allowed([], OTHER, DB, Port("UDP", 1))


def test_both_ends_must_allow_it() -> None:
    leave = policy({"matchLabels": {"app": "web"}}, policyTypes=["Egress"], egress=[{"to": [{"podSelector": {}}]}])
    enter = policy({"matchLabels": {"app": "db"}}, policyTypes=["Ingress"], ingress=[])
    assert allowed([leave], WEB, DB, SQL)
    assert not allowed([leave, enter], WEB, DB, SQL)
    assert allowed([leave, enter], DB, WEB, SQL)


def test_policies_add_up() -> None:
    deny = policy({}, policyTypes=["Ingress", "Egress"])
    enter = policy({}, policyTypes=["Ingress"], ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}])
    leave = policy({}, egress=[{"ports": [{"port": 5432}]}], policyTypes=["Egress"])
    assert not allowed([deny], WEB, DB, SQL)
    assert not allowed([deny, enter], WEB, DB, SQL)
    assert allowed([deny, enter, leave], WEB, DB, SQL)
    assert not allowed([deny, enter, leave], WEB, DB, Port("TCP", 22))


def test_a_selector_of_pods_alone_is_of_its_own_namespace() -> None:
    enter = [{"podSelector": {"matchLabels": {"app": "web"}}}]
    anywhere = [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}]
    assert not allowed([policy({}, ingress=[{"from": enter}])], OTHER, DB, SQL)
    assert allowed([policy({}, ingress=[{"from": anywhere}])], OTHER, DB, SQL)
    # A dash more, and both lines stand on their own: any namespace, or any web here.
    two = [{"namespaceSelector": {}}, {"podSelector": {"matchLabels": {"app": "web"}}}]
    stranger = End("stranger", "bank")
    assert not allowed([policy({}, ingress=[{"from": anywhere}])], stranger, DB, SQL)
    assert allowed([policy({}, ingress=[{"from": two}])], stranger, DB, SQL)


def test_ports_are_numbers_names_and_ranges_of_a_protocol() -> None:
    def through(rule: dict[str, Any], port: Port) -> bool:
        return allowed([policy({}, ingress=[{"ports": [rule]}])], OTHER, DB, port)

    assert through({"port": "sql"}, SQL)
    assert not through({"port": "web"}, SQL)
    assert through({"port": 5000, "endPort": 6000}, SQL)
    assert not through({"port": 5432, "protocol": "UDP"}, SQL)
    assert through({"protocol": "TCP"}, SQL)


def test_a_block_of_addresses_has_holes_and_is_not_of_pods() -> None:
    def through(block: dict[str, Any], target: End) -> bool:
        return allowed([policy({}, policyTypes=["Egress"], egress=[{"to": [{"ipBlock": block}]}])], WEB, target, SQL)

    assert through({"cidr": "10.0.0.0/8"}, ADDRESS)
    assert not through({"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}, ADDRESS)
    assert not through({"cidr": "0.0.0.0/0"}, DB)


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [("In", ["web"], True), ("NotIn", ["web"], False), ("Exists", None, True), ("DoesNotExist", None, False)],
)
def test_expressions_select(operator: str, values: list[str] | None, expected: bool) -> None:
    expression: dict[str, Any] = {"key": "app", "operator": operator} | ({"values": values} if values else {})
    assert selected({"matchExpressions": [expression]}, {"app": "web"}) is expected


def test_without_types_a_policy_is_of_ingress_and_of_egress_where_it_has_rules() -> None:
    assert not allowed([policy({"matchLabels": {"app": "db"}})], WEB, DB, SQL)
    assert allowed([policy({"matchLabels": {"app": "db"}})], DB, WEB, SQL)
    assert not allowed([policy({}, egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}])], WEB, End("x", "bank"), SQL)
