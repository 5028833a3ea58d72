"""What a thing is: canonical JSON of plain values, and its sha256.

Only values with one obvious JSON form are taken. Anything else is refused rather than passed through ``repr`` or
``str``: a memory address or a float printed to six digits in a key would make two names for one thing, or one for two.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel

from raylab.engine.label import Label


class _AddedLater:
    """A mark on a field whose default is None."""


# On a field, `Annotated[X | None, ADDED_LATER] = None`: it came when stores were full. None, its default and what was
# done before, is left out of the canonical form, whether it is written out or not, so that nobody's keys change. Any
# other default would be in it, and change them all: it is refused. A value that does what None does is another value.
ADDED_LATER = _AddedLater()
KEY_PREFIX = 12  # hex digits of a key in paths and messages: 48 bits, unique far beyond a store's number of artifacts


def canonical(value: object, path: str = "value") -> Any:
    """The JSON value of models, dataclasses, tuples, str-keyed mappings and scalars; fields that are declared with
    ``exclude=True`` (of a model) or ``compare=False`` (of a dataclass) say where, not what, and are left out; a label
    is what it stands for.

    Raises TypeError or ValueError naming the offending path.
    """
    if isinstance(value, Label):
        return canonical(value.meaning, path)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{path}: a finite number is needed, got {value}")
        return value
    if isinstance(value, BaseModel):
        declared = type(value).model_fields
        kept = {name: getattr(value, name) for name, field in declared.items() if not field.exclude}
        later = _added_later(type(value), path)
        return {
            name: canonical(one, f"{path}.{name}") for name, one in kept.items() if one is not None or name not in later
        }
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: canonical(getattr(value, f.name), f"{path}.{f.name}") for f in fields(value) if f.compare}
    if isinstance(value, tuple):
        return [canonical(item, f"{path}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise TypeError(f"{path}: mapping keys must be str, got {name!r}")
        return {name: canonical(item, f"{path}.{name}") for name, item in value.items()}
    raise TypeError(
        f"{path}: {type(value).__name__} has no canonical form; use models, dataclasses, tuples, str-keyed mappings, "
        "str, int, finite float, bool or None"
    )


def _added_later(model: type[BaseModel], path: str) -> frozenset[str]:
    """Raises TypeError for a field that is marked and has another default than None, or has none."""
    marked = {
        name: field
        for name, field in model.model_fields.items()
        if any(isinstance(mark, _AddedLater) for mark in field.metadata)
    }
    for name, field in marked.items():
        default = "none" if field.is_required() else field.get_default(call_default_factory=True, validated_data={})
        if default is not None:
            raise TypeError(
                f"{path}.{name}: a field that was added later has the default None, which stands for what was done "
                f"before and leaves every key as it was; {model.__name__} has {default!r}"
            )
    return frozenset(marked)


def canonical_json(value: object) -> str:
    """One line of JSON with sorted keys: equal values give equal text."""
    return _one_line(canonical(value))


def fingerprint(value: object) -> str:
    """sha256 of the canonical JSON, in hex (64 digits)."""
    return fingerprint_of_json(canonical(value))


def fingerprint_of_json(plain: Any) -> str:
    """The same of what `canonical` gave and JSON kept: lists are taken. Raises ValueError for nan."""
    return hashlib.sha256(_one_line(plain).encode()).hexdigest()


def _one_line(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def short(key: str) -> str:
    return key[:KEY_PREFIX]
