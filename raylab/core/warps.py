"""The elastic transform of the corruption benchmark: a random affine map, then a smooth random displacement."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from raylab.core.blurs import gaussian

Floats = NDArray[np.float64]
Beyond = Literal["reflect", "symmetric"]  # numpy's names: abc|ba, abc|cba


def elastic(
    x: Floats,  # (N, C, H, W)
    strength: float,  # of the displacement, in shares of the side, as all three
    smoothness: float,
    affine: float,
    corners: Floats,  # (N, 3, 2) uniform in [-1, 1)
    fields: Floats,  # (N, 2, H, W) uniform in [-1, 1): down, across
) -> Floats:
    """HEN's `elastic_transform`, with `cv2.warpAffine` and `scipy.ndimage.map_coordinates` written out, both linear."""
    height, width = x.shape[-2:]
    side = min(height, width)
    x = _affine(x, affine * side * corners)
    if strength == 0.0:
        return x
    moved = strength * side * gaussian(fields, smoothness * side, edge="symmetric", truncate=3.0)
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    return sample(x, rows + moved[:, 0], columns + moved[:, 1], "symmetric")


def sample(
    x: Floats,  # (N, C, H, W)
    rows: Floats,  # (N, H, W), where to look
    columns: Floats,
    beyond: Beyond,
) -> Floats:
    """Bilinear interpolation; images continue as their own mirror images."""
    height, width = x.shape[-2:]
    top, left = np.floor(rows), np.floor(columns)
    down, across = (rows - top)[..., None], (columns - left)[..., None]
    up, low = (_folded(top + step, height, beyond) for step in (0, 1))
    near, far = (_folded(left + step, width, beyond) for step in (0, 1))
    pixels, images = np.moveaxis(x, 1, -1), np.arange(len(x))[:, None, None]
    upper = pixels[images, up, near] * (1 - across) + pixels[images, up, far] * across
    lower = pixels[images, low, near] * (1 - across) + pixels[images, low, far] * across
    return np.asarray(np.moveaxis(upper * (1 - down) + lower * down, -1, 1))


def _affine(x: Floats, moved: Floats) -> Floats:
    """Three points around the centre are moved by so many pixels (across, down), and the plane with them."""
    height, width = x.shape[-2:]
    middle = np.array([width // 2, height // 2], dtype=np.float64)
    reach = min(height, width) // 3
    points = middle + reach * np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    ends = np.concatenate([points + moved, np.ones((len(x), 3, 1))], axis=2)  # (N, 3, 3)
    back = np.linalg.solve(ends, np.broadcast_to(points, (len(x), 3, 2)))  # where a pixel of the result comes from
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    across, down = (
        back[:, 0, k, None, None] * columns + back[:, 1, k, None, None] * rows + back[:, 2, k, None, None]
        for k in (0, 1)
    )
    return sample(x, down, across, "reflect")


def _folded(place: Floats, size: int, beyond: Beyond) -> NDArray[np.int64]:
    """The pixel that stands at a place, in or beyond the image."""
    whole = place.astype(np.int64)
    if beyond == "reflect":
        period = max(2 * (size - 1), 1)
        whole = whole % period
        return np.where(whole < size, whole, period - whole)
    whole = whole % (2 * size)
    return np.where(whole < size, whole, 2 * size - 1 - whole)
