"""The real Fourier basis of images, its half plane, and noise of a band of frequencies (Yin et al. 2019, section 2).

A frequency is a pair (i, j) of whole cycles down and across the image, from -size // 2 on; (i, j) and (-i, -j) are
mirrors of each other and one real wave.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from raylab.core import seeding
from raylab.core.spectra import high_pass, low_pass

Floats = NDArray[np.float64]
Frequencies = NDArray[np.int64]  # (F, 2)
Passes = Literal["low", "high"]


def half_plane(height: int, width: int) -> Frequencies:
    """One frequency of every pair of mirrors, and those that are their own, in the order of the plane."""
    plane = _plane(height, width)
    return plane[_is_first(plane, height, width)]


def vector(
    frequency: tuple[int, int],
    size: tuple[int, int],  # height, width
) -> Floats:  # (H, W)
    """U_ij: real, of unit L2 norm, with a Fourier transform on the frequency and its mirror alone.

    As published its transform is 1/2 + i/2 there (times sqrt(H W)), so the wave is cos - sin: a phase of 45 degrees.
    """
    height, width = size
    y, x = np.arange(height)[:, None] / height, np.arange(width) / width
    angle = 2 * np.pi * (frequency[0] * y + frequency[1] * x)
    own = (2 * frequency[0]) % height == 0 and (2 * frequency[1]) % width == 0
    return np.asarray((np.cos(angle) if own else np.cos(angle) - np.sin(angle)) / np.sqrt(height * width))


def signs(
    frequency: tuple[int, int],
    ids: NDArray[np.int64],  # (N,)
    channels: int,
    seed: int,
) -> Floats:  # (N, C)
    """r of a basis vector: +1 or -1 by example and channel."""
    drawn = seeding.uniform(seed, f"fourier/sign/{frequency[0]},{frequency[1]}", ids, channels)
    return np.where(drawn < 0.5, -1.0, 1.0)


def multiplicity(frequencies: Frequencies, size: tuple[int, int]) -> NDArray[np.int64]:
    """How many places of the plane a frequency of the half plane stands for: itself and its mirror."""
    own = (_mirrors(frequencies, *size) == frequencies).all(axis=1)
    return np.where(own, 1, 2)


def whole_plane(
    frequencies: Frequencies,  # of the half plane
    values: NDArray[np.floating],  # (F,)
    size: tuple[int, int],
) -> Floats:  # (H, W)
    """Values by place, the lowest frequency at (H // 2, W // 2), each at its mirror too."""
    height, width = size
    plane = np.full(size, np.nan)
    for places in (frequencies, _mirrors(frequencies, height, width)):
        plane[places[:, 0] + height // 2, places[:, 1] + width // 2] = values
    return plane


def radius(frequencies: Frequencies, size: tuple[int, int]) -> Floats:
    """Distance from the lowest frequency as a share of the highest along a side; up to sqrt(2) in the corners."""
    height, width = size
    return np.asarray(np.hypot(frequencies[:, 0] / (height / 2), frequencies[:, 1] / (width / 2)))


def noise(
    passes: Passes,
    bandwidth: int,
    norm: float,  # of every channel
    shape: tuple[int, int, int],  # C, H, W
    ids: NDArray[np.int64],  # (N,)
    seed: int,
) -> Floats:  # (N, C, H, W)
    """Gaussian noise of the lowest or highest bandwidth x bandwidth frequencies, each channel of that L2 norm.

    Raises ValueError where the band would hold a frequency without its mirror.
    """
    white = seeding.normal(seed, "fourier/noise", ids, int(np.prod(shape))).reshape(len(ids), *shape)
    band = (low_pass if passes == "low" else high_pass)(white, bandwidth)
    return np.asarray(band * (norm / np.sqrt((band**2).sum(axis=(2, 3), keepdims=True))))


def _plane(height: int, width: int) -> Frequencies:
    rows, columns = np.arange(height) - height // 2, np.arange(width) - width // 2
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


def _mirrors(frequencies: Frequencies, height: int, width: int) -> Frequencies:
    """(-i, -j), brought back into the plane: of an even side, the highest frequency is its own mirror."""
    half, size = np.array([height // 2, width // 2]), np.array([height, width])
    return np.asarray((-frequencies + half) % size - half)


def _is_first(frequencies: Frequencies, height: int, width: int) -> NDArray[np.bool_]:
    mirrors = _mirrors(frequencies, height, width)
    (i, j), (k, m) = frequencies.T, mirrors.T
    return np.asarray((i < k) | ((i == k) & (j <= m)))
