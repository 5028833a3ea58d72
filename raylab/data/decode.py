"""Encoded images (PNG, JPEG, ...) to one uint8 array.

No thread pool: Pillow holds the interpreter's lock for so much of the work that two threads took longer than
one up to 256x256 pixels (80 against 100 microseconds an image at 32x32).
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from raylab.data.reader import DataError

GREY_MODES = ("1", "L", "LA")
DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "F")
MOST_PIXELS = 2**26  # of an image: 200 MB of colours once decoded, however small its file
JPEG_MAGIC = b"\xff\xd8\xff"


def decode(
    encoded: bytes | Path,
    where: str,
    size: int | None = None,
    short: int | None = None,  # of the scaled image; None: `size`
) -> NDArray[np.uint8]:  # (C, H, W), C = 1 for grey images and 3 for all others (alpha is dropped)
    """One image; `size` scales its shorter side (to `short`) and cuts out the centre. DataError names `where`."""
    try:
        with Image.open(io.BytesIO(encoded) if isinstance(encoded, bytes) else encoded) as image:
            if (count := image.width * image.height) > MOST_PIXELS:
                raise ValueError(f"{count:,} pixels, {MOST_PIXELS:,} at most")
            mode = image.mode
            plain = image.convert("L" if mode in GREY_MODES else "RGB")
    # Pillow raises SyntaxError for broken PNG chunks and ValueError for impossible headers.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{where}: no readable image ({error}); remove or replace it") from error
    if mode in DEEP_MODES:  # Pillow would clip them, not scale them
        raise DataError(f"{where}: 8 bits a channel are read, got mode {mode}; convert it first")
    if size is not None:
        plain = _resize_and_crop(plain, size, short or size)
    pixels = np.asarray(plain, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def decode_all(
    encoded: Iterable[tuple[bytes | Path, str]],  # and where each is from
    count: int,
    shape: tuple[int, int, int],
    size: int | None = None,
    short: int | None = None,
) -> NDArray[np.uint8]:  # (count, C, H, W)
    """All images, which must have one shape; grey ones among coloured ones become grey RGB."""
    images = np.empty((count, *shape), dtype=np.uint8)
    for row, (data, where) in enumerate(encoded):
        image = decode(data, where, size, short)
        if image.shape[1:] != shape[1:]:
            raise DataError(
                f"{where}: images must be of one size, the first is {shape[1:]}, this one {image.shape[1:]}; "
                "give data.size=N to scale and crop them"
            )
        if image.shape[0] > shape[0]:
            raise DataError(f"{where}: a coloured image, the first is grey; convert them to one mode")
        images[row] = image
    return images


def _resize_and_crop(image: Image.Image, size: int, short: int) -> Image.Image:
    width, height = (max(size, round(side * short / min(image.size))) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    scaled = image.resize((width, height), Image.Resampling.BILINEAR)
    return scaled.crop((left, top, left + size, top + size))
