"""Images of which a band of frequencies is left: the lowest, or the highest (Yin et al. 2019, figure 1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from raylab.core.fourier_basis import Passes
from raylab.core.spectra import high_pass, low_pass
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch
from raylab.engine.stage import Compute, Metrics, Stage


@dataclass(frozen=True)
class Band:
    """The identity of a filtered set, beside the set."""

    doing = ("band-passing", "data set")
    over = "data"
    passes: Passes
    bandwidth: int
    compute: Compute

    def open(self, inputs: Mapping[str, Artifact], device: str) -> Callable[[Batch], Batch]:
        del inputs, device  # Fourier transforms in numpy
        keep = low_pass if self.passes == "low" else high_pass

        def filtered(batch: Batch) -> Batch:
            image = keep(batch["image"], self.bandwidth).astype(np.float32)
            return {"id": batch["id"], "image": image, "label": batch["label"]}

        return filtered

    def summarise(self, artifact: Artifact) -> Metrics:
        return {"rows": artifact.rows, "n": artifact.rows}


def band_passed(data: Stage, passes: Passes, bandwidth: int, compute: Compute, *, rows: int, name: str) -> Stage:
    """`data` with the bandwidth x bandwidth lowest (or highest) frequencies alone: same ids, same labels.

    As published, nothing is done to the values: high-passed images have mean 0, so half of their pixels are negative.
    """
    band = Band(passes, bandwidth, compute.measuring)
    return Stage("band_passed", 1, band, {"data": data}, name, rows)
