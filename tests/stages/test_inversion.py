"""Sets made by inversion: what they keep, what they may depend on, and what is refused before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import toy
from pydantic import ValidationError

from raylab.core.invert import UNCONVERGED, start_noise
from raylab.core.last_relu import survey
from raylab.core.networks import NETWORKS, build
from raylab.engine import columns, runner
from raylab.engine.artifact import Artifact
from raylab.engine.identity import canonical
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Compute, Metrics, Stage, TaskContext
from raylab.engine.store import Store
from raylab.stages.dataset import DigitsData, SeeFarData, open_data
from raylab.stages.images import to_tensor
from raylab.stages.inversion import Inversion, invert
from raylab.stages.recipe import Recipe
from raylab.stages.training import train
from raylab.stages.weights import load_network

DATA = open_data(SeeFarData(name="seefar", train_rows=160, test_rows=40), 0)
COMPUTE = Compute(batch_rows=20, shard_rows=40)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(str(tmp_path_factory.mktemp("store")))


def built(stage: Stage, store: Store) -> Artifact:
    return runner.build({"x": stage}, store, InlineBackend(), toy.Recorder())["x"]


def model(network: str = "mlp_bottleneck16") -> Stage:
    return train(network, Recipe(epochs=4), DATA.train, DATA.images, 0, rows=160, name="model")


def made(seed: int = 0, compute: Compute = COMPUTE, network: str = "mlp_bottleneck16", **options: Any) -> Stage:
    start = options.pop("begin", DATA.train if options.get("start", "image") == "image" else None)
    split = options.pop("split", "train")
    data = getattr(DATA, split)
    inversion = Inversion(**{"steps": 60, **options})
    return invert(inversion, data, model(network), start, DATA.images, seed, split, compute, rows=160, name="inverted")


@pytest.mark.parametrize("start", ["image", "noise"])
def test_it_keeps_ids_labels_and_truth_and_the_features_but_not_the_image(start: str, store: Store) -> None:
    new, clean = built(made(start=start), store), built(DATA.train, store).batch()
    rows = new.batch()
    for name in ("id", "label", "shape_class", "toogit_class"):
        assert np.array_equal(rows[name], clean[name])
    assert rows["image"].dtype == np.float32
    assert 0 <= rows["image"].min() < rows["image"].max() <= 1
    network = load_network(built(model(), store), "cpu")
    x, z = to_tensor(clean["image"], "cpu"), to_tensor(rows["image"], "cpu")
    expected = (network.features(z) - network.features(x)).norm(dim=1) / network.features(x).norm(dim=1)
    np.testing.assert_allclose(rows["residual"], expected.numpy(), atol=1e-4)
    assert (z - x).flatten(1).norm(dim=1).min() > 0.5
    metrics = new.metrics
    assert metrics["n"] == metrics["rows"] == 160
    assert metrics["residual_median"] == pytest.approx(np.median(rows["residual"]))
    assert metrics["residual_p95"] == pytest.approx(np.sort(rows["residual"])[151:153].mean(), rel=0.1)
    assert metrics["unconverged"] == np.mean(rows["residual"] > UNCONVERGED)
    assert metrics["residual_median"] < UNCONVERGED
    assert metrics["doubts"] == []


def test_a_set_depends_on_the_seed_and_not_on_shards_or_their_order(store: Store, tmp_path: Any) -> None:
    whole, parts = (made(compute=Compute(batch_rows=20, shard_rows=rows), network="cnn", steps=4) for rows in (160, 20))
    first, second = built(whole, store), built(parts, store)
    assert len(second.parts) > len(first.parts)
    assert np.array_equal(first.batch()["image"], second.batch()["image"])
    other = Store(str(tmp_path))
    again = runner.build({"x": parts}, other, Backwards(), toy.Recorder())["x"]
    assert again.digest == second.digest
    assert not np.array_equal(
        built(made(seed=1, network="cnn", steps=4), store).batch()["image"], first.batch()["image"]
    )


class Backwards(InlineBackend):
    def map_shards(self, shards: Any, store: Store, on_outcome: Any) -> None:
        super().map_shards(list(reversed(shards)), store, on_outcome)


def starts(stage: Stage, store: Store) -> np.ndarray[Any, Any]:
    """One step of next to no size: the starts themselves."""
    return built(stage, store).batch()["image"]


def at_start(**options: Any) -> Stage:
    return made(steps=1, step_size=1e-9, **options)


def test_it_starts_at_training_images_for_the_test_split_too(store: Store) -> None:
    clean = built(DATA.train, store).batch()
    images = to_tensor(clean["image"], "cpu").numpy()
    known = {image.tobytes(): label for image, label in zip(images, clean["label"], strict=True)}
    for split in ("train", "test"):
        begun = starts(at_start(split=split), store)
        assert all(image.tobytes() in known for image in begun)
        assert len({image.tobytes() for image in begun}) > len(begun) / 3
        labels = built(getattr(DATA, split), store).batch()["label"]
        same = np.mean([known[image.tobytes()] == label for image, label in zip(begun, labels, strict=True)])
        assert same < 0.3  # chance is .1


def test_noise_is_that_of_the_core(store: Store) -> None:
    rows = built(at_start(start="noise"), store).batch()
    assert np.allclose(rows["image"], start_noise(rows["id"], (1, 16, 16), 0, "train"), atol=1e-8)


def test_a_pool_is_a_few_images_and_the_same_whatever_the_parts_of_the_set(store: Store) -> None:
    few = starts(at_start(pool=7), store)
    assert len({image.tobytes() for image in few}) == 7
    for rows, reverse in ((160, True), (9, False), (9, True)):
        stage = at_start(pool=7, begin=resplit(DATA.train, rows, reverse))
        assert np.array_equal(starts(stage, store), few)
        everything = at_start(begin=resplit(DATA.train, rows, reverse))
        assert np.array_equal(starts(everything, store), starts(at_start(), store))


@dataclass(frozen=True)
class ResplitBody:
    doing = ("changing", "data set")
    in_driver = True
    rows: int
    reverse: bool

    def run(self, context: TaskContext) -> Metrics:
        batch = context.inputs["data"].batch()
        batch = {name: column[::-1] if self.reverse else column for name, column in batch.items()}
        for index, low in enumerate(range(0, len(batch["id"]), self.rows)):
            table = columns.to_table({name: column[low : low + self.rows] for name, column in batch.items()})
            context.write(f"part-{index:05d}.parquet", columns.to_parquet(table), table.num_rows)
        return {}


def resplit(data: Stage, rows: int, reverse: bool) -> Stage:
    """The same examples in other parts, or in reverse order."""
    return Stage("resplit", 1, ResplitBody(rows, reverse), {"data": data}, "resplit")


def test_too_few_steps_and_too_wide_a_layer_are_told(store: Store) -> None:
    short = built(made(steps=2), store).metrics
    assert short["unconverged"] > 0.5
    assert [doubt.split(":")[0] for doubt in short["doubts"]] == ["inversion has not converged"]
    wide = built(made(network="linear", identity_relu=False, steps=2), store).metrics
    assert "256 features, 256 pixels" in wide["doubts"][-1]


@pytest.mark.parametrize("network", ["linear", "mixer"])
def test_no_gradient_can_pass_a_relu_that_is_not_there(network: str) -> None:
    with pytest.raises(ValueError, match=f"identity_relu: {network} has no ReLU before its head; set identity_relu: f"):
        made(network=network)
    made(network=network, identity_relu=False)


def test_a_start_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="start: image needs a training set to start from, got none"):
        made(begin=None)
    with pytest.raises(ValueError, match="start: noise needs no set of start images, got"):
        made(start="noise", begin=DATA.train)
    with pytest.raises(ValueError, match="pool: images to start from, got 5 with start: noise"):
        Inversion(start="noise", pool=5)
    with pytest.raises(ValueError, match="a trained network to invert, got"):
        invert(Inversion(), DATA.train, DATA.test, DATA.train, DATA.images, 0, "train", COMPUTE, rows=1, name="x")


def test_everything_that_decides_a_set_is_part_of_its_key() -> None:
    stages = [
        made(),
        made(seed=1),
        made(split="test"),
        made(steps=61),
        made(step_size=0.2),
        made(schedule="constant"),
        made(identity_relu=False),
        made(pool=10),
        made(iterate="last"),
        made(start="noise"),
        made(begin=DATA.test),
        made(compute=Compute(batch_rows=40, shard_rows=40)),
    ]
    assert len({stage.key for stage in stages}) == len(stages)
    assert stages[0].passes == 160 * 60


def test_a_set_of_last_iterates_is_another_set_and_farther_from_its_features(store: Store) -> None:
    """Constant steps as long as the published ones end in going to and fro."""
    options: dict[str, Any] = {"steps": 40, "step_size": 0.4, "schedule": "constant"}
    best, last = (built(made(**options, **more), store) for more in ({}, {"iterate": "last"}))
    assert not np.array_equal(best.batch()["image"], last.batch()["image"])
    assert (last.batch()["residual"] >= best.batch()["residual"]).all()
    assert (last.batch()["residual"] > best.batch()["residual"]).mean() > 0.5


def test_sets_from_before_there_was_a_choice_of_iterate_keep_their_key() -> None:
    assert made(iterate=None).key == made().key
    assert "iterate" not in canonical(Inversion())
    with pytest.raises(ValidationError, match="iterate"):
        Inversion(iterate="best")  # type: ignore[arg-type]  # that is None: a set has one key


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - {"vgg16", "resnet50", "inception_v3"}))
def test_an_architecture_is_surveyed_without_being_built(name: str) -> None:
    before = torch.random.get_rng_state()
    found = survey(name, (3, 32, 32))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert found.size == build(name, (3, 32, 32), 10, [0.5] * 3, [0.25] * 3, 0).head.in_features
    assert (found.num_relus == 0) == (name in ("linear", "mixer"))


def test_data_without_known_features_has_no_such_columns(store: Store) -> None:
    digits = open_data(DigitsData(per_class=3), 0)
    network = train("mlp", Recipe(epochs=1), digits.train, digits.images, 0, rows=30, name="m")
    stage = invert(
        Inversion(steps=2), digits.train, network, digits.train, digits.images, 0, "train", COMPUTE, rows=30, name="x"
    )
    assert set(built(stage, store).batch()) == {"id", "image", "label", "residual"}
