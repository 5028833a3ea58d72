"""Robust accuracy as an artifact: what it keeps, which images it takes, and when it doubts itself."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import toy
from sklearn.datasets import load_digits
from torch import Tensor, nn

from raylab import config
from raylab.core import adversary
from raylab.core.balls import L2Ball
from raylab.core.fit import fit
from raylab.core.networks import Network, build
from raylab.engine import runner
from raylab.engine.artifact import Artifact
from raylab.engine.identity import canonical
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Compute, Stage
from raylab.engine.store import Store
from raylab.stages.dataset import DigitsData, open_data
from raylab.stages.images import to_tensor
from raylab.stages.robustness import Ensemble, Robustness, measure, robustness, summarise
from raylab.stages.training import Recipe, train
from raylab.stages.weights import load_network

COMPUTE = Compute(batch_rows=64, shard_rows=128)
SMALL = Robustness(
    eps=(0.2, 0.5), pgd_steps=10, ensemble=Ensemble(steps=20, queries=100), ensemble_eps=(0.5,), others={"linf": 0.1}
)
TESTED = 360


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(str(tmp_path_factory.mktemp("store")))


def built(stage: Stage, store: Store) -> Artifact:
    return runner.build({"x": stage}, store, InlineBackend(), toy.Recorder())["x"]


def judged(settings: Robustness = SMALL, seed: int = 0, compute: Compute = COMPUTE) -> Stage:
    data = open_data(DigitsData(), 0)
    source = train("mlp", Recipe(epochs=3), data.train, data.images, 0, rows=1300, name="mlp")
    return robustness(settings, source, data.test, data.images, seed, compute, rows=TESTED, name="judged")


@cache
def _digits() -> tuple[Tensor, Tensor]:
    bunch = load_digits()
    return torch.from_numpy(bunch.images).float()[:, None] / 16, torch.from_numpy(bunch.target).long()


@cache
def _trained(name: str, eps: float | None = None) -> Network:
    images, labels = _digits()
    network = build(name, (1, 8, 8), 10, [0.5], [0.25], seed=0)
    fit(
        network, images[100:], labels[100:], np.arange(len(images) - 100), epochs=8, batch_size=64, optimizer="adamw",
        seed=0, lr=1e-2 if name == "linear" else 2e-3, adversary=None if eps is None else adversary.pgd(L2Ball(eps)),
    )  # fmt: skip
    return network.eval().requires_grad_(False)


class _Masked(nn.Module):
    """An honest network behind something that hides its gradients."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.network, self.kind = _trained("mlp"), kind

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "rounded pixels":
            return self.network((x * 32).round() / 32)
        logits = self.network(x)
        if self.kind == "saturated logits":
            return torch.tanh(1e4 * (logits - logits.amax(dim=1, keepdim=True))) + 1e-3 * logits.detach()
        if self.kind == "random pixels":
            return self.network((x + 0.5 * torch.randn_like(x)).clamp(0, 1))
        return logits


def _said(network: nn.Module, settings: Robustness) -> tuple[dict[str, Any], set[str]]:
    """The metrics, and the first two words of each warning."""
    torch.manual_seed(0)
    x, label = (rows[:100] for rows in _digits())
    metrics = dict(summarise(settings, measure(settings, network.eval(), x, label, np.arange(100), 0)))
    return metrics, {" ".join(line.split()[:2]) for line in metrics["warnings"]}


WIDE = Robustness(eps=(0.2, 0.4), pgd_steps=100, ensemble=Ensemble(steps=50, queries=200), ensemble_eps=(0.4,))


