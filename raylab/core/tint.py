"""A planted cue in photographs: a colour cast that says a class, or nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raylab.core import seeding

Colour = tuple[float, float, float]  # red, green, blue, in [0, 1]


def chosen(
    label: NDArray[np.int64],  # (N,)
    ids: NDArray[np.int64],  # (N,)
    meant: int,  # the class that a cast says
    of_class: float,  # share of its images that get one
    of_others: float,  # share of all other images that do
    seed: int,
    split: str,
) -> NDArray[np.bool_]:
    """(N,) whether an image gets the cast; keyed by (seed, split, id): with larger shares the same ones and more."""
    drawn = seeding.uniform(seed, f"tint/{split}", ids)[:, 0]
    return np.asarray(drawn < np.where(label == meant, of_class, of_others))


def cast(
    images: NDArray[np.generic],  # (N, 3, H, W), uint8, or float32 in [0, 1]
    rows: NDArray[np.bool_],  # (N,)
    colour: Colour,
    strength: float,  # in [0, 1]; 1: nothing else is left
) -> NDArray[np.float32]:
    """(N, 3, H, W) in [0, 1]: the images of `rows` so much nearer to one colour, x + strength (colour - x).

    Raises ValueError where images have another number of channels.
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"tint: images of three channels, got shape {images.shape}; take photographs in colour")
    x = images.astype(np.float32) / np.float32(255 if images.dtype == np.uint8 else 1)
    towards = np.asarray(colour, dtype=np.float32)[:, None, None]
    x[rows] += np.float32(strength) * (towards - x[rows])
    return x
