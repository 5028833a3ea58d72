"""Radial power spectra of images, and filters in the Fourier domain.

A radius is a number of cycles along the shorter side, rounded to the nearest integer; radius 0 is the constant alone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Images = NDArray[Any]  # (N, C, H, W), uint8, or floats in [0, 1]


def power(images: Images) -> Floats:
    """(N, R): mean squared amplitude of the waves of each radius, over channels, in squared pixel units.

    Nothing is subtracted: the constant part has a radius of its own. Summed over all waves it is the mean square of the
    pixels (Parseval).
    """
    return _radial(np.abs(_waves(images)) ** 2, images)


def cross_power(images: Images, others: Images) -> Floats:
    """(N, R): the same of pairs, Re(a conj(b)): how much of one image is in the other, wave by wave."""
    if images.shape != others.shape:
        raise ValueError(f"cross_power: pairs of images, {images.shape}, got {others.shape}")
    return _radial((_waves(images) * _waves(others).conj()).real, images)


def scale(
    images: Images,
    gain: Floats,  # (R,)
) -> Floats:
    """Every wave of a radius times its gain; not clipped."""
    of_wave = gain[_annuli(*images.shape[-2:]).radius]
    return np.fft.ifft2(np.fft.fft2(_unit(images)) * of_wave).real


def low_pass(images: Images, bandwidth: int) -> Floats:
    """The bandwidth x bandwidth lowest frequencies alone (Yin et al. 2019, section 2); not clipped."""
    return _keep(images, bandwidth, around=0.0)


def high_pass(images: Images, bandwidth: int) -> Floats:
    """The bandwidth x bandwidth highest frequencies alone: like the low-pass, larger keeps more."""
    return _keep(images, bandwidth, around=0.5)


class _Annuli(NamedTuple):
    radius: NDArray[np.int64]  # (H, W), of every wave
    order: NDArray[np.int64]  # (H * W,), waves by radius
    starts: NDArray[np.int64]  # (R,), of each radius in `order`
    counts: NDArray[np.int64]  # (R,), waves of each radius


@lru_cache(maxsize=8)
def _annuli(height: int, width: int) -> _Annuli:
    y, x = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)
    rounded = np.rint(np.hypot(y, x) * min(height, width)).astype(np.int64)
    rounded[(rounded == 0) & (np.hypot(y, x) > 0)] = 1  # of a long side: slow, but no constant
    _, radius, counts = np.unique(rounded, return_inverse=True, return_counts=True)
    order = np.argsort(radius.ravel(), kind="stable")
    return _Annuli(radius.reshape(height, width), order, np.cumsum(counts) - counts, counts)


def _radial(values: Floats, images: Images) -> Floats:  # (N, C, H, W) -> (N, R)
    annuli = _annuli(*images.shape[-2:])
    flat = values.mean(axis=1).reshape(len(values), -1)[:, annuli.order]
    return np.asarray(np.add.reduceat(flat, annuli.starts, axis=1) / annuli.counts)


def _unit(images: Images) -> Floats:
    return images / 255.0 if images.dtype == np.uint8 else images.astype(np.float64)


def _waves(images: Images) -> NDArray[np.complex128]:
    return np.fft.fft2(_unit(images), norm="forward")


def _keep(images: Images, bandwidth: int, around: float) -> Floats:
    kept = [_nearest(size, bandwidth, around * size) for size in images.shape[-2:]]
    return np.fft.ifft2(np.fft.fft2(_unit(images)) * (kept[0][:, None] & kept[1])).real


def _nearest(size: int, bandwidth: int, centre: float) -> NDArray[np.bool_]:
    """Which of `size` frequencies are the `bandwidth` around the centre: a set that holds the mirror of each."""
    if bandwidth >= size:
        return np.ones(size, dtype=np.bool_)
    away = np.abs(np.arange(size) - centre)
    kept = np.minimum(away, size - away) <= (bandwidth - 1) / 2
    if kept.sum() != bandwidth:  # half of a mirrored pair would make complex images
        raise ValueError(
            f"bandwidth: {bandwidth} of {size} frequencies cannot be symmetric around {centre:g}; take {bandwidth + 1}"
        )
    return np.asarray(kept)
