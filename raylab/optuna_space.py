"""Our distributions as Optuna's, which is imported where it is used: whoever wants no sampler need not wait."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from raylab.space import Distribution, Point, Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def distribution(one: Distribution) -> BaseDistribution:
    """Lists become categories of JSON text: Optuna has no lists among its values."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if one.values:
        return CategoricalDistribution([json.dumps(value) for value in one.values])
    if one.integers is not None:
        return IntDistribution(*one.integers)
    return FloatDistribution(one.low, one.high, log=one.kind == "loguniform")


def written(point: Point, space: Space) -> dict[str, Any]:
    """A point as Optuna has it."""
    return {path: json.dumps(value) if space[path].values else value for path, value in point.items()}
