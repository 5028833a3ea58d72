"""R(f) as a stage: a linear network against its closed form, draws and pairs, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import toy

from raylab.engine import runner
from raylab.engine.artifact import Artifact
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Compute, Stage
from raylab.engine.store import Store
from raylab.stages.dataset import DigitsData, open_data
from raylab.stages.images import to_tensor
from raylab.stages.layer_robustness import LayerRobustness, layer_robustness
from raylab.stages.recipe import Adversary, Recipe
from raylab.stages.training import train
from raylab.stages.weights import load_network

DATA = open_data(DigitsData(per_class=20), 0)
TESTED = DATA.rows["test"]
COMPUTE = Compute(batch_rows=32, shard_rows=64)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(str(tmp_path_factory.mktemp("store")))


def built(stage: Stage, store: Store) -> Artifact:
    return runner.build({"x": stage}, store, InlineBackend(), toy.Recorder())["x"]


def network(name: str = "mlp", recipe: Recipe | None = None) -> Stage:
    return train(name, recipe or Recipe(epochs=15), DATA.train, DATA.images, 1, rows=200, name=name)


def measured(model: Stage | None = None, name: str = "mlp", seed: int = 0, eps: float = 0.05, **changed: Any) -> Stage:
    config = LayerRobustness(**{"rows": 40, **changed})
    return layer_robustness(
        config, "l2", eps, name, model or network(name), DATA.test, seed, COMPUTE, rows=TESTED, name="R"
    )


def test_the_logits_of_a_linear_network_have_the_closed_form_where_no_pixel_is_held_back(store: Store) -> None:
    """R = eps sigma_1 / E ||W (x1 - x2)||: an upper bound in [0, 1], where black pixels cannot be darkened."""
    found = built(measured(name="linear", steps=100), store)
    linear = load_network(built(network("linear"), store), "cpu")
    w = linear.head.weight / torch.as_tensor(DATA.images.std[0])
    largest = 0.05 * float(torch.linalg.matrix_norm(w.detach(), 2))
    rows = found.batch()
    assert found.metrics["layers"] == ["logits"]
    assert (rows["moved"] <= largest * (1 + 1e-4)).all()
    assert rows["moved"].mean() > 0.7 * largest
    data = built(DATA.test, store).batch()
    where = {int(i): r for r, i in enumerate(data["id"])}
    x = to_tensor(data["image"], "cpu")
    one, other = (linear(x[[where[int(i)] for i in rows[name]]]) for name in ("id", "other"))
    assert np.allclose((one - other).norm(dim=1).detach().numpy(), rows["apart"][:, 0], atol=1e-3)
    assert found.metrics["robustness"][0] == pytest.approx(rows["moved"].mean() / rows["apart"].mean(), rel=1e-5)


def test_images_are_drawn_by_id_and_no_image_meets_itself(store: Store) -> None:
    rows = built(measured(), store).batch()
    assert len(set(rows["id"].tolist())) == 40
    assert (rows["id"] != rows["other"]).all()
    assert sorted(rows["id"].tolist()) == sorted(rows["other"].tolist())
    more = built(measured(rows=60), store).batch()
    assert set(rows["id"].tolist()) <= set(more["id"].tolist())


def test_batches_change_nothing_that_can_be_seen(store: Store) -> None:
    """Rows meet in batches of a fixed size, for another one may round differently; digits and an MLP show only that."""
    one, other = (
        built(
            layer_robustness(
                LayerRobustness(rows=40), "l2", 0.05, "mlp", network(), DATA.test, 0, compute, rows=TESTED, name=""
            ),
            store,
        ).batch()
        for compute in (COMPUTE, Compute(batch_rows=7, shard_rows=7))
    )
    assert np.array_equal(one["id"], other["id"])
    assert np.allclose(one["moved"], other["moved"], rtol=1e-4)
    assert np.allclose(one["apart"], other["apart"], rtol=1e-5)


def test_a_larger_ball_and_more_starts_reach_farther(store: Store) -> None:
    small, large = (built(measured(eps=eps), store).batch()["moved"] for eps in (0.05, 0.2))
    assert (large >= small - 1e-5).all()
    starts = built(measured(starts=3), store).batch()["moved"]
    assert (starts >= small - 1e-6).all()
    assert built(measured(eps=0.3), store).key != built(measured(), store).key


def test_the_configs_own_radius_wins() -> None:
    assert measured(eps=0.3).key != measured(eps=0.2).key
    own = {"eps": 0.2, "rows": 40}
    given, other = (
        layer_robustness(
            LayerRobustness(**own), "l2", eps, "mlp", network(), DATA.test, 0, COMPUTE, rows=TESTED, name=""
        )
        for eps in (0.7, 0.9)
    )
    assert given.key == other.key


def test_adversarial_training_makes_the_layers_more_robust(store: Store) -> None:
    """The sign that row 33 is about, on digits; measured at three seeds: ratios of 1.4 to 2."""
    attacked = Recipe(epochs=15, adversary=Adversary(eps=1.0, steps=3, step_share=0.4))
    plain = built(measured(eps=0.5), store).metrics
    robust = built(measured(network("mlp", attacked), eps=0.5), store).metrics
    assert plain["layers"] == robust["layers"] == ["hidden 1", "hidden 2", "logits"]
    assert all(r < p for r, p in zip(robust["robustness"], plain["robustness"], strict=True))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=f"rows at most the {TESTED} images"):
        measured(rows=TESTED + 1)
    with pytest.raises(ValueError, match="eps: a finite radius"):
        measured(eps=0.0)
