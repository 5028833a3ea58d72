"""Further test images beside the robust sets, poisons and Fourier analysis: who is asked, where accuracy is shown."""

from __future__ import annotations

from typing import Any

import pytest
import robust_runs

from raylab.engine.study import Built
from raylab.experiments import fourier, poison
from raylab.experiments.fourier import Fourier
from raylab.experiments.poison import PoisonStudy
from raylab.experiments.robust import RobustFeatures, measure, plan
from raylab.experiments.robust.report import conditions, report
from raylab.report.terminal import as_text
from raylab.stages.dataset import SeeFarData
from raylab.stages.further import FurtherTest

WORLD = SeeFarData(name="seefar", train_rows=300, test_rows=300)
FURTHER = {"noisy": FurtherTest(data=WORLD.model_copy(update={"noise": 0.3, "test_rows": 310}))}


def test_every_tested_network_is_asked_about_the_same_images() -> None:
    config = RobustFeatures(data=WORLD, source="mlp", students=("mlp",), seeds=(0, 1), layers=None)
    cells = plan(config.model_copy(update={"evaluate_on": FURTHER}))
    further = {cell: stage for cell, stage in cells.items() if cell.role == "further"}
    assert {cell: stage for cell, stage in cells.items() if cell not in further} == plan(config)
    assert {cell._replace(role="test", on="") for cell in further} == {cell for cell in cells if cell.role == "test"}
    for cell, stage in further.items():
        assert stage.inputs["model"] == cells[cell._replace(role="test", on="")].inputs["model"]
    assert len({stage.inputs["data"].key for stage in further.values()}) == 2  # a world a seed


@pytest.mark.parametrize(
    ("config", "planned", "role"),
    [
        (PoisonStudy(data=WORLD, seeds=(0, 1), shares=(0.5,)), poison.plan, "victim"),
        (Fourier(data=WORLD, seeds=(0, 1), corruptions=None, noise=None, filtered=None), fourier.plan, "test"),
    ],
)
def test_the_networks_of_other_experiments_are_asked_too(config: Any, planned: Any, role: str) -> None:
    cells = planned(config.model_copy(update={"evaluate_on": FURTHER}))
    further = {cell: stage for cell, stage in cells.items() if cell.role == "further"}
    assert {cell: stage for cell, stage in cells.items() if cell not in further} == planned(config)
    tested = {cell: stage for cell, stage in cells.items() if cell.role == role}
    assert {cell._replace(role="further", on="noisy"): stage.inputs["model"] for cell, stage in tested.items()} == {
        cell: stage.inputs["model"] for cell, stage in further.items()
    }


def test_accuracy_is_in_a_table_and_in_the_metrics_of_each_network() -> None:
    config = robust_runs.CONFIG.model_copy(update={"evaluate_on": FURTHER})
    tested = robust_runs.study(config).built.artifacts
    asked = {cell._replace(role="further", on="noisy"): of for cell, of in tested.items() if cell.role == "test"}
    found = measure(Built(config, "key", {**tested, **asked}))
    assert all(one.further["noisy"].mean == one.accuracy.mean for one in found.networks)
    assert all(condition.metrics["accuracy_on/noisy"] for condition in conditions(found))
    assert "Accuracy on further test images" in as_text(report(found), full=True)
    assert "further test images" not in as_text(report(robust_runs.study()), full=True)
