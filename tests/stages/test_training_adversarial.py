"""Adversarial training as a stage: its config, its robustness, its collapse, and the same bits when resumed."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import toy

from raylab.config import Config, ConfigError, load
from raylab.core.balls import L2Ball
from raylab.core.objectives import away
from raylab.core.pgd import descend
from raylab.engine import columns, runner
from raylab.engine.artifact import Artifact
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Metrics, Stage, TaskContext
from raylab.engine.store import Store
from raylab.stages.dataset import DigitsData, open_data
from raylab.stages.images import to_tensor
from raylab.stages.recipe import Adversary, Recipe
from raylab.stages.training import Keep, train
from raylab.stages.weights import WEIGHTS, load_network

DATA = open_data(DigitsData(per_class=40), 0)
ROWS = 400


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(str(tmp_path_factory.mktemp("store")))


def built(stage: Stage, store: Store) -> Artifact:
    return runner.build({"x": stage}, store, InlineBackend(), toy.Recorder())["x"]


def trained(recipe: Recipe, network: str = "mlp", data: Stage = DATA.train, **options: Any) -> Stage:
    return train(network, recipe, data, DATA.images, 0, rows=ROWS, name=network, **options)


class Study(Config):
    train: Recipe = Recipe()


# --- config ---


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"norm": "linf", "eps": 8.0}, r"Linf radius is at most 1, got 8; for 8 of 255 levels write 8/255"),
        ({"eps": 0.0}, "greater than 0"),
        ({"eps": 1.0, "steps": 0}, "greater than or equal to 1"),
        ({"eps": 1.0, "step_share": 0.0}, "greater than 0"),
        ({"eps": 1.0, "ramp": 1.5}, "less than or equal to 1"),
        ({"eps": 1.0, "steps": 4}, r"4 steps of 0.2 eps cannot reach the radius; take at least 0.25"),
    ],
)
def test_an_adversary_that_makes_no_sense_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Adversary(**given)


def test_the_published_adversary_takes_seven_steps_of_a_fifth_of_eps_one_half() -> None:
    recipe = Recipe(preset="ilyas2019_adversarial")
    assert recipe.adversary == Adversary(norm="l2", eps=0.5, steps=7, step_share=0.2, ramp=0.6)
    standard = Recipe(preset="ilyas2019_standard")
    assert recipe.model_copy(update={"adversary": None, "preset": None}) == standard.model_copy(update={"preset": None})


@pytest.mark.parametrize("text", ["{}", "train: {preset: ilyas2019_adversarial}"])
def test_one_field_of_a_presets_adversary_changes_alone(text: str) -> None:
    class Published(Config):
        train: Recipe = Recipe(preset="ilyas2019_adversarial")

    assert load(Published, text, ["train.adversary.ramp=0.0"]).train.adversary == Adversary(eps=0.5, ramp=0.0)
    assert load(Published, text, ["train.adversary.eps=0.25"]).train.adversary == Adversary(eps=0.25)
    assert load(Published, text, ["train.adversary=null"]).train.adversary is None


def test_another_norm_takes_no_eps_over_from_the_preset() -> None:
    text = "train: {preset: ilyas2019_adversarial, adversary: {norm: linf}}"
    with pytest.raises(ConfigError, match=r"train\.adversary"):
        load(Study, text)
    changed = load(Study, text, ["train.adversary.eps=0.03"]).train
    assert changed.adversary == Adversary(norm="linf", eps=0.03)
    assert changed.lr == 0.1


def test_an_adversary_is_part_of_what_a_network_is_and_of_what_it_costs() -> None:
    recipes = [
        Recipe(),
        *(Recipe(adversary=Adversary(eps=eps, ramp=ramp)) for eps in (0.5, 1.0) for ramp in (0.0, 0.6)),
    ]
    stages = [trained(recipe) for recipe in recipes]
    assert len({stage.key for stage in stages}) == len(stages)
    assert [stage.passes / stages[0].passes for stage in stages] == [1, 8, 8, 8, 8]


# --- training ---


def test_it_makes_a_network_that_stands_where_the_standard_one_falls(store: Store) -> None:
    standard, robust = (built(trained(recipe), store) for recipe in (Recipe(), Recipe(adversary=Adversary(eps=1.0))))
    test = built(DATA.test, store).batch()
    x, y = to_tensor(test["image"], "cpu"), torch.from_numpy(test["label"].astype(np.int64))

    def robust_accuracy(artifact: Artifact) -> float:
        network = load_network(artifact, "cpu")
        worst = descend(away(network, y), x, L2Ball(0.75), 0.1, 20).best
        return float((network(worst).argmax(1) == y).double().mean())

    assert robust_accuracy(robust) > robust_accuracy(standard) + 0.15
    assert standard.metrics["collapse"] is None
    assert robust.metrics["collapse"] is None
    assert robust.metrics["accuracy"][-1] < standard.metrics["accuracy"][-1] - 0.1  # under attack


def test_a_training_that_failed_says_so_and_is_kept(store: Store) -> None:
    """At a radius of several images nothing can be learnt, whatever the data."""
    made = built(trained(Recipe(epochs=3, adversary=Adversary(eps=8.0, ramp=0.0))), store)
    said = "adversarial training reached no robust accuracy: epoch 3 ended at 0.0% under attack"
    assert said in str(made.metrics["collapse"])  # it is right on 22.5 % of the images without
    assert load_network(made, "cpu") is not None


def test_one_class_alone_is_no_collapse(store: Store) -> None:
    one = built(trained(Recipe(epochs=1, adversary=Adversary(eps=1.0)), data=marked(label=(3, 3))), store)
    assert one.metrics["collapse"] is None


@pytest.mark.parametrize("network", ["mlp", "vgg_small"])
@pytest.mark.parametrize("after", [1, 3])  # within the ramp, and after it
def test_a_resumed_adversarial_training_ends_in_the_same_bits(network: str, after: int, store: Store) -> None:
    recipe = Recipe(epochs=4, adversary=Adversary(eps=1.0, steps=5), augment="crop_flip")
    stage = trained(recipe, network, data=open_data(DigitsData(per_class=8), 0).train)
    whole, parts = built(stage, store), Interrupted(stage, store, after)
    with pytest.raises(InterruptedError):
        parts.run()
    metrics, weights = parts.run()
    assert len(metrics["accuracy"]) == 4
    assert metrics["accuracy"] == tuple(whole.metrics["accuracy"])
    assert metrics["loss"] == tuple(whole.metrics["loss"])
    expected = load_network(whole, "cpu").state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights.items())


class Interrupted:
    """Runs the body of a training; the first time it ends after some epochs, and the next one resumes there."""

    def __init__(self, stage: Stage, store: Store, after: int) -> None:
        self.stage, self.after, self.state, self.epochs = stage, after, None, 0
        self.inputs = {role: store.require(needed) for role, needed in stage.inputs.items()}

    def resume(self) -> bytes | None:
        return self.state

    def report(self, metrics: Mapping[str, float], state: Callable[[], bytes]) -> None:
        del metrics
        self.epochs += 1
        if self.epochs == self.after:
            self.state = state()
            raise InterruptedError

    def run(self) -> tuple[Metrics, dict[str, torch.Tensor]]:
        written: dict[str, bytes] = {}

        def write(name: str, data: bytes, rows: int | None) -> None:
            del rows
            written[name] = data

        metrics = self.stage.config.run(TaskContext(self.inputs, "cpu", write, self))
        return metrics, torch.load(io.BytesIO(written[WEIGHTS]), weights_only=True)


# --- the examples of a set that are kept ---


@dataclass(frozen=True)
class MarkedBody:
    """40 equal images whose 16 of largest margin have one label, the rest another; half of the margins are equal."""

    doing = ("changing", "data set")
    label: tuple[int, int]
    reverse: bool
    in_driver = True

    def run(self, context: TaskContext) -> Metrics:
        ids = np.arange(40) * 3
        image = np.full((40, 1, 8, 8), 0.75, dtype=np.float32)
        # Margins 9, 8, ... 0 for the last ten ids, then 30 equal ones, of which the lowest ids count.
        margin = np.where(ids >= 90, ids / 3 - 30.0, -1.0)
        top = (ids >= 90) | (ids < 18)
        rows = slice(None, None, -1 if self.reverse else 1)
        table = {"id": ids, "image": image, "label": np.where(top, *self.label), "margin": margin}
        contents = columns.to_parquet(columns.to_table({name: column[rows] for name, column in table.items()}))
        context.write("part-00000.parquet", contents, 40)
        return {}


def marked(label: tuple[int, int] = (3, 5), reverse: bool = False) -> Stage:
    return Stage("marked", 1, MarkedBody(label, reverse), {}, "marked")


@pytest.mark.parametrize(("keep", "label", "count"), [("top", 3, 16), ("bottom", 5, 24)])
@pytest.mark.parametrize("reverse", [False, True])
def test_keep_by_margin_takes_the_largest_and_of_equals_the_lowest_ids(
    keep: Keep, label: int, count: int, reverse: bool, store: Store
) -> None:
    """On equal images one label alone is learnt without error, and two are not."""
    recipe = Recipe(epochs=20, batch_size=8, lr=1e-2)
    stage = trained(recipe, "linear", data=marked(reverse=reverse), keep=keep, keep_share=0.4)
    made = built(stage, store)
    assert made.metrics["examples"] == count
    assert made.metrics["accuracy"][-1] == 1.0
    x = to_tensor(built(marked(), store).batch()["image"], "cpu")
    assert set(load_network(made, "cpu")(x).argmax(1).tolist()) == {label}


def test_a_share_counts_only_where_a_set_is_cut_by_margin() -> None:
    def key(**options: Any) -> str:
        return trained(Recipe(), data=marked(), **options).key

    assert key(keep="success", keep_share=0.3) == key(keep="success")
    assert len({key(), key(keep="top"), key(keep="bottom"), key(keep="top", keep_share=0.3)}) == 4
    with pytest.raises(ValueError, match=r"keep_share: a share in \(0, 1\) of the examples, got 1.0; keep: all"):
        key(keep="top", keep_share=1.0)


def test_a_set_without_margins_cannot_be_cut_by_them(store: Store) -> None:
    with pytest.raises(runner.BuildFailed, match=r"keep by margin: a set with a column `margin` is needed, got \['id'"):
        built(trained(Recipe(), keep="bottom"), store)
