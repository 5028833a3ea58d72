"""The stages of the laboratory, run inline on digits: what they keep, and what they are not allowed to depend on."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch
import toy

from raylab.core import evaluate as measures
from raylab.engine import runner
from raylab.engine.artifact import Artifact
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Compute, Stage
from raylab.engine.store import Store
from raylab.stages.construction import Aim, Attack, construct
from raylab.stages.dataset import DigitsData, SeeFarData, open_data, probe
from raylab.stages.evaluation import evaluate
from raylab.stages.images import to_tensor
from raylab.stages.neighbours import neighbours
from raylab.stages.oracles import read_oracles
from raylab.stages.recipe import PRESETS, Recipe
from raylab.stages.training import train
from raylab.stages.weights import load_network

DIGITS = DigitsData(per_class=20)
COMPUTE = Compute(batch_rows=32, shard_rows=64)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One store for the module: what two tests need is built once."""
    return Store(str(tmp_path_factory.mktemp("store")))


def built(stage: Stage, store: Store) -> Artifact:
    return runner.build({"x": stage}, store, InlineBackend(), toy.Recorder())["x"]


def source(network: str = "mlp", seed: int = 1, **recipe: Any) -> Stage:
    data = open_data(DIGITS, 0)
    return train(network, Recipe(**{"epochs": 20, **recipe}), data.train, data.images, seed, rows=200, name="source")


def made(
    aim: Aim, attack: Attack | None = None, seed: int = 0, compute: Compute = COMPUTE, network: str = "mlp"
) -> Stage:
    data = open_data(DIGITS, 0)
    attack = attack or Attack(steps=5)
    return construct(
        aim, attack, data.train, source(network), data.images, seed, "train", compute, rows=200, name=f"{aim} set"
    )


@pytest.mark.parametrize("aim", ["rand", "other", "det"])
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_constructed_set_keeps_every_example_with_its_id_its_source_label_and_its_new_label(
    aim: Aim, norm: Any, store: Store
) -> None:
    eps = 0.5 if norm == "l2" else 0.05
    new = built(made(aim, Attack(norm=norm, eps=eps, steps=5)), store).batch()
    clean = built(open_data(DIGITS, 0).train, store).batch()
    assert np.array_equal(new["id"], clean["id"])
    assert np.array_equal(new["source_label"], clean["label"])
    delta = (new["image"] - clean["image"]).reshape(200, -1)
    size = np.linalg.norm(delta, axis=1) if norm == "l2" else np.abs(delta).max(axis=1)
    assert size.max() <= eps * (1 + 1e-5)
    assert size.mean() > 0.5 * eps
    assert new["image"].dtype == np.float32
    assert new["image"].min() >= 0
    assert new["image"].max() <= 1
    if aim == "det":
        assert np.array_equal(new["label"], (clean["label"] + 1) % 10)
    if aim == "other":
        assert (new["label"] != clean["label"]).all()
    if aim == "rand":
        assert 0 < (new["label"] == clean["label"]).mean() < 0.25


def test_targets_follow_the_seed_and_the_id_and_not_the_shard(store: Store) -> None:
    first = built(made("rand"), store).batch()
    assert np.array_equal(
        first["label"], built(made("rand", compute=Compute(batch_rows=20, shard_rows=20)), store).batch()["label"]
    )
    assert (first["label"] != built(made("rand", seed=5), store).batch()["label"]).mean() > 0.5


def test_perturbations_point_to_the_new_label(store: Store) -> None:
    stage = made("det", Attack(eps=1.0))
    new = built(stage, store)
    network = load_network(built(stage.inputs["model"], store), "cpu")
    clean = built(open_data(DIGITS, 0).train, store).batch()
    target = torch.tensor(new.batch()["label"])
    before = torch.nn.functional.cross_entropy(network(to_tensor(clean["image"], "cpu")), target)
    after = torch.nn.functional.cross_entropy(network(to_tensor(new.batch()["image"], "cpu")), target)
    assert after < before - 1
    said = network(to_tensor(new.batch()["image"], "cpu")).argmax(1).numpy()
    assert np.mean(said == new.batch()["source_prediction"]) > 0.99  # the summary's success is the network's own answer
    assert new.metrics["success"] == pytest.approx(np.mean(said == target.numpy()), abs=0.01)