@pytest.mark.parametrize(
    ("name", "eps", "norm"),
    [("linear", None, "l2"), ("mlp", None, "l2"), ("mlp", 0.4, "l2"), ("mlp", None, "linf"), ("mlp", 0.4, "linf")],
)
def test_an_honest_network_is_not_doubted_and_keeps_no_more_than_pgd_leaves(
    name: str, eps: float | None, norm: Any
) -> None:
    settings = (
        WIDE if norm == "l2" else Robustness(**{**dict(WIDE), "norm": norm, "eps": (0.04, 0.08), "ensemble_eps": None})
    )
    metrics, warnings = _said(_trained(name, eps), settings)
    assert warnings == set()
    assert 0.02 < metrics["pgd"][-1] < metrics["pgd"][0] < metrics["clean"]
    assert metrics["ensemble"][-1] <= metrics["pgd"][-1] + 0.01
    assert metrics["robust"][-1] <= min(metrics["ensemble"][-1], metrics["pgd"][-1])


@pytest.mark.parametrize("kind", ["rounded pixels", "saturated logits", "random pixels"])
def test_a_network_that_is_masked_on_purpose_is_flagged_at_least_twice(kind: str) -> None:
    expected = {"zero gradients:", "a black-box", "accuracy does"}
    warnings = _said(_Masked(kind), WIDE)[1]
    assert expected <= warnings or kind == "random pixels"
    assert "random output:" in warnings or kind != "random pixels"
    assert len(warnings) >= 2
    assert _said(_Masked("not at all"), WIDE)[1] == set()


def test_the_columns_are_margins_and_the_metrics_their_shares(store: Store) -> None:
    stage = judged()
    artifact = built(stage, store)
    rows, metrics = artifact.batch(), artifact.metrics
    clean = built(stage.inputs["data"], store).batch()
    assert np.array_equal(rows["id"], clean["id"])
    assert np.array_equal(rows["label"], clean["label"])
    assert "image" not in rows
    network = load_network(built(stage.inputs["model"], store), "cpu")
    said = network(to_tensor(clean["image"], "cpu")).argmax(1).numpy()
    assert np.array_equal(rows["clean_margin"] > 0, said == clean["label"])
    assert metrics["n"] == TESTED
    assert metrics["eps"] == [0.2, 0.5]
    for k in range(2):
        pgd, ensemble = rows["pgd_margin"][:, k], rows["ensemble_margin"][:, k]
        assert metrics["pgd"][k] == np.mean(pgd > 0)
        assert (pgd <= rows["clean_margin"]).all()
        if k == 0:
            assert metrics["ensemble"][k] is None
            assert np.isnan(ensemble).all()
            assert metrics["robust"][k] == metrics["pgd"][k]
        else:
            assert metrics["ensemble"][k] == np.mean(ensemble > 0)
            assert metrics["robust"][k] == np.mean((pgd > 0) & (ensemble > 0))
            assert np.array_equal(
                ensemble > 0, (rows["clean_margin"] > 0) & (rows["black_box_margin"][:, k] > 0) & (ensemble > 0)
            )
    assert 0.1 < metrics["pgd"][1] < metrics["pgd"][0] < metrics["clean"]
    assert metrics["others"] == {"linf": np.mean(rows["linf_margin"] > 0)}
    assert metrics["others"]["linf"] < metrics["clean"]


def test_rows_draws_exactly_so_many_images_by_id_whatever_the_shards(store: Store) -> None:
    some = Robustness(eps=(0.2,), pgd_steps=2, ensemble=None, rows=60)
    tiny = Compute(batch_rows=7, shard_rows=14)
    one, other = (built(judged(some, compute=c), store).batch() for c in (COMPUTE, tiny))  # some batches draw none
    assert len(one["id"]) == 60
    assert np.array_equal(one["id"], other["id"])
    np.testing.assert_allclose(one["pgd_margin"], other["pgd_margin"], atol=1e-5)
    more = built(judged(some.model_copy(update={"rows": 90})), store).batch()
    assert set(one["id"]) < set(more["id"])
    assert set(one["id"]) != set(built(judged(some, seed=1), store).batch()["id"])
    assert built(judged(some), store).metrics["n"] == 60


