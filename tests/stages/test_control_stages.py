"""Patterned sets, sets against an ensemble, and the probe of robust features, run inline on digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import toy

from raylab.core import objectives
from raylab.core.construct import targets
from raylab.engine import runner
from raylab.engine.artifact import Artifact
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Compute, Stage
from raylab.engine.store import Store
from raylab.stages.construction import Attack, construct
from raylab.stages.dataset import DigitsData, SeeFarData, open_data
from raylab.stages.images import to_tensor
from raylab.stages.leakage import robust_features
from raylab.stages.patterns import patterned, random_patterns, universal_patterns
from raylab.stages.recipe import Recipe
from raylab.stages.training import train
from raylab.stages.weights import load_network

DIGITS = DigitsData(per_class=20)
COMPUTE = Compute(batch_rows=32, shard_rows=64)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(str(tmp_path_factory.mktemp("store")))


def built(stage: Stage, store: Store) -> Artifact:
    return runner.build({"x": stage}, store, InlineBackend(), toy.Recorder())["x"]


def network(name: str = "mlp", seed: int = 1, epochs: int = 20, data: Stage | None = None) -> Stage:
    digits = open_data(DIGITS, 0)
    recipe = Recipe(epochs=epochs, lr=1e-2 if name == "linear" else 2e-3)
    return train(name, recipe, data or digits.train, digits.images, seed, rows=200, name=name)


def made(kind: Any = "det", compute: Compute = COMPUTE, **changed: Any) -> Stage:
    data = open_data(DIGITS, 0)
    attack = changed.pop("attack", Attack(steps=10))
    return construct(
        kind, attack, data.train, network(), data.images, 0, "train", compute, rows=200, name=kind, **changed
    )


def with_patterns(
    kind: Any, selector: Stage | None = None, seed: int = 0, compute: Compute = COMPUTE, **changed: Any
) -> Stage:
    data = open_data(DIGITS, 0)
    patterns = changed.pop("patterns", random_patterns(data.images, 1.0, "l2", 3, "patterns"))
    return patterned(
        kind, patterns, data.train, selector, data.images, seed, "train", compute, rows=200, name=kind, **changed
    )


def test_only_images_with_their_own_label_keep_their_pixels_in_a_leakage_only_rand(store: Store) -> None:
    data = open_data(DIGITS, 0)
    new, clean = built(with_patterns("rand"), store), built(data.train, store).batch()
    rows = new.batch()
    pattern = built(random_patterns(data.images, 1.0, "l2", 3, "patterns"), store).batch()["pattern"]
    own = rows["label"] == rows["source_label"]
    assert np.array_equal(rows["label"], targets("rand", clean["label"], clean["id"], 10, 0, "train"))
    assert np.array_equal(rows["perturbed"], ~own)
    assert 0 < own.sum() < 50
    assert np.array_equal(rows["image"][own], clean["image"][own])
    moved = np.clip(clean["image"] + pattern[rows["label"]], 0, 1)
    assert np.allclose(rows["image"][~own], moved[~own], atol=1e-6)
    assert np.array_equal(rows["source_label"], clean["label"])
    assert new.metrics["unperturbed"] == new.metrics["unperturbed_with_own_label"] == own.sum()


def test_a_selector_leaves_what_it_takes_for_the_new_class(store: Store) -> None:
    data, weak = open_data(DIGITS, 0), network(epochs=1)
    new = built(with_patterns("det", weak), store)
    rows, clean = new.batch(), built(data.train, store).batch()
    said = load_network(built(weak, store), "cpu")(to_tensor(clean["image"], "cpu")).argmax(1).numpy()
    assert np.array_equal(rows["label"], (clean["label"] + 1) % 10)
    assert np.array_equal(rows["perturbed"], said != rows["label"])
    assert 0 < (~rows["perturbed"]).sum() == new.metrics["unperturbed"]
    assert new.metrics["unperturbed_with_own_label"] == 0
    assert np.array_equal(rows["image"][~rows["perturbed"]], clean["image"][~rows["perturbed"]])


def test_a_patterned_set_depends_on_neither_shards_nor_order_and_on_all_its_inputs(store: Store) -> None:
    whole = built(with_patterns("rand"), store).batch()
    parts = built(with_patterns("rand", compute=Compute(batch_rows=10, shard_rows=20)), store).batch()
    assert np.array_equal(whole["image"], parts["image"])
    images = open_data(DIGITS, 0).images
    keys = {
        with_patterns("rand").key,
        with_patterns("rand", seed=1).key,
        with_patterns("rand", network(epochs=1)).key,
        with_patterns("rand", everywhere=True).key,
        with_patterns("other", everywhere=True).key,
        *(with_patterns("rand", patterns=random_patterns(images, *given, "p")).key for given in DIFFERENT),
    }
    assert len(keys) == 5 + len(DIFFERENT)


DIFFERENT: list[Any] = [(0.5, "l2", 3), (0.5, "linf", 3), (0.5, "l2", 4)]


def test_universal_perturbations_have_no_schedule() -> None:
    data, attack = open_data(DIGITS, 0), Attack(schedule="cosine")
    with pytest.raises(ValueError, match="an attack of equal steps, got schedule: cosine; remove it"):
        universal_patterns(attack, data.train, network(), 40, data.images, 0, name="universal")


def test_universal_perturbations_lead_images_they_never_saw_to_their_class(store: Store) -> None:
    data = open_data(DIGITS, 0)
    patterns = universal_patterns(
        Attack(eps=2.0, steps=10), data.train, network(), 40, data.images, 0, name="universal"
    )
    rows = built(with_patterns("other", patterns=patterns, everywhere=True), store).batch()
    assert rows["perturbed"].all()
    found = built(patterns, store)
    norms = np.linalg.norm(found.batch()["pattern"].reshape(10, -1), axis=1)
    assert norms.max() <= 2.0 * (1 + 1e-5)
    assert norms.min() > 1.0
    said = load_network(built(network(), store), "cpu")(to_tensor(rows["image"], "cpu")).argmax(1).numpy()
    noise = built(
        with_patterns("other", patterns=random_patterns(data.images, 2.0, "l2", 0, "noise"), everywhere=True), store
    ).batch()
    by_noise = load_network(built(network(), store), "cpu")(to_tensor(noise["image"], "cpu")).argmax(1).numpy()
    hit = np.mean(said == rows["label"])
    assert hit > 0.5 > np.mean(by_noise == noise["label"]) + 0.2
    assert found.metrics["success_on_base"] == pytest.approx(hit, abs=0.25)


def test_features_of_see_far_travel_with_a_patterned_image(store: Store) -> None:
    data = open_data(SeeFarData(name="seefar", train_rows=60, test_rows=10), 0)
    stage = patterned(
        "rand", random_patterns(data.images, 1.0, "l2", 0, "p"), data.train, None, data.images, 0, "train", COMPUTE,
        rows=60, name="x",
    )  # fmt: skip
    rows, clean = built(stage, store).batch(), built(data.train, store).batch()
    for name in ("shape_class", "toogit_class"):
        assert np.array_equal(rows[name], clean[name])


def test_a_leakage_only_set_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"det gives no image its own label.*pass a selector"):
        with_patterns("det")
    with pytest.raises(ValueError, match="everywhere leaves a selector nothing to select"):
        with_patterns("rand", network(epochs=1), everywhere=True)
    with pytest.raises(ValueError, match="eps: a finite radius > 0"):
        random_patterns(open_data(DIGITS, 0).images, 0.0, "l2", 0, "none")


def test_the_margin_is_the_sources_on_the_image_that_is_kept(store: Store) -> None:
    for iterate in ("best", "last"):
        rows = built(made(attack=Attack(eps=1.0, steps=10, iterate=iterate)), store).batch()
        source = load_network(built(network(), store), "cpu")
        logits = source(to_tensor(rows["image"], "cpu"))
        expected = objectives.margin(logits, torch.from_numpy(rows["label"].copy())).numpy()
        assert np.allclose(rows["margin"], expected, atol=1e-4)
        assert np.array_equal(rows["margin"] > 0, rows["source_prediction"] == rows["label"])
        assert 0 < (rows["margin"] > 0).sum() < 200


def test_an_ensemble_keeps_its_answers_while_the_source_is_misled(store: Store) -> None:
    members = tuple(network(seed=seed) for seed in (2, 3, 4))
    attack = Attack(eps=1.5, steps=20)
    plain, bugs = built(made(attack=attack), store), built(made(attack=attack, ensemble=members), store)
    kept = {}
    for name, new in (("plain", plain), ("bugs", bugs)):
        rows = new.batch()
        said = [load_network(built(m, store), "cpu")(to_tensor(rows["image"], "cpu")).argmax(1) for m in members]
        kept[name] = np.mean([(answer.numpy() == rows["source_label"]).mean() for answer in said])
    assert kept["bugs"] > kept["plain"] + 0.3
    assert bugs.metrics["success"] > 0.5
    assert len({made(ensemble=members[:n]).key for n in range(4)}) == 4
    with pytest.raises(ValueError, match="ensemble holds the source"):
        made(ensemble=(network(), members[0]))


def test_the_probe_answers_by_the_features_of_its_network_alone(store: Store) -> None:
    """On clean images with their own labels it is about as good as the network; on random labels it is at chance."""
    data = open_data(DIGITS, 0)
    results = {}
    for features, name in (("logits", "linear"), ("penultimate", "mlp")):
        robust = network(name)
        for what, of in (("clean", data.train), ("none", with_patterns("rand", everywhere=True))):
            stage = robust_features(robust, of, data.test, features, 0.25, data.images, rows=200, name="probe")  # type: ignore[arg-type]
            results[name, what] = built(stage, store)
    for name in ("linear", "mlp"):
        answers = results[name, "clean"].batch()
        assert results[name, "clean"].metrics["accuracy"] == np.mean(answers["correct"]) > 0.75
        assert results[name, "clean"].metrics["accuracy_logistic"] == np.mean(answers["logistic_correct"]) > 0.7
        assert np.array_equal(answers["correct"], answers["prediction"] == answers["label"])
        assert np.array_equal(answers["next_class"], answers["prediction"] == (answers["label"] + 1) % 10)
        assert np.array_equal(answers["id"], built(data.test, store).batch()["id"])
        assert results[name, "none"].metrics["accuracy"] < 0.5
    assert results["linear", "clean"].metrics["features"] == 10
    assert results["mlp", "clean"].metrics["features"] == 128
    assert "certified" not in results["mlp", "clean"].metrics


def test_a_certified_answer_of_a_linear_network_survives_its_radius_and_another_does_not(store: Store) -> None:
    data, eps = open_data(DIGITS, 0), 0.3
    stage = robust_features(
        network("linear"), data.train, data.test, "logits", eps, data.images, rows=200, name="probe"
    )
    metrics = built(stage, store).metrics
    net = load_network(built(network("linear"), store), "cpu")
    x = to_tensor(built(data.test, store).batch()["image"], "cpu")
    logits = net(x)
    said = logits.argmax(1)
    unit = torch.stack(
        [torch.autograd.functional.jacobian(lambda z: net(z)[0], x[:1])[c, 0].flatten() for c in range(10)]
    )
    stands = torch.ones(len(x), dtype=torch.bool)
    for other in range(10):
        gap = unit[other] - unit[said]
        step = eps * gap / gap.norm(dim=1, keepdim=True).clamp(min=1e-12)
        stands &= net(x + step.view(x.shape)).argmax(1) == said
    assert metrics["certified"] == pytest.approx(float(stands.double().mean()), abs=2e-3)
    assert 0.02 < metrics["certified"] < 0.98


def test_logits_of_a_deep_network_are_no_linear_features() -> None:
    data = open_data(DIGITS, 0)
    with pytest.raises(ValueError, match="logits are features of a linear network, got mlp; take penultimate"):
        robust_features(network(), data.train, data.test, "logits", 0.25, data.images, rows=200, name="x")
