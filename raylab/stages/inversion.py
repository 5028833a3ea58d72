"""Robust and non-robust sets: images whose features are those of the originals (Ilyas et al. 2019, section 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from raylab.config import Config
from raylab.config.radius import Radius
from raylab.core import invert as inverting
from raylab.core import seeding
from raylab.core.invert import StepSchedule
from raylab.core.objectives import Featured
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch, Column
from raylab.engine.identity import ADDED_LATER
from raylab.engine.stage import Compute, Metrics, Stage
from raylab.stages import architecture
from raylab.stages.architecture import Factory
from raylab.stages.attacked import attacked, check_precision
from raylab.stages.images import ImageSpec, to_tensor, truths
from raylab.stages.weights import load_network


class Inversion(Config):
    """Normalised gradient descent on the distance of features, in pixel units of [0, 1]; no ball.

    The published protocol (appendix C.4) is 1000 constant steps of 0.1 for CIFAR-10, 2000 of 1 for Restricted ImageNet,
    10,000 from noise; the defaults are for small networks.
    """

    start: Literal["image", "noise"] = "image"  # start from another image, or from noise
    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 100  # steps of gradient descent
    step_size: Radius = 0.1  # length of the first step
    schedule: StepSchedule = "linear"  # how the length of a step changes
    identity_relu: bool = True  # the gradient passes the last ReLU unchanged, as in MadryLab/robustness
    pool: Annotated[int, Field(ge=1)] | None = None  # images to start from that a process keeps; None: all
    # The last, as the authors' notebook keeps it (the paper is silent). None: the one of nearest features.
    iterate: Annotated[Literal["last"] | None, ADDED_LATER] = None

    @model_validator(mode="after")
    def _check(self) -> Inversion:
        if self.pool is not None and self.start != "image":
            raise ValueError(f"pool: images to start from, got {self.pool} with start: {self.start}; remove it")
        return self


@dataclass(frozen=True)
class InvertedSet:
    """The identity of a set made by inversion, beside its data, network and start images."""

    doing = ("inverting features into", "data set")
    over = "data"
    inversion: Inversion
    seed: int  # of the starts
    split: str
    compute: Compute
    num_features: int = field(compare=False)
    num_pixels: int = field(compare=False)

    def open(self, inputs: Mapping[str, Artifact], device: str) -> Callable[[Batch], Batch]:
        network = load_network(inputs["model"], device)
        pool = _pool(inputs["start"], self.inversion.pool, self.seed) if self.inversion.start == "image" else None
        through = attacked(network, inputs["model"], self.compute.precision)
        return partial(rebuilt, self, network, pool, device, through=through)

    def summarise(self, artifact: Artifact) -> Metrics:
        return summarise(artifact.without_images()["residual"], self.num_features, self.num_pixels)


def rebuilt(
    inverted: InvertedSet,
    network: Featured,  # in eval mode with frozen parameters
    pool: Column | None,  # (M, C, H, W): images to start from; None: from noise
    device: str,  # of the network
    batch: Batch,  # with columns id, image, label
    *,
    through: Featured | None = None,  # what gradients are taken of: the network compiled; None: the network
) -> Batch:
    """The batch with every image replaced by one of the same features, and how near they are."""
    i, seed, split = inverted.inversion, inverted.seed, inverted.split
    ids, x = batch["id"].astype(np.int64), to_tensor(batch["image"], device)
    if pool is None:
        shape = x.shape[1], x.shape[2], x.shape[3]
        start = inverting.start_noise(ids, shape, seed, split)
    else:
        start = pool[inverting.start_rows(ids, len(pool), seed, split)]
    found = inverting.invert(
        network,
        x,
        to_tensor(start, device),
        i.step_size,
        i.steps,
        i.schedule,
        i.identity_relu,
        i.iterate or "best",
        through=through,
    )
    return {
        "id": ids,
        "image": found.image.contiguous().cpu().numpy(),
        "label": batch["label"].astype(np.int64),
        "residual": found.residual.cpu().numpy(),
        **truths(batch),
    }


def summarise(residual: NDArray[np.floating], num_features: int, num_pixels: int) -> Metrics:
    """Of the relative residuals: median, 95th percentile, share not converged; and what speaks against the set."""
    return {
        "rows": len(residual),
        "n": len(residual),
        "residual_median": float(np.median(residual)),
        "residual_p95": float(np.quantile(residual, 0.95)),
        "unconverged": float((residual > inverting.UNCONVERGED).mean()),
        "doubts": tuple(inverting.doubts(residual, num_features, num_pixels)),
    }


def invert(
    inversion: Inversion,
    data: Stage,
    model: Stage,
    start: Stage | None,
    images: ImageSpec,
    seed: int,
    split: Literal["train", "test"],
    compute: Compute,
    *,
    rows: int,
    name: str,
) -> Stage:
    """`data` with every image replaced by one that `model` gives the same features, under the same label.

    D_R by a robust network, D_NR by a standard one. `start`: the training set whose images the descent starts from,
    for the test split too; None where it starts from noise.

    Raises ValueError where the start does not fit, or the network has no ReLU to pass the gradient through.
    """
    if (start is not None) != (inversion.start == "image"):
        got = "none" if start is None else start.label
        needed = "a training set to start from" if start is None else "no set of start images"
        raise ValueError(f"invert: start: {inversion.start} needs {needed}, got {got}")
    check_precision(compute.precision, model)
    network = getattr(model.config, "network", None)
    if not isinstance(network, str | Factory):
        raise ValueError(f"invert: a trained network to invert, got {model.label}")
    features = architecture.survey(network, images)
    if inversion.identity_relu and features.num_relus == 0:
        called = network if isinstance(network, str) else network.factory
        raise ValueError(f"identity_relu: {called} has no ReLU before its head; set identity_relu: false")
    inverted = InvertedSet(inversion, seed, split, compute, features.size, int(np.prod(images.shape)))
    inputs = {"data": data, "model": model} | ({} if start is None else {"start": start})
    return Stage("inverted", 1, inverted, inputs, name, rows * inversion.steps)


def _pool(data: Artifact, size: int | None, seed: int) -> Column:
    """(N, C, H, W): all images by id, or `size` of them drawn by id; beside these only one part is in memory at a time.

    Neither the order of the rows nor their parts matter.
    """
    pieces: list[tuple[NDArray[np.int64], Column]] = []
    low = 0
    for rows in [part.rows for part in data.parts if part.rows is not None]:
        batch = data.batch(low, low + rows)
        low += rows
        pieces.append((batch["id"].astype(np.int64), batch["image"]))
        if size is not None:  # the first of a random order of all are the first of the firsts of the parts
            pieces = [_first(pieces, size, seed)]
    return _first(pieces, size, seed)[1]


def _first(
    pieces: list[tuple[NDArray[np.int64], Column]], size: int | None, seed: int
) -> tuple[NDArray[np.int64], Column]:
    ids = np.concatenate([piece[0] for piece in pieces])
    order = np.argsort(ids) if size is None else seeding.permutation(seed, "invert/pool", ids)[:size]
    return ids[order], np.concatenate([piece[1] for piece in pieces])[order]
