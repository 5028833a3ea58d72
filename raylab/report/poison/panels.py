"""The same few images in every poisoned set, and the pattern that was added to the first of them."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from raylab.recipes.poison import CLEAN, Cell
from raylab.report.picture import Picture, style
from raylab.report.poison.table import LABELS, Poisons

COUNT = 5
READ_ROWS = 500  # of a set: the examples come from its first rows
SIDE, PITCH, LEFT, TOP, GAP = 1.0, 1.06, 2.15, 0.3, 0.3  # inches
Pixels = NDArray[np.float64]  # (C, H, W), in [0, 1]


def panel(found: Poisons, seed: int) -> Picture:
    """A row of images for each set, beside them what was added to the first, enlarged to the whole range of greys."""
    ids, names = chosen(found, seed)
    rows = {of: examples(found, seed, of, ids) for of in found.sets}
    with style():
        figure = Figure(figsize=(LEFT + PITCH * (len(ids) + 1) + GAP, TOP + PITCH * len(rows)))
        axes = figure.add_axes((0, 0, 1, 1))  # one sheet, measured in inches from its upper left corner
        width, height = figure.get_size_inches()
        for row, (of, images) in enumerate(rows.items()):
            top = TOP + PITCH * row
            axes.text(LEFT - 0.12, top + SIDE / 2, LABELS[of], ha="right", va="center", fontsize=8.5)
            shown = [*images, *([_enlarged(images[0] - rows[CLEAN][0])] if of != CLEAN else [])]
            for column, pixels in enumerate(shown):
                left = LEFT + PITCH * column + (GAP if column == len(ids) else 0)
                grey = pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)
                axes.imshow(
                    grey, cmap="gray", vmin=0, vmax=1, extent=(left, left + SIDE, top + SIDE, top),
                    interpolation="nearest",
                )  # fmt: skip
        for column, name in enumerate([*names, "added to the first"]):
            left = LEFT + PITCH * column + (GAP if column == len(ids) else 0)
            axes.text(left + SIDE / 2, TOP - 0.1, name, ha="center", va="bottom", fontsize=8.5)
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.set_axis_off()
    caption = (
        f"Seed {seed}: the first training images of {len(ids)} classes, not chosen for looks, under the labels above "
        "them. Right: what was added to the first image, enlarged to the whole range; grey is nothing."
    )
    alt = f"Examples of the classes {', '.join(names)} in the sets {', '.join(LABELS[of] for of in rows)}."
    return Picture("poison_examples", figure, alt, caption)


def chosen(found: Poisons, seed: int) -> tuple[list[int], list[str]]:
    """Ids of the first images by row, each of another class, and the names of their classes."""
    batch = found.artifacts[Cell("data", seed)].batch(0, READ_ROWS)
    first: dict[int, int] = {}
    for example, label in zip(batch["id"].tolist(), batch["label"].tolist(), strict=True):
        first.setdefault(label, example)
        if len(first) == COUNT:
            break
    return list(first.values()), [found.class_names[label] for label in first]


def examples(found: Poisons, seed: int, of: str, ids: list[int]) -> list[Pixels]:
    """Images of these ids in a set."""
    artifact = found.artifacts[Cell("data", seed) if of == CLEAN else Cell("set", seed, of)]
    batch = artifact.batch(0, READ_ROWS)
    where = {int(example): row for row, example in enumerate(batch["id"])}
    images = [batch["image"][where[example]] for example in ids]
    return [image.astype(np.float64) / (255 if image.dtype == np.uint8 else 1) for image in images]


def _enlarged(delta: Pixels) -> Pixels:
    largest = float(np.abs(delta).max())
    return 0.5 + delta / (2 * largest) if largest else delta + 0.5