def test_thirty_cosine_steps_reach_the_loss_of_a_hundred_equal_ones_and_are_another_set(store: Store) -> None:
    usual = made("det", Attack(eps=0.5, steps=100, step_size=0.1), network="cnn")
    faster = made("det", Attack(eps=0.5, steps=30, schedule="cosine"), network="cnn")
    assert usual.key == made("det", Attack(eps=0.5, steps=100, step_size=0.1, schedule=None), network="cnn").key
    assert usual.key != faster.key
    slow, fast = built(usual, store), built(faster, store)
    assert "schedule" not in slow.config["attack"]
    assert fast.config["attack"]["schedule"] == "cosine"
    assert fast.metrics["mean_loss"] == pytest.approx(slow.metrics["mean_loss"], abs=0.02)
    assert fast.metrics["success"] == pytest.approx(slow.metrics["success"], abs=0.02)


def test_a_schedule_says_the_length_of_every_step() -> None:
    sizes = Attack(eps=0.5, steps=30, schedule="cosine").step_sizes
    assert (len(sizes), sizes[0], sizes[-1]) == (30, 0.5, pytest.approx(0.01))
    sizes = Attack(eps=0.5, steps=30, step_size=0.2, schedule="cosine").step_sizes
    assert (sizes[0], sizes[-1]) == (0.2, pytest.approx(0.01))
    assert Attack(eps=0.5, steps=5).step_sizes == [0.25] * 5


def test_an_untargeted_attack_leads_away_and_leaves_the_label(store: Store) -> None:
    new = built(made("untargeted", Attack(eps=1.0)), store)
    rows = new.batch()
    assert np.array_equal(rows["label"], rows["source_label"])
    assert new.metrics["success"] == np.mean(rows["source_prediction"] != rows["label"])
    assert new.metrics["success"] > 0.5


def test_a_sharded_set_is_the_set_made_in_one_go(store: Store) -> None:
    """Shards of whole batches change nothing; the compute batch is part of the identity, for it may."""
    whole = built(made("det", compute=Compute(batch_rows=32, shard_rows=256), network="cnn"), store)
    parts = built(made("det", compute=Compute(batch_rows=32, shard_rows=32), network="cnn"), store)
    assert len(parts.parts) > len(whole.parts)
    assert np.array_equal(whole.batch()["image"], parts.batch()["image"])


def test_a_trained_network_comes_back_as_it_was_and_frozen(store: Store) -> None:
    network = load_network(built(source("cnn"), store), "cpu")
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())
    again = load_network(built(source("cnn"), store), "cpu")
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(network(x), again(x))


def test_training_depends_on_seed_recipe_labels_and_keep() -> None:
    data = open_data(DIGITS, 0)

    def stage(seed: int = 1, **changed: Any) -> Stage:
        recipe = changed.pop("recipe", Recipe(epochs=1))
        return train("mlp", recipe, data.train, data.images, seed, rows=200, name="x", **changed)

    different = [
        stage(),
        stage(seed=2),
        stage(recipe=Recipe(epochs=2)),
        stage(labels="rand"),
        stage(labels="rand", labels_seed=1),
        stage(labels="det"),
        stage(keep="success"),
    ]
    assert len({s.key for s in different}) == len(different)
    assert stage(labels_seed=7).key == stage().key  # without new labels their seed means nothing


def test_every_recipe_that_can_be_named_is_there() -> None:
    names = set(get_args(get_args(Recipe.model_fields["preset"].annotation)[0]))
    assert names == set(PRESETS)
    assert Recipe(preset="ilyas2019_det").augment == "none"


