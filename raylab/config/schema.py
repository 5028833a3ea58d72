"""What the types of a config say about a place in it: which model, which type, which names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from raylab.config.yaml12 import Place

Models = list[type[BaseModel]]


def models(annotation: Any) -> Models:
    """The models that a value of this type may be: several in a union, none for plain values."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for one in _alternatives(annotation) if one is not annotation for model in models(one)]


def tags(several: Models) -> list[str]:
    """The fields that tell the models of a union apart: those with a closed set of values in each."""
    if len(several) < 2:
        return []
    shared = set.intersection(*(set(model.model_fields) for model in several))
    return [n for n in shared if all(get_origin(m.model_fields[n].annotation) is Literal for m in several)]


def model_for(annotation: Any, values: Any) -> type[BaseModel] | None:
    """The model that these values are meant for; of a union the one that has their tag."""
    fitting = models(annotation)
    for tag in tags(fitting):
        given = values.get(tag) if isinstance(values, dict) else None
        fitting = [model for model in fitting if given in get_args(model.model_fields[tag].annotation)]
    return fitting[0] if len(fitting) == 1 else None


def choices(annotation: Any) -> tuple[Any, ...]:
    """The closed set of values of a type; none where it is open."""
    return tuple(c for one in _alternatives(annotation) if get_origin(one) is Literal for c in get_args(one))


def field_of(annotation: Any, values: Any, key: str | int) -> FieldInfo | None:
    model = model_for(annotation, values)
    return model.model_fields.get(str(key)) if model else None


def inner(annotation: Any, values: Any, key: str | int) -> Any:
    """The type of what lies under a key or position; None where the types do not tell."""
    if models(annotation):
        field = field_of(annotation, values, key)
        return field.annotation if field else None
    for one in _alternatives(annotation):
        types = get_args(one)
        if get_origin(one) is tuple and isinstance(key, int):
            return types[0] if types[-1] is ... else types[min(key, len(types) - 1)]
        if get_origin(one) is dict:
            return types[1]
    return None


def below(values: Any, key: str | int) -> Any:
    """What lies under a key or position; None where nothing does."""
    if isinstance(values, dict):
        return values.get(key)
    return values[key] if isinstance(values, tuple) and isinstance(key, int) and key < len(values) else None


def descend(annotation: Any, values: Any, place: Place) -> tuple[Any, Any]:
    """Type and values at a place."""
    for key in place:
        annotation, values = inner(annotation, values, key), below(values, key)
    return annotation, values


def place_of(annotation: Any, values: Any, error: ErrorDetails) -> Place:
    """The keys and positions of an error of pydantic's, without the tags and names of types that stand between."""
    place: list[str | int] = []
    tagged = False  # the step that names the model of a union has been seen
    for step in error["loc"]:
        if not tagged and isinstance(values, dict) and _is_union(annotation):
            tagged = True
            continue
        if isinstance(values, dict) or (isinstance(values, tuple) and isinstance(step, int)):
            place.append(step)
            annotation, values, tagged = inner(annotation, values, step), below(values, step), False
    if error["type"].startswith("union_tag"):  # the key of the tag, not the model that lacks it
        place.append(str(error["ctx"]["discriminator"]).strip("'"))
    return tuple(place)


@cache
def keys(model: type[BaseModel]) -> tuple[str, ...]:
    """The dotted names of all fields, at every depth."""
    found = dict[str, None]()
    for name, field in model.model_fields.items():
        deeper = (key for one in models(field.annotation) for key in keys(one))
        found |= dict.fromkeys([name, *(f"{name}.{key}" for key in deeper)])
    return tuple(found)


def named(model: type[BaseModel], name: str) -> list[str]:
    """The dotted names of the keys whose last name this is, the nearest to the top first."""
    return sorted((key for key in keys(model) if key.rsplit(".", 1)[-1] == name), key=lambda key: key.count("."))


def annotation(model: type[BaseModel], key: str) -> Any:
    """The type of the key of a dotted name, of a union's models the first that has it."""
    found: Any = model
    for name in key.split("."):
        found = next(one.model_fields[name].annotation for one in models(found) if name in one.model_fields)
    return found


def written(value: BaseModel, kept: Sequence[str] = ()) -> dict[str, Any]:
    """The shortest mapping that makes this value, with the keys to be kept: what a file would say in its place."""
    model, short = type(value), dict[str, Any]()
    for name, field in model.model_fields.items():
        item = getattr(value, name)
        short[name] = written(item, tags(models(field.annotation))) if isinstance(item, BaseModel) else item
    for name in [name for name in short if name not in kept]:
        shorter = {key: item for key, item in short.items() if key != name}
        try:
            if model.model_validate(shorter) == value:
                short = shorter
        except ValidationError:
            continue  # it cannot do without
    return short


def _is_union(annotation: Any) -> bool:
    """Whether pydantic names the model of a value among several types: a model or None is no choice to it."""
    return bool(models(annotation)) and len([one for one in _alternatives(annotation) if one is not type(None)]) > 1


def _alternatives(annotation: Any) -> Sequence[Any]:
    """The members of a union, or the type itself."""
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [deeper for one in get_args(annotation) for deeper in _alternatives(one)]
    return [annotation]
