"""The bench: what all plans make their stages with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from raylab.bench import Bench
from raylab.engine.stage import Compute
from raylab.stages.construction import Attack
from raylab.stages.data_config import DigitsData, SeeFarData
from raylab.stages.recipe import Recipe
from raylab.stages.robustness import Robustness

BENCH = Bench.open(DigitsData(), 3, Compute())
RECIPE = Recipe(epochs=1, lr=0.5)


def test_networks_of_one_role_begin_alike_and_those_of_two_roles_or_purposes_do_not() -> None:
    on_clean, on_test = (BENCH.train("mlp", RECIPE, "student", data) for data in (None, BENCH.data.test))
    assert on_clean.config == on_test.config
    assert on_clean != on_test
    assert on_clean.config != BENCH.train("mlp", RECIPE, "teacher").config
    assert on_clean.config != replace(BENCH, purpose="other/").train("mlp", RECIPE, "student").config


def test_the_learning_rate_of_a_network_wins_over_that_of_a_recipe() -> None:
    bench = replace(BENCH, network_lr={"linear": 0.25})
    assert bench.train("linear", RECIPE, "source") == BENCH.train(
        "linear", RECIPE.model_copy(update={"lr": 0.25}), "source"
    )
    assert bench.train("mlp", RECIPE, "source") == BENCH.train("mlp", RECIPE, "source")


def test_networks_are_named_by_role_or_as_asked_and_by_what_they_are_trained_on() -> None:
    assert BENCH.train("mlp", RECIPE, "source").name == "train source mlp seed 3"
    named = BENCH.train("mlp", RECIPE, "teacher", called="teacher early", of="clean images")
    assert named.name == "train teacher early on clean images seed 3"


def test_robust_accuracy_of_some_images_is_that_of_all_where_there_are_no_more() -> None:
    network, rows = BENCH.train("mlp", RECIPE, "source"), BENCH.data.rows["test"]

    def asked(count: int | None) -> Robustness:
        return Robustness(eps=(0.5,), ensemble=None, rows=count)

    whole = BENCH.robustness(asked(None), network, "")
    assert BENCH.robustness_of_some(asked(rows), network, "") == whole
    assert BENCH.robustness_of_some(asked(rows - 1), network, "") == BENCH.robustness(asked(rows - 1), network, "")
    with pytest.raises(ValueError, match=f"rows at most the {rows} images"):
        BENCH.robustness(asked(rows + 1), network, "")


def test_a_universal_perturbation_needs_as_many_images_as_it_is_made_of() -> None:
    network, rows = BENCH.train("mlp", RECIPE, "source"), BENCH.data.rows["train"]
    assert BENCH.universal_patterns(Attack(), network, rows, "mlp").inputs["model"] == network
    with pytest.raises(ValueError, match=f"base: at most the {rows} training images, got {rows + 1}"):
        BENCH.universal_patterns(Attack(), network, rows + 1, "mlp")


def test_probes_and_oracles_are_of_the_world_of_the_seed() -> None:
    one, other = (Bench.open(SeeFarData(name="seefar"), seed, Compute()) for seed in (0, 1))
    network = one.train("mlp", RECIPE, "source")
    assert one.on_probe(network, "").inputs["data"] != other.on_probe(network, "").inputs["data"]
    assert one.on_probe(network, "") != one.on_probe(network, "", "only_toogit")
    assert one.oracles(one.data.test, "").config != other.oracles(one.data.test, "").config
