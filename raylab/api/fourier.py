"""The Fourier heat map of somebody's network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from raylab.api.images import check_labels, checked, configured
from raylab.api.model import in_use
from raylab.core import fourier_basis
from raylab.engine.columns import Batch
from raylab.engine.stage import Compute
from raylab.stages import heat_map
from raylab.stages.heat_map import HeatMap, Mapped
from raylab.stages.images import to_tensor


@dataclass(frozen=True)
class FourierHeatMap:
    """Errors of a network by the frequency that is added to its images."""

    error: Tensor = field(repr=False)  # (H, W): share of wrong answers; the lowest frequency is at (H // 2, W // 2)
    clean: float  # the same without anything added
    bands: Mapping[str, float]  # mean error of the centre (an eighth), and of the low, middle and high third
    n: int  # images


def spectrum(
    model: nn.Module,  # images in [0, 1] -> logits
    images: Tensor,  # (N, C, H, W), in [0, 1]
    labels: Tensor,  # (N,) int64
    *,
    norm: float = 4.0,
    seed: int = 0,
    ids: Tensor | None = None,
    batch_rows: int = 250,
) -> FourierHeatMap:
    """Error with each Fourier basis vector added: clip(x + r v U_ij), r = +-1 by channel (Yin et al. 2019, figure 3).

    norm: v, the L2 norm of what is added to each channel, in units of pixels in [0, 1]; over C channels it is sqrt(C)
    times as much. It costs N H W / 2 images through the network.
    seed, ids: signs are a function of these; ids None is 0 to N - 1.

    Raises ValueError, before anything is computed, where an argument cannot be meant.
    """
    config = configured(HeatMap, norm=norm)
    compute = configured(Compute, batch_rows=batch_rows, shard_rows=batch_rows)
    rows = checked(images, labels, ids)
    if len(images) < 2:
        raise ValueError(f"images: at least 2, which an error is a mean over, got {len(images)}")
    with in_use(model, images) as used:
        check_labels(labels, len(images), used.num_classes)
        x, y = to_tensor(rows["image"], used.device), torch.from_numpy(rows["label"]).to(used.device)
        found: tuple[Batch, Mapping[str, Any]] = heat_map.measure(
            Mapped(config, seed, compute), used.network, x, y, rows["id"]
        )
    errors, metrics = found
    size = (images.shape[2], images.shape[3])
    half = fourier_basis.half_plane(*size)
    plane = torch.from_numpy(fourier_basis.whole_plane(half, errors["errors"] / len(images), size))
    means = {name: value[0] for name, value in metrics.items() if name in ("clean", *heat_map.BANDS)}
    return FourierHeatMap(plane, means.pop("clean"), means, len(images))