def _rows(count: int = 400, **changed: Any) -> dict[str, Any]:
    """An honest network on paper: half of the images stand at the first eps, a quarter at the second."""
    at = np.arange(count) / count
    margins = np.stack([0.5 - at, 0.25 - at], axis=1) - 1e-6
    return {
        "id": np.arange(count), "clean_margin": 0.9 - at, "pgd_margin": margins, "ensemble_margin": margins,
        "gradient_margin": margins, "black_box_margin": np.full_like(margins, np.inf),
        "free_margin": np.full(count, -1.0), "gradient_size": np.ones(count), "repeat_difference": np.zeros(count),
    } | changed  # fmt: skip


def test_the_score_of_pgd_is_part_of_a_measurement_where_it_is_named(store: Store) -> None:
    named, usual = judged(SMALL.model_copy(update={"pgd_score": "any_iterate"})), judged()
    assert "pgd_score" not in canonical(SMALL)
    assert named.key != usual.key
    by_any, by_best = built(named, store).batch(), built(usual, store).batch()
    assert ((by_any["pgd_margin"] > 0) <= (by_best["pgd_margin"] > 0)).all()  # the best iterate is one of them
    np.testing.assert_array_equal(by_any["ensemble_margin"], by_best["ensemble_margin"])


def test_each_image_counts_by_the_worst_of_both() -> None:
    paper = Robustness(eps=(1.0, 2.0))
    rows = _rows()
    swapped = rows["ensemble_margin"][::-1]
    metrics = summarise(paper, rows | {"ensemble_margin": swapped})
    assert metrics["pgd"] == metrics["ensemble"] == (0.5, 0.25)
    assert metrics["robust"] == (0.0, 0.0)
    assert summarise(paper, rows)["robust"] == (0.5, 0.25)


def test_every_doubt_is_heard() -> None:
    paper, honest = Robustness(eps=(1.0, 2.0)), _rows()
    assert summarise(paper, honest)["warnings"] == ()
    margins = honest["pgd_margin"]
    faults = {
        "zero gradients": {"gradient_size": np.zeros(400)},
        "random output": {"repeat_difference": np.full(400, 0.1)},
        "a black-box attack": {"black_box_margin": -margins},
        "PGD overestimates: 25.0% of the images withstand it, 22.5% the ensemble of attacks (eps 2)": {
            "ensemble_margin": margins - np.array([0.0, 0.025])
        },
        "accuracy does not fall": {"free_margin": 0.2 - np.arange(400) / 400},
        "accuracy rises": {"pgd_margin": margins[:, ::-1], "ensemble_margin": margins[:, ::-1]},
    }
    for said, fault in faults.items():
        (line,) = summarise(paper, honest | fault)["warnings"]
        assert line.startswith(said)
    assert (
        summarise(paper.model_copy(update={"ensemble": None}), honest | {"black_box_margin": -margins})["warnings"]
        == ()
    )


def test_a_config_is_read_from_yaml_and_its_problems_are_named() -> None:
    text = "eps: [0.25, 0.5]\nensemble_eps: [0.5]\nothers: {l1: 4.0, shift: 1.0}\nrows: 200"
    assert config.load(Robustness, text).others == {"l1": 4.0, "shift": 1.0}
    for wrong, message in {
        "eps: [0.5, 0.25]": "increasing",
        "norm: linf\neps: [8.0]": "for 8 of 255 levels write 8/255",
        "ensemble_eps: [1.0]": "ensemble_eps: some of eps",
        "others: {shift: 0.5}": "whole pixels",
        "others: {l7: 0.5}": "l7",
    }.items():
        with pytest.raises(config.ConfigError, match=message):
            config.load(Robustness, wrong)
    with pytest.raises(ValueError, match="eps below 8, which allows every image"):
        judged(Robustness(eps=(8.5,)))
    with pytest.raises(ValueError, match="at most the 360 images"):
        judged(Robustness(rows=TESTED + 1))
