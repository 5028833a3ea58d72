"""Explanations and perturbations as stages: hand-made sets whose numbers are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import toy

from raylab.engine import columns, runner
from raylab.engine.artifact import Artifact
from raylab.engine.identity import fingerprint
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Compute, Metrics, Stage, TaskContext
from raylab.engine.store import Store
from raylab.stages.dataset import SeeFarData, open_data
from raylab.stages.explanations import explain, read_perturbations
from raylab.stages.oracles import read_oracles
from raylab.stages.recipe import Recipe
from raylab.stages.training import train

GIVEN = SeeFarData(name="seefar", train_rows=60, test_rows=40)
DATA = open_data(GIVEN, 0)
COMPUTE = Compute(batch_rows=16, shard_rows=32)


@dataclass(frozen=True)
class SwapBody:
    """Every toogit exchanged for the next one, by hand."""

    doing = ("changing", "data set")
    factor: float
    in_driver = True

    def run(self, context: TaskContext) -> Metrics:
        assert DATA.world is not None
        rows = context.inputs["data"].batch()
        target = (rows["toogit_class"] + 1) % 10
        swap = DATA.world.toogits[target] - DATA.world.toogits[rows["toogit_class"]]
        image = (rows["image"] / 255 + self.factor * swap[:, None]).astype(np.float32)
        made = {"id": rows["id"], "image": image, "label": target, "source_label": rows["toogit_class"]}
        made |= {name: rows[name] for name in ("shape_class", "toogit_class")}
        context.write("part-00000.parquet", columns.to_parquet(columns.to_table(made)), len(target))
        return {"rows": len(target)}


def swapped(factor: float = 0.6) -> Stage:
    return Stage("swapped", 1, SwapBody(factor), {"data": DATA.train}, "swapped")


def built(stage: Stage, store: Store) -> Artifact:
    return runner.build({"x": stage}, store, InlineBackend(), toy.Recorder())["x"]


@pytest.fixture
def store(tmp_path: object) -> Store:
    return Store(str(tmp_path))


def test_a_perturbation_that_swaps_toogits_lies_in_them_alone(store: Store) -> None:
    assert DATA.world is not None
    read = read_perturbations(swapped(), DATA.train, DATA.world, COMPUTE, rows=60, name="read")
    metrics = built(read, store).metrics
    assert metrics["n"] == 60
    assert metrics["toogit"][0] == pytest.approx(1.0, abs=1e-5)
    assert metrics["shape"][0] == pytest.approx(0.0, abs=1e-5)
    assert metrics["with_target"] == pytest.approx(np.sqrt(0.5), abs=1e-5)
    assert metrics["with_swap"] == pytest.approx(1.0, abs=1e-5)
    assert metrics["toogit_by_chance"] == 10 / 256


def test_where_nothing_was_changed_nothing_can_be_said(store: Store) -> None:
    assert DATA.world is not None
    still = read_perturbations(swapped(0.0), DATA.train, DATA.world, COMPUTE, rows=60, name="read")
    metrics = built(still, store).metrics
    assert (metrics["n"], metrics["toogit"], metrics["with_swap"]) == (0, [None], None)


def test_an_explanation_takes_the_lowest_ids_whatever_the_batches(store: Store) -> None:
    assert DATA.world is not None
    recipe = Recipe(epochs=1)
    network = train("mlp", recipe, DATA.train, DATA.images, 0, rows=60, name="network")
    found = [
        built(explain(network, DATA.test, DATA.world, (0.0, 0.2), 2, 20, 0, compute, name="explained"), store)
        for compute in (COMPUTE, Compute(batch_rows=10, shard_rows=10))
    ]
    one, other = (artifact.batch() for artifact in found)
    assert sorted(one["id"].tolist()) == list(range(20))
    assert one["toogit"].shape == (20, 2)
    np.testing.assert_allclose(one["toogit"], other["toogit"], rtol=1e-4)
    assert found[0].metrics["n"] == 20
    assert len(found[0].metrics["toogit"]) == 2


def test_oracles_read_clean_images_without_a_new_label(store: Store) -> None:
    assert DATA.world is not None
    metrics = built(read_oracles(DATA.test, DATA.world, COMPUTE, rows=40, name="read"), store).metrics
    assert metrics == {"n": 40, "shape_right": 1.0, "toogit_right": 1.0}


def test_a_size_is_a_world_of_its_own_and_none_leaves_all_keys_as_they_were() -> None:
    # Of the canonical form before there was a size: whoever has images of See-Far in a store still finds them.
    assert fingerprint(SeeFarData(name="seefar")) == "e6481a1e2bcd9c604a27b6bd9f75278b61c54a5caeead5729df6e32558eed280"
    larger = GIVEN.model_copy(update={"size": 32})
    assert fingerprint(larger) != fingerprint(GIVEN)
    assert open_data(larger, 0).images.shape == (1, 32, 32)
    assert open_data(GIVEN, 0).images.shape == (1, 16, 16)
