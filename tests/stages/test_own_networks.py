"""Networks of one's own: their identity, what is probed before anything runs, and weights that are what they claim."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import own_factories
import pytest
import torch
import toy
from torch import nn

from raylab.core import networks
from raylab.data import DataError, checkpoints
from raylab.engine import objects, runner
from raylab.engine.artifact import Artifact
from raylab.engine.label import Label
from raylab.engine.runner import BuildFailed, InlineBackend
from raylab.engine.stage import Stage
from raylab.engine.store import Store
from raylab.stages import architecture, own
from raylab.stages.dataset import Data, DigitsData, open_data
from raylab.stages.images import ImageSpec, to_tensor
from raylab.stages.own_network import OwnNetwork
from raylab.stages.recipe import Recipe
from raylab.stages.training import train
from raylab.stages.weights import load_network

MEAN, STD = 0.5, 0.25
CIFAR = ImageSpec((3, 32, 32), 10, (0.5,) * 3, (0.25,) * 3)


def label(factory: str = "own_factories:small", **of: Any) -> Label:
    given = OwnNetwork(factory=factory, **of)
    return Label(given.label, given)


def built(stage: Stage, store: Store) -> Artifact:
    return runner.build({"x": stage}, store, InlineBackend(), toy.Recorder())["x"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(str(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="module")
def data() -> Data:
    return open_data(DigitsData(), 0)


class Saved:
    """Weights that were trained without raylab, and what they reach."""

    def __init__(self, folder: Path, data: Data, store: Store) -> None:
        train_rows, test = built(data.train, store).batch(), built(data.test, store).batch()
        x, y = to_tensor(train_rows["image"], "cpu"), torch.from_numpy(train_rows["label"].astype(np.int64))
        torch.manual_seed(0)
        self.network = own_factories.small()
        descent = torch.optim.Adam(self.network.parameters(), 1e-2)
        for _ in range(30):
            descent.zero_grad()
            nn.functional.cross_entropy(self.network((x - MEAN) / STD), y).backward()  # type: ignore[no-untyped-call]
            descent.step()
        with torch.no_grad():
            said = self.network((to_tensor(test["image"], "cpu") - MEAN) / STD).argmax(1).numpy()
        self.accuracy = float((said == test["label"]).mean())
        self.file = folder / "weights.pt"
        torch.save(self.network.state_dict(), self.file)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, data: Data, store: Store) -> Saved:
    return Saved(tmp_path_factory.mktemp("weights"), data, store)


def stated(saved: Saved, **changed: Any) -> Label:
    given = {"weights": str(saved.file), "mean": MEAN, "std": STD, "accuracy": round(saved.accuracy, 3)}
    return label(**{**given, **changed})


def loaded(name: Label, data: Data) -> Stage:
    stage = own.loaded(name, data)
    assert stage is not None
    return stage


# -- architectures


@pytest.mark.parametrize("factory", ["small", "convolutional", "Wrapped"])
def test_a_network_of_ones_own_gives_logits_and_features_and_learns(factory: str, data: Data, store: Store) -> None:
    name = label(f"own_factories:{factory}")
    stage = train(name, Recipe(epochs=3), data.train, data.images, 0, rows=1437, name="own")
    artifact = built(stage, store)
    network = load_network(artifact, "cpu")
    x = to_tensor(built(data.test, store).batch()["image"], "cpu")
    features, logits = network.features(x), network(x)
    assert logits.shape == (360, 10)
    last = [layer for layer in network.body.modules() if isinstance(layer, nn.Linear)][-1]
    assert torch.equal(last(features), logits)
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert artifact.metrics["accuracy"][-1] > 0.7


def test_arguments_are_lists_and_mappings_as_yaml_has_them(data: Data, store: Store) -> None:
    arguments: dict[str, Any] = {"sizes": [8, 4], "last": {"classes": [10]}}
    own_lists = label("own_factories:layered", arguments=arguments)
    own_tuples = label("own_factories:layered", arguments={"sizes": (8, 4), "last": {"classes": (10,)}})
    one, other = (
        train(name, Recipe(epochs=1), data.train, data.images, 0, rows=1437, name="own")
        for name in (own_lists, own_tuples)
    )
    assert one.key == other.key
    assert len(list(load_network(built(one, store), "cpu").parameters())) == 6


def test_a_network_without_a_last_linear_layer_has_no_features() -> None:
    pooled = nn.Sequential(nn.Conv2d(1, 10, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = networks.adopt(lambda: pooled, (1, 8, 8), 10, (0.5,), (0.25,), 0)
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    with pytest.raises(ValueError, match="a network that ends in a linear layer, got Sequential"):
        network.features(torch.zeros(2, 1, 8, 8))


def test_weights_at_the_start_are_a_function_of_the_seed_and_leave_the_global_state_alone(data: Data) -> None:
    made, images = architecture.of(label(), data.images)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first, again, other = (architecture.build(made, images, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["body.1.weight"], other["body.1.weight"])


def test_arguments_and_code_are_identity_and_the_name_is_not(data: Data) -> None:
    def key(name: Label) -> str:
        return train(name, Recipe(), data.train, data.images, 0, rows=1437, name="x").key

    base = key(label())
    assert key(label(name="mine")) == base
    assert key(label(arguments={"hidden": 16})) != base
    made, _ = architecture.of(label(), data.images)
    assert isinstance(made, architecture.Factory)
    assert set(made.code) == {"own_factories", "own_layers"}


def test_its_own_normalisation_is_the_first_layer(data: Data) -> None:
    made, images = architecture.of(label(mean=0.1, std=(0.3,)), data.images)
    normalise = architecture.build(made, images, 0).normalise
    assert normalise.mean.item() == pytest.approx(0.1)
    assert normalise.std.item() == pytest.approx(0.3)
    with pytest.raises(ValueError, match="each of 1 channels"):
        architecture.of(label(mean=(0.1, 0.2), std=(0.3, 0.3)), data.images)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (label("own_factories:absent"), "own_factories has no absent"),
        (label("nobodys_factories:small"), "no module nobodys_factories"),
        (label(arguments={"num_classes": 7}), r"logits of 10 classes, .* got \(1, 7\)"),
        (label(arguments={"width": 7}), "unexpected keyword argument 'width'; give its arguments"),
        (label("own_factories:probabilities"), "look like probabilities"),
        (label("own_factories:no_module"), "a torch.nn.Module is needed, got str"),
        (label(arguments={"dropout": 0.5}), "draws random numbers in training mode"),
        (label("own_factories:another_every_time"), "gives other weights when it is called again"),
    ],
)
def test_what_is_no_network_for_these_images_is_refused_before_anything_runs(
    name: Label, said: str, data: Data
) -> None:
    with pytest.raises(ValueError, match=said):
        train(name, Recipe(), data.train, data.images, 0, rows=1437, name="x")


def test_a_network_for_images_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cannot take images of 3x32x32 in .*: RuntimeError"):
        architecture.of(label(), CIFAR)


def test_code_that_is_other_code_on_a_worker_is_refused(data: Data) -> None:
    made, images = architecture.of(label(), data.images)
    assert isinstance(made, architecture.Factory)
    stale = architecture.Factory(made.factory, made.arguments, {**made.code, "own_layers": "0" * 64})
    with pytest.raises(ValueError, match=r"module own_layers .* is another one here"):
        architecture.build(stale, images, 0)
    absent = architecture.Factory(made.factory, made.arguments, {"somewhere_else": "0" * 64})
    with pytest.raises(ValueError, match="no module somewhere_else"):
        architecture.build(absent, images, 0)


def test_torchvisions_networks_are_factories_of_their_own_and_their_files_are_read(tmp_path: Path) -> None:
    name = label("torchvision.models:resnet18", arguments={"num_classes": 10})
    made, images = architecture.of(name, CIFAR)
    assert isinstance(made, architecture.Factory)
    assert set(made.code) == {"torchvision.models.resnet"}
    network = architecture.build(made, images, 0).eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == 11_181_642  # 11,689,512 with 1000 classes
    torch.save(network.body.state_dict(), tmp_path / "resnet18.pth")
    again = architecture.build(made, images, 1).eval()
    again.body.load_state_dict(dict(checkpoints.read(tmp_path / "resnet18.pth", again.body.state_dict()).state))
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(network(x), again(x))
    assert network.features(x).shape == (2, 512)


def test_the_networks_of_published_checkpoints_are_factories() -> None:
    name = label("raylab.core.published:wide_resnet", arguments={"depth": 10, "width": 1})
    made, images = architecture.of(name, CIFAR)
    assert isinstance(made, architecture.Factory)
    assert set(made.code) == {"raylab.core.published"}
    assert architecture.build(made, images, 0).eval().features(torch.rand(2, 3, 32, 32)).shape == (2, 64)


# -- weights


def test_weights_are_loaded_as_they_are_and_their_accuracy_is_measured(saved: Saved, data: Data, store: Store) -> None:
    artifact = built(loaded(stated(saved), data), store)
    assert artifact.metrics["accuracy"] == pytest.approx(saved.accuracy, abs=1e-6)
    network = load_network(artifact, "cpu")
    x = torch.rand(5, 1, 8, 8)
    with torch.no_grad():
        assert torch.allclose(network(x), saved.network((x - MEAN) / STD), atol=1e-6)


def test_a_network_without_weights_is_none_to_load(data: Data) -> None:
    assert own.loaded(label(), data) is None
    assert own.loaded("mlp", data) is None


def test_content_decides_the_key_and_the_path_does_not(saved: Saved, data: Data, tmp_path: Path) -> None:
    key = loaded(stated(saved), data).key
    moved = tmp_path / "elsewhere.pth"
    moved.write_bytes(saved.file.read_bytes())
    assert loaded(stated(saved, weights=str(moved)), data).key == key
    torch.save({name: tensor + 1e-3 for name, tensor in saved.network.state_dict().items()}, moved)
    assert loaded(stated(saved, weights=str(moved)), data).key != key


def test_a_wrong_normalisation_is_refused_with_both_numbers(saved: Saved, data: Data, store: Store) -> None:
    with pytest.raises(BuildFailed) as refused:
        built(loaded(stated(saved, mean=0.9, std=0.05), data), store)
    told = str(refused.value)
    assert f"accuracy {round(saved.accuracy, 3):g} was stated" in told
    assert "right on" in told
    assert "mean [0.9] and std [0.05] are not those of its training" in told


def test_a_stated_accuracy_within_sampling_and_rounding_is_taken_and_one_beyond_is_not() -> None:
    def compare(stated: float, right: int, count: int) -> None:
        made = architecture.Factory("a:b", {}, {})
        own._compare(own.Checked(made, CIFAR, stated, "x"), right, count)

    compare(0.94, 9_300, 10_000)  # 3.3 standard errors are .0078, rounding .005
    compare(0.9, 860, 1_000)  # said to one digit
    compare(1.0, 998, 1_000)
    for stated, right, count in ((0.94, 9_260, 10_000), (0.94, 9_540, 10_000), (0.9431, 9_340, 10_000)):
        with pytest.raises(ValueError, match="sampling and rounding explain no more than"):
            compare(stated, right, count)


def test_weights_of_another_network_and_no_weights_are_refused_at_the_plan(
    saved: Saved, data: Data, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"network own_factories.small: weights: .*no such file"):
        own.loaded(stated(saved, weights=str(tmp_path / "absent.pt")), data)
    torch.save(own_factories.small(7).state_dict(), tmp_path / "seven.pt")
    with pytest.raises(DataError, match="it tells 7 classes apart and the factory makes 10"):
        own.loaded(stated(saved, weights=str(tmp_path / "seven.pt")), data)
    with pytest.raises(DataError, match="mean and std of its training are needed"):
        own.loaded(stated(saved, mean=None, std=None), data)


def test_the_normalisation_of_the_file_is_taken_and_must_be_the_stated_one(
    saved: Saved, data: Data, store: Store, tmp_path: Path
) -> None:
    kept = {"normalizer.new_mean": torch.tensor([MEAN]), "normalizer.new_std": torch.tensor([STD])}
    layout = {f"module.model.{name}": tensor for name, tensor in saved.network.state_dict().items()}
    torch.save({"model": layout | {f"module.{n}": t for n, t in kept.items()}}, tmp_path / "x.pt")
    taken = stated(saved, weights=str(tmp_path / "x.pt"), mean=None, std=None)
    assert built(loaded(taken, data), store).metrics["accuracy"] == pytest.approx(saved.accuracy, abs=1e-6)
    with pytest.raises(DataError, match=r"trained with std \(0.25,\), got \(0.3,\)"):
        own.loaded(stated(saved, weights=str(tmp_path / "x.pt"), std=0.3), data)


def gone(file: Path) -> None:
    file.unlink()


def edited(file: Path) -> None:
    torch.save(own_factories.small().state_dict(), file)


@pytest.mark.parametrize(("meanwhile", "said"), [(gone, "no such file"), (edited, "has changed since")])
def test_a_file_that_goes_or_changes_between_plan_and_build_is_told_of_and_nothing_is_computed(
    meanwhile: Callable[[Path], None], said: str, saved: Saved, data: Data, tmp_path: Path
) -> None:
    file, store = tmp_path / "weights.pt", Store(str(tmp_path / "store"))
    file.write_bytes(saved.file.read_bytes())
    stage = loaded(stated(saved, weights=str(file)), data)
    meanwhile(file)
    with pytest.raises(BuildFailed, match=said):
        built(stage, store)
    assert store.folders("checked") == []


def test_once_imported_the_file_is_needed_no_more(saved: Saved, data: Data, tmp_path: Path) -> None:
    file, store = tmp_path / "weights.pt", Store(str(tmp_path / "store"))
    file.write_bytes(saved.file.read_bytes())
    stage = loaded(stated(saved, weights=str(file)), data)
    built(stage.inputs["model"], store)
    file.unlink()
    assert built(stage, store).metrics["n"] == 360


def test_edited_code_of_a_factory_makes_other_keys(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    def key() -> str:
        return train(label(), Recipe(), data.train, data.images, 0, rows=1437, name="x").key

    before = key()
    monkeypatch.setitem(objects._read, "own_layers", (objects._spec("own_layers"), "1" * 64))
    assert key() != before
