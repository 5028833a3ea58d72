"""Objects of one's own in the place of built-in ones: what a config names `module:object`, and the code behind it.

A config holds the reference; in a stage's identity it is a label whose meaning has the sha256 of the modules too, so
that other code is another key, and every worker can be asked for the same.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from pydantic import AfterValidator, BaseModel

from raylab.core.later import Tensor, nn, torch
from raylab.engine import objects
from raylab.engine.label import Label, meaning_of
from raylab.engine.stage import Stage
from raylab.stages.images import ImageSpec


class Coded:
    """What is part of an identity and runs code of one's own."""

    code: Mapping[str, str]  # sha256 by module


@dataclass(frozen=True)
class _OwnObject(Coded):
    """The identity of an object of one's own."""

    object: str
    code: Mapping[str, str]


def name_or_own(known: Iterable[str], what: str) -> AfterValidator:
    """A field's check: one of the built-in names, or a reference, which is followed when the plan is made."""
    names = tuple(known)

    def check(name: str) -> str:
        if ":" in name:
            return objects.check_reference(name)
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            remedy = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(names)}"
            raise ValueError(f"no {what} of that name, got {name!r}; {remedy} (or module:object of your own)")
        return name

    return AfterValidator(check)


def pinned(name: str) -> str:
    """A reference with the code that it stands for now; built-in names as they are. Raises ValueError as
    `objects.code`."""
    return Label(name, _OwnObject(str(name), objects.code(name))) if ":" in name else name


def own(name: str) -> Any:
    """The object. Raises ValueError where it is not to be found here, or is other code than that of a pinned name."""
    meaning = meaning_of(name)
    return objects.find(name) if meaning is None else objects.find_same(meaning.object, meaning.code)


def check_call(reference: str, given: Callable[..., Any], example: str, count: int) -> None:
    """Raises ValueError unless it can be called with so many arguments, as the example says."""
    try:
        signature = inspect.signature(given)
    except (TypeError, ValueError):  # no function, or one whose signature is not known
        signature = None
        if callable(given):
            return
    try:
        if signature is None:
            raise TypeError(f"it is a {type(given).__name__}")
        signature.bind(*range(count))
    except TypeError as error:
        raise ValueError(f"{reference}: must be callable as {example}: {error}; change its signature") from error


def trial(images: ImageSpec) -> tuple[nn.Module, Tensor, Tensor]:
    """What a function of one's own is tried on before anything runs: a linear network, two images and their labels."""
    count = torch.Size(images.shape).numel()
    network = nn.Sequential(nn.Flatten(), nn.Linear(count, images.num_classes)).eval().requires_grad_(False)
    return network, torch.linspace(0, 1, 2 * count).view(2, *images.shape), torch.arange(2) % images.num_classes


def modules_of(stages: Iterable[Stage]) -> dict[str, str]:
    """The modules of one's own that these stages run, with their sha256: every worker needs them."""
    return {name: digest for stage in stages for one in _coded(stage.config) for name, digest in one.code.items()}


def _coded(value: Any) -> Iterator[Coded]:
    """Those within an identity."""
    value = value.meaning if isinstance(value, Label) else value
    if isinstance(value, Coded):
        yield value
    elif isinstance(value, BaseModel):
        yield from (one for name in type(value).model_fields for one in _coded(getattr(value, name)))
    elif is_dataclass(value):
        yield from (one for field in fields(value) for one in _coded(getattr(value, field.name)))
    elif isinstance(value, tuple):
        yield from (one for item in value for one in _coded(item))
