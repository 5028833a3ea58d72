"""A data set: bars of two directions in noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def bars(split: str, root: Path | None, rows: int = 60, size: int = 8) -> tuple[NDArray[Any], NDArray[Any]]:
    del root  # they are drawn here; a folder of files would be below it
    rng = np.random.default_rng(["train", "test"].index(split))
    labels, images = np.arange(rows) % 2, rng.random((rows, 1, size, size), dtype=np.float32) * 0.5
    for image, label, place in zip(images, labels, rng.integers(0, size, rows), strict=True):
        bar = image[0] if label else image[0].T
        bar[place] += 0.5
    return images, labels
