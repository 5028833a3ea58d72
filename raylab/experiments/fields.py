"""The types of fields that configs of experiments have in common, and the rules between fields that several have."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Discriminator, Field, PlainSerializer, Tag

from raylab.config.radius import Radius
from raylab.core.architectures import NETWORKS
from raylab.core.construct import KINDS, Kind
from raylab.engine.identity import ADDED_LATER
from raylab.engine.label import Label
from raylab.stages.construction import Attack
from raylab.stages.further import FurtherTest
from raylab.stages.own_network import OwnNetwork
from raylab.stages.recipe import Adversary, Recipe
from raylab.stages.robustness import Robustness

MOST_SEEDS = 10  # that a message writes out


def _network(name: str) -> str:
    if name not in NETWORKS:
        close = difflib.get_close_matches(name, NETWORKS, n=1)
        remedy = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(NETWORKS)}"
        raise ValueError(f"no network of that name, got {name!r}; {remedy}")
    return name


def _label(own: OwnNetwork) -> Label:
    """Its name for tables, which is no built-in network's."""
    if own.name in NETWORKS:
        raise ValueError(f"name: {own.name} is a built-in network, got it for {own.factory}; give another name")
    return Label(own.label, own)


def _untrained(own: OwnNetwork) -> OwnNetwork:
    if own.weights is not None:
        raise ValueError("weights: this network is trained here, from scratch; remove weights and accuracy")
    return own


def _meant(value: Any) -> Any:
    return value.meaning if isinstance(value, Label) else value


def _written(value: Any) -> Any:
    """As the tracker's params have it: whole, without what is left at its default."""
    return _meant(value).model_dump(mode="json", exclude_defaults=True)


def _form(value: Any) -> str:
    return "own" if isinstance(value, dict | OwnNetwork | Label) else "name"


def check_networks(config: BaseModel) -> None:
    """Raises ValueError where one label stands for two architectures, which tables could not tell apart, or where
    `network_lr` names a network that is neither built in nor the config's own."""
    known: dict[str, tuple[Any, ...]] = {}
    for label in _labels(config):
        own: OwnNetwork = label.meaning
        made = (own.factory, own.arguments)
        if known.setdefault(label, made) != made:
            raise ValueError(f"two networks are called {label}; give each a `name` of its own")
    there = {*NETWORKS, *known}
    judged = all(hasattr(config, name) for name in type(config).model_fields)  # what is itself wrong may name it
    for name in config.network_lr if judged and hasattr(config, "network_lr") else {}:
        if name not in there:
            close = difflib.get_close_matches(name, there, n=1)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"network_lr: no network of that name, got {name!r}{meant}")


def _labels(value: Any) -> Iterator[Label]:
    if isinstance(value, Label):
        yield value
    elif isinstance(value, OwnNetwork):  # where rules are tried beside faults
        yield Label(value.label, value)
    elif isinstance(value, BaseModel):
        # A field that is itself wrong is absent where rules of the others are tried.
        yield from (label for name in type(value).model_fields for label in _labels(getattr(value, name, None)))
    elif isinstance(value, tuple):
        yield from (label for one in value for label in _labels(one))


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        remedy = "; give networks of your own a `name` each" if any(isinstance(one, Label) for one in values) else ""
        raise ValueError(f"each at most once, got {list(values)}{remedy}")
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


def _further(name: str) -> str:
    if name in ("train", "test"):
        raise ValueError(f"another name than that of a split of the data, got {name!r}; say what it is")
    return name


def _new_kind(name: str) -> str:
    if name in KINDS:
        raise ValueError(f"{name} is a built-in construction; give another name")
    return name


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


if TYPE_CHECKING:  # text for all who use it: the name of a built-in network, or the label of one's own
    NetworkName = str
    SourceName = str
else:
    _Name = Annotated[str, AfterValidator(_network), Tag("name")]
    _Own = Annotated[OwnNetwork, BeforeValidator(_meant), PlainSerializer(_written)]
    _Untrained = Annotated[_Own, AfterValidator(_untrained), AfterValidator(_label), Tag("own")]
    _Any = Annotated[_Own, AfterValidator(_label), Tag("own")]
    NetworkName = Annotated[_Name | _Untrained, Discriminator(_form), Field(description="Architecture.")]
    SourceName = Annotated[_Name | _Any, Discriminator(_form), Field(description="Architecture, or own weights.")]
Distinct, Increasing = AfterValidator(_distinct), AfterValidator(_increasing)
Names = Annotated[tuple[NetworkName, ...], Field(min_length=1), Distinct]
Sources = Annotated[tuple[SourceName, ...], Field(min_length=1), Distinct]
Kinds = Annotated[tuple[Kind, ...], Field(min_length=1), Distinct]
Radii = Annotated[tuple[Radius, ...], Field(min_length=1), Increasing]
NetworkRates = dict[str, Annotated[float, Field(gt=0, le=100)]]  # by name or label; `check_networks` asks which
KindName = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,20}$"), AfterValidator(_new_kind)]
TestName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_. -]{1,30}$"), AfterValidator(_further)]
FurtherTests = Annotated[dict[TestName, FurtherTest] | None, ADDED_LATER]
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
