"""The rows of `rows.yaml`: published numbers with their tolerances, directional criteria and sources."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from raylab.config import Config, load
from raylab.core.statistics import Range
from raylab.report.claims import INF

HERE = Path(__file__).parent
Unit = Literal["share", "points", "number"]
Number = Annotated[int, Field(ge=1)]


class Published(Config):
    """A number of the literature, and the bounds within which ours reproduces it at the same protocol."""

    value: float
    low: float
    high: float
    unit: Unit = "share"

    @model_validator(mode="after")
    def _ordered(self) -> Published:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"low <= value <= high, got {self.low}, {self.value}, {self.high}")
        return self


class Criterion(Config):
    """What a run at another size must satisfy for the row to count as pointing the same way."""

    at_least: float | None = None
    at_most: float | None = None
    sigmas: Annotated[float, Field(gt=0)] | None = None  # by so many standard errors, beside the 95 % interval
    unit: Unit = "share"

    @model_validator(mode="after")
    def _bounded(self) -> Criterion:
        if self.at_least is None and self.at_most is None:
            raise ValueError("a directional criterion has at_least or at_most, or both: got none")
        if self.at_least is not None and self.at_most is not None and self.at_least >= self.at_most:
            raise ValueError(f"at_least below at_most, got {self.at_least} and {self.at_most}")
        return self

    @property
    def bounds(self) -> Range:
        return -INF if self.at_least is None else self.at_least, INF if self.at_most is None else self.at_most


class Command(Config):
    """What would run a row at the published size."""

    command: str
    data: str
    cost: str


class TargetRow(Config):
    """One of the target numbers."""

    row: Number
    title: str
    source: str
    published: dict[str, Published]
    criteria: dict[str, Criterion] = Field(default={})
    note: str = ""
    run: Command


class Rows(Config):
    """All of them."""

    groups: dict[str, Number]  # title on the page -> its first row
    rows: tuple[TargetRow, ...]

    @model_validator(mode="after")
    def _complete(self) -> Rows:
        numbers = [row.row for row in self.rows]
        if numbers != list(range(1, len(numbers) + 1)):
            raise ValueError(f"rows 1 to {len(numbers)}, each once and in order, got {numbers}")
        first = list(self.groups.values())
        if first[:1] != [1] or first != sorted(set(first)) or first[-1] > len(numbers):
            raise ValueError(f"groups: first rows from 1 to {len(numbers)}, increasing, got {first}")
        return self

    @property
    def grouped(self) -> dict[str, range]:
        """Numbers by group."""
        ends = [*self.groups.values(), len(self.rows) + 1]
        return {title: range(*pair) for title, pair in zip(self.groups, pairwise(ends), strict=True)}


@cache
def table() -> Rows:
    """What `rows.yaml` says."""
    return load(Rows, HERE / "rows.yaml")


def all_rows() -> tuple[TargetRow, ...]:
    """In the order of their numbers."""
    return table().rows