def test_a_named_recipe_is_the_recipe_it_names() -> None:
    named, spelt = Recipe(preset="small", epochs=5), Recipe(epochs=5, batch_size=64, optimizer="adamw", lr=2e-3)
    data = open_data(DIGITS, 0)
    keys = {train("mlp", r, data.train, data.images, 0, rows=1, name="x").key for r in (named, spelt)}
    assert len(keys) == 1


def test_unperturbed_images_get_the_labels_of_the_construction(store: Store) -> None:
    """The control differs from the real set in the perturbation alone: a network that fits its labels says so."""
    data = open_data(DigitsData(per_class=3), 0)
    stage = train(
        "mlp", Recipe(epochs=200), data.train, data.images, 0, labels="rand", labels_seed=9, rows=30, name="control"
    )
    network, clean = load_network(built(stage, store), "cpu"), built(data.train, store).batch()
    said = network(to_tensor(clean["image"], "cpu")).argmax(1).numpy()
    real = construct(
        "rand", Attack(steps=1), data.train, source(), data.images, 9, "train", COMPUTE, rows=30, name="real"
    )
    assert np.array_equal(said, built(real, store).batch()["label"])


def test_keep_takes_the_examples_where_the_attack_succeeded_or_failed(store: Store) -> None:
    data, new = open_data(DIGITS, 0), made("det", Attack(eps=0.7))
    counts = {}
    for keep in ("all", "success", "failed"):
        stage = train("linear", Recipe(epochs=1), new, data.images, 0, keep=keep, rows=200, name=keep)
        counts[keep] = built(stage, store).metrics["examples"]
    assert counts["all"] == 200 == counts["success"] + counts["failed"]
    assert counts["success"] == round(built(new, store).metrics["success"] * 200)
    assert 0 < counts["success"] < 200


def test_a_control_is_trained_on_the_examples_that_its_set_was_cut_to(store: Store) -> None:
    data = open_data(DigitsData(per_class=3), 0)
    new = construct(
        "rand", Attack(eps=0.7), data.train, source(), data.images, 9, "train", COMPUTE, rows=30, name="real"
    )
    stage = train(
        "mlp", Recipe(epochs=200), data.train, data.images, 0, labels="rand", labels_seed=9, keep="success",
        kept_as=new, rows=30, name="control",
    )  # fmt: skip
    rows, made = built(new, store).batch(), built(stage, store)
    kept = rows["source_prediction"] == rows["label"]
    assert made.metrics["examples"] == kept.sum()
    clean = built(data.train, store).batch()["image"][kept]
    said = load_network(made, "cpu")(to_tensor(clean, "cpu")).argmax(1).numpy()
    assert np.array_equal(said, rows["label"][kept])


def test_milestones_that_never_come_are_refused() -> None:
    with pytest.raises(ValueError, match=r"milestones lie before the last of 30 epochs, got \[50, 100\]"):
        Recipe(preset="ilyas2019_standard", epochs=30)


def test_an_evaluation_keeps_logits_and_correctness_by_id(store: Store) -> None:
    data = open_data(DIGITS, 0)
    judged = built(evaluate(source(), data.test, COMPUTE, rows=200, name="judged"), store)
    rows, clean = judged.batch(), built(data.test, store).batch()
    network = load_network(built(source(), store), "cpu")
    expected = network(to_tensor(clean["image"], "cpu")).numpy()
    assert np.array_equal(rows["id"], clean["id"])
    assert np.allclose(rows["logits"], expected, atol=1e-5)
    assert np.array_equal(rows["correct"], measures.is_correct(rows["logits"], clean["label"]))
    assert np.array_equal(rows["next_class"], rows["prediction"] == (clean["label"] + 1) % 10)
    assert judged.metrics["accuracy"] == rows["correct"].mean()
    assert "image" not in rows


