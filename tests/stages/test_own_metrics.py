"""Measures of one's own by `module:object`: of every example, checked before compute, and known by their code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import runs
import torch
import toy
from own_pieces.metrics import gradient_norm

from raylab.engine import runner
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Compute, Stage
from raylab.engine.store import Store
from raylab.experiments.transfer import Controls, TransferMatrix, measure
from raylab.experiments.transfer.report import conditions, report
from raylab.report.terminal import as_text
from raylab.stages.dataset import DigitsData, open_data
from raylab.stages.images import to_tensor
from raylab.stages.own_metric import own_metric
from raylab.stages.own_object import modules_of
from raylab.stages.recipe import Recipe
from raylab.stages.training import train
from raylab.stages.weights import load_network

DATA = open_data(DigitsData(per_class=5), 0)
NETWORK = train("linear", Recipe(epochs=1), DATA.train, DATA.images, 0, rows=50, name="linear")
NORM = "own_pieces.metrics:gradient_norm"


def asked(metric: str = NORM, shard_rows: int = 20) -> Stage:
    compute = Compute(batch_rows=10, shard_rows=shard_rows)
    return own_metric(metric, NETWORK, DATA.test, DATA.images, compute, rows=50, name="own")


def test_it_is_measured_on_every_test_image(tmp_path: Path) -> None:
    cells = {"own": asked(), "model": NETWORK, "data": DATA.test}
    built = runner.build(cells, Store(str(tmp_path)), InlineBackend(), toy.Recorder())
    test, found = built["data"].batch(), built["own"].batch()
    images, labels = to_tensor(test["image"], "cpu"), torch.from_numpy(test["label"].astype(np.int64))
    expected = gradient_norm(load_network(built["model"], "cpu"), images, labels).numpy()
    np.testing.assert_allclose(found["value"], expected, rtol=1e-4)
    np.testing.assert_array_equal(found["id"], test["id"])
    assert built["own"].metrics["mean"] == pytest.approx(float(found["value"].mean()))
    assert set(modules_of([asked()])) == {"own_pieces", "own_pieces.metrics"}


def test_it_stands_beside_the_accuracy_of_every_network_of_a_matrix(tmp_path: Path) -> None:
    config = TransferMatrix(
        data=DigitsData(per_class=6),
        sources=("linear",),
        targets=("linear",),
        kinds=("det",),
        seeds=(0, 1),
        controls=Controls(unperturbed=False, random_labels=False, untrained=False, robust=None, leakage=None),
        robustness=None,
        metrics={"gradient norm": NORM},
        **{**runs.SMALL, "neighbours": 0},
    )
    matrix = measure(runs.built(config, Store(str(tmp_path))))
    assert {cell.role for cell in matrix.metrics} == {"source", "standard", "student"}
    (condition,) = conditions(matrix)
    assert condition.metrics["own/gradient norm"].mean.mean > 0
    shown = " ".join(as_text(report(matrix), full=True).split())
    assert "Measures of one’s own" in shown
    assert "own/gradient norm_standard_linear" in report(matrix).metrics


BAD = {
    "def mine(network, images): return 0": r"must be callable as metric\(network, images, labels\)",
    "def mine(network, images, labels): return network(images)": r"each of 2 images is needed, got shape \(2, 10\)",
    "def mine(network, images, labels): return labels / 0": "got nan or inf",
    "def mine(network, images, labels): return images.mean().expand(len(images))": "an image alone has other numbers",
    "def mine(network, images, labels): return 1 / 0": "ZeroDivisionError",
}


@pytest.mark.parametrize("source", BAD)
def test_what_is_no_measure_is_refused_before_anything_runs(somebodys: Callable[[str], str], source: str) -> None:
    with pytest.raises(ValueError, match=BAD[source]):
        asked(somebodys(source))


def test_a_measure_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="no module nobody_has_it"):
        asked("nobody_has_it:mine")
