"""A corruption: so many rows of every image, drawn by its id, are dark."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def dark_rows(images: NDArray[Any], severity: int, ids: NDArray[Any], seed: int) -> NDArray[Any]:
    for image, number in zip(images, ids.tolist(), strict=True):
        drawn = np.random.default_rng((seed, number)).permutation(image.shape[1])
        image[:, drawn[:severity]] = 0
    return images
