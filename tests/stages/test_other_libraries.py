"""Networks of other libraries as factories, where those are installed, and their weights' files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from raylab.core import torchvision_compat
from raylab.data import checkpoints
from raylab.engine.label import Label
from raylab.stages import architecture
from raylab.stages.images import ImageSpec
from raylab.stages.own_network import OwnNetwork

CIFAR = ImageSpec((3, 32, 32), 10, (0.5,) * 3, (0.25,) * 3)
TINY: dict[str, Any] = {
    "model_type": "resnet",
    "num_labels": 10,
    "embedding_size": 8,
    "hidden_sizes": [8, 16],
    "depths": [1, 1],
    "layer_type": "basic",
}


def read_back(library: str, factory: str, arguments: dict[str, Any], folder: Path) -> None:
    torchvision_compat.load()  # which they import, beside whatever torch there is
    pytest.importorskip(library, reason=f"networks of {library}, an optional library")
    own = OwnNetwork(factory=factory, arguments=arguments)
    made, images = architecture.of(Label("own", own), CIFAR)
    network, other = (architecture.build(made, images, seed).eval() for seed in (0, 1))
    torch.save(network.body.state_dict(), folder / "weights.pt")
    kept = checkpoints.read(folder / "weights.pt", other.body.state_dict())
    other.body.load_state_dict(dict(kept.state))
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(network(x), other(x))
        assert network.features(x).ndim == 2


@pytest.mark.filterwarnings("ignore")  # of the libraries' own
def test_timm(tmp_path: Path) -> None:
    arguments = {"model_name": "resnet10t", "num_classes": 10}
    read_back("timm", "timm:create_model", arguments, tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_hugging_face(tmp_path: Path) -> None:
    read_back("transformers", "raylab.factories:hugging_face", TINY, tmp_path)
