"""The types of fields that recipes have in common."""

from __future__ import annotations

import difflib
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from raylab.core import networks
from raylab.core.construct import Kind


def _network(name: str) -> str:
    if name not in networks.NETWORKS:
        close = difflib.get_close_matches(name, networks.NETWORKS, n=1)
        remedy = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(networks.NETWORKS)}"
        raise ValueError(f"no network of that name, got {name!r}; {remedy}")
    return name


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise ValueError(f"each at most once, got {list(values)}")
    return values


NetworkName = Annotated[str, AfterValidator(_network)]
Names = Annotated[tuple[NetworkName, ...], Field(min_length=1), AfterValidator(_distinct)]
Kinds = Annotated[tuple[Kind, ...], Field(min_length=1), AfterValidator(_distinct)]
Seeds = Annotated[tuple[Annotated[int, Field(ge=0, lt=2**31)], ...], Field(min_length=1), AfterValidator(_distinct)]
