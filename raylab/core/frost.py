"""Frost of the corruption benchmark: a photograph of frost over each image; both it and random parts are handed in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from raylab.core.blurs import Floats

Photograph = NDArray[np.uint8]  # (3, H, W)
SHRUNK = 0.2  # HEN: of the size of the photographs, for images of 32 pixels


def frost(
    x: Floats,  # (N, C, H, W), in [0, 1]; C is 1 or 3
    kept: float,  # of the image
    added: float,  # of the frost
    scale: float,  # of the image against 32 pixels: the frost grows with it
    photographs: Sequence[Photograph],
    places: Floats,  # (N, 3), uniform in [0, 1): which photograph, how far down, how far across
    luma: Floats,  # (3,): the grey of red, green and blue, for images of one channel
) -> Floats:
    """kept * x + added * (a random part of a random photograph), not yet clipped to [0, 1].

    Raises ValueError where there is no photograph, or one is too small for such images.
    """
    if not photographs:
        raise ValueError("frost: photographs of frost to draw from, got none")
    height, width = x.shape[2:]
    every = 1 / SHRUNK / scale  # pixels of the photograph for one of the image
    for photograph in photographs:
        check(photograph.shape[1:], (height, width), scale)
    frozen = []
    for which, down, across in places:
        photograph = photographs[int(which * len(photographs))]
        rows, columns = (round(side * SHRUNK * scale) for side in photograph.shape[1:])
        top, left = int(down * (rows - height)), int(across * (columns - width))
        part = _shrunk(_shrunk(photograph / 255.0, 1, top, height, every), 2, left, width, every)
        frozen.append(part if x.shape[1] == 3 else np.tensordot(luma, part, (0, 0))[None])
    return np.asarray(kept * x + added * np.asarray(frozen).reshape(x.shape))


def check(photograph: tuple[int, ...], image: tuple[int, int], scale: float) -> None:
    """Raise ValueError where no part of a photograph of (height, width) can lie over an image."""
    if any(round(side * SHRUNK * scale) <= wanted for side, wanted in zip(photograph, image, strict=True)):
        shrunk = " x ".join(str(round(side * SHRUNK * scale)) for side in photograph)
        raise ValueError(
            f"frost: photographs larger than the images of {image[0]} x {image[1]} once they are shrunk to "
            f"{SHRUNK * scale:g} of their size, got {shrunk}; take the published ones"
        )


def _shrunk(photograph: Floats, axis: int, first: int, count: int, every: float) -> Floats:
    """`cv2.resize`, linear: between the two nearest pixels, without a blur.  At a fifth, every fifth pixel from the
    third on; `count` of the new pixels from `first` on."""
    size = photograph.shape[axis]
    place = np.clip((np.arange(first, first + count) + 0.5) * every - 0.5, 0, size - 1)
    below = np.floor(place).astype(np.int64)
    part = (place - below).reshape([-1 if k == axis else 1 for k in range(3)])
    above = np.minimum(below + 1, size - 1)
    return np.asarray(photograph.take(below, axis) * (1 - part) + photograph.take(above, axis) * part)
