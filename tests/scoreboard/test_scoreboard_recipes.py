"""A training that is not the published one is another protocol: every field of it, of everyone's training."""

from __future__ import annotations

from typing import Any

import pytest

from raylab.engine.stage import Compute
from raylab.experiments.transfer.config import TransferMatrix
from raylab.report.tracker import params_of
from raylab.scoreboard import recipes
from raylab.scoreboard.protocol import of_attack, of_precision, same_radius
from raylab.scoreboard.recipes import ADVERSARIAL, DET, RAND, STANDARD, at_rate, of_recipe, of_recipes
from raylab.stages.construction import Attack
from raylab.stages.recipe import Adversary, Recipe

CHANGED: dict[str, Any] = {
    "epochs": 149,
    "batch_size": 256,
    "optimizer": "adamw",
    "lr": 0.2,
    "momentum": 0.5,
    "nesterov": True,
    "weight_decay": 0.0,
    "schedule": "constant",
    "milestones": (50, 101),
    "gamma": 0.5,
    "augment": "none",
    "gaussian": 0.1,
    "label_smoothing": 0.1,
    "adversary": Adversary(eps=0.5),
    "stop_at_accuracy": 0.9,
    "stop_every": 5,
    "precision": "bfloat16",
}


def test_every_field_of_a_recipe_is_compared_but_its_name() -> None:
    assert set(CHANGED) == set(Recipe.model_fields) - {"preset"}
    for name, value in CHANGED.items():
        other = STANDARD.model_copy(update={name: value})
        assert of_recipe(other, STANDARD), name
        assert of_recipe(STANDARD, other), name
        assert of_recipe(other, STANDARD, unstated=(name,)) == "", name


def test_a_recipe_is_what_it_does_not_what_it_is_called() -> None:
    assert of_recipe(STANDARD, STANDARD) == of_recipe(Recipe(**STANDARD.model_dump(exclude={"preset"})), STANDARD) == ""
    assert of_recipe(RAND, STANDARD) == "learning rate 0.01"
    assert of_recipe(DET, STANDARD) == "augmentation none"


def test_of_many_differences_the_length_and_the_adversary_are_told() -> None:
    assert of_recipe(Recipe(), STANDARD) == "12 epochs, another recipe"
    assert of_recipe(Recipe(epochs=150), STANDARD) == "another recipe"
    small = Recipe(adversary=Adversary(eps=1.0, ramp=0.0))
    assert of_recipe(small, ADVERSARIAL) == "12 epochs, adversary L2 1 by 7 × 0.2, another recipe"


def test_a_field_that_does_nothing_in_either_is_no_difference() -> None:
    adam = Recipe(epochs=40, lr=1e-3, schedule="constant")
    assert of_recipe(adam.model_copy(update={"momentum": 0.1, "gamma": 0.9}), adam) == ""
    assert of_recipe(Recipe(momentum=0.1), STANDARD) == of_recipe(Recipe(), STANDARD)


@pytest.mark.parametrize("changed", [{"eps": 0.25}, {"steps": 8}, {"step_share": 0.3}, {"ramp": 0.6}, {"norm": "linf"}])
def test_another_adversary_is_another_recipe(changed: dict[str, Any]) -> None:
    adversary = Adversary(**{"eps": 0.5, "ramp": 0.0, **changed})
    assert of_recipe(ADVERSARIAL.model_copy(update={"adversary": adversary}), ADVERSARIAL).startswith("adversary ")


def test_the_published_adversary_has_no_ramp_and_a_standard_training_no_adversary() -> None:
    assert "ramp 0.6" in of_recipe(Recipe(preset="ilyas2019_adversarial"), ADVERSARIAL)
    assert of_recipe(STANDARD, ADVERSARIAL) == "no adversary"
    linf = Recipe(preset="robustness_linf", adversary={"ramp": 0.0})  # type: ignore[arg-type]
    assert of_recipe(linf, recipes.LINF) == ""


def test_everyone_whose_training_differs_is_named_once() -> None:
    short = STANDARD.model_copy(update={"epochs": 1})
    said = of_recipes(("source", short, STANDARD), ("students", short, STANDARD), ("students", short, STANDARD))
    assert said == "source, students: 1 epoch"
    assert of_recipes(("source", STANDARD, STANDARD), ("students", short, STANDARD)) == "students: 1 epoch"
    assert of_recipes(("source", STANDARD, STANDARD)) == ""


def test_a_learning_rate_of_a_network_s_own_is_part_of_its_recipe() -> None:
    assert of_recipe(at_rate(STANDARD, {"resnet50": 0.05}, "resnet50"), STANDARD) == "learning rate 0.05"
    assert of_recipe(at_rate(STANDARD, {"linear": 0.05}, "resnet50"), STANDARD) == ""


def test_a_radius_is_compared_as_far_as_it_is_printed() -> None:
    assert same_radius(0.03137, 8 / 255)
    assert not same_radius(0.25, 0.5)
    published = Attack(norm="linf", eps=8 / 255, steps=10, step_size=2 / 255)
    assert of_attack(Attack(norm="linf", eps=0.0313725, steps=10), published) == ""
    assert of_attack(published.model_copy(update={"step_size": 4 / 255}), published) == "L∞ 0.0314, 10 steps of 0.0157"
    assert of_attack(Attack(norm="l2", eps=8 / 255, steps=10, step_size=2 / 255), published)


def test_a_schedule_is_a_difference_even_with_as_many_steps() -> None:
    published = Attack(eps=0.5, steps=100, step_size=0.1)
    faster = Attack(eps=0.5, steps=30, schedule="cosine")
    assert of_attack(faster, published) == "L2 0.5, 30 cosine steps with momentum, the first of 0.5"
    assert of_attack(published.model_copy(update={"schedule": "cosine"}), published)
    assert "attack.schedule" not in params_of(TransferMatrix())
    assert params_of(TransferMatrix(attack=faster))["attack.schedule"] == "cosine"


def test_gradients_of_less_than_float32_are_a_difference_and_another_order_of_roundings_is_none() -> None:
    assert of_precision(Compute()) == of_precision(Compute(precision="folded_float32")) == ""
    assert of_precision(Compute(precision="bfloat16")) == "gradients in bfloat16"


def test_the_precision_of_gradients_is_a_param_of_a_run_where_it_is_chosen_and_the_batch_is_none() -> None:
    usual = params_of(TransferMatrix(compute=Compute(batch_rows=10, shard_rows=10)))
    assert not any(key.startswith("compute.") for key in usual)
    chosen = params_of(TransferMatrix(compute=Compute(precision="bfloat16")))
    assert {key: value for key, value in chosen.items() if key.startswith("compute.")} == {
        "compute.precision": "bfloat16"
    }
