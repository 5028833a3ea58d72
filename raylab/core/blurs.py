"""Blurs of the corruption benchmark on batches (N, C, H, W) of floats in [0, 1]; random parts are handed in.

Where the published code calls OpenCV, scikit-image or ImageMagick, the rule of that library is written out, and named.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Edge = Literal["edge", "reflect", "symmetric"]  # numpy's names: abc|ccc, abc|ba, abc|cba
NEGLIGIBLE = 1e-7  # a weight below it moves no pixel by a level of 255


def gaussian(x: Floats, sigma: float, *, edge: Edge = "edge", truncate: float = 4.0) -> Floats:
    """`skimage.filters.gaussian`: along both sides, cut off at `truncate` sigmas, the edge repeated."""
    taps = weights(sigma, truncate)
    if len(taps) == 1:
        return x
    for axis in (-2, -1):
        x = _along(x, taps, axis, edge)
    return x


def weights(sigma: float, truncate: float = 4.0) -> Floats:  # (2 reach + 1,)
    """Of a pixel and its neighbours along one side; their sum is 1."""
    reach = int(truncate * sigma + 0.5)
    found = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.asarray(found / found.sum())


def disk(radius: float, alias_blur: float) -> Floats:
    """A disk of whole pixels, softened by 3 taps of a Gaussian (5 beyond a radius of 8); its sum is 1.

    `cv2.GaussianBlur` of the disk that HEN makes.  Below a radius of 1 it is one pixel: only the softening blurs.
    """
    taps = 1 if radius <= 8 else 2
    reach = math.floor(radius) + taps
    offsets = np.arange(-reach, reach + 1)
    kernel = (offsets[:, None] ** 2 + offsets**2 <= radius**2).astype(np.float64)
    soft = np.exp(-0.5 * (np.arange(-taps, taps + 1) / alias_blur) ** 2)
    soft /= soft.sum()
    for axis in (0, 1):
        kernel = np.apply_along_axis(np.convolve, axis, kernel, soft, "same")
    return np.asarray(kernel / kernel.sum())


def convolve(x: Floats, kernel: Floats) -> Floats:
    """`cv2.filter2D` with a symmetric kernel: images continue as mirrored about their outermost pixels."""
    reach = len(kernel) // 2
    height, width = x.shape[-2:]
    padded = _padded(x, reach, "reflect", (-2, -1))
    out = np.zeros_like(x)
    for row, column in np.argwhere(kernel > NEGLIGIBLE):
        out += kernel[row, column] * padded[..., row : row + height, column : column + width]
    return out


def motion(
    x: Floats,
    radius: float,
    sigma: float,
    angle: Floats,  # (N,), degrees
) -> Floats:
    """ImageMagick's MotionBlurImage: half a Gaussian, from each pixel along a line of whole pixels."""
    steps = np.arange(2 * math.ceil(radius) + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    weights /= weights.sum()
    turn = np.deg2rad(angle)[:, None]
    across, down = (np.ceil(steps * part(turn) - 0.5).astype(np.int64) for part in (np.cos, np.sin))  # (N, K)
    count, _, height, width = x.shape
    pixels, out = np.moveaxis(x, 1, -1), np.zeros((count, height, width, x.shape[1]))
    images = np.arange(count)[:, None, None]
    for step in np.flatnonzero(weights > NEGLIGIBLE):
        rows = np.clip(np.arange(height) + down[:, step, None], 0, height - 1)[:, :, None]
        columns = np.clip(np.arange(width) + across[:, step, None], 0, width - 1)[:, None, :]
        out += weights[step] * pixels[images, rows, columns]
    return np.moveaxis(out, -1, 1)


def zoomed(x: Floats, factor: float) -> Floats:
    """The middle of each image, enlarged to the whole by straight lines between pixels (HEN's `clipped_zoom`)."""
    for axis in (-2, -1):
        size = x.shape[axis]
        kept = math.ceil(size / factor)
        enlarged = round(kept * factor)
        first, trim = (size - kept) // 2, (enlarged - size) // 2
        at = np.arange(enlarged) * ((kept - 1) / max(enlarged - 1, 1))
        at = first + at[trim : trim + size]
        below = np.minimum(np.floor(at).astype(np.int64), first + max(kept - 2, 0))
        shape = [1] * x.ndim
        shape[axis] = -1
        part = (at - below).reshape(shape)
        above = np.minimum(below + 1, size - 1)
        x = x.take(below, axis) * (1 - part) + x.take(above, axis) * part
    return x


def zoom(x: Floats, largest: float) -> Floats:
    """The mean of the image and its enlargements up to (about) `largest`, in steps of a hundredth."""
    factors = np.arange(1, largest, 0.01)
    total = x.copy()
    for factor in factors:
        total += zoomed(x, float(factor))
    return np.asarray(total / (len(factors) + 1))


def glass(
    x: Floats,
    sigma: float,
    reach: int,
    moves: Any,  # (N, rounds, H, W, 2) whole numbers in [-reach, reach): down, across
) -> Floats:
    """Pixels take the place of their neighbours, between two small blurs.

    HEN means to swap them, but assigns views of one array to each other: on colour images the neighbour is copied and
    stays where it is. CIFAR-10-C is made so, and so it is here, also for one channel.
    """
    count, _, height, width = x.shape
    pixels = np.moveaxis(np.floor(gaussian(x, sigma) * 255) / 255, 1, -1).copy()
    images = np.arange(count)
    for each in range(moves.shape[1]):
        for row in range(height - reach, reach, -1):
            for column in range(width - reach, reach, -1):
                down, across = moves[:, each, row - 1, column - 1].T
                pixels[:, row, column] = pixels[images, row + down, column + across]
    return gaussian(np.moveaxis(pixels, -1, 1), sigma)


def _along(x: Floats, weights: Floats, axis: int, edge: Edge) -> Floats:
    reach, size = len(weights) // 2, x.shape[axis]
    padded = _padded(x, reach, edge, (axis,))
    out = np.zeros_like(x)
    for place, weight in enumerate(weights):
        out += weight * padded.take(range(place, place + size), axis)
    return out


def _padded(x: Floats, reach: int, edge: Edge, axes: tuple[int, ...]) -> Floats:
    pads = [(0, 0)] * x.ndim
    for axis in axes:
        pads[axis] = (reach, reach)
    return np.pad(x, pads, edge)
