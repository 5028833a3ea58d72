"""Networks of one's own in every experiment: one kind of field, and one way from a config to a stage."""

from __future__ import annotations

from pathlib import Path

import own_factories
import pytest
import torch

from raylab.config import ConfigError, load
from raylab.engine.stage import closure
from raylab.report.experiments import EXPERIMENTS
from raylab.stages.architecture import Factory

FRESH = "{factory: 'own_factories:small', name: mine}"
OWN = FRESH.replace("}", ", weights: WEIGHTS, accuracy: 0.5, mean: 0.5, std: 0.25}")
DIGITS = "data: {name: digits}\n"
SOURCES = {
    "transfer_matrix": f"sources: [{OWN}]\ntargets: [mlp]",
    "robust_features": f"{DIGITS}source: {OWN}\nstudents: [mlp]\nlayers: null",
    "controls": f"{DIGITS}source: {OWN}",
    "poison": f"{DIGITS}source: {OWN}",
}
STUDENTS = {
    "transfer_matrix": f"sources: [mlp]\ntargets: [{FRESH}]",
    "robust_features": f"{DIGITS}students: [{FRESH}]\nnetwork_lr: {{mine: 0.01}}",
    "controls": f"{DIGITS}student: {FRESH}\nnetwork_lr: {{mine: 0.01}}",
    "poison": f"{DIGITS}victim: {FRESH}",
    "fourier": f"data: {{name: digits}}\nnetwork: {FRESH}\ncorruptions: null",
    "erm": f"digits: {{network: {FRESH}}}",
    "learning_from_errors": f"across: {{networks: [{FRESH}]}}",
}


@pytest.fixture
def weights(tmp_path: Path) -> str:
    torch.save(own_factories.small().state_dict(), tmp_path / "mine.pt")
    return str(tmp_path / "mine.pt")


@pytest.mark.parametrize("experiment", SOURCES)
def test_a_source_with_weights_is_checked_and_not_trained(experiment: str, weights: str) -> None:
    one = EXPERIMENTS[experiment]
    stages = closure(one.plan(load(one.config, SOURCES[experiment].replace("WEIGHTS", weights))).values())
    assert {stage.kind for stage in stages} >= {"imported", "checked"}
    assert any("checked" in {needed.kind for needed in stage.inputs.values()} for stage in stages)


@pytest.mark.parametrize("experiment", STUDENTS)
def test_an_architecture_of_ones_own_is_trained_wherever_a_name_may_stand(experiment: str) -> None:
    one = EXPERIMENTS[experiment]
    stages = closure(one.plan(load(one.config, STUDENTS[experiment])).values())
    assert any(isinstance(getattr(stage.config, "network", None), Factory) for stage in stages)


@pytest.mark.parametrize("experiment", ["fourier", "erm"])
def test_where_every_network_is_trained_weights_are_refused(experiment: str) -> None:
    with pytest.raises(ConfigError, match="weights: this network is trained here"):
        load(EXPERIMENTS[experiment].config, STUDENTS[experiment].replace(FRESH, OWN.replace("WEIGHTS", "x.pt")))


def test_the_layers_of_a_network_of_ones_own_are_not_known(weights: str) -> None:
    one = EXPERIMENTS["robust_features"]
    text = SOURCES["robust_features"].replace("\nlayers: null", "").replace("WEIGHTS", weights)
    with pytest.raises(ValueError, match="not known which layers mine has; set layers: null"):
        one.plan(load(one.config, text))
