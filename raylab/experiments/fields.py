"""The types of fields that configs of experiments have in common, and the rules between fields that several have."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from raylab.core.architectures import NETWORKS
from raylab.core.construct import Kind
from raylab.radius import Radius
from raylab.stages.construction import Attack
from raylab.stages.recipe import Adversary, Recipe
from raylab.stages.robustness import Robustness

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


def _increasing(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if list(values) != sorted(set(values)):
        raise ValueError(f"increasing, each once, got {list(values)}; sort them")
    return values


def _standard(recipe: Recipe) -> Recipe:
    if recipe.adversary is not None:
        raise ValueError("adversary: trained in the standard way, got an adversary; remove it")
    return recipe


def _adversarial(recipe: Recipe) -> Recipe:
    if recipe.adversary is None:
        raise ValueError("adversary: trained against one, got none; give its norm and eps")
    return recipe


def same_norm(attack: Attack, others: Mapping[str, Adversary | Robustness | None]) -> None:
    """Raises ValueError where one of the others, by the names of their fields, has another norm than the attack."""
    for name, other in others.items():
        if other is not None and other.norm != attack.norm:
            raise ValueError(f"{name}.norm: the attack's, {attack.norm}, got {other.norm}")


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
Distinct, Increasing = AfterValidator(_distinct), AfterValidator(_increasing)
Names = Annotated[tuple[NetworkName, ...], Field(min_length=1), Distinct]
Kinds = Annotated[tuple[Kind, ...], Field(min_length=1), Distinct]
Radii = Annotated[tuple[Radius, ...], Field(min_length=1), Increasing]
NetworkRates = dict[NetworkName, Annotated[float, Field(gt=0, le=100)]]
StandardRecipe = Annotated[Recipe, AfterValidator(_standard)]
AdversarialRecipe = Annotated[Recipe, AfterValidator(_adversarial)]
Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0, lt=2**31)], ...],
    Field(min_length=1, description="Seeds: each repeats the study, and standard errors are over them."),
    Distinct,
    BeforeValidator(_listed),
]
StudyName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_. -]{1,60}$", description="Name of the study, also in the names of MLflow.")
]
