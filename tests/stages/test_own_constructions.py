"""Constructions of one's own by `module:object`: sets beside rand and det, checked before compute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import runs
import torch
import toy
from own_pieces.constructions import step_back

from raylab.config import ConfigError, load, to_yaml
from raylab.engine import runner
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Compute, Stage
from raylab.engine.store import Store
from raylab.experiments.transfer import Controls, RobustSource, TransferCell, TransferMatrix, measure, plan
from raylab.experiments.transfer.report import conditions, report
from raylab.report.terminal import as_text
from raylab.stages.dataset import DigitsData, open_data
from raylab.stages.images import to_tensor
from raylab.stages.own_construction import own_construction
from raylab.stages.own_object import modules_of
from raylab.stages.recipe import Recipe
from raylab.stages.training import train
from raylab.stages.weights import load_network

DATA = open_data(DigitsData(per_class=5), 0)
NETWORK = train("linear", Recipe(epochs=2), DATA.train, DATA.images, 0, rows=50, name="linear")
BACK = "own_pieces.constructions:step_back"


def asked(construction: str = BACK) -> Stage:
    compute = Compute(batch_rows=10, shard_rows=20)
    return own_construction(construction, DATA.train, NETWORK, DATA.images, 0, compute, rows=50, name="own")


def test_the_set_is_what_the_function_makes_of_the_training_images(tmp_path: Path) -> None:
    cells = {"own": asked(), "model": NETWORK, "data": DATA.train}
    built = runner.build(cells, Store(str(tmp_path)), InlineBackend(), toy.Recorder())
    clean, rows = built["data"].batch(), built["own"].batch()
    x, labels = to_tensor(clean["image"], "cpu"), torch.from_numpy(clean["label"].astype(np.int64))
    network = load_network(built["model"], "cpu")
    image, target = step_back(network, x, labels, torch.arange(50), 0)
    np.testing.assert_allclose(rows["image"], image.numpy(), atol=1e-6)
    np.testing.assert_array_equal(rows["label"], target.numpy())
    np.testing.assert_array_equal(rows["source_label"], clean["label"])
    said = network(torch.from_numpy(np.array(rows["image"]))).argmax(1).numpy()
    np.testing.assert_array_equal(rows["source_prediction"], said)
    assert built["own"].metrics["success"] == pytest.approx((said == rows["label"]).mean())
    assert set(modules_of([asked()])) == {"own_pieces", "own_pieces.constructions"}


@pytest.fixture(scope="module")
def config() -> TransferMatrix:
    return TransferMatrix(
        data=DigitsData(per_class=6),
        sources=("linear",),
        targets=("linear",),
        kinds=("det",),
        constructions={"step_back": BACK},
        seeds=(0, 1),
        controls=Controls(random_labels=False, untrained=True, robust=RobustSource()),
        **{**runs.SMALL, "neighbours": 20},
    )


def test_it_stands_in_a_matrix_with_its_controls(config: TransferMatrix, tmp_path: Path) -> None:
    built = runs.built(config, Store(str(tmp_path)))
    clean = built.artifacts[TransferCell("network", 0, "linear", "linear", "step_back", "unperturbed")]
    assert clean.manifest["inputs"]["data"] != built.artifacts[TransferCell("set", 0, "linear", "", "step_back")].key
    matrix = measure(built)
    row = matrix.row("linear", "linear", "step_back")
    assert set(row.controls) == {"unperturbed", "untrained", "robust"}
    assert set(matrix.row("linear", "linear", "det").controls) == {*row.controls, "leakage"}
    assert row.accuracy
    assert row.success
    shown = " ".join(as_text(report(matrix), full=True).split())
    assert "step_back, a construction of one’s own" in shown
    assert {one.params["kind"] for one in conditions(matrix)} == {"det", "step_back"}


def test_the_unperturbed_control_has_the_clean_images_and_the_labels_of_the_set(
    config: TransferMatrix, tmp_path: Path
) -> None:
    cells = plan(config)
    made = cells[TransferCell("set", 0, "linear", "", "step_back")]
    relabelled = cells[TransferCell("network", 0, "linear", "linear", "step_back", "unperturbed")].inputs["data"]
    wanted = {"made": made, "relabelled": relabelled, "data": cells[TransferCell("data", 0)]}
    built = runner.build(wanted, Store(str(tmp_path)), InlineBackend(), toy.Recorder())
    rows = built["relabelled"].batch()
    np.testing.assert_array_equal(rows["label"], built["made"].batch()["label"])
    np.testing.assert_array_equal(rows["image"], built["data"].batch()["image"])


def test_a_config_is_read_back_and_names_that_are_taken_are_refused(config: TransferMatrix) -> None:
    assert load(TransferMatrix, to_yaml(config)) == config
    assert "constructions" not in to_yaml(TransferMatrix())
    for text, told in {
        "constructions: {det: 'a:b'}": "det is a built-in construction; give another name",
        "constructions: {Mine!: 'a:b'}": "constructions",
        "constructions: {mine: nothing}": r"must be module:object",
    }.items():
        with pytest.raises(ConfigError, match=told):
            load(TransferMatrix, text)


HEAD = "def mine(network, images, labels, ids, seed): return "
BAD = {
    "def mine(network, images): return images": r"callable as construct\(network, images, labels, ids, seed\)",
    f"{HEAD}images": "a pair of tensors, images and labels, is needed, got Tensor",
    f"{HEAD}images[:1], labels": r"images of shape \(2, 1, 8, 8\) in \[0, 1\] are needed, got torch.float32 \(1, ",
    f"{HEAD}images + 1, labels": r"in \[0, 1\] are needed, got .* from 1 to 2",
    f"{HEAD}images.double(), labels": "float32 images .* got torch.float64",
    f"{HEAD}images, labels + 10": "int64 labels below 10 of 2 images are needed",
    f"{HEAD}images, labels / 1": "int64 labels below 10 .* got torch.float32",
    f"{HEAD}(images * 0 + images.mean(), labels)": "an image alone becomes another",
    f"{HEAD}1 / 0": "ZeroDivisionError",
}


@pytest.mark.parametrize("source", BAD)
def test_what_is_no_construction_is_refused_before_anything_runs(somebodys: Callable[[str], str], source: str) -> None:
    with pytest.raises(ValueError, match=BAD[source]):
        asked(somebodys(source))


def test_a_construction_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="no module nobody_has_it"):
        asked("nobody_has_it:construct")
