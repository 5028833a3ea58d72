"""What a search may choose from: a distribution for each field that is swept, and the points that it gives.

The points of a grid and of a random search are a pure function of the seed, so that every one of them can be validated
before anything is computed, and a search that is killed goes on with the very points that it lacks.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field, model_validator

from raylab.config import AnyValue, Config
from raylab.config.radius import Size
from raylab.core import seeding

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Point = dict[str, Any]  # dotted path of a field -> value
Pair = tuple[Size, Size]
Wholes = tuple[int, int]
Values = Annotated[tuple[AnyValue, ...], Field(min_length=1)]
LISTED = ("choice", "grid")
RANGES = ("uniform", "loguniform", "integers")


class Distribution(Config):
    """One of these. Ranges include both ends."""

    uniform: Pair | None = None
    loguniform: Pair | None = None
    integers: Wholes | None = None
    choice: Values | None = None
    grid: Values | None = None

    @model_validator(mode="after")
    def _check(self) -> Distribution:
        given = [name for name in (*RANGES, *LISTED) if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"exactly one of {', '.join((*RANGES, *LISTED))}, got {given}; for example choice: [1, 2]")
        if self.kind in RANGES and not self.low < self.high:
            raise ValueError(f"{self.kind}: [low, high] with low < high, got {[self.low, self.high]}; swap them")
        if self.kind == "loguniform" and self.low <= 0:
            raise ValueError(f"loguniform: a logarithm needs low > 0, got {self.low}; take uniform, or raise it")
        texts = [json.dumps(value) for value in self.values]
        if len(set(texts)) < len(texts):
            raise ValueError(f"{self.kind}: each value at most once, got {list(self.values)}")
        return self

    @property
    def kind(self) -> str:
        return next(name for name in (*RANGES, *LISTED) if getattr(self, name) is not None)

    @property
    def values(self) -> tuple[Any, ...]:
        """Of a list; of a range nothing."""
        return getattr(self, self.kind) if self.kind in LISTED else ()

    @property
    def low(self) -> float:
        return float(getattr(self, self.kind)[0])

    @property
    def high(self) -> float:
        return float(getattr(self, self.kind)[1])

    @property
    def anchors(self) -> tuple[Any, ...]:
        """The values that show whether a field takes all of them: both ends of a range and its middle, or the list."""
        if self.kind in LISTED:
            return self.values
        return tuple(self.at(share) for share in (0.0, 0.5, 1.0))

    def at(self, share: float) -> Any:
        """The value at a share of the way, in [0, 1]."""
        if self.kind in LISTED:
            return self.values[min(int(share * len(self.values)), len(self.values) - 1)]
        if self.integers is not None:
            low, high = self.integers
            return min(low + int(share * (high - low + 1)), high)
        if self.kind == "loguniform":
            found = math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
            return min(max(found, self.low), self.high)
        return self.low + share * (self.high - self.low)

    def clipped(self, value: Any) -> Any:
        """The nearest value of a range; what is on a list stays."""
        if self.kind in LISTED:
            return value
        nearest = min(max(value, self.low), self.high)
        return round(nearest) if self.integers is not None else float(nearest)


Space = Mapping[str, Distribution]


def grid(space: Space) -> list[Point]:
    """Every combination, the last field fastest."""
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*(d.values for d in space.values()))]


def random(space: Space, count: int, seed: int) -> list[Point]:
    """Independent draws; the first n of a longer search are those of a shorter one, whatever other fields are swept."""
    numbers = np.arange(count)
    shares = {path: seeding.uniform(seed, f"space/{path}", numbers)[:, 0] for path in space}
    return [{path: one.at(float(shares[path][number])) for path, one in space.items()} for number in range(count)]


def corners(space: Space, most: int = 64) -> list[Point]:
    """Combinations of the ends of every distribution, all or so many of them: they show where fields forbid each other.
    Where there are more, both extremes and a sample, in which every field has both of its ends."""
    if 2 ** len(space) <= most:
        sides: Iterable[Sequence[float]] = itertools.product((0.0, 1.0), repeat=len(space))
    else:
        drawn = seeding.uniform(0, "space/corners", np.arange(most - 2), len(space)) < 0.5
        sides = [[0.0] * len(space), [1.0] * len(space), *drawn.astype(float).tolist()]
    return [{path: one.at(end) for (path, one), end in zip(space.items(), row, strict=True)} for row in sides]


def for_optuna(one: Distribution) -> BaseDistribution:
    """Lists become categories of JSON text: Optuna has no lists among its values."""
    # Imported here: whoever wants no sampler need not wait.
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if one.values:
        return CategoricalDistribution([json.dumps(value) for value in one.values])
    if one.integers is not None:
        return IntDistribution(*one.integers)
    return FloatDistribution(one.low, one.high, log=one.kind == "loguniform")


def point_for_optuna(point: Point, space: Space) -> dict[str, Any]:
    return {path: json.dumps(value) if space[path].values else value for path, value in point.items()}
