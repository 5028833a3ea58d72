"""Poisoned and triggered sets, run inline on digits: which pixels moved, how far, and that no label did."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import toy

from raylab.core.poison import chosen
from raylab.engine import runner
from raylab.engine.artifact import Artifact
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Compute, Stage
from raylab.engine.store import Store
from raylab.stages.construction import Attack, construct
from raylab.stages.dataset import DigitsData, SeeFarData, open_data
from raylab.stages.evaluation import evaluate
from raylab.stages.images import to_tensor
from raylab.stages.patterns import patterned, universal_patterns
from raylab.stages.poison import noise_patterns, poisoned
from raylab.stages.recipe import Recipe
from raylab.stages.training import train
from raylab.stages.trigger import triggered
from raylab.stages.weights import load_network

DIGITS = DigitsData(per_class=20)
COMPUTE = Compute(batch_rows=32, shard_rows=64)
DATA = open_data(DIGITS, 0)
ATTACK = Attack(eps=1.0, steps=10)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(str(tmp_path_factory.mktemp("store")))


def built(stage: Stage, store: Store) -> Artifact:
    return runner.build({"x": stage}, store, InlineBackend(), toy.Recorder())["x"]


def source() -> Stage:
    return train("mlp", Recipe(epochs=12), DATA.train, DATA.images, 1, rows=200, name="source")


def made(aim: Any) -> Stage:
    return construct(aim, ATTACK, DATA.train, source(), DATA.images, 0, "train", COMPUTE, rows=200, name=aim)


def poison(by: Stage, compute: Compute = COMPUTE, **changed: Any) -> Stage:
    return poisoned(by, DATA.train, DATA.images, 0, compute, rows=200, name="poison", **changed)


def test_p1_is_d_det_under_the_labels_that_its_images_had(store: Store) -> None:
    det, new, clean = (built(stage, store).batch() for stage in (made("det"), poison(made("det")), DATA.train))
    assert np.array_equal(new["image"], det["image"])
    assert np.array_equal(new["label"], clean["label"])
    assert np.array_equal(new["label"], (det["label"] - 1) % 10)
    assert np.array_equal(new["label"], new["source_label"])
    sizes = np.linalg.norm((det["image"] - clean["image"]).reshape(200, -1), axis=1)
    assert np.allclose(new["l2"], sizes, atol=1e-5)
    assert sizes.max() <= 1.0 + 1e-5
    metrics = built(poison(made("det")), store).metrics
    assert metrics["poisoned"] == 200
    assert metrics["l2"] == pytest.approx(sizes.mean(), abs=1e-5)


def test_towards_the_own_class_an_image_becomes_easier_for_its_source(store: Store) -> None:
    own, clean = built(made("own"), store), built(DATA.train, store).batch()
    network = load_network(built(source(), store), "cpu")
    label = torch.from_numpy(clean["label"].astype(np.int64))
    before = F.cross_entropy(network(to_tensor(clean["image"], "cpu")), label, reduction="none").numpy()
    rows = own.batch()
    assert np.array_equal(rows["label"], clean["label"])
    assert (rows["loss"] <= before + 1e-6).all()
    assert rows["loss"].mean() < 0.5 * before.mean()
    assert own.metrics["n"] == 200
    assert own.metrics["success"] == np.mean(rows["source_prediction"] == rows["label"]) > 0.99


def test_a_share_leaves_the_other_images_as_they_are(store: Store) -> None:
    det, new, clean = (
        built(stage, store).batch() for stage in (made("det"), poison(made("det"), share=0.3), DATA.train)
    )
    drawn = chosen(clean["id"], 0.3, 0, "poison/share")
    assert np.array_equal(new["poisoned"], drawn)
    assert 30 < drawn.sum() < 90
    assert np.array_equal(new["image"][drawn], det["image"][drawn])
    assert np.array_equal(new["image"][~drawn], clean["image"][~drawn])
    assert (new["l2"][~drawn] == 0).all()


def test_class_wide_poisons_add_one_pattern_a_class(store: Store) -> None:
    noise = noise_patterns(DATA.images, 1.0, "l2", 0, "noise")
    rows, clean = built(poison(noise, shift=0), store).batch(), built(DATA.train, store).batch()
    pattern = built(noise, store).batch()["pattern"]
    assert np.allclose(rows["image"], np.clip(clean["image"] + pattern[clean["label"]], 0, 1), atol=1e-6)
    shifted = built(poison(noise, shift=1), store).batch()
    after = pattern[(clean["label"] + 1) % 10]
    assert np.allclose(shifted["image"], np.clip(clean["image"] + after, 0, 1), atol=1e-6)


def test_p3_is_the_universal_d_det_of_the_controls_under_its_old_labels(store: Store) -> None:
    patterns = universal_patterns(ATTACK, DATA.train, source(), 40, DATA.images, 0, name="universal")
    det = patterned(
        "det", patterns, DATA.train, None, DATA.images, 0, "train", COMPUTE, everywhere=True, rows=200, name="det"
    )  # fmt: skip
    mine = built(poison(patterns, shift=1), store).batch()
    assert np.array_equal(mine["image"], built(det, store).batch()["image"])
    assert np.array_equal(mine["label"], built(DATA.train, store).batch()["label"])


def test_poisons_depend_on_neither_shards_nor_batches_and_on_all_their_inputs(store: Store) -> None:
    small = Compute(batch_rows=10, shard_rows=20)
    noise = noise_patterns(DATA.images, 1.0, "l2", 0, "noise")
    for stage, again in (
        (poison(made("det"), share=0.5), poison(made("det"), small, share=0.5)),
        (poison(noise, shift=0, share=0.5), poison(noise, small, shift=0, share=0.5)),
    ):
        whole, parts = built(stage, store).batch(), built(again, store).batch()
        assert np.array_equal(whole["image"], parts["image"])
        assert np.array_equal(whole["poisoned"], parts["poisoned"])
    others = [poison(made("det")), poison(made("own")), poison(made("det"), share=0.5), poison(noise, shift=0)]
    others += [poison(noise, shift=1), poison(noise_patterns(DATA.images, 1.0, "linf", 0, "n"), shift=0)]
    assert len({stage.key for stage in others}) == len(others)


def test_a_constructed_set_of_other_images_is_refused(store: Store) -> None:
    other = open_data(DigitsData(per_class=30), 1)
    wrong = poisoned(made("det"), other.train, other.images, 0, COMPUTE, rows=200, name="wrong")
    with pytest.raises(runner.BuildFailed, match="is not what the perturbed set was made of"):
        built(wrong, store)


def test_features_of_see_far_travel_with_a_poisoned_and_a_triggered_image(store: Store) -> None:
    data = open_data(SeeFarData(name="seefar", train_rows=60, test_rows=10), 0)
    noise = noise_patterns(data.images, 1.0, "l2", 0, "noise")
    clean = built(data.train, store).batch()
    for stage in (
        poisoned(noise, data.train, data.images, 0, COMPUTE, shift=0, rows=60, name="p5"),
        plant("all", data=data),
    ):
        rows = built(stage, store).batch()
        for name in ("shape_class", "toogit_class"):
            assert np.array_equal(rows[name], clean[name])


def plant(way: Any, data: Any = DATA, **changed: Any) -> Stage:
    given = {"norm": "l2", "eps": 1.0, "side": 2, "target": 3, **changed}
    return triggered(way, data.train, data.images, 0, COMPUTE, rows=200, name=way, **given)


def test_a_trigger_is_planted_where_its_way_says_and_only_badnets_changes_labels(store: Store) -> None:
    clean = built(DATA.train, store).batch()
    everywhere = built(plant("all"), store).batch()
    moved = everywhere["image"] != clean["image"]
    assert not moved[:, :, :6].any()
    assert not moved[:, :, :, :6].any()
    for way in ("clean_label", "changed_label"):
        rows = built(plant(way, share=0.5), store).batch()
        planted = rows["poisoned"]
        assert (clean["label"][planted] == 3).all() == (way == "clean_label")
        assert (rows["label"][planted] == 3).all()
        assert np.array_equal(rows["label"][~planted], clean["label"][~planted])
        assert np.array_equal(rows["source_label"], clean["label"])
        assert np.array_equal(rows["image"][planted], everywhere["image"][planted])
        assert np.array_equal(rows["image"][~planted], clean["image"][~planted])
        assert 0 < planted.sum() < (20 if way == "clean_label" else 180)
    assert np.array_equal(everywhere["label"], clean["label"])


@pytest.mark.parametrize(("changed", "said"), [
    ({"side": 9}, "a side of 1 to 8"), ({"target": 10}, "a class below 10"), ({"eps": 0.0}, "a finite radius"),
    ({"share": 0.0}, "a share in"),
])  # fmt: skip
def test_a_trigger_that_cannot_be_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        plant("all", **changed)


def test_a_network_obeys_a_trigger_that_it_was_taught(store: Store) -> None:
    """The planted truth: with and without the trigger in the training set, on the same triggered images."""
    rates = {}
    for way in ("changed_label", None):
        data = plant(way, eps=2.0, share=0.3) if way else DATA.train
        network = train("mlp", Recipe(epochs=20), data, DATA.images, 1, rows=200, name="victim")
        said = built(evaluate(network, plant("all", eps=2.0), COMPUTE, rows=200, name="obeys"), store).batch()
        rates[way] = np.mean(said["prediction"][said["label"] != 3] == 3)
    assert rates["changed_label"] > 0.9
    assert rates[None] < 0.1
