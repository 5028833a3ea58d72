"""Sets for others: read back to the last bit, by code that knows nothing of raylab, beside a card that is true."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import toy
from PIL import Image

from raylab import entry
from raylab.api import export
from raylab.api.card import architecture
from raylab.api.export import FORMATS, Exported, Format
from raylab.api.sets import filed
from raylab.api.store import ReadStore
from raylab.data.constructed_datasets import ConstructedDatasets
from raylab.engine import runner
from raylab.engine.artifact import Artifact
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Compute
from raylab.engine.store import Store
from raylab.stages.construction import Attack, construct
from raylab.stages.dataset import DigitsData, open_data
from raylab.stages.recipe import Recipe
from raylab.stages.training import train

COMPUTE = Compute(batch_rows=32, shard_rows=64)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    """D_det of digits in a large ball and in one that rounding to 8 bits would fill."""
    store, data = Store(str(tmp_path_factory.mktemp("store"))), open_data(DigitsData(per_class=10), 0)
    source = train("mlp", Recipe(epochs=5), data.train, data.images, 1, rows=100, name="source")
    cells = {
        name: construct(
            "det", Attack(eps=eps, steps=3), data.train, source, data.images, 0, "train", COMPUTE, rows=100, name=name
        )
        for name, eps in (("large", 1.0), ("small", 0.01))
    }
    return runner.build({**cells, "data": data.train}, store, InlineBackend(), toy.Recorder())


def exported(artifact: Artifact, format: Format, folder: Path, **options: Any) -> Path:
    ReadStore(artifact.store).export(artifact.key, folder, format, **options)
    return folder


@pytest.mark.parametrize("format", FORMATS)
def test_a_set_comes_back_to_the_last_bit(format: Format, sets: dict[str, Artifact], tmp_path: Path) -> None:
    rows, found = sets["large"].batch(), export.read(format, exported(sets["large"], format, tmp_path / "set"))
    assert found["image"].dtype == np.float32
    for name in ("id", "image", "label", "source_label"):
        assert np.array_equal(found[name], rows[name]), name
        assert found[name].dtype == rows[name].dtype, name
    if format in ("npz", "huggingface"):  # every column, as it was
        in_order = {name: found[name] for name in rows}
        assert filed(lambda batch: batch, in_order, COMPUTE)[1] == sets["large"].digest


def test_numpy_torch_arrow_and_tar_read_what_was_written(sets: dict[str, Artifact], tmp_path: Path) -> None:
    rows = sets["large"].batch()
    images = torch.cat(torch.load(exported(sets["large"], "torch", tmp_path / "t") / "CIFAR_ims", weights_only=True))
    assert np.array_equal(images.numpy(), rows["image"])
    with np.load(exported(sets["large"], "npz", tmp_path / "n") / "set.npz") as found:
        assert np.array_equal(found["image"], rows["image"])
    (file,) = (exported(sets["large"], "huggingface", tmp_path / "h") / "data").iterdir()
    assert file.name == "train-00000-of-00001.parquet"
    table = pq.read_table(file)
    assert np.array_equal(np.array(table["image_float32"].to_pylist(), np.float32), rows["image"])
    (tmp_path / "view.png").write_bytes(table["image"][0]["bytes"].as_py())
    assert np.array_equal(np.asarray(Image.open(tmp_path / "view.png")), np.rint(rows["image"][0, 0] * 255))
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["label"] == {"names": [str(digit) for digit in range(10)], "_type": "ClassLabel"}
    with tarfile.open(exported(sets["large"], "webdataset", tmp_path / "w") / "train-00000.tar") as tar:
        names = tar.getnames()
        assert names[:4] == [f"{rows['id'][0]:09d}.{end}" for end in ("npy", "png", "cls", "json")]
        assert tar.extractfile(names[2]).read() == str(rows["label"][0]).encode()  # type: ignore[union-attr]


def test_the_layout_of_the_released_sets_is_a_data_source(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    columns = {
        "id": np.arange(20),
        "image": generator.random((20, 3, 32, 32), dtype=np.float32),
        "label": np.arange(20) % 10,
    }
    export.write(Exported(columns, "train", (), ""), "torch", tmp_path / "release_datasets" / "ddet_CIFAR")
    source = ConstructedDatasets(set="d_det")
    assert np.array_equal(source.images(tmp_path, "train", np.arange(20)), columns["image"])
    assert np.array_equal(source.labels(tmp_path, "train").labels, columns["label"])


def test_rounding_that_would_destroy_the_perturbation_is_refused(sets: dict[str, Artifact], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"pixels: 8 bits would move each image by \d+% of its perturbation"):
        exported(sets["small"], "npz", tmp_path / "small", pixels="uint8")
    assert not (tmp_path / "small").exists()
    found = export.read("npz", exported(sets["large"], "npz", tmp_path / "large", pixels="uint8"))
    assert np.abs(found["image"] - sets["large"].batch()["image"]).max() <= 0.5 / 255 + 1e-6
    assert "rounded to 8 bits" in (tmp_path / "large" / "README.md").read_text()
    exported(sets["data"], "npz", tmp_path / "data", pixels="uint8")  # raw images have no perturbation


def test_the_card_says_how_the_set_was_made_and_from_what(sets: dict[str, Artifact], tmp_path: Path) -> None:
    made = sets["large"]
    card = (exported(made, "huggingface", tmp_path / "set") / "README.md").read_text()
    assert card.startswith("---\nlicense: cc-by-4.0\n")
    assert "path: data/train-*" in card
    assert "towards the class after its own, y + 1, in the eyes of a standard mlp (source), and is labelled" in card
    assert "3 steps of projected gradient descent of length 0.833333 in the l2 ball of radius 1 around it" in card
    assert f"| attack success rate | {made.metrics['success']} |" in card
    assert f"| digest | {made.digest} |" in card
    for artifact in (sets["data"], ReadStore(made.store).artifact(made.manifest["inputs"]["model"])):
        assert f"digest `{artifact.digest}`, key `{artifact.key}`" in card
    assert "unperturbed images under the same labels" in card
    assert (
        "An artifact of raylab, of kind data"
        in (exported(sets["data"], "npz", tmp_path / "d") / "README.md").read_text()
    )


def test_a_card_names_the_factory_of_a_network_of_ones_own() -> None:
    assert architecture({"network": "mlp"}) == "mlp"
    assert architecture({"network": {"factory": "mine:resnet", "arguments": {}, "code": {}}}) == "mine:resnet"
    assert architecture({}) == ""


def test_the_command_writes_the_files_and_refuses_what_cannot_be_meant(
    sets: dict[str, Artifact], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large, to = sets["large"], str(tmp_path / "set")
    words = ["store", "export", large.key[:12], "--store", large.store.uri, "--to", to]
    entry.main([*words, "--format", "npz"])
    assert [line.split("  ")[-1] for line in capsys.readouterr().out.splitlines()] == [
        str(tmp_path / "set" / name) for name in ("set.npz", "README.md")
    ]
    for more, said in (
        (["--format", "npz"], "is there already; name a new folder"),
        (["--format", "zip"], "one of torch, npz, huggingface, webdataset, got 'zip'"),
        (["--format", "npz", "--pixels", "int4"], "pixels: float32 or uint8, got 'int4'"),
    ):
        with pytest.raises(SystemExit) as end:
            entry.main([*words, *more])
        assert end.value.code == 2
        assert said in capsys.readouterr().err
