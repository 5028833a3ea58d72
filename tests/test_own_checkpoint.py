"""The example of docs/: a checkpoint that plain PyTorch has trained, as the source that a config names."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import toy
from sets_of_images import encoded, random_images, write_parquet

from raylab.config import load
from raylab.core import torchvision_compat
from raylab.engine import runner
from raylab.engine.runner import BuildFailed, InlineBackend
from raylab.engine.store import Store
from raylab.experiments.transfer import TransferMatrix
from raylab.stages import own
from raylab.stages.data_config import KnownData
from raylab.stages.dataset import open_data

ROOT = Path(__file__).parent.parent
ROWS = {"train": 130, "test": 40}


def test_what_it_prints_is_what_the_config_states_and_another_normalisation_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "cifar10" / "plain_text"
    for number, (split, rows) in enumerate(ROWS.items()):
        images = random_images(rows, 32, 32, number)
        labels = [row % 10 for row in range(rows)]
        for image, label in zip(images, labels, strict=True):  # a class is a height
            image[3 * label : 3 * label + 3] = 255
        write_parquet(folder / f"{split}-00000-of-00001.parquet", [encoded(one) for one in images], labels)
    torchvision_compat.load()
    runpy.run_path(str(ROOT / "docs" / "train_resnet18.py"))["main"](str(folder), str(tmp_path / "x.pt"))
    stated = re.search(r"accuracy: ([\d.]+)", capsys.readouterr().out)
    assert stated
    text = (ROOT / "configs" / "transfer_matrix" / "own_network.yaml").read_text()
    text = text.replace("resnet18.safetensors", f"'{tmp_path / 'x.pt'}'").replace(".6591", stated[1][1:])
    data, store = open_data(KnownData(name="cifar10", root=str(tmp_path)), 0), Store(str(tmp_path / "store"))

    def checked(text: str) -> object:
        stage = own.loaded(load(TransferMatrix, text).sources[1], data)
        assert stage is not None
        return runner.build({"x": stage}, store, InlineBackend(), toy.Recorder())["x"].metrics["accuracy"]

    assert checked(text) == pytest.approx(float(stated[1]), abs=1e-4)
    with pytest.raises(BuildFailed, match="was stated for it"):
        checked(re.sub(r"accuracy: [\d.]+", "accuracy: 0.99", text))
