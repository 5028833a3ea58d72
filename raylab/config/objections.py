"""What is said about a wrong value: the rule, what was given, and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from raylab.config import schema
from raylab.config.document import Document, did_you_mean, dotted, parse
from raylab.config.schema import Models
from raylab.config.yaml12 import Place, YAMLProblem
from raylab.engine.redaction import redacted

RULE_FAILED = ("value_error", "assertion_error")  # pydantic's names for what a validator has raised

RULES = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "none_required": "must be null",
    "finite_number": "must be a finite number",
} | dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "must be `key: value` lines")
NAME_PATTERN = re.compile(r"\^\[A-Za-z0-9_\. -\]\{1,(\d+)\}\$")  # of what a pattern allows, the usual case
LONGEST = 60  # characters of a value in a message
MOST_NAMES = 20


def objections(model: type[BaseModel], read: Document, place: Place, errors: Sequence[ErrorDetails]) -> list[str]:
    """Lines for people about errors of pydantic's at one place; one line where every type of a union is missed."""
    missed = [error for error in errors if error["type"] in RULES]
    if len(missed) < 2:
        return [_line(model, read, place, error) for error in errors]
    wanted = " or ".join(dict.fromkeys(RULES[error["type"]].removeprefix("must be ") for error in missed))
    lines = [_line(model, read, place, error) for error in errors if error not in missed]
    remedy = _section(model, read, place, missed[0]["input"]) or _default(model, read.values, place)
    return [*lines, _said(f"must be {wanted}", missed[0]["input"], remedy)]


def reason(error: ValueError | AssertionError) -> str:
    """What a rule or a plan says. A value that it makes of others may break rules of its own, in pydantic's words."""
    if not isinstance(error, ValidationError):
        return str(error)
    told = [(dotted(tuple(one["loc"])), _said(_rule(one), one["input"], "")) for one in error.errors()]
    return "; ".join(f"{place}: {line}" if place else line for place, line in told)


def _line(model: type[BaseModel], read: Document, place: Place, error: ErrorDetails) -> str:
    kind, given, details = error["type"], error["input"], error.get("ctx", {})
    if kind in RULE_FAILED:
        return reason(details["error"])
    if kind == "extra_forbidden":
        return f"unknown key; {_known(model, read.values, place)}"
    if kind == "missing":
        return "required, got nothing; add it"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _tag(schema.models(schema.descend(model, read.values, place[:-1])[0]), str(place[-1]), given)
    remedy = _remedy(kind, given, re.findall(r"'([^']*)'", str(details.get("expected", ""))))
    remedy = remedy or _section(model, read, place, given) or _default(model, read.values, place)
    return _said(_rule(error), given, remedy)


def _rule(error: ErrorDetails) -> str:
    kind, details = error["type"], error.get("ctx", {})
    if kind in RULE_FAILED:
        return reason(details["error"])
    if kind in ("too_short", "too_long"):
        most = "at least" if kind == "too_short" else "at most"
        count = details.get("min_length" if kind == "too_short" else "max_length")
        return f"must have {most} {count} item{'s' * (count != 1)}"
    if kind == "string_pattern_mismatch":
        named = NAME_PATTERN.fullmatch(details["pattern"])
        return f'must be 1 to {named[1]} letters, digits, spaces or any of "_.-"' if named else str(error["msg"])
    return RULES.get(kind) or str(error["msg"]).replace("Input should", "must")


def _said(rule: str, given: object, remedy: str) -> str:
    if "got " not in rule:  # what a rule of ours has said itself
        rule = f"{rule}, got {shown(given)}"
    return rule + (f"; {remedy}" if remedy else "")


def shown(value: object) -> str:
    """As one would write it in a file, on one line; text in quotes."""
    text = redacted(json.dumps(value, ensure_ascii=False, default=str))  # before it is cut
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _known(model: type[BaseModel], values: Any, place: Place) -> str:
    """The key that may have been meant: here, or elsewhere by the same name; else all there are."""
    here = schema.model_for(*schema.descend(model, values, place[:-1]))
    names = list(here.model_fields) if here else []
    if close := did_you_mean(place[-1], names):
        return close
    elsewhere = [name for name in schema.named(model, str(place[-1])) if name != dotted(place)]
    if elsewhere:
        return f"did you mean {elsewhere[0]}?"
    return f"known here: {', '.join(names)}"


def _section(model: type[BaseModel], read: Document, place: Place, given: Any) -> str:
    """A remedy where a section was given a single value: the key that takes it, else all there are."""
    several = schema.models(schema.descend(model, read.values, place)[0])
    if not several or isinstance(given, dict | tuple):
        return ""
    for one in several:
        for name, field in one.model_fields.items():
            if isinstance(given, str) and given in schema.choices(field.annotation):
                here = dotted((*place, name))
                return f"write {here}={given}" if place in read.overridden else f"write {{{name}: {given}}}"
    names = list(dict.fromkeys(name for one in several for name in one.model_fields))
    tag = schema.tags(several)
    if tag and isinstance(given, str):
        known = [choice for one in several for choice in schema.choices(one.model_fields[tag[0]].annotation)]
        if close := did_you_mean(given, known):
            return f"{close.removesuffix('?')}, as {dotted((*place, tag[0]))}?"
    return f"its keys are {', '.join(names[:MOST_NAMES])}"


def _tag(models: Models, tag: str, given: Any) -> str:
    choices = [choice for model in models for choice in schema.choices(model.model_fields[tag].annotation)]
    if tag not in given:
        return f"required, got nothing; one of {', '.join(choices)}"
    return _said(f"must be one of {', '.join(choices)}", given[tag], did_you_mean(given[tag], choices) or "")


def _remedy(kind: str, given: Any, choices: Sequence[str]) -> str:
    if choices:
        return did_you_mean(given, choices) or ""
    if kind in ("int_type", "float_type") and isinstance(given, str) and _number(given):
        return "remove the quotes"
    if kind == "int_type" and isinstance(given, float) and given.is_integer():
        return f"write {int(given)}"
    if kind == "bool_type" and str(given).lower() in ("yes", "no", "on", "off"):
        return f"write {'true' if str(given).lower() in ('yes', 'on') else 'false'}"
    if kind == "string_type" and isinstance(given, int | float):
        return f'write "{shown(given)}"'
    if kind == "tuple_type" and not isinstance(given, dict | None):
        return f"write [{given if isinstance(given, str) else shown(given)}]"
    return ""


def _number(text: str) -> bool:
    try:
        return isinstance(parse(text), int | float)
    except YAMLProblem:
        return False


def _default(model: type[BaseModel], values: Any, place: Place) -> str:
    """The default of a field as a remedy, where it is short enough to be one."""
    if not place:
        return ""
    field = schema.field_of(*schema.descend(model, values, place[:-1]), place[-1])
    if field is None or field.is_required() or isinstance(field.default, BaseModel | None):
        return ""
    return f"the default is {shown(field.get_default(call_default_factory=True))}"
