from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import Field

from raylab.config import Config
from raylab.engine.identity import ADDED_LATER, canonical, canonical_json, fingerprint, short
from raylab.stages.dataset import DigitsData, SeeFarData
from raylab.stages.recipe import Recipe


class Attack(Config):
    eps: float = 0.5
    steps: int = 10
    root: str | None = Field(default=None, exclude=True)


@dataclass(frozen=True)
class Training:
    network: str
    attack: Attack


class Colour(Enum):
    RED = 1


def test_the_form_is_this_one_for_ever() -> None:
    value = {"b": (1, 2.0, True, None), "a": Training("mlp", Attack(eps=0.1)), "ü": "\n"}
    expected = '{"a":{"attack":{"eps":0.1,"steps":10},"network":"mlp"},"b":[1,2.0,true,null],"ü":"\\n"}'
    assert canonical_json(value) == expected
    # sha256sum of that line. The keys of every store hang on it: a change is a change of the store's SCHEMA.
    assert fingerprint(value) == "4cdd8f3e76f0045d17fa286061f3fa74fbc7734a4b16bd1c3d960471c672a657"


def test_the_form_is_json_that_reads_back_as_the_same_values() -> None:
    floats = (0.1, 1e-5, 1e22, 2.3e-308, 1.7976931348623157e308, -0.0, 1 / 3)
    assert json.loads(canonical_json(floats)) == list(floats)


def test_the_order_of_keys_means_nothing_and_that_of_a_tuple_does() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint((1, 2)) != fingerprint((2, 1))


def test_values_that_differ_in_kind_differ() -> None:
    values: list[Any] = [1, 1.0, True, "1", None, "null", (), {}, "", ("",), "true"]
    assert len({fingerprint(value) for value in values}) == len(values)


def test_a_whole_number_given_for_a_float_field_is_the_same_config() -> None:
    assert fingerprint(Attack(eps=1)) == fingerprint(Attack(eps=1.0))


def test_fields_that_say_where_are_left_out() -> None:
    assert fingerprint(Attack(root="/here")) == fingerprint(Attack(root="/there"))
    assert fingerprint(Attack(steps=11)) != fingerprint(Attack())


class Longer(Attack):
    """Attack, once stores were full of its keys."""

    restarts: Annotated[int | None, ADDED_LATER] = None


def test_a_field_that_was_added_later_changes_no_key_until_it_is_given() -> None:
    assert canonical_json(Longer()) == canonical_json(Attack())
    assert canonical_json(Longer(restarts=None)) == canonical_json(Longer())
    assert canonical(Longer(restarts=3)) == {**canonical(Attack()), "restarts": 3}
    assert canonical(Longer(restarts=0)) != canonical(Longer())  # 0 is a value


def test_the_default_of_an_added_field_written_out_has_the_key_of_one_left_out() -> None:
    assert fingerprint(Recipe(gaussian=None, stop_at_accuracy=None, stop_every=None, precision=None)) == fingerprint(
        Recipe()
    )
    assert fingerprint(DigitsData(train_rows=None, mean=None, std=None)) == fingerprint(DigitsData())
    assert fingerprint(SeeFarData(name="seefar", size=None)) == fingerprint(SeeFarData(name="seefar"))
    later = {"gaussian", "stop_at_accuracy", "stop_every", "precision"}
    assert set(canonical(Recipe())) == set(Recipe.model_fields) - {"preset", *later}


def test_a_field_that_was_not_added_later_keeps_its_none() -> None:
    assert canonical(Recipe())["adversary"] is None


@pytest.mark.parametrize("default", [3, 0, "", False, ()], ids=repr)
def test_an_added_field_whose_default_is_another_than_none_is_refused(default: Any) -> None:
    """It would be written into every key that there is."""

    class Wrong(Config):
        steps: int = 1
        restarts: Annotated[Any, ADDED_LATER] = default

    class Made(Config):
        restarts: Annotated[Any, ADDED_LATER] = Field(default_factory=lambda: default)

    class Asked(Config):
        restarts: Annotated[Any, ADDED_LATER]

    for model in (Wrong(), Made(), Wrong(restarts=None), Asked(restarts=None)):
        with pytest.raises(TypeError, match=r"recipe\.restarts: a field that was added later has the default None"):
            canonical(model, "recipe")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_lacks_are_refused_with_their_path(number: float) -> None:
    with pytest.raises(ValueError, match=r"value\.a\[1\].*finite"):
        canonical({"a": (0, number)})


@pytest.mark.parametrize(
    "value",
    [
        [1],
        {1},
        b"x",
        date(2020, 1, 1),
        Path("/x"),
        Fraction(1, 2),
        np.int64(1),
        np.zeros(2),
        Colour.RED,
        Attack,
        object(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_without_one_obvious_form_are_refused_with_their_path(value: object) -> None:
    with pytest.raises(TypeError, match=r"config\.a: .* has no canonical form; use"):
        canonical({"a": value}, "config")


def test_keys_that_are_no_text_are_refused() -> None:
    with pytest.raises(TypeError, match="keys must be str, got 1"):
        canonical({"a": {1: 2}})


def test_a_short_key_is_the_beginning_of_the_key() -> None:
    key = fingerprint("x")
    assert len(key) == 64
    assert short(key) == key[:12]
