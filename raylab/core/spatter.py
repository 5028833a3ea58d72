"""Spatter of the corruption benchmark: drops of water with a relief of light, or mud; the random part is handed in.

HEN (`make_cifar_c.py`) shapes the drops by a chain of OpenCV's functions on bytes. Each is written out here and named;
the constants without a source are those of the chain or of these functions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from raylab.core.blurs import Edge, Floats, gaussian

Levels = NDArray[np.int64]  # (N, H, W), in 0..255
WATER = np.array([175, 238, 238]) / 255  # red, green and blue: pale turquoise
MUD = np.array([63, 42, 20]) / 255
COVERED = 0.8  # mud thinner than this is none
FAR = 20  # pixels: all that is farther from an edge is as far
WEAK, STRONG = 50, 150  # of Canny's edges
TANGENT = 13573  # of 22.5 degrees, in 1 / 2^15
# OpenCV's lengths of the steps in a 5 x 5 mask.
STEPS = tuple(
    (down, across, np.float32(length))
    for length, moves in ((1.0, ((0, 1), (1, 0))), (1.4, ((1, 1),)), (2.1969, ((1, 2), (2, 1))))
    for y, x in moves
    for down in sorted({-y, y})
    for across in sorted({-x, x})
)
LIGHT = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])  # from the upper left


def spatter(
    x: Floats,  # (N, C, H, W), in [0, 1]; C is 1 or 3
    noise: Floats,  # (N, H, W)
    sigma: float,  # how far the noise runs together
    threshold: float,  # what is above it is liquid
    amount: float,  # of water: of the brightest drop; of mud: how far its border is blurred, in pixels
    mud: bool,
    luma: Floats,  # (3,): the grey of red, green and blue, for images of one channel
) -> Floats:
    """The images with drops on them, not yet clipped to [0, 1].

    An image on which no drop falls stays as it is. (In HEN it turns black, by a division of 0 by 0.)
    """
    colour = MUD if mud else WATER
    colour = (colour if x.shape[1] == 3 else np.array([luma @ colour]))[:, None, None]
    liquid = gaussian(noise, sigma)
    liquid = np.where(liquid < threshold, 0.0, liquid)
    if mud:
        cover = gaussian((liquid > threshold).astype(np.float64), amount)
        cover = np.where(cover < COVERED, 0.0, cover)[:, None]
        return np.asarray(x * (1 - cover) + colour * cover)
    levels = np.floor(liquid * 255).astype(np.int64) % 256  # above 1 a byte begins anew, as in HEN
    lit = (levels * relief(levels)).astype(np.float64)
    brightest = lit.max(axis=(1, 2), keepdims=True)
    return np.asarray(x + amount * (lit / np.where(brightest > 0, brightest, 1.0))[:, None] * colour)


def relief(levels: Levels) -> Levels:
    """The light on the drops: the distance from their edges, blurred, equalised, lit from one side and blurred."""
    near = _box(distance(edges(levels))).astype(np.float32)
    return np.rint(_box(np.clip(_filtered(equalised(near.astype(np.int64)), LIGHT), 0, 255))).astype(np.int64)


def edges(levels: Levels) -> NDArray[np.bool_]:
    """`cv2.Canny(levels, 50, 150)`: ridges of the gradient that are strong, and weak ones that hang on them."""
    window = _windows(levels, "edge")
    smooth = np.array([1, 2, 1])
    across = (window[..., 2] - window[..., 0]) @ smooth
    down = (window[..., 2, :] - window[..., 0, :]) @ smooth
    size = np.abs(across) + np.abs(down)
    ring = np.pad(size, [(0, 0), (1, 1), (1, 1)])
    around = np.lib.stride_tricks.sliding_window_view(ring, (3, 3), axis=(1, 2))
    steepness, flat = np.abs(down) << 15, np.abs(across) * TANGENT
    level, upright = steepness < flat, steepness > flat + (np.abs(across) << 16)
    falling = (across ^ down) < 0
    before = np.where(falling, around[..., 0, 2], around[..., 0, 0])
    after = np.where(falling, around[..., 2, 0], around[..., 2, 2])
    # Of equals beside each other the first is the ridge; on a slant none is.
    ridge = np.where(
        level,
        (size > around[..., 1, 0]) & (size >= around[..., 1, 2]),
        np.where(upright, (size > around[..., 0, 1]) & (size >= around[..., 2, 1]), (size > before) & (size > after)),
    )
    weak = ridge & (size > WEAK)
    found: NDArray[np.bool_] = weak & (size > STRONG)
    while True:
        grown = weak & _windows(found, None).any(axis=(-2, -1))
        if np.array_equal(grown, found):
            return found
        found = grown


def distance(edge: NDArray[np.bool_]) -> Floats:  # (N, H, W)
    """`cv2.distanceTransform(..., DIST_L2, 5)` to the nearest edge, cut off at FAR: the shortest way in steps of 1, 1.4
    and 2.1969 pixels.  Summed in float32 as OpenCV 5 does; releases before it may round a step by 1e-5."""
    height, width = edge.shape[1:]
    far = np.float32(FAR)
    found = np.where(edge, np.float32(0), far)
    for _ in range(FAR):  # each step is at least a pixel long
        padded = np.pad(found, [(0, 0), (2, 2), (2, 2)], constant_values=far)
        before = found
        for down, across, length in STEPS:
            there = padded[:, 2 + down : 2 + down + height, 2 + across : 2 + across + width]
            found = np.minimum(found, there + length)
        if np.array_equal(found, before):
            break
    return found.astype(np.float64)


def equalised(levels: Levels) -> Levels:
    """`cv2.equalizeHist` of every image: as many pixels at every level as there can be."""
    found = levels.copy()
    for image in found:
        counts = np.bincount(image.ravel(), minlength=256)
        lowest = int(np.argmax(counts > 0))
        if (others := image.size - counts[lowest]) == 0:
            continue  # one level: it stays
        counts[lowest] = 0
        scale = np.float32(255) / np.float32(others)
        image[:] = np.rint(np.cumsum(counts).astype(np.float32) * scale).astype(np.int64)[image]
    return found


def _box(x: NDArray[Any]) -> Floats:
    """`cv2.blur(x, (3, 3))` before it is rounded."""
    return np.asarray(_filtered(x, np.ones((3, 3), np.int64)) * (1 / 9))


def _filtered(x: NDArray[Any], kernel: NDArray[np.int64]) -> NDArray[Any]:
    """`cv2.filter2D`: images continue as mirrored about their outermost pixels."""
    return np.asarray((_windows(x, "reflect") * kernel).sum(axis=(-2, -1)))


def _windows(x: NDArray[Any], edge: Edge | None) -> NDArray[Any]:  # (N, H, W, 3, 3)
    """The neighbourhood of every pixel; beyond the image nothing (None), or as numpy continues it."""
    pads = [(0, 0), (1, 1), (1, 1)]
    padded = np.pad(x, pads) if edge is None else np.pad(x, pads, edge)
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
