"""The Fourier heat map of a network: its error with each Fourier basis vector added (Yin et al. 2019, figure 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from raylab.config import Config
from raylab.config.radius import Radius
from raylab.core import fourier_basis
from raylab.core.later import Tensor, torch
from raylab.core.objectives import Classifier
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch
from raylab.engine.stage import Compute, Metrics, Stage, TaskContext
from raylab.stages.images import ImageSpec, drawn
from raylab.stages.weights import load_network

READ_ROWS = 1000
# Bands of the plane by radius, as a share of the highest frequency along a side: from, to. The corners are high too.
THIRDS = {"low": (0.0, 1 / 3), "middle": (1 / 3, 2 / 3), "high": (2 / 3, 2.0)}
BANDS = {"centre": (0.0, 1 / 8), **THIRDS}


class HeatMap(Config):
    """What is added, and to how many images."""

    # v, the L2 norm of what is added to each channel; over C channels it is sqrt(C) times as much (published: v = 4 on
    # CIFAR-10, so 6.9 over its three). The released function forgets it where signs are random, and adds norm 1.
    norm: Radius = 4.0
    rows: Annotated[int, Field(ge=2)] | None = None  # so many images, drawn by id; None: all


@dataclass(frozen=True)
class Mapped:
    """The identity of a heat map, beside its network and data."""

    doing = ("drawing the heat map of", "network")
    in_driver = False
    heat_map: HeatMap
    seed: int
    compute: Compute

    def run(self, context: TaskContext) -> Metrics:
        network = load_network(context.inputs["model"], context.device)
        ids, images, label = _drawn(context.inputs["data"], self.heat_map.rows, self.seed)
        x, y = torch.from_numpy(images).to(context.device), torch.from_numpy(label).to(context.device)
        errors, metrics = measure(self, network, x, y, ids)
        context.write_table(errors)
        return metrics


def measure(
    identity: Mapped,
    network: Classifier,  # in eval mode
    x: Tensor,  # (N, C, H, W), uint8, or float32 in [0, 1]
    y: Tensor,  # (N,) int64
    ids: NDArray[np.int64],  # (N,)
) -> tuple[Batch, Metrics]:
    """Errors by frequency of the half plane, with columns i, j, errors, n; and their means clean and by band."""
    norm, batch_rows = identity.heat_map.norm, identity.compute.batch_rows
    size = (x.shape[2], x.shape[3])
    frequencies = fourier_basis.half_plane(*size)
    weight = fourier_basis.multiplicity(frequencies, size)
    radius = fourier_basis.radius(frequencies, size)
    within = {name: (low <= radius) & (radius < high) for name, (low, high) in BANDS.items()}
    errors = np.empty(len(frequencies), dtype=np.int64)
    by_image = {name: np.zeros(len(ids)) for name in BANDS}
    for place, (i, j) in enumerate(frequencies.tolist()):
        wave = torch.from_numpy(norm * fourier_basis.vector((i, j), size)).float().to(x.device)
        sign = fourier_basis.signs((i, j), ids, x.shape[1], identity.seed)
        wrong = _errs(network, x, y, torch.from_numpy(sign).float().to(x.device), wave, batch_rows)
        errors[place] = wrong.sum()
        for name, inside in within.items():
            if inside[place]:
                by_image[name] += weight[place] * wrong
    clean = _errs(network, x, y, torch.zeros(*x.shape[:2], device=x.device), wave, batch_rows)
    found = {name: by_image[name] / max(weight[within[name]].sum(), 1) for name in BANDS}
    sizes = {
        "n": len(ids),
        "size": size,
        "norm_a_channel": norm,
        "norm_of_the_image": norm * float(np.sqrt(x.shape[1])),
    }
    metrics = {**sizes, **_means(clean, found)}
    return {
        "i": frequencies[:, 0],
        "j": frequencies[:, 1],
        "errors": errors,
        "n": np.full(len(errors), len(ids)),
    }, metrics


def heat_map(
    config: HeatMap, model: Stage, data: Stage, images: ImageSpec, seed: int, compute: Compute, *, rows: int, name: str
) -> Stage:
    """By frequency of the half plane (i, j): errors of `model` on n images clip(x + r v U_ij), r = +-1 by channel.

    Metrics: mean error and its standard error over images, clean and by band, each place of the whole plane counted.
    Raises ValueError where more images are to be drawn than there are.
    """
    if config.rows is not None and config.rows > rows:
        raise ValueError(f"heat_map: rows at most the {rows} images of {data.label}, got {config.rows}; null: all")
    identity = Mapped(config, seed, compute.measuring)
    passes = min(rows, config.rows or rows) * (images.shape[1] * images.shape[2] // 2 + 2) // 2
    inputs = {"data": data, "model": model}
    return Stage("heat_map", 1, identity, inputs, name, passes)


def _means(clean: NDArray[np.bool_], found: Mapping[str, NDArray[np.float64]]) -> Metrics:
    """Of the clean images and by band."""
    return {
        "clean": _mean(clean.astype(np.float64)),
        **{name: _mean(values) for name, values in found.items()},
        # Of each image by itself: paired with its own clean error, what the images have in common drops out.
        "rises": {name: _mean(values - clean) for name, values in found.items()},
    }


def _drawn(
    data: Artifact, rows: int | None, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.generic], NDArray[np.int64]]:
    """Ids, images and labels, in the order of the data."""
    chosen = drawn(data, rows, seed, "heat_map/rows")
    blocks = []
    for start in range(0, data.rows, READ_ROWS):
        batch = data.batch(start, start + READ_ROWS)
        taken = np.isin(batch["id"], chosen)
        blocks.append({name: batch[name][taken] for name in ("id", "image", "label")})
    joined = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    return joined["id"].astype(np.int64), joined["image"], joined["label"].astype(np.int64)


def _errs(
    network: Classifier,
    x: Tensor,  # (N, C, H, W), uint8, or float32 in [0, 1]
    label: Tensor,
    sign: Tensor,  # (N, C)
    wave: Tensor,  # (H, W)
    batch_rows: int,
) -> NDArray[np.bool_]:
    """Of each image whether the network errs; never more than a batch of changed images is in memory."""
    wrong = []
    with torch.inference_mode():
        for rows in torch.split(torch.arange(len(x)), batch_rows):
            low, high = int(rows[0]), int(rows[-1]) + 1
            pixels = x[low:high]
            pixels = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels
            shown = (pixels + sign[low:high, :, None, None] * wave).clamp(0.0, 1.0)
            wrong.append((network(shown).argmax(1) != label[low:high]).cpu())
    return np.asarray(torch.cat(wrong).numpy())


def _mean(values: NDArray[np.float64]) -> tuple[float, float]:
    """And its standard error over images."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
