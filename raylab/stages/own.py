"""Weights of one's own, as artifacts: read by the driver, checked against the accuracy that was stated for them.

Two stages. `imported` copies the tensors of a file into the store: its key is that of the file's content, of the
factory's code and of the normalisation, never of a path. `checked` measures their accuracy on the test images, which a
wrong normalisation lowers and nothing else shows; everything that uses the network is made from that.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import numpy as np

from raylab.core import evaluate as measures
from raylab.core.later import networks
from raylab.data import DataError, checkpoints, digest
from raylab.data.reader import RawFile, readable
from raylab.engine.identity import fingerprint
from raylab.engine.label import meaning_of
from raylab.engine.stage import Metrics, Stage, TaskContext
from raylab.site import home
from raylab.stages import architecture
from raylab.stages.architecture import Factory
from raylab.stages.dataset import Data
from raylab.stages.images import ImageSpec, to_tensor
from raylab.stages.own_network import OwnNetwork
from raylab.stages.weights import WEIGHTS, keep_weights, load_network

BATCH = 250
Z = 3.3  # standard errors: one right statement in a thousand is refused
_fitting: dict[str, ImageSpec] = {}  # of this process: weights that were seen to be those of their network


@dataclass(frozen=True)
class _Imported:
    """The identity of weights: what takes them, and their bytes."""

    doing = ("reading", "network")
    in_driver = True  # the file is where the driver is
    network: Factory
    images: ImageSpec
    content: str
    path: Path = field(compare=False)

    def run(self, context: TaskContext) -> Metrics:
        if not self.path.is_file():
            raise DataError(f"{self.path}: no such file, though there was one when this was planned; put it back")
        if _content(self.path) != self.content:
            raise DataError(f"{self.path}: it has changed since this was planned; run the same command again")
        network = _loaded(self.network, self.images, self.path)[0]
        keep_weights(network, context)
        return {}


@dataclass(frozen=True)
class Checked:
    """The identity of a network whose accuracy was measured, beside its weights and the test images."""

    doing = ("checking", "network")
    in_driver = False
    is_check = True
    network: Factory
    images: ImageSpec
    accuracy: float  # as stated
    label: str = field(compare=False)

    def run(self, context: TaskContext) -> Metrics:
        data, model = context.inputs["data"], context.inputs["model"]
        network = load_network(model, context.device)
        right = 0
        for low in range(0, data.rows, BATCH):
            rows = data.batch(low, low + BATCH)
            logits = measures.logits(network, to_tensor(rows["image"], context.device), BATCH)
            right += int(np.sum(measures.is_correct(logits.cpu().numpy(), rows["label"])))
        found = {"n": data.rows, "accuracy": right / data.rows, "stated": self.accuracy}
        _compare(self, right, data.rows)
        context.write(WEIGHTS, model.read(WEIGHTS), None)
        return found


def weights_of(network: str) -> str | None:
    """The file of a network of one's own; None where it is trained here."""
    own = meaning_of(network)
    return own.weights if isinstance(own, OwnNetwork) else None


def loaded(network: str, data: Data) -> Stage | None:
    """The network that a label of a config stands for, with its weights; None where it has none and is to be trained.

    Raises ValueError or DataError where factory, weights and data do not belong together.
    """
    own = meaning_of(network)
    if not isinstance(own, OwnNetwork) or own.weights is None or own.accuracy is None:
        return None
    path = Path(os.path.expanduser(own.weights))
    if not path.is_file():
        raise DataError(f"network {network}: weights: {path}: no such file (seen from {os.getcwd()})")
    content = _content(path)
    made, images = architecture.of(network, data.images)
    assert isinstance(made, Factory)
    try:
        images = _fitted(own, made, images, path, content)
    except ValueError as error:
        raise type(error)(f"network {network}: weights: {error}") from error
    imported, checked = _Imported(made, images, content, path), Checked(made, images, own.accuracy, network)
    model = Stage("imported", 1, imported, {}, f"weights of {network}")
    inputs = {"model": model, "data": data.test}
    return Stage("checked", 1, checked, inputs, f"check {network}", data.rows["test"])


def _content(path: Path) -> str:
    with readable(path):
        return digest.of_files([RawFile(path, "weights")], home() / "cache")


def _fitted(own: OwnNetwork, made: Factory, images: ImageSpec, path: Path, content: str) -> ImageSpec:
    """The images with the normalisation that the network has: stated, or of the file. Raises DataError."""
    key = fingerprint({"network": made, "images": images, "content": content, "stated": own.mean is not None})
    if key in _fitting:
        return _fitting[key]
    kept = _loaded(made, images, path)[1]
    for name, stated, found in (("mean", images.mean, kept.mean), ("std", images.std, kept.std)):
        if found is not None and own.mean is not None and not np.allclose(found, stated, atol=1e-4):
            raise DataError(f"{path}: it was trained with {name} {found}, got {stated}; give the former, or none")
    if own.mean is None and kept.mean is not None and kept.std is not None:
        images = replace(images, mean=kept.mean, std=kept.std)
    elif own.mean is None:
        raise DataError(
            f"{path}: mean and std of its training are needed, which the file does not hold; give both (mean: 0.0 and "
            "std: 1.0 where the network normalises by itself)"
        )
    return _fitting.setdefault(key, images)


def _loaded(made: Factory, images: ImageSpec, path: Path) -> tuple[networks.Network, checkpoints.Checkpoint]:
    network = architecture.build(made, images, 0)
    kept = checkpoints.read(path, network.body.state_dict())
    network.body.load_state_dict(dict(kept.state))
    return network, kept


def _compare(checked: Checked, right: int, count: int) -> None:
    """Raises ValueError where sampling does not explain the difference of the accuracies, both as they are written."""
    stated, measured = checked.accuracy, right / count
    rounding = float(Decimal(1).scaleb(int(Decimal(repr(stated)).as_tuple().exponent))) / 2
    sampling = Z * math.sqrt(max(stated * (1 - stated), 1 / count) / count)
    if abs(measured - stated) <= rounding + sampling:
        return
    i = checked.images
    raise ValueError(
        f"network {checked.label}: accuracy {stated:g} was stated for it, and it is right on {measured:.4f} of "
        f"{count:,} test images, though sampling and rounding explain no more than {rounding + sampling:.4f}; likely "
        f"causes: mean {list(i.mean)} and std {list(i.std)} are not those of its training (images come as RGB in "
        "[0, 1]), its classes have another order, these are weights of another training, or the number is of other "
        "test images"
    )
