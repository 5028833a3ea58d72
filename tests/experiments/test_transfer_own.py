"""Networks of one's own in a transfer matrix: where they may stand, what is trained and what is loaded."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import own_factories
import pytest
import torch

from raylab.config import ConfigError, load, to_yaml
from raylab.engine.label import Label
from raylab.engine.stage import Compute
from raylab.experiments.transfer import Controls, TransferCell, TransferMatrix, plan
from raylab.stages.architecture import Factory
from raylab.stages.own_network import OwnNetwork
from raylab.stages.training import Training


@pytest.fixture
def weights(tmp_path: Path) -> str:
    torch.save(own_factories.small().state_dict(), tmp_path / "mine.pt")
    return str(tmp_path / "mine.pt")


def config(weights: str, **changed: Any) -> TransferMatrix:
    own = {"factory": "own_factories:small", "weights": weights, "accuracy": 0.5, "mean": 0.5, "std": 0.25}
    fresh = {"factory": "own_factories:small"}
    given = {"sources": ("mlp", own), "targets": (fresh, "cnn"), "seeds": (0, 1), "kinds": ("det",)}
    return TransferMatrix.model_validate({**given, **changed})


def test_a_mapping_stands_where_a_name_may_and_is_known_by_its_label(weights: str) -> None:
    one = config(weights)
    assert one.sources == ("mlp", "own_factories.small")
    assert isinstance(one.sources[1], Label)
    assert load(TransferMatrix, to_yaml(one)) == one
    assert pickle.loads(pickle.dumps(one)).sources[1].meaning == one.sources[1].meaning
    assert config(weights, sources=("mlp", one.sources[1].meaning)) == one


def test_as_a_source_its_weights_are_loaded_and_whatever_else_is_of_its_architecture_is_trained(weights: str) -> None:
    cells, name = plan(config(weights)), "own_factories.small"
    source = cells[TransferCell("network", 0, name)]
    assert source.kind == "checked"
    assert source.inputs["data"] == cells[TransferCell("student", 0, "mlp", name, "det")].inputs["data"]
    assert cells[TransferCell("set", 0, name, "", "det")].inputs["model"] == source
    for place in (
        TransferCell("network", 0, name, control="robust"),
        TransferCell("network", 0, name, control="random_labels"),
        TransferCell("network", 0, target=name),
        TransferCell("network", 0, "mlp", name, "det"),
    ):
        trained = cells[place].config
        assert isinstance(trained, Training)
        assert isinstance(trained.network, Factory)


def test_controls_and_learning_rates_name_it_by_its_label(weights: str) -> None:
    name = "own_factories.small"
    cells = plan(config(weights, network_lr={name: 0.5}, controls=Controls(sources=(name,), targets=(name,))))
    trained = cells[TransferCell("network", 0, "mlp", name, "det")].config
    assert isinstance(trained, Training)
    assert trained.recipe.lr == 0.5
    assert {cell.source for cell in cells if cell.control == "untrained"} == {name}


def test_it_is_attacked_as_it_is_and_never_compiled(weights: str) -> None:
    with pytest.raises(ValueError, match=r"own_factories:small is a network of your own.*got bfloat16; remove it"):
        plan(config(weights, compute=Compute(precision="bfloat16")))


BAD = {
    "sources: [{factory: own_factories, weights: x.pt}]": "sources[0].factory: must be module:object",
    "sources: [{factory: 'a:b', weights: x.pt}]": "sources[0].accuracy: required beside weights",
    "sources: [{factory: 'a:b', weights: x.onnx, accuracy: .5}]": "sources[0].weights: a file of one of .safetensors",
    "sources: [{factory: 'a:b', acuracy: .5}]": "sources[0].acuracy: unknown key; did you mean accuracy?",
    "sources: [{factory: 'a:b', mean: .5}]": "sources[0].std: mean and std belong together",
    "sources: [{factory: 'a:b', mean: .5, std: 0.0}]": "sources[0].std: above 0",
    "sources: [{factory: 'a:b', mean: 125.3, std: 63.0}]": "sources[0].mean: of pixels in [0, 1], got 125.3; divide",
    "sources: [{factory: 'a:b', accuracy: .5}]": "sources[0].accuracy: it is that of weights",
    "sources: [{factory: 'a:b', name: mlp}]": "sources[0].name: mlp is a built-in network",
    "sources: [{factory: 'a:b'}, {factory: 'c.a:b'}]": "give networks of your own a `name` each",
    "sources: [{factory: 'a:b'}]\ntargets: [{factory: 'c.a:b'}]": "two networks are called a.b",
    "targets: [{factory: 'a:b', weights: x.pt, accuracy: .5}]": "targets[0].weights: this network is trained here",
    "network_lr: {mlpp: 0.1}": "network_lr: no network of that name, got 'mlpp'; did you mean 'mlp'?",
    "sources: [clnn]": "sources[0]: no network of that name, got 'clnn'; did you mean 'cnn'?",
    "sources: [5]": "sources[0]: must be text",
}


@pytest.mark.parametrize("text", BAD)
def test_what_cannot_be_meant_is_refused_where_it_stands(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(TransferMatrix, text)
    assert BAD[text] in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "sources: [{factory: 'a:b', weights: x.pt}]\nnetwork_lr: {a.b: .1}",
        "kinds: [tet]\ntargets: [{factory: 'a:b'}]\nnetwork_lr: {a.b: .1}",
        "attack: {steps: 0}\ntargets: [{factory: 'a:b'}, {factory: 'c:d', arguments: {e: 1}}]\nnetwork_lr: {a.b: .1}",
        "sources: [{factory: 'a:b'}]\ntargets: [{factory: 'a:b', arguments: {c: 1}}]\nnetwork_lr: {a.b: .1}",
    ],
)
def test_of_learning_rates_nothing_is_said_beside_faults_of_the_networks_that_they_name(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(TransferMatrix, text)
    assert "network_lr" not in str(refused.value)


def test_a_label_is_no_built_in_networks_name() -> None:
    one = load(TransferMatrix, "targets: [{factory: 'torchvision:resnet18', name: null}]")
    assert one.targets == ("torchvision.resnet18",)
    assert isinstance(one.targets[0], Label)
    assert isinstance(one.targets[0].meaning, OwnNetwork)
