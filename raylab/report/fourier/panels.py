"""The images themselves: what is left of them in one band, to the eye and to a network, and under corruption."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from raylab.recipes.fourier import Cell
from raylab.report.drawing import Pixels, brief, show, unit
from raylab.report.fourier.published import INVISIBLE, words
from raylab.report.fourier.table import Result
from raylab.report.picture import Picture, style
from raylab.stages.corruption import as_bytes
from raylab.stages.corruption import corrupted as under
from raylab.stages.frost import photographs

COUNT = 5
READ_ROWS = 500  # of the test images: the examples come from the first of them
SHOWN_SEVERITY = 5
SIDE, PITCH, LEFT, TOP = 0.92, 0.98, 1.75, 0.3  # inches
COLUMNS = 6


def filtered(result: Result) -> Picture:
    """High-passed images as they are, which is grey, and the same stretched; low-passed ones beside them."""
    ids, names = _chosen(result)
    rows = [("the images", _of_ids(_test_images(result), ids))]
    for passes, bandwidth in _bandwidths(result):
        images = _of_ids(_band(result, passes, bandwidth), ids)
        if passes == "low":
            rows.append((f"low-pass {bandwidth}", [np.clip(x, 0, 1) for x in images]))
            continue
        rows.append((f"high-pass {bandwidth},\nat a grey of one half", [np.clip(x + 0.5, 0, 1) for x in images]))
        rows.append((f"high-pass {bandwidth},\neach stretched", [_stretched(x) for x in images]))
    with style():
        figure = Figure(figsize=(LEFT + PITCH * len(ids), TOP + PITCH * len(rows)))
        axes = _sheet(figure)
        for place, (label, images) in enumerate(rows):
            _row(axes, TOP + PITCH * place, label, images)
        for column, name in enumerate(names):
            axes.text(LEFT + PITCH * column + SIDE / 2, TOP - 0.08, name, ha="center", va="bottom", fontsize=8.5)
    caption = (
        "The first test images of their classes, not chosen for looks. High-passed images have mean 0 and little "
        "contrast: with a grey of one half beneath they are grey to the eye. Stretched from their darkest to their "
        "brightest pixel they show what is in them; networks are trained on them as they are, unstretched."
    )
    alt = f"Examples of {', '.join(names)}: {'; '.join(label.replace(chr(10), ' ') for label, _ in rows)}."
    return Picture("filtered_images", figure, alt, caption)


def corrupted(result: Result) -> Picture:
    """One test image under every corruption that was measured."""
    data = _test_images(result)
    ids, names = _chosen(result)
    where = int(np.flatnonzero(data["id"] == ids[0])[0])
    image, example = data["image"][where : where + 1], data["id"][where : where + 1]
    kinds = [change.what for change in result.corruptions]
    seed = result.config.seeds[0]
    frost = result.artifacts.get(Cell("frost", seed))
    frozen = () if frost is None else photographs(frost)
    shown = [("as it is", unit(image[0]))]
    shown += [
        (words(name), unit(under(name, SHOWN_SEVERITY, as_bytes(image), example, seed, frozen)[0])) for name in kinds
    ]
    lines = -(-len(shown) // COLUMNS)
    with style():
        figure = Figure(figsize=(1.22 * COLUMNS, 1.3 * lines))
        axes = _sheet(figure)
        for place, (label, pixels) in enumerate(shown):
            left, top = 1.22 * (place % COLUMNS), 1.3 * (place // COLUMNS) + 0.25
            axes.text(left + SIDE / 2, top - 0.06, label, ha="center", va="bottom", fontsize=8)
            _image(axes, left, top, pixels)
    caption = f"One test image ({names[0]}) at severity {SHOWN_SEVERITY}, the most severe, as the networks are asked."
    return Picture("corrupted_images", figure, f"One image under {len(kinds)} corruptions.", caption)


def _bandwidths(result: Result) -> list[tuple[str, int]]:
    """One low-pass; of the high-passes the nearest to the published one, and the widest."""
    side = min(result.size)
    low = [kept.bandwidth for kept in result.kept if kept.passes == "low"]
    high = [kept.bandwidth for kept in result.kept if kept.passes == "high"]
    shown = [("low", min(low, key=lambda b: abs(b - side / 4)))] if low else []
    if high:
        near = min(high, key=lambda b: abs(b / side - INVISIBLE))
        shown += [("high", bandwidth) for bandwidth in dict.fromkeys((near, max(high)))]
    return shown


def _chosen(result: Result) -> tuple[list[int], list[str]]:
    """Ids of the first test images by row, each of another class, and the names of their classes."""
    batch, found = _test_images(result), dict[int, int]()
    for example, label in zip(batch["id"].tolist(), batch["label"].tolist(), strict=True):
        found.setdefault(label, example)
        if len(found) == COUNT:
            break
    return list(found.values()), [brief(result.class_names[label]) for label in found]


def _test_images(result: Result) -> dict[str, NDArray[Any]]:
    return result.artifacts[Cell("shown", result.config.seeds[0])].batch(0, READ_ROWS)


def _band(result: Result, passes: str, bandwidth: int) -> dict[str, NDArray[Any]]:
    return result.artifacts[Cell("band", result.config.seeds[0], "", passes, bandwidth)].batch(0, READ_ROWS)


def _of_ids(batch: dict[str, NDArray[Any]], ids: Sequence[int]) -> list[Pixels]:
    where = {int(example): row for row, example in enumerate(batch["id"])}
    return [unit(batch["image"][where[example]]) for example in ids]


def _stretched(image: Pixels) -> Pixels:
    low, high = float(image.min()), float(image.max())
    return (image - low) / (high - low) if high > low else np.full_like(image, 0.5)


def _sheet(figure: Figure) -> Axes:
    """Measured in inches from its upper left corner."""
    axes = figure.add_axes((0, 0, 1, 1))
    width, height = figure.get_size_inches()
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return axes


def _row(axes: Axes, top: float, label: str, images: Sequence[Pixels]) -> None:
    axes.text(LEFT - 0.12, top + SIDE / 2, label, ha="right", va="center", fontsize=8.5)
    for column, pixels in enumerate(images):
        _image(axes, LEFT + PITCH * column, top, pixels)


def _image(axes: Axes, left: float, top: float, pixels: Pixels) -> None:
    limits = axes.get_xlim(), axes.get_ylim()
    show(axes, left, top, SIDE, pixels)
    axes.set(xlim=limits[0], ylim=limits[1])
