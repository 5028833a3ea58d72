"""The same few images in every set: what was kept of them, and what was started from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from raylab.artifact import Artifact
from raylab.core import invert
from raylab.recipes.robust_features import CLEAN, SETS, Cell
from raylab.report.drawing import Pixels, brief, show, unit
from raylab.report.picture import Picture, style
from raylab.report.robust.table import LABELS, Table

COUNT = 5
READ_ROWS = 500  # of a set: the examples come from its first rows
START = "start"
SIDE, PITCH, LEFT, TOP, GAP = 1.0, 1.06, 1.4, 0.3, 0.14  # inches


def panel(table: Table, seed: int) -> Picture:
    """A row of images for each set, below the originals and the images that the inversions started from."""
    ids, names = chosen(table, seed)
    rows = examples(table, seed, ids)
    with style():
        figure = Figure(figsize=(LEFT + PITCH * len(ids), TOP + PITCH * len(rows) + GAP))
        axes = figure.add_axes((0, 0, 1, 1))  # one sheet, measured in inches from its upper left corner
        top = TOP
        for name, images in rows.items():
            axes.text(LEFT - 0.12, top + SIDE / 2, name, ha="right", va="center", fontsize=8.5)
            for column, pixels in enumerate(images):
                show(axes, LEFT + PITCH * column, top, SIDE, pixels)
            top += PITCH + (GAP if name == LABELS[CLEAN] else 0)
        for column, name in enumerate(names):
            axes.text(LEFT + PITCH * column + SIDE / 2, TOP - 0.1, name, ha="center", va="bottom", fontsize=8.5)
        width, height = figure.get_size_inches()
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.set_axis_off()
    started = (
        f" “{START}” is where the inversions from images began: what a set still shows of it, the features do not see."
        if START in rows
        else ""
    )
    caption = f"Seed {seed}: the first training images of {len(ids)} classes, not chosen for looks.{started}"
    alt = f"Examples of the classes {', '.join(names)}: each as it is in {', '.join(rows)}."
    return Picture("examples", figure, alt, caption)


def chosen(table: Table, seed: int) -> tuple[list[int], list[str]]:
    """Ids of the first images by row, each of another class, and the names of their classes."""
    batch = table.artifacts[Cell("data", seed)].batch(0, READ_ROWS)
    found: dict[int, int] = {}
    for example, label in zip(batch["id"].tolist(), batch["label"].tolist(), strict=True):
        found.setdefault(label, example)
        if len(found) == COUNT:
            break
    return list(found.values()), [brief(table.class_names[label]) for label in found]


def examples(table: Table, seed: int, ids: list[int]) -> Mapping[str, list[Pixels]]:
    """Images of these ids by what they are called: of D, the starts, and of every constructed set."""
    data = table.artifacts[Cell("data", seed)]
    found = {LABELS[CLEAN]: _of_ids(data, ids)}
    if table.config.from_image.pool is None:
        found[START] = _starts(data, ids, seed)
    for name in SETS:
        if name in table.config.sets:
            found[LABELS[name]] = _of_ids(table.artifacts[Cell("set", seed, name)], ids)
    return found


def _of_ids(artifact: Artifact, ids: list[int]) -> list[Pixels]:
    batch = artifact.batch(0, READ_ROWS)
    where = {int(example): row for row, example in enumerate(batch["id"])}
    return [unit(batch["image"][where[example]]) for example in ids]


def _starts(data: Artifact, ids: list[int], seed: int) -> list[Pixels]:
    """What the inversion of each began with: a row in the order of all ids."""
    order = np.argsort(data.without_images()["id"])
    rows = order[invert.start_rows(np.asarray(ids, dtype=np.int64), len(order), seed, "train")]
    return [unit(data.batch(int(row), int(row) + 1)["image"][0]) for row in rows]
