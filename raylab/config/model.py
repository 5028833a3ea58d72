"""Configs: strict, frozen values from YAML, whose every problem is listed at once.

    load(TransferMatrix, Path("digits.yaml"), ["attack.eps=0.25", "seeds=[0, 1]"])

pydantic alone stops at the first rule of a model (`@model_validator(mode="after")`), and hears none beside a wrong
field. So where anything is wrong, every rule is asked once more, alone, about a model that lacks the wrong fields: one
that reads such a field cannot be judged and is passed over, all others count.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML

from raylab.config import document, schema
from raylab.config.document import COMMAND_LINE, ConfigError, Document, Problem, dotted
from raylab.config.objections import RULE_FAILED, objections, reason
from raylab.config.yaml12 import Place
from raylab.engine.identity import canonical

__all__ = ["AnyValue", "Config", "ConfigError", "as_dict", "load", "to_yaml"]

Model = TypeVar("Model", bound=BaseModel)
RULE_ERRORS = (ValueError, AssertionError)
_ABSENT = object()


STRICT = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class Config(BaseModel):
    """A frozen value that coerces nothing and refuses keys it does not know."""

    model_config = STRICT


def _finite(value: Any) -> Any:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for item in items:
        _finite(item)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"must be a finite number, got {value}; write one")
    return value


AnyValue = Annotated[Any, AfterValidator(_finite)]  # of a file, where the type is another config's affair


def as_dict(config: BaseModel) -> dict[str, Any]:
    """What identifies a config, as plain values: fields declared with `exclude=True` say where, and are left out."""
    return dict(canonical(config))


def to_yaml(config: BaseModel) -> str:
    """The same as YAML, which `load` reads back."""
    return _dumped(as_dict(config), flow=None)


def as_yaml(plain: Mapping[str, Any]) -> str:
    """What JSON can say, as YAML."""
    return _dumped(dict(plain), flow=None)


def to_yaml_value(value: Any) -> str:
    """A value of a config on one line, as it stands in a file."""
    return _dumped(canonical(value), flow=True).removesuffix("...\n").strip()


def _dumped(value: Any, flow: bool | None) -> str:
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.width = flow, 10_000  # short lists on one line, which is never folded
    yaml.representer.sort_base_mapping_type_on_output = False  # the order of the fields
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()


def load(
    model: type[Model],
    source: Path | str,  # a file, or YAML text
    overrides: Sequence[str] = (),  # key.path=value, in YAML 1.2
    origin: str = "",  # what messages call the source; "": the file's path
) -> Model:
    """Raises ConfigError with every problem, each as `file:line: dotted.path: rule, got value; remedy`."""
    changes, problems = list[tuple[Place, Any]](), list[Problem]()
    for text in overrides:
        try:
            changes.append(document.override(text))
        except ValueError as error:
            problems.append((COMMAND_LINE, 0, str(error)))
    try:
        read = document.read(source, origin)
    except ConfigError as error:
        raise ConfigError(error.problems + ConfigError.listing(problems).problems) from error
    for place, value in changes:
        problems += _change(model, read, place, value)
    try:
        loaded = model.model_validate(read.values)
    except ValidationError as error:
        problems += _problems(model, read, error.errors())
    else:
        if not problems:
            return loaded
    raise ConfigError.listing(problems)


def _change(model: type[BaseModel], read: Document, place: Place, value: Any) -> list[Problem]:
    """Set one value. A section that the file leaves out starts from its default, so that the rest of it stays."""
    annotation: Any = model
    inside: Any = read.values
    for depth, key in enumerate(place[:-1], start=1):
        field = schema.field_of(annotation, inside, key)
        annotation = schema.inner(annotation, inside, key)
        if key not in inside:
            default = field.get_default(call_default_factory=True) if field else None
            inside[key] = _section(default, schema.tags(schema.models(annotation)), place[depth])
        inside = inside[key]
        if not isinstance(inside, dict):
            here = dotted(place[:depth])
            return [(COMMAND_LINE, 0, f"{dotted(place)}: {here} has no keys of its own; set it whole, {here}=...")]
    inside[place[-1]] = value
    read.overridden.add(place)
    return []


def _section(default: object, tags: Sequence[str], key: str | int) -> dict[str, Any]:
    if isinstance(default, BaseModel) and key not in tags:  # another tag is another model, with defaults of its own
        return schema.written(default, tags)
    return dict(default) if isinstance(default, Mapping) else {}


def _problems(model: type[BaseModel], read: Document, errors: Sequence[ErrorDetails]) -> list[Problem]:
    placed = [(schema.place_of(model, read.values, error), error) for error in errors]
    lists = {place[:-1] for place, _ in placed if place}
    by_place: dict[Place, list[ErrorDetails]] = {}
    for place, error in placed:
        if not (error["type"] == "too_short" and place in lists):  # pydantic counts only the items that are right
            by_place.setdefault(place, []).append(error)
    listed = sorted(by_place, key=lambda place: read.problem(place, ""))  # as they will be
    told, untold = listed[: document.MOST_LISTED], listed[document.MOST_LISTED :]  # what was meant is asked for each
    found = [(place, line) for place in told for line in objections(model, read, place, by_place[place])]
    wrong = {
        place
        for place, here in by_place.items()
        if any(error["type"] not in RULE_FAILED for error in here)
        or not schema.models(schema.descend(model, read.values, place)[0])
    }
    _judge(model, read.values, (), wrong, found)
    found += [(place, "wrong") for place in untold]
    return [read.problem(*_pointed(model, read.values, place, text)) for place, text in found]


def _pointed(model: type[BaseModel], values: Any, place: Place, text: str) -> tuple[Place, str]:
    """The rule of a model first says whose it is: `eps: at most 1` of `attack` is about `attack.eps`."""
    head, colon, rest = text.partition(": ")
    owner = schema.model_for(*schema.descend(model, values, place))
    keys = tuple(head.split("."))
    return ((*place, *keys), rest) if colon and owner and keys[0] in owner.model_fields else (place, text)


def _judge(annotation: Any, values: Any, place: Place, wrong: set[Place], found: list[tuple[Place, str]]) -> Any:
    """Ask the rules of all models at and below a place. Returns the value there, _ABSENT where it is wrong."""
    if place in wrong:
        return _ABSENT
    if (model := schema.model_for(annotation, values)) is not None and isinstance(values, dict):
        return _judge_model(model, values, place, wrong, found)
    if not isinstance(values, dict | tuple):
        return values
    items = values.items() if isinstance(values, dict) else enumerate(values)
    judged = {
        key: _judge(schema.inner(annotation, values, key), item, (*place, key), wrong, found) for key, item in items
    }
    if any(item is _ABSENT for item in judged.values()):
        return _ABSENT
    return judged if isinstance(values, dict) else tuple(judged.values())


def _judge_model(
    model: type[BaseModel], values: dict[str, Any], place: Place, wrong: set[Place], found: list[tuple[Place, str]]
) -> Any:
    rules = {name: rule.info.mode for name, rule in model.__pydantic_decorators__.model_validators.items()}
    try:
        for name in [name for name, mode in rules.items() if mode == "before"]:
            values = getattr(model, name)(values)
    except RULE_ERRORS:
        return _ABSENT
    given = {}
    for name, field in model.model_fields.items():
        if name in values:
            given[name] = _made(field, _judge(field.annotation, values[name], (*place, name), wrong, found))
        elif not field.is_required():
            given[name] = field.get_default(call_default_factory=True)
    partial = model.model_construct(**{name: value for name, value in given.items() if value is not _ABSENT})
    for name in model.model_fields:
        if given.get(name, _ABSENT) is _ABSENT:
            partial.__dict__.pop(name, None)  # model_construct has put a default there
    for name in [name for name, mode in rules.items() if mode == "after"]:
        try:
            getattr(partial, name)()
        except ValidationError as error:  # of a value that is made of others: what is wrong with those says more
            if not found:
                found.append((place, reason(error)))
        except RULE_ERRORS as error:
            found.append((place, str(error)))
        except Exception:  # it reads a field that is absent
            continue
    return partial


def _plain(value: Any) -> bool:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else ()
    return not isinstance(value, BaseModel) and all(_plain(item) for item in items)


def _made(field: FieldInfo, value: Any) -> Any:
    """What pydantic makes of the value of a field: 8 is 8.0, and 8/255 a number, so that a rule says of a config with
    other faults what it says of one without. Of a model that lacks fields nothing can be made."""
    if value is _ABSENT or not _plain(value):
        return value
    try:
        return TypeAdapter(field.rebuild_annotation(), config=STRICT).validate_python(value)
    except ValidationError:
        return _ABSENT