def test_the_neighbour_check_leaves_the_image_itself_out(store: Store) -> None:
    data = open_data(DIGITS, 0)
    rows = built(neighbours(data.train, data.train, 1.0, COMPUTE, rows=200, name="clean"), store).batch()
    clean = built(data.train, store).batch()
    flat = clean["image"].reshape(200, -1).astype(np.float64)
    distance = ((flat[:, None] - flat[None]) ** 2).sum(-1)
    np.fill_diagonal(distance, np.inf)
    assert np.array_equal(rows["neighbour_label"], clean["label"][distance.argmin(1)])
    part = built(neighbours(data.train, data.train, 0.3, COMPUTE, rows=200, name="part"), store)
    assert 30 < part.metrics["n"] < 90
    assert set(part.batch()["id"]) < set(clean["id"])


def test_the_oracles_see_the_shape_kept_and_the_toogit_turned(store: Store) -> None:
    data = open_data(SeeFarData(name="seefar", train_rows=2000, test_rows=50), 0)
    assert data.world is not None
    teacher = train("mlp", Recipe(epochs=8), data.train, data.images, 0, rows=2000, name="teacher")
    new = construct(
        "det", Attack(eps=0.8), data.train, teacher, data.images, 0, "train", COMPUTE, rows=2000, name="det set"
    )
    read = built(read_oracles(new, data.world, COMPUTE, rows=2000, name="oracles"), store)
    assert read.metrics["shape_kept"] > 0.97
    untouched = built(read_oracles(_relabelled(data.train), data.world, COMPUTE, rows=2000, name="untouched"), store)
    assert untouched.metrics["shape_kept"] > 0.97
    rows = read.batch()
    turned = (rows["toogit_read"] == rows["label"]).mean()
    before = (rows["toogit_class"] == rows["label"]).mean()
    assert turned > before + 0.3


def _relabelled(data: Stage) -> Stage:
    """The clean images in the columns of a constructed set: an attack of next to no size."""
    seefar = open_data(SeeFarData(name="seefar", train_rows=2000, test_rows=50), 0)
    teacher = train("linear", Recipe(epochs=0), data, seefar.images, 0, rows=2000, name="idle")
    attack = Attack(eps=1e-6, steps=1)
    return construct("det", attack, data, teacher, seefar.images, 0, "train", COMPUTE, rows=2000, name="untouched")


def test_probes_show_two_classes_at_once(store: Store) -> None:
    data = open_data(SeeFarData(name="seefar"), 3)
    assert data.world is not None
    shown = built(probe(data.world, "conflict", 50), store).batch()
    assert (shown["shape_class"] != shown["toogit_class"]).all()
    assert np.array_equal(shown["label"], shown["shape_class"])


def test_a_data_set_is_its_content_and_not_its_place() -> None:
    digits = [open_data(d, s).train.key for d, s in [(DIGITS, 0), (DIGITS, 1), (DigitsData(), 0)]]
    assert len(set(digits)) == 3
    worlds = [SeeFarData(name="seefar"), SeeFarData(name="seefar", toogit_reliability=0.1)]
    assert len({open_data(d, 0).train.key for d in worlds}) == 2
    assert open_data(worlds[0], 0).train.key != open_data(worlds[0], 1).train.key


def test_a_bad_attack_is_refused_with_its_numbers() -> None:
    with pytest.raises(ValueError, match=r"Linf radius is at most 1, got 8"):
        Attack(norm="linf", eps=8)
    with pytest.raises(ValueError, match=r"20 steps of 0.01 cannot reach the radius eps=1"):
        Attack(eps=1.0, step_size=0.01)


def test_a_network_that_cannot_take_the_images_is_refused_when_the_stage_is_made() -> None:
    data = open_data(DIGITS, 0)
    with pytest.raises(ValueError, match=r"vgg16: images must be at least 32x32, got 8x8"):
        train("vgg16", Recipe(), data.train, data.images, 0, rows=1, name="x")
