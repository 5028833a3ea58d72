"""All that is wrong with a place and its run, by every check."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k8s.pods import pods
from k8s.rendered import spoken

from k8s import (
    commands,
    core_kinds,
    crds,
    flow_list,
    house_rules,
    operator_rules,
    quota,
    references,
    restricted,
    sites,
    versions,
)


def problems(objects: list[dict[str, Any]], place: str) -> list[str]:
    """`Kind/name: problem`, each check's own. Where KubeRay's definitions are not at hand the others judge alone."""
    schemas = [f"{spoken(each)}: {line}" for each in objects for line in schema_problems(each)]
    if schemas:  # the other checks read fields whose types the schemas vouch for
        return schemas
    return [*_of_rayjobs(objects), *_of_pods(objects), *flow_list.problems(objects, place)]


def schema_problems(each: dict[str, Any]) -> list[str]:
    group, _, version = each["apiVersion"].partition("/")
    if group == "ray.io":
        found = crds.definition(each["kind"], version).problems(each) if crds.at_hand() else []
        return found + core_kinds.metadata_problems(each)
    if core_kinds.knows(each["apiVersion"], each["kind"]):
        return core_kinds.problems(each)
    return [] if each["kind"] == "PodMonitor" else [f"no schema for {each['apiVersion']} {each['kind']}"]


def _of_rayjobs(objects: list[dict[str, Any]]) -> Iterator[str]:
    for job in (each for each in objects if each["kind"] == "RayJob"):
        yield from (f"{spoken(job)}: {line}" for line in operator_rules.problems(job))
        yield from (f"{spoken(job)}: {line}" for line in house_rules.of_rayjob(job))


def _of_pods(objects: list[dict[str, Any]]) -> Iterator[str]:
    found = list(pods(objects))
    for pod in found:
        yield from (f"{pod.name}: Pod Security refuses it: {line}" for line in restricted.problems(pod.spec))
    yield from house_rules.of_pods(found)
    yield from quota.problems(objects, found)
    yield from references.problems(objects, found)
    yield from versions.problems(objects, found)
    yield from commands.problems(objects, found)
    yield from sites.problems(objects, found)
