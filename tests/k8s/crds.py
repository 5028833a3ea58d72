"""A custom resource against its CustomResourceDefinition, as an API server judges it when it is created.

In the server's order: nulls pruned, defaults applied, the OpenAPI schema with unknown fields refused (what `kubectl
apply` asks for), keys of list-maps unique, CEL rules. The definitions are KubeRay's own, in ../shared/k8s/crds beside
the checkout (or in the folder RAYLAB_CRDS).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import celpy
import jsonschema
import pytest
import yaml

Schema = dict[str, Any]

FOLDER = Path(os.environ.get("RAYLAB_CRDS") or Path(__file__).parents[3] / "shared" / "k8s" / "crds")
INTEGERS = {"int32": 31, "int64": 63}


class Definition:
    """One version of a kind."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.validator = jsonschema.Draft202012Validator(_closed(schema, root=True), format_checker=_formats())

    def problems(self, value: dict[str, Any]) -> list[str]:
        """All that an API server would refuse, each with its path."""
        value = defaulted(self.schema, value)
        found = [f"{_dotted(error.absolute_path)}: {error.message}" for error in self.validator.iter_errors(value)]
        return found + list(_repeated(self.schema, value, "")) + list(_broken_rules(self.schema, value, ""))


def at_hand() -> bool:
    return FOLDER.is_dir()


@cache
def definition(kind: str, version: str) -> Definition:
    """`definition("RayJob", "v1")`; skips the test where the definitions are not at hand."""
    path = FOLDER / f"ray.io_{kind.lower()}s.yaml"
    if not path.is_file():
        pytest.skip(f"no {path}: KubeRay's definitions (v1.7.0) are not part of this repository; set RAYLAB_CRDS")
    # libyaml: 1.4 MB in a second, in place of a minute.
    file = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    (found,) = [each for each in file["spec"]["versions"] if each["name"] == version]
    assert found["served"]
    return Definition(found["schema"]["openAPIV3Schema"])


def defaulted(schema: Schema, value: Any) -> Any:
    """A copy without nulls (where none is allowed) and with the schema's defaults, from the outside in."""
    if isinstance(value, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        kept = {name: each for name, each in value.items() if each is not None or _nullable(properties.get(name, {}))}
        missing = {name: each["default"] for name, each in properties.items() if "default" in each and name not in kept}
        return {
            name: defaulted(properties.get(name) or (others if isinstance(others, dict) else {}), each)
            for name, each in (kept | missing).items()
        }
    if isinstance(value, list):
        return [defaulted(schema.get("items", {}), each) for each in value]
    return value


def _closed(schema: Any, root: bool = False) -> Any:
    """Without unknown fields. metadata of the object itself is not the definition's to describe."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {
        key: {name: _closed(each) for name, each in inner.items()} if key == "properties" else _closed(inner)
        for key, inner in schema.items()
        if key not in ("default", "x-kubernetes-validations", "description")
    }
    free = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if schema.get("type") == "object" and not free:
        closed["additionalProperties"] = False
    if _nullable(schema) and "type" in schema:
        closed["type"] = [schema["type"], "null"]
    if root:
        closed["properties"]["metadata"] = {"type": "object"}
    return closed


def _nullable(schema: Schema) -> bool:
    return bool(schema.get("nullable"))


def _formats() -> jsonschema.FormatChecker:
    checker = jsonschema.FormatChecker(formats=())
    for name, bits in INTEGERS.items():
        checker.checks(name)(_fits(bits))
    return checker


def _fits(bits: int) -> Callable[[object], bool]:
    return lambda number: not isinstance(number, int) or -(2**bits) <= number < 2**bits


def _repeated(schema: Schema, value: Any, path: str) -> Iterator[str]:
    """Items of a list that is a map by some keys, or a set, and names one twice."""
    kind, seen = schema.get("x-kubernetes-list-type"), []
    if isinstance(value, list) and kind in ("map", "set"):
        keys = schema.get("x-kubernetes-list-map-keys", ())
        for item in value:
            identity = [item.get(key) for key in keys] if kind == "map" and isinstance(item, dict) else item
            if identity in seen:
                yield f"{path}: Duplicate value {identity}"
            seen.append(identity)
    for name, inner, each in _inside(schema, value):
        yield from _repeated(inner, each, f"{path}.{name}".lstrip("."))


def _broken_rules(schema: Schema, value: Any, path: str) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        # A rule that speaks of the value before is one of changes: none is asked when an object is created.
        if "oldSelf" not in rule["rule"] and not _holds(rule["rule"], value):
            yield f"{path}: {rule.get('message', rule['rule'])}"
    for name, inner, each in _inside(schema, value):
        yield from _broken_rules(inner, each, f"{path}.{name}".lstrip("."))


def _inside(schema: Schema, value: Any) -> Iterator[tuple[str | int, Schema, Any]]:
    if isinstance(value, dict):
        others = schema.get("additionalProperties")
        for name, each in value.items():
            inner = schema.get("properties", {}).get(name) or others
            if isinstance(inner, dict):
                yield name, inner, each
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield number, schema.get("items", {}), each


def _holds(rule: str, value: Any) -> bool:
    return bool(_program(rule).evaluate({"self": celpy.json_to_cel(value)}))


@cache
def _program(rule: str) -> celpy.Runner:
    environment = celpy.Environment()
    return environment.program(environment.compile(rule))


def _dotted(path: Any) -> str:
    return ".".join(map(str, path))
