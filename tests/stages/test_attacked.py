"""Gradients of a compiled network: another set, of the same network, that says so; nothing else changes its key."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch
import toy

from raylab.core import objectives
from raylab.core.compiled import Compiled
from raylab.engine import runner
from raylab.engine.artifact import Artifact
from raylab.engine.identity import canonical
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Compute, Reduced, Stage, closure
from raylab.engine.store import Store
from raylab.report.experiments import EXPERIMENTS
from raylab.stages.attacked import attacked
from raylab.stages.construction import Attack, construct
from raylab.stages.dataset import DigitsData, open_data
from raylab.stages.images import to_tensor
from raylab.stages.inversion import Inversion, invert
from raylab.stages.recipe import Recipe
from raylab.stages.training import train
from raylab.stages.weights import load_network

DATA = open_data(DigitsData(per_class=20), 0)
PRECISIONS: tuple[Reduced, ...] = get_args(Reduced)
MAY = {"constructed", "inverted"}  # kinds that take a precision


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(str(tmp_path_factory.mktemp("store")))


def built(stage: Stage, store: Store) -> Artifact:
    return runner.build({"x": stage}, store, InlineBackend(), toy.Recorder())["x"]


def source() -> Stage:
    return train("vgg_small", Recipe(epochs=5), DATA.train, DATA.images, 1, rows=200, name="source")


def det(precision: Reduced | None, shard_rows: int = 128, *, ensemble: tuple[Stage, ...] = ()) -> Stage:
    compute, attack = Compute(batch_rows=64, shard_rows=shard_rows, precision=precision), Attack(eps=1.0, steps=10)
    return construct(
        "det", attack, DATA.train, source(), DATA.images, 0, "train", compute, ensemble=ensemble, rows=200, name="det"
    )


def inverted(precision: Reduced | None) -> Stage:
    compute, inversion = Compute(batch_rows=64, shard_rows=128, precision=precision), Inversion(steps=20)
    return invert(inversion, DATA.train, source(), DATA.train, DATA.images, 0, "train", compute, rows=200, name="sets")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_construction_of_a_compiled_network_reaches_as_much_and_is_judged_by_the_network_itself(
    precision: Reduced, store: Store
) -> None:
    usual, fast = built(det(None), store), built(det(precision), store)
    assert fast.key != usual.key
    assert fast.config["compute"]["precision"] == precision
    assert "precision" not in usual.config["compute"]
    assert not np.array_equal(fast.batch()["image"], usual.batch()["image"])
    assert fast.metrics["success"] == pytest.approx(usual.metrics["success"], abs=0.03)
    assert fast.metrics["mean_loss"] == pytest.approx(usual.metrics["mean_loss"], rel=0.05)
    network, rows = load_network(built(source(), store), "cpu"), fast.batch()
    logits = network(to_tensor(rows["image"], "cpu"))
    margin = objectives.margin(logits, torch.from_numpy(rows["label"].astype(np.int64)))
    np.testing.assert_allclose(rows["margin"], margin.numpy(), atol=1e-5)  # other batches round differently
    assert rows["image"].dtype == np.float32


@pytest.mark.parametrize("precision", PRECISIONS)
def test_shards_change_no_bit(precision: Reduced, store: Store) -> None:
    whole, parts = (built(det(precision, rows), store) for rows in (256, 64))
    assert len(parts.parts) > len(whole.parts)
    assert np.array_equal(whole.batch()["image"], parts.batch()["image"])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_inversion_reaches_as_much_and_its_residual_is_that_of_the_network_itself(
    precision: Reduced, store: Store
) -> None:
    usual, fast = built(inverted(None), store), built(inverted(precision), store)
    assert fast.key != usual.key
    assert not np.array_equal(fast.batch()["image"], usual.batch()["image"])
    assert fast.metrics["residual_median"] == pytest.approx(usual.metrics["residual_median"], rel=0.05)
    network, rows = load_network(built(source(), store), "cpu"), fast.batch()
    clean = to_tensor(built(DATA.train, store).batch()["image"], "cpu")
    wanted, found = network.features(clean), network.features(to_tensor(rows["image"], "cpu"))
    expected = (found - wanted).norm(dim=1) / wanted.norm(dim=1)
    np.testing.assert_allclose(rows["residual"], expected.numpy(), atol=1e-4)


def test_an_ensemble_is_compiled_too(store: Store) -> None:
    other = train("vgg_small", Recipe(epochs=5), DATA.train, DATA.images, 2, rows=200, name="spared")
    usual, fast = (built(det(precision, ensemble=(other,)), store) for precision in (None, PRECISIONS[1]))
    assert fast.metrics["mean_loss"] == pytest.approx(usual.metrics["mean_loss"], rel=0.05)


def test_without_a_precision_gradients_are_those_of_the_network_itself(store: Store) -> None:
    artifact = built(source(), store)
    network = load_network(artifact, "cpu")
    assert attacked(network, artifact, None) is network
    assert isinstance(attacked(network, artifact, "folded_float32"), Compiled)


def test_the_default_is_in_no_key() -> None:
    assert canonical(Compute(precision=None)) == {"batch_rows": 250, "shard_rows": 1000}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_of_a_whole_plan_only_constructions_and_inversions_take_it(name: Any) -> None:
    """What measures a network does so in float32, as it was trained, and has the key that it always had."""
    experiment = EXPERIMENTS[name]
    config = experiment.config()
    if not isinstance(getattr(config, "compute", None), Compute):
        return
    reduced = config.model_copy(update={"compute": config.compute.model_copy(update={"precision": "bfloat16"})})
    before, after = (closure(experiment.plan(one).values()) for one in (config, reduced))
    taking = {stage.kind for stage in after if "precision" in str(canonical(stage.config))}
    assert taking <= MAY
    if name != "erm":  # whose sets are those of other studies, which have a `compute` of their own
        assert bool(taking) == bool({stage.kind for stage in before} & MAY)
    kept = [canonical(stage.config) for stage in before if stage.kind not in MAY]
    assert [canonical(stage.config) for stage in after if stage.kind not in MAY] == kept
