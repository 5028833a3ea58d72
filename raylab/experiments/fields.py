"""The types of fields that recipes have in common."""

from __future__ import annotations

import difflib
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from raylab.core.architectures import NETWORKS
from raylab.core.construct import Kind

MOST_SEEDS = 10  # that a message writes out


def _network(name: str) -> str:
    if name not in NETWORKS:
        close = difflib.get_close_matches(name, NETWORKS, n=1)
        remedy = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(NETWORKS)}"
        raise ValueError(f"no network of that name, got {name!r}; {remedy}")
    return name


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise ValueError(f"each at most once, got {list(values)}")
    return values


def _listed(value: Any) -> Any:
    """A number in the place of the list may be meant as how many there are."""
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if not 2 <= value <= MOST_SEEDS:
        raise ValueError(f"must be a list of seeds, got {value}; write [0, 1, 2] for three, [{value}] for this one")
    raise ValueError(
        f"must be a list of seeds, got {value}; write {list(range(value))} for {value} seeds, or [{value}] for the one "
        f"seed {value}"
    )


NetworkName = Annotated[str, AfterValidator(_network), Field(description="Architecture.")]
Names = Annotated[tuple[NetworkName, ...], Field(min_length=1), AfterValidator(_distinct)]
Kinds = Annotated[tuple[Kind, ...], Field(min_length=1), AfterValidator(_distinct)]
Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0, lt=2**31)], ...],
    Field(min_length=1, description="Seeds: each repeats the study, and standard errors are over them."),
    AfterValidator(_distinct),
    BeforeValidator(_listed),
]
StudyName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_. -]{1,60}$", description="Name of the study, also in the names of MLflow.")
]
