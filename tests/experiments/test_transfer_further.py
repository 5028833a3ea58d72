"""Further test images of a matrix: what they are, how classes meet, and where the accuracy is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import runs
from PIL import Image
from sets_of_images import encoded, write_parquet

from raylab import data
from raylab.config import ConfigError, load, to_yaml
from raylab.engine.store import Store
from raylab.experiments.transfer import Controls, Matrix, TransferCell, TransferMatrix, measure, plan
from raylab.experiments.transfer.report import conditions, report
from raylab.report.files import files
from raylab.report.terminal import as_text
from raylab.stages.data_config import DigitsData, NpzData
from raylab.stages.dataset import _MappedData, open_data
from raylab.stages.further import FurtherTest

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MEANT = {word: str(number) for number, word in enumerate(WORDS)}
KNOWN = open_data(DigitsData(), 0)
TEST = data.read("digits", None, "test", {"seed": 0})


def npz(root: Path, name: str, images: Any = TEST.images, labels: Any = TEST.labels) -> NpzData:
    """Test images without training images, whose classes are called by their words, last first."""
    (root / name).mkdir()
    np.savez(root / name / "test.npz", image=images, label=9 - labels)
    return NpzData(name="npz", root=str(root), folder=name, class_names=WORDS[::-1])


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    """Its further test images are its own, and the same upside down without the class 9."""
    root = tmp_path_factory.mktemp("further")
    same = FurtherTest(data=npz(root, "same"), classes=MEANT)
    turned = FurtherTest(data=npz(root, "turned", TEST.images[:, :, ::-1]), classes={**MEANT, "nine": None})
    config = TransferMatrix(
        data=DigitsData(per_class=12),
        sources=("linear",),
        targets=("linear",),
        kinds=("det",),
        seeds=(0,),
        controls=Controls(random_labels=False, untrained=False, robust=None, leakage=None),
        robustness=None,
        evaluate_on={"same": same, "upside down": turned},
        **{**runs.SMALL, "neighbours": 0},
    )
    return measure(runs.built(config, Store(str(root / "store"))))


def test_every_tested_network_is_asked_and_its_own_images_give_the_same_accuracy(matrix: Matrix) -> None:
    assert set(matrix.further) == {
        TransferCell("source", 0, "linear"),
        TransferCell("standard", 0, target="linear"),
        TransferCell("student", 0, "linear", "linear", "det"),
        TransferCell("student", 0, target="linear", kind="det", control="unperturbed"),
    }
    asked = {cell.on: one.without_images() for cell, one in matrix.built.artifacts.items() if cell.role == "further"}
    assert len(asked["same"]["id"]) == len(TEST.ids)
    assert len(asked["upside down"]["id"]) == int((TEST.labels != 9).sum())
    assert set(asked["upside down"]["label"]) == set(range(9))
    tested = matrix.built.artifacts[TransferCell("standard", 0, target="linear")].without_images()
    in_test = np.isin(TEST.ids, tested["id"])  # the cut keeps twelve of each class
    same = matrix.built.artifacts[TransferCell("further", 0, target="linear", on="same")].without_images()
    np.testing.assert_array_equal(same["label"], TEST.labels)
    np.testing.assert_array_equal(same["prediction"][in_test], tested["prediction"])


def test_accuracy_is_in_the_table_the_files_and_the_metrics(matrix: Matrix) -> None:
    shown = " ".join(as_text(report(matrix), full=True).split())
    for word in ("Accuracy on further test images", "upside down", "clean images (independent)", "det from linear"):
        assert word in shown
    (condition,) = conditions(matrix)
    own, turned = (condition.metrics[f"accuracy_on/{name}"] for name in ("same", "upside down"))
    assert own.mean.n == len(TEST.ids)
    assert turned.mean.n == int((TEST.labels != 9).sum())
    assert "accuracy_on/same_standard_linear" in report(matrix).metrics
    table = files(report(matrix))["tables/further.csv"].decode().splitlines()
    assert len(table) == 1 + len(matrix.further)
    assert "upside down se" in table[0]


def test_a_config_with_further_images_is_read_back_and_one_without_is_what_it_was() -> None:
    text = "evaluate_on: {fog 5: {data: {name: cifar10_c, corruption: fog, severity: 5}}}"
    given = load(TransferMatrix, text)
    assert load(TransferMatrix, to_yaml(given)) == given
    assert "evaluate_on" not in to_yaml(TransferMatrix())
    with pytest.raises(ConfigError, match=r"evaluate_on\.test"):
        load(TransferMatrix, "evaluate_on: {test: {data: {name: digits}}}")


def opened(further: FurtherTest) -> Any:
    return further.open("mine", KNOWN, 0)[0]


def test_classes_of_the_same_names_meet_whatever_their_order(tmp_path: Path) -> None:
    np.savez(tmp_path / "test.npz", image=TEST.images, label=9 - TEST.labels)
    names = tuple(str(number) for number in range(9, -1, -1))
    stage = opened(FurtherTest(data=NpzData(name="npz", root=str(tmp_path), class_names=names)))
    assert isinstance(stage.config, _MappedData)
    assert stage.config.labels == tuple(range(9, -1, -1))
    np.savez(tmp_path / "test.npz", image=TEST.images, label=TEST.labels)
    assert not isinstance(opened(FurtherTest(data=NpzData(name="npz", root=str(tmp_path)))).config, _MappedData)


def test_test_images_alone_are_enough_in_every_layout_of_ones_own(tmp_path: Path) -> None:
    images = np.rint(255 * TEST.images[:20, 0]).astype(np.uint8)
    for name in ("three", "four"):
        (tmp_path / "pictures" / "test" / name).mkdir(parents=True)
        for row in range(3):
            Image.fromarray(images[row]).save(tmp_path / "pictures" / "test" / name / f"{row}.png")
    write_parquet(tmp_path / "table" / "test.parquet", [encoded(one) for one in images[:4]], [3, 4, 3, 4])
    folder = load(
        FurtherTest,
        f"data: {{name: image_folder, folder: pictures, root: '{tmp_path}'}}\nclasses: {{three: '3', four: '4'}}",
    )
    stage, rows = folder.open("mine", KNOWN, 0)
    assert (stage.config.labels, rows) == ((4, 3), 6)  # type: ignore[attr-defined]
    table = load(
        FurtherTest,
        f"data: {{name: parquet, folder: table, root: '{tmp_path}', class_names: ['0', '1', '2', '3', '4']}}",
    )
    assert table.open("mine", KNOWN, 0)[1] == 4


@pytest.mark.parametrize(
    ("classes", "told"),
    [
        ({}, r"evaluate_on\.mine: classes: nine, eight, .* is no class of the data, which are 0, 1, .*null to leave"),
        ({**MEANT, "nine": "ninth"}, "classes: ninth is no class of the data"),
        ({**MEANT, "ten": "1"}, "classes: no class ten there, only nine, eight"),
    ],
)
def test_classes_that_do_not_meet_are_named(tmp_path: Path, classes: dict[str, str | None], told: str) -> None:
    with pytest.raises(data.DataError, match=told):
        opened(FurtherTest(data=npz(tmp_path, "mine"), classes=classes))


def test_images_of_another_size_and_files_that_are_not_there_are_errors_of_the_plan(tmp_path: Path) -> None:
    small = FurtherTest(data=npz(tmp_path, "small", TEST.images[:, :, :4]), classes=MEANT)
    with pytest.raises(
        data.DataError, match=r"evaluate_on\.mine: images of shape \(1, 8, 8\) are needed, .*got \(1, 4"
    ):
        opened(small)
    nowhere = FurtherTest(data=NpzData(name="npz", root=str(tmp_path), folder="nowhere"))
    with pytest.raises(data.DataError, match=r"evaluate_on\.gone: .*nowhere/test\.npz .*not found"):
        plan(TransferMatrix(evaluate_on={"gone": nowhere}))
