"""What robust features alone explain of a constructed set (Goh, Distill 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from raylab.core import leakage
from raylab.core.later import Tensor, networks, torch
from raylab.engine.columns import Batch
from raylab.engine.memory_map import memory_mapped
from raylab.engine.stage import Metrics, Stage, TaskContext
from raylab.stages.evaluation import logits_of
from raylab.stages.images import ImageSpec
from raylab.stages.weights import load_network

Features = Literal["logits", "penultimate"]
FITS = {"correlation": leakage.correlation, "least_squares": leakage.least_squares, "logistic": leakage.logistic}
FIRST = "least_squares"  # its answers are the artifact's `prediction`; those of the others stand beside them
ROWS = 1000  # of one pass through the network


@dataclass(frozen=True)
class Leakage:
    """The identity of a probe, beside its robust network, its set and the test images."""

    doing = ("probing", "network")
    in_driver = False
    features: Features
    eps: float  # L2, of the two specifications of a linear network
    num_classes: int

    def run(self, context: TaskContext) -> Metrics:
        network = load_network(context.inputs["model"], context.device)
        made, test = memory_mapped(context.inputs["set"]), memory_mapped(context.inputs["test"])
        seen, unseen = (_features(network, self.features, batch, context.device) for batch in (made, test))
        new, label = torch.from_numpy(made["label"].astype(np.int64)), test["label"].astype(np.int64)
        said: Batch = {}
        for name, fit in FITS.items():
            weights, bias = fit(seen, new, self.num_classes)
            said[name] = (unseen @ weights + bias).argmax(dim=1).numpy()
        context.write_table(
            {
                "id": test["id"],
                "label": label,
                "prediction": said[FIRST],
                "correct": said[FIRST] == label,
                "next_class": said[FIRST] == (label + 1) % self.num_classes,
                **{f"{name}_correct": answer == label for name, answer in said.items() if name != FIRST},
            }
        )
        return {
            "n": len(label),
            "features": seen.shape[1],
            "accuracy": float((said[FIRST] == label).mean()),
            "p1": float((said[FIRST] == (label + 1) % self.num_classes).mean()),
            **{f"accuracy_{name}": float((answer == label).mean()) for name, answer in said.items() if name != FIRST},
            **(_specifications(network, unseen, label, self.eps) if self.features == "logits" else {}),
        }


def _features(network: networks.Network, which: Features, batch: Batch, device: str) -> Tensor:
    read = network if which == "logits" else network.features
    return logits_of(read, batch["image"], ROWS, device).double().cpu()


def _specifications(network: networks.Network, scores: Tensor, label: NDArray[np.int64], eps: float) -> Metrics:
    """Goh's two: the classes whose feature is robustly useful, and the share of answers certified at eps."""
    std = network.normalise.std.cpu().double()
    shape = (-1, len(std), network.head.in_features // len(std))
    weights = (network.head.weight.detach().cpu().double().view(shape) / std.view(1, -1, 1)).flatten(1)
    useful = leakage.robust_usefulness(scores, torch.from_numpy(label), weights)
    certified = leakage.certified_radius(scores, weights)
    return {
        "largest_robust_usefulness": float(useful.max()),  # a radius: Goh asks for at least eps in one class
        "certified": float((certified > eps).double().mean()),
    }


def robust_features(
    model: Stage, made: Stage, test: Stage, features: Features, eps: float, images: ImageSpec, *, rows: int, name: str
) -> Stage:
    """A linear classifier on the features of an adversarially trained `model`, trained on `made`, tested on `test`.

    `logits`: the features w_c^T x of a linear network, of which Goh's two specifications are reported too.
    `penultimate`: those of a deep network; Goh calls the linear bound weak.

    Raises ValueError where the logits would be those of a deep network.
    """
    network = getattr(model.config, "network", "linear")
    if features == "logits" and network != "linear":
        raise ValueError(f"robust_features: logits are features of a linear network, got {network}; take penultimate")
    identity = Leakage(features, eps, images.num_classes)
    inputs = {"model": model, "set": made, "test": test}
    return Stage("leakage", 1, identity, inputs, name, rows)
