"""What a config's keys mean, from the models themselves: types and defaults from the fields, words from the comments.

The comment that stands beside a field, or right above it, is what people are told of it; a section without one is told
by its model's docstring. So what the code says and what `--help` says cannot differ.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import io
import re
import textwrap
import tokenize
from collections.abc import Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from raylab.config import schema, to_yaml_value
from raylab.config.radius import fraction

WIDTH = 79
SIGNS = {Gt: (">", "gt"), Ge: (">=", "ge"), Lt: ("<", "lt"), Le: ("<=", "le")}
WORDS = {int: "whole number", float: "number", str: "text", bool: "true | false", type(None): "null", Any: "any value"}
_ABSENT = object()


def overview(model: type[BaseModel]) -> str:
    """The keys at the top, a line each."""
    names = list(model.model_fields)
    widest = max(map(len, names))
    lines = []
    for name in names:
        doc = doc_of(model, name)
        lines.append(f"  {name:<{widest}}  {textwrap.shorten(doc, WIDTH - widest - 4, placeholder=' ...')}")
    return "\n".join(lines)


def defaults(model: type[BaseModel]) -> str:
    """A config file that says what is the default anyway: every key with its meaning and type."""
    return "\n".join(_section(model, None, 0))


def key(model: type[BaseModel], path: str) -> str:
    """All that is to be said of one key, and of the keys below it. Raises ValueError where there is none."""
    annotation: Any = model
    value: Any = None
    for name in path.split("."):
        owners = [one for one in schema.models(annotation) if name in one.model_fields]
        if not owners:
            raise ValueError(f"{path}: unknown key; {_meant(model, path)}")
        owner = next((one for one in owners if isinstance(value, one)), owners[0])
        value, field = _default(owner, name, value), owner.model_fields[name]
        annotation, doc = field.annotation, doc_of(owner, name)
    lines = [f"{path}: {_type_of(field)}", *textwrap.wrap(doc, WIDTH - 2, initial_indent="  ", subsequent_indent="  ")]
    sections = schema.models(annotation)
    if not sections:
        shown = "it has none" if value is _ABSENT else _yaml(value, WIDTH)
        return "\n".join([*lines, f"  The default is {shown}", f"  To change it: {path}=VALUE"])
    for one in sections:
        lines += ["", *_wrapped(_heading(one, len(sections) > 1, value), 0)]
        lines += _section(one, value if isinstance(value, one) else None, 0)
    return "\n".join(lines)


def doc_of(model: type[BaseModel], name: str) -> str:
    """One or a few sentences: the field's own comment, else what its type says; "" where nobody has written any."""
    field = model.model_fields[name]
    owner = next(one for one in model.__mro__ if name in inspect.get_annotations(one))
    sections = schema.models(field.annotation)
    doc = comments(owner).get(name) or field.description or (_first(sections[0]) if len(sections) == 1 else "")
    return re.sub(r"\bNone\b", "null", doc)


def type_of(annotation: Any) -> str:
    """A type in words: `whole number >= 1`, `list of number or fraction like 8/255`."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        marks = [mark for one in inside[1:] for mark in (one.metadata if isinstance(one, FieldInfo) else [one])]
        return _bounded(type_of(inside[0]), marks)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(type_of(one) for one in inside))
    if origin is Literal:
        return " | ".join(map(str, inside))
    if origin is tuple:
        return f"list of {type_of(inside[0])}" if inside[-1] is ... else f"list of {len(inside)}: {type_of(inside[0])}"
    if origin is dict:
        return f"mapping to {type_of(inside[1])}"
    return "section" if schema.models(annotation) else WORDS.get(annotation, "value")


def _type_of(field: FieldInfo) -> str:
    return type_of(field.rebuild_annotation())


def _bounded(base: str, marks: Sequence[Any]) -> str:
    if any(isinstance(mark, BeforeValidator) and mark.func is fraction for mark in marks):
        base += " or fraction like 8/255"
    signs = [f"{SIGNS[type(m)][0]} {getattr(m, SIGNS[type(m)][1])}" for m in marks if type(m) in SIGNS]
    return f"{base} {', '.join(signs)}" if signs else base


def _section(model: type[BaseModel], value: BaseModel | None, indent: int) -> list[str]:
    lines = list[str]()
    for name, field in model.model_fields.items():
        here = _default(model, name, value)
        kind = "" if isinstance(here, BaseModel) and here is not _ABSENT else f" [{_type_of(field)}]"
        lines += _wrapped(f"{doc_of(model, name)}{kind}".strip(), indent)
        if isinstance(here, BaseModel):
            lines += [f"{' ' * indent}{name}:", *_section(type(here), here, indent + 2)]
        elif here is _ABSENT:
            lines.append(f"{' ' * indent}# {name}: (required)")
        else:
            shown = f"{name}: {_yaml(here, WIDTH - indent - len(name) - 2)}"
            lines.append(textwrap.indent(shown.replace("\n", "\n  "), " " * indent))
    return lines


def _wrapped(text: str, indent: int) -> list[str]:
    lead = f"{' ' * indent}# "
    return textwrap.wrap(text, WIDTH, initial_indent=lead, subsequent_indent=lead, break_on_hyphens=False)


def _yaml(value: Any, width: int) -> str:
    """A value on one line, or on several where it is long."""
    text = to_yaml_value(value)
    wrapped = textwrap.wrap(text, max(width, 40), break_long_words=False, break_on_hyphens=False)
    return "\n".join(wrapped) if text.startswith(("[", "{")) else text


def _default(model: type[BaseModel], name: str, value: object) -> Any:
    if isinstance(value, model):
        return getattr(value, name)
    field = model.model_fields[name]
    return _ABSENT if field.is_required() else field.get_default(call_default_factory=True)


def _heading(model: type[BaseModel], tagged: bool, value: object) -> str:
    tags = [f"{n}: {_type_of(model.model_fields[n])}. " for n in ("name",) if tagged and n in model.model_fields]
    return "".join(tags) + _first(model) + (" The default:" if isinstance(value, model) else "")


def _first(model: type[BaseModel]) -> str:
    """The first paragraph of a docstring."""
    return " ".join((inspect.getdoc(model) or "").split("\n\n")[0].split())


def _meant(model: type[BaseModel], path: str) -> str:
    known = schema.keys(model)
    near = schema.named(model, path.rsplit(".", 1)[-1])[:1] or difflib.get_close_matches(path, known, n=1)
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(model.model_fields)}"


@cache
def comments(model: type) -> dict[str, str]:
    """What stands above and beside each field in the source of a class."""
    source = textwrap.dedent(inspect.getsource(model))
    beside, alone = dict[int, str](), dict[int, str]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            where = alone if token.line.lstrip().startswith("#") else beside
            if (text := token.string.lstrip("# ")) not in ("fmt: skip",):
                where[token.start[0]] = text
    (body,) = ast.parse(source).body
    assert isinstance(body, ast.ClassDef)
    found = dict[str, str]()
    for statement in body.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            first, last = statement.lineno, statement.end_lineno or statement.lineno
            above = list[str]()
            for line in range(first - 1, 0, -1):
                if line not in alone:
                    break
                above.insert(0, alone[line])
            said = [*above, *(beside[line] for line in range(first, last + 1) if line in beside)]
            found[statement.target.id] = " ".join(said)
    return found
