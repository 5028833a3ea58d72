"""Trainings that stop at an accuracy, as stages: whose keys stay, what is recorded, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import toy
from pydantic import ValidationError

from raylab.core.fit import Stop
from raylab.engine import runner
from raylab.engine.identity import canonical
from raylab.engine.runner import InlineBackend
from raylab.engine.store import Store
from raylab.stages.dataset import DigitsData, open_data
from raylab.stages.recipe import Adversary, Recipe
from raylab.stages.training import train

DATA = open_data(DigitsData(per_class=20), 0)
CONSTANT: dict[str, Any] = {"epochs": 5, "batch_size": 20, "lr": 1e-3, "schedule": "constant"}


def metrics(recipe: Recipe, folder: Path) -> dict[str, Any]:
    stage = train("mlp", recipe, DATA.train, DATA.images, 0, rows=200, name="mlp")
    return dict(runner.build({"x": stage}, Store(str(folder)), InlineBackend(), toy.Recorder())["x"].metrics)


def test_recipes_that_stop_nowhere_have_the_identity_that_they_had() -> None:
    assert not {name for name in canonical(Recipe()) if name.startswith("stop")}
    recipe = Recipe(**CONSTANT, stop_at_accuracy=0.6)
    assert canonical(recipe)["stop_at_accuracy"] == 0.6
    assert "stop_every" not in canonical(recipe)
    assert (recipe.stop, Recipe().stop) == (Stop(0.6), None)


def test_the_record_says_where_it_stopped_or_that_it_did_not(tmp_path: Path) -> None:
    early = metrics(Recipe(**CONSTANT, stop_at_accuracy=0.6, stop_every=1), tmp_path)
    assert early["stopped"]["reached"]
    assert 0.6 <= early["stopped"]["accuracy"] < 0.8
    assert 0 < early["stopped"]["steps"] < 50
    assert len(early["loss"]) == -(-early["stopped"]["steps"] // 10)  # ten steps an epoch
    never = metrics(Recipe(**{**CONSTANT, "epochs": 1}, stop_at_accuracy=1.0), tmp_path)
    assert never["stopped"]["reached"] is False
    assert never["stopped"]["steps"] == 10
    assert "stopped" not in metrics(Recipe(**CONSTANT), tmp_path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"stop_every": 3}, "stop_every belongs to stop_at_accuracy, got 3 without it"),
        ({"stop_at_accuracy": 0.6, "schedule": "one_cycle"}, "one_cycle plans .* set schedule: constant"),
        ({"stop_at_accuracy": 0.6, "adversary": Adversary(eps=0.5)}, r"grows over 0.6 of 5 epochs.*adversary.ramp: 0"),
        ({"stop_at_accuracy": 1.5}, "less than or equal to 1"),
    ],
)
def test_what_cannot_stop_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Recipe(**{**CONSTANT, **changed})


def test_an_adversary_of_full_strength_may_stop() -> None:
    assert Recipe(**CONSTANT, stop_at_accuracy=0.6, adversary=Adversary(eps=0.5, ramp=0.0)).stop is not None
