"""What figures of several pages have in common: quiet axes, error bars in percent, and images pixel for pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from raylab.core.statistics import Estimate
from raylab.report.later import Axes
from raylab.report.picture import LINE

Pixels = NDArray[np.float64]  # (C, H, W), in [0, 1]
FACTORS = (1, 2, 3, 5, 8, 10, 15, 20, 30, 50, 80, 100)  # by which what was added to images is enlarged


def despine(axes: Axes, grid: Literal["both", "x", "y"] = "both") -> None:
    """No frame but the two axes, and a grid behind what is drawn."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(LINE)
    axes.grid(True, axis=grid)
    axes.set_axisbelow(True)


def error_in_percent(value: Estimate) -> float:
    """The standard error in percent; none of a single number."""
    return 0.0 if math.isnan(value.se) else 100 * value.se


def seeds_phrase(seeds: Sequence[int]) -> str:
    """What the bars of a figure are taken over."""
    return f" over {len(seeds)} seeds" if len(seeds) > 1 else " of one seed’s images"


def unit(image: NDArray[np.generic]) -> Pixels:
    """Of bytes or of pixels in [0, 1]."""
    return np.asarray(image, dtype=np.float64) / (255.0 if image.dtype == np.uint8 else 1.0)


def magnification(added: Sequence[Pixels]) -> int:
    """The largest factor at which 90 % of all pixels of what was added stay within half of the range."""
    size = float(np.quantile(np.abs(np.concatenate([one.ravel() for one in added])), 0.9))
    return max((factor for factor in FACTORS if factor * size <= 0.5), default=1)


def enlarged(added: Pixels, factor: float) -> Pixels:
    """What was added, so much larger, around the grey that is nothing."""
    return np.clip(0.5 + factor * added, 0.0, 1.0)


def show(axes: Axes, left: float, top: float, side: float, image: Pixels, **colours: Any) -> None:
    """An image of `side` at a place; three channels are colours, and of another number only the first is shown."""
    shown = np.moveaxis(image, 0, -1).clip(0, 1) if image.shape[0] == 3 else image[0]
    look: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 1} | colours
    axes.imshow(shown, extent=(left, left + side, top + side, top), aspect="auto", interpolation="none", **look)


def brief(name: str, longest: int = 12) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
