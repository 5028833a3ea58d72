"""The plan of the poisons: what is shared with other experiments, what victims share, and what is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from raylab.config import load
from raylab.core.poison import POISONS
from raylab.engine.stage import Stage
from raylab.experiments import transfer as transfer_matrix
from raylab.experiments.poison import PoisonCell, PoisonStudy, Trigger, plan
from raylab.experiments.poison.plan import DEFENCES
from raylab.experiments.transfer import TransferMatrix
from raylab.stages.dataset import DigitsData, SeeFarData
from raylab.stages.recipe import Adversary, Recipe
from raylab.stages.robustness import Robustness

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "poison").rglob("*.yaml"))
CELLS = plan(PoisonStudy(seeds=(0, 1)))


def config(stage: Stage) -> Any:
    return stage.config


def test_every_set_has_two_victims_and_every_victim_is_asked_everything() -> None:
    roles = Counter(cell.role for cell in CELLS)
    sets, shares, triggers, seeds = len(POISONS), 2, 2 * 2, 2
    assert roles["set"] == (sets + shares + triggers) * seeds
    assert roles["victim"] == roles["network"] == 2 * (1 + sets + shares + triggers) * seeds
    assert roles["heldout"] == 2 * sets * seeds
    assert roles["usage"] == 2 * (1 + sets) * seeds
    assert roles["robust"] == (1 + sets) * seeds
    assert roles["neighbours"] == (1 + sets) * seeds
    assert roles["oracles"] == sets * seeds
    assert roles["attack"] == 2 * seeds
    assert roles["obeys"] == 2 * (2 + triggers) * seeds  # those who never saw the trigger, once a size


def test_p1_is_made_of_the_very_d_det_of_the_transfer_matrix() -> None:
    """With the attack and the recipe of its See-Far demo: nothing is attacked twice."""
    demo = load(TransferMatrix, CONFIGS[0].parents[1] / "transfer_matrix/demo/seefar.yaml")
    matrix = transfer_matrix.plan(demo)
    det = matrix[transfer_matrix.TransferCell("set", 0, "mlp", "", "det")]
    assert CELLS[PoisonCell("attack", 0, "p1")].key == det.key
    assert CELLS[PoisonCell("set", 0, "p1")].inputs["perturbed"].key == det.key
    assert CELLS[PoisonCell("set", 0, "p1", share=0.5)].inputs["perturbed"].key == det.key


def test_victims_of_one_training_differ_in_their_data_alone() -> None:
    for defence in DEFENCES:
        networks = [s for c, s in CELLS.items() if (c.role, c.seed, c.defence) == ("network", 0, defence)]
        assert len({(config(s).seed, config(s).recipe, config(s).network) for s in networks}) == 1
        assert len({s.inputs["data"].key for s in networks}) == len(networks) == 1 + len(POISONS) + 2 + 4
    standard, adversarial = (config(CELLS[PoisonCell("network", 0, "p1", d)]).recipe for d in DEFENCES)
    assert standard.adversary is None
    assert adversarial.adversary is not None


def test_a_victim_does_not_begin_as_the_source_did() -> None:
    source = CELLS[PoisonCell("source", 0)].inputs["model"]
    assert config(source).seed != config(CELLS[PoisonCell("network", 0, "clean", "standard")]).seed


def test_no_label_of_a_poisoned_set_is_constructed_and_tests_are_on_clean_images() -> None:
    for cell, stage in CELLS.items():
        if cell.role == "network" and cell.of in POISONS:
            assert stage.inputs["data"].kind == "poisoned"
            assert config(stage).labels is None
        if cell.role in ("victim", "robust"):
            assert stage.inputs["data"].kind == "data"
            assert config(stage.inputs["data"]).split == "test"


def test_held_out_images_are_poisoned_as_the_training_set_was() -> None:
    for name in POISONS:
        train, test = (
            CELLS[PoisonCell("set", 1, name)],
            CELLS[PoisonCell("heldout", 1, name, "standard")].inputs["data"],
        )
        assert config(train) == config(test)
        assert config(test.inputs["data"]).split == "test"
        role = "perturbed" if name in ("p1", "p2") else "patterns"
        if role == "patterns":
            assert train.inputs[role].key == test.inputs[role].key
        else:
            assert config(test.inputs[role]).aim == config(train.inputs[role]).aim
            assert test.inputs[role].inputs["model"].key == train.inputs[role].inputs["model"].key


def test_a_seed_changes_the_world_the_source_the_victims_and_the_noise() -> None:
    for cell in (
        PoisonCell("source", 0),
        PoisonCell("network", 0, "p5", "standard"),
        PoisonCell("network", 0, "clean", "standard"),
    ):
        assert CELLS[cell].key != CELLS[cell._replace(seed=1)].key
    first, second = (CELLS[PoisonCell("set", seed, "p5")].inputs["patterns"] for seed in (0, 1))
    assert first.key != second.key


def test_what_is_known_of_see_far_is_asked_only_there_and_parts_can_be_left_out() -> None:
    cells = plan(PoisonStudy(data=DigitsData(), seeds=(0,), trigger=None, shares=(), robustness=None, neighbours=0))
    assert {cell.role for cell in cells} == {"data", "source", "network", "victim", "set", "heldout", "attack"}


def test_a_poison_alone_is_the_same_as_among_all() -> None:
    alone = plan(PoisonStudy(seeds=(0,), poisons=("p1",)))
    assert {alone[cell].key for cell in alone} <= {stage.key for stage in CELLS.values()}


@pytest.mark.parametrize(("changed", "said"), [
    ({"poisons": ("p2",)}, "p1 is what the question is about"),
    ({"poisons": ("p1", "p1")}, "each at most once"),
    ({"shares": (0.5, 0.5)}, "each at most once"),
    ({"train": Recipe(adversary=Adversary(eps=0.8))}, "adversary: trained in the standard way"),
    ({"robust": Recipe()}, "adversary: trained against one, got none"),
    ({"robust": Recipe(adversary=Adversary(norm="linf", eps=0.1))}, "robust.adversary.norm: the attack's, l2"),
    ({"robustness": Robustness(norm="linf", eps=(0.1,))}, "robustness.norm: the attack's, l2"),
])  # fmt: skip
def test_what_cannot_be_is_refused_with_its_remedy(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        PoisonStudy(**changed)


@pytest.mark.parametrize(("changed", "said"), [
    ({"eps": (1.6, 0.8)}, "increasing, each once"), ({"ways": ("clean_label", "clean_label")}, "each at most once"),
])  # fmt: skip
def test_a_trigger_that_cannot_be_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Trigger(**changed)


def test_what_does_not_fit_the_data_is_refused_before_anything_runs() -> None:
    tiny = SeeFarData(name="seefar", train_rows=50, test_rows=20)
    with pytest.raises(ValueError, match="base: at most the 50 training images, got 256"):
        plan(PoisonStudy(data=tiny))
    with pytest.raises(ValueError, match="trigger: target, a class below 10, got 12"):
        plan(PoisonStudy(trigger=Trigger(target=12)))
