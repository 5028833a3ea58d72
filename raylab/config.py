"""Configs: strict, frozen values from YAML, whose every problem is listed at once.

    load(TransferMatrix, Path("digits.yaml"), ["attack.eps=0.25", "seeds=[0, 1]"])

pydantic alone would stop at the first rule of a model (`@model_validator(mode="after")`), and run none of them beside a
wrong field. So where anything is wrong, every rule is run once more, alone, on a model that lacks the wrong fields: a
rule that reads one of those cannot be judged and is passed over, all others are heard.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML

from raylab import document
from raylab.document import ConfigError, Document, Place, Problem, dotted
from raylab.identity import canonical

__all__ = ["Config", "ConfigError", "as_dict", "load", "to_yaml"]

Model = TypeVar("Model", bound=BaseModel)
_ABSENT = object()

RULES = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "finite_number": "must be a finite number",
    "missing": "is required",
    "extra_forbidden": "unknown key",
    "invalid_key": "keys must be text",
} | dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "must be `key: value` lines")


class Config(BaseModel):
    """A frozen value that coerces nothing and refuses keys it does not know."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


def as_dict(config: BaseModel) -> dict[str, Any]:
    """What identifies the config, as plain values: fields declared with `exclude=True` say where, and are left out."""
    return dict(canonical(config))


def to_yaml(config: BaseModel) -> str:
    """The same as YAML text that `load` reads back."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.width = None, 100
    yaml.representer.sort_base_mapping_type_on_output = False  # the order of the fields
    stream = io.StringIO()
    yaml.dump(as_dict(config), stream)
    return stream.getvalue()


def load(
    model: type[Model],
    source: Path | str,  # a file, or YAML text
    overrides: Sequence[str] = (),  # key.path=value
    origin: str | None = None,  # what messages call the source; None: the file's path
) -> Model:
    """Raises ConfigError with every problem, each as `file:line: dotted.path: rule, got value; remedy`."""
    problems: list[Problem] = []
    try:
        read = document.read(source, origin)
    except ConfigError as error:
        for text in overrides:  # what they say about the file's keys waits until there are any
            _override(model, Document("", {}), text, problems)
        raise ConfigError(error.problems + ConfigError.of(problems).problems) from error
    for text in overrides:
        _override(model, read, text, problems)
    try:
        loaded = model.model_validate(read.values)
    except ValidationError as error:
        problems += _field_problems(model, read, error)
        bad = {_place(model, read.values, e["loc"]) for e in error.errors() if not _is_rule(e)}
        _judge(model, read.values, (), bad, read, problems)
    else:
        if not problems:
            return loaded
    raise ConfigError.of(problems)


# -- the command line


def _override(model: type[BaseModel], read: Document, text: str, problems: list[Problem]) -> None:
    try:
        place, value = document.override(text)
    except ValueError as error:
        problems.append((document.COMMAND_LINE, 0, str(error)))
        return
    inside: dict[str, Any] = read.values
    annotation: Any = model
    for depth, key in enumerate(place[:-1], start=1):
        default = _default(_model(annotation, inside), key)
        annotation = _inner(annotation, inside, key)
        if key not in inside and isinstance(default, BaseModel):
            tags = {tag for m in _models(annotation) if len(_models(annotation)) > 1 for tag in _tags(m)}
            inside[str(key)] = {} if place[depth] in tags else _written(default)
        inside = inside.setdefault(str(key), {})
        if not isinstance(inside, dict):
            what = f"has no keys of its own, got {dotted(place)}; set {dotted(place[:depth])} as a whole"
            problems.append((document.COMMAND_LINE, 0, f"{dotted(place[:depth])}: {what}"))
            return
    inside[str(place[-1])] = value
    read.overridden.add(place)


def _default(model: type[BaseModel] | None, key: str | int) -> object:
    field = model.model_fields.get(str(key)) if model else None
    return field.get_default(call_default_factory=True) if field and not field.is_required() else None


def _written(value: BaseModel) -> dict[str, Any]:
    """The shortest mapping that makes this value: what a file would say, so that one of its keys can be changed."""
    short = {
        name: _written(item) if isinstance(item := getattr(value, name), BaseModel) else item
        for name in type(value).model_fields
    }
    for name in [name for name in short if name not in _tags(type(value))]:
        shorter = {key: item for key, item in short.items() if key != name}
        try:
            if type(value).model_validate(shorter) == value:
                short = shorter
        except ValidationError:
            continue
    return short


# -- types


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models that a value of this type may be."""
    if get_origin(annotation) is Annotated:
        return _models(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [model for one in get_args(annotation) for model in _models(one)]
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []


def _tags(model: type[BaseModel]) -> dict[str, object]:
    """Fields with one possible value: what tells the models of a union apart."""
    literals = {n: get_args(f.annotation) for n, f in model.model_fields.items() if get_origin(f.annotation) is Literal}
    return {name: values[0] for name, values in literals.items() if len(values) == 1}


def _model(annotation: Any, values: Any) -> type[BaseModel] | None:
    """The model that these values are meant for, of a union the one with their tag."""
    models = _models(annotation)
    if len(models) > 1 and isinstance(values, dict):
        models = [m for m in models if any(values.get(tag) == value for tag, value in _tags(m).items())]
    return models[0] if len(models) == 1 else None


def _inner(annotation: Any, values: Any, key: str | int) -> Any:
    """The type of what lies under a key or a position; None where the types do not tell."""
    if model := _model(annotation, values):
        field = model.model_fields.get(str(key))
        return field.annotation if field else None
    if get_origin(annotation) is Annotated:
        return _inner(get_args(annotation)[0], values, key)
    if get_origin(annotation) in (Union, UnionType):
        return next((t for one in get_args(annotation) if (t := _inner(one, values, key)) is not None), None)
    if get_origin(annotation) is tuple and isinstance(key, int):
        types = get_args(annotation)
        return types[0] if types[-1] is ... else types[min(key, len(types) - 1)]
    return None


def _place(model: type[BaseModel], values: Any, location: Sequence[str | int]) -> Place:
    """The keys of an error's location, without the tags and type names that pydantic puts between them."""
    place, annotation = [], model
    steps = iter(location)
    for step in steps:
        if isinstance(values, dict) and len(_models(annotation)) > 1:
            step = next(steps, None)
        if (isinstance(step, str) and isinstance(values, dict)) or (isinstance(step, int) and isinstance(values, tuple)):
            place.append(step)
            annotation = _inner(annotation, values, step)
            values = values.get(step) if isinstance(values, dict) else values[step : step + 1]
    return tuple(place)
