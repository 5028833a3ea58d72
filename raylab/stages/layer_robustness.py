"""Layer robustness R(f) of a network: how far a small change of an image moves each of its layers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from raylab.config import Config
from raylab.config.radius import Radius
from raylab.core import layers, seeding
from raylab.core.balls import BALLS, Ball, Norm
from raylab.core.later import torch
from raylab.core.robust import random_start
from raylab.engine.artifact import Artifact
from raylab.engine.memory_map import memory_mapped
from raylab.engine.stage import Compute, Metrics, Stage, TaskContext
from raylab.stages.images import to_tensor
from raylab.stages.weights import load_network


class LayerRobustness(Config):
    """How the layers are attacked, in pixel units of [0, 1]."""

    eps: Radius | None = None  # radius; None: that of the study (the reply states none)
    steps: Annotated[int, Field(ge=1, le=10_000)] = 20  # steps of gradient ascent, from a random point of the border
    starts: Annotated[int, Field(ge=1, le=100)] = 1  # random starts; the farthest counts
    rows: Annotated[int, Field(ge=2)] = 200  # images, drawn by id; as many pairs of them


@dataclass(frozen=True)
class _Layered:
    """The identity of a measurement, beside its network and data."""

    doing = ("attacking the layers of", "network")
    in_driver = False
    network: str  # its architecture: which layers it has
    norm: Norm
    eps: float
    steps: int
    starts: int
    rows: int
    batch_rows: int
    seed: int  # of the draw, the pairs and the starts

    def run(self, context: TaskContext) -> Metrics:
        network, ball = load_network(context.inputs["model"], context.device), BALLS[self.norm](self.eps)
        ids, images = _drawn(context.inputs["data"], self.rows, self.seed)
        pairs = np.roll(np.arange(len(ids)), 1)  # of rows in random order: no image meets itself
        x, found = to_tensor(images, context.device), layers.layers(self.network, network)
        moved, apart = (np.zeros((len(ids), len(found)), dtype=np.float32) for _ in range(2))
        for low in range(0, len(ids), self.batch_rows):
            rows = slice(low, low + self.batch_rows)
            for column, features in enumerate(found.values()):
                reached = [
                    layers.moved(features, x[rows], ball, _start(x[rows], ball, ids[rows], self.seed, k), self.steps)
                    for k in range(self.starts)
                ]
                moved[rows, column] = torch.stack(reached).amax(dim=0).cpu().numpy()
                apart[rows, column] = layers.apart(features, x[rows], x[pairs[rows]]).cpu().numpy()
        context.write_table({"id": ids, "other": ids[pairs], "moved": moved, "apart": apart})
        ratio = [_ratio(moved[:, k], apart[:, k]) for k in range(len(found))]
        return {
            "n": len(ids),
            "eps": self.eps,
            "layers": tuple(found),
            "robustness": tuple(mean for mean, _ in ratio),  # R(f): the smaller, the less a change moves
            "se": tuple(se for _, se in ratio),
        }


def layer_robustness(
    config: LayerRobustness,
    norm: Norm,
    eps: float,  # where the config has none
    architecture: str,
    model: Stage,
    data: Stage,
    seed: int,
    compute: Compute,
    *,
    rows: int,
    name: str,
) -> Stage:
    """R(f) of every layer of `model`, a network of that architecture, on some images of `data` (it has `rows`).

    Raises ValueError where more are asked for than there are.
    """
    if config.rows > rows:
        raise ValueError(f"layer robustness: rows at most the {rows} images of {data.label}, got {config.rows}")
    if architecture not in layers.LAYERS:
        raise ValueError(f"layers: it is not known which layers {architecture} has; set layers: null")
    radius = config.eps or eps
    BALLS[norm](radius)  # raises on a bad radius
    identity = _Layered(architecture, norm, radius, config.steps, config.starts, config.rows, compute.batch_rows, seed)
    passes = config.rows * config.steps * config.starts * (len(layers.LAYERS[architecture]) + 1)
    return Stage("layer_robustness", 1, identity, {"model": model, "data": data}, name, passes)


def _drawn(data: Artifact, rows: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Ids and images in random order, whatever the order of the rows."""
    batch = memory_mapped(data)
    ids = batch["id"].astype(np.int64)
    order = seeding.permutation(seed, "layers/rows", ids)[:rows]
    return ids[order], batch["image"][order]


def _start(x: torch.Tensor, ball: Ball, ids: NDArray[np.int64], seed: int, number: int) -> torch.Tensor:
    return random_start(x, ball, ids, seed, f"layers/start/{number}")


def _ratio(moved: NDArray[np.float32], apart: NDArray[np.float32]) -> tuple[float | None, float | None]:
    """Of the means, and its standard error over these images to first order; None for a layer that never changes."""
    if (scale := float(apart.mean(dtype=np.float64))) == 0.0:
        return None, None
    ratio = float(moved.mean(dtype=np.float64)) / scale
    residual = (moved - ratio * apart).astype(np.float64)
    return ratio, float(residual.std(ddof=1)) / (scale * math.sqrt(len(residual)))
