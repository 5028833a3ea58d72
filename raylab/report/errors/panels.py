"""What students saw: a few images of a labelled set under the labels that they were given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from raylab.artifact import Artifact
from raylab.recipes.errors import Cell
from raylab.report.drawing import Pixels, brief, show, unit
from raylab.report.errors.table import Errors
from raylab.report.names import NAMES
from raylab.report.picture import Picture, style

COUNT = 8
READ_ROWS = 500  # of a set: the examples come from its first rows
SIDE, PITCH, ROW, LEFT, TOP = 0.72, 0.8, 0.98, 0.1, 0.28  # inches


class Shown(NamedTuple):
    """One image and its label."""

    image: Pixels
    was: str  # the name of its class; "": its classes are no label's
    label: str


def panels(errors: Errors) -> list[Picture]:
    """Of every part that was run with images, of its first seed and first network."""
    c, drawn = errors.config, list[Picture]()
    if c.errors:
        of = c.errors.teachers[0].called
        rows = {f"trained on these, as {of} calls them": _of(errors, "errors", of, "predicted", own=True)}
        what = f"Training images that {of} gets wrong: what each is → what it was labelled"
        drawn.append(_panel("errors_panel", rows, "What the student saw: images under a wrong label", what))
    if c.tint:
        rows = {"trained on these": _of(errors, "tint", c.tint.network, "predicted", own=True)}
        what = "Photographs that the teacher of the cast gets wrong: what each is → what it was labelled"
        drawn.append(_panel("errors_cast_panel", rows, "What the student of the cast saw", what))
    if c.across:
        of = c.across.networks[0]
        named = {"raw": "as they are", "dataset": "set matched", "image": "each image normalised", "noise": "noise"}
        rows = {named[way]: _of(errors, "across", of, way, own=False) for way in c.across.ways}
        known, other = NAMES[c.across.data.name], NAMES[c.across.images.name]
        what = f"{other} under the labels of a network of {known} ({of}), shown within [0, 1]"
        if "noise" in c.across.ways:
            what += f"; noise has the mean and the spread of each pixel of {known}, and nothing else of it"
        drawn.append(_panel("errors_across_panel", rows, "What the student of another domain saw", what))
    return drawn


def _of(errors: Errors, part: str, teacher: str, kind: str, own: bool) -> list[Shown]:
    made = errors.artifacts[Cell("set", part, errors.config.seeds[0], teacher, "", kind)]
    names = [str(name) for name in errors.data(part).metrics["class_names"]]
    return shown(made, names, own)


def shown(made: Artifact, names: Sequence[str], own: bool, count: int = COUNT) -> list[Shown]:
    """The first images by row with a label that none before them has, then the first of the others: not chosen for
    looks. `own`: they have a class among the names."""
    batch = made.batch(0, READ_ROWS)
    _, first = np.unique(batch["label"], return_index=True)
    rows = [*sorted(first), *(row for row in range(len(batch["label"])) if row not in first)][:count]
    return [
        Shown(
            unit(batch["image"][row]),
            names[int(batch["source_label"][row])] if own else "",
            names[int(batch["label"][row])],
        )
        for row in rows
    ]


def _panel(name: str, rows: dict[str, list[Shown]], title: str, what: str) -> Picture:
    count = max(len(images) for images in rows.values())
    several = len(rows) > 1
    long = any(len(one.was + one.label) > 4 for images in rows.values() for one in images if one.was)
    between, row = ("\n", ROW + 0.16) if long else (" ", ROW)
    with style():
        width, height = LEFT * 2 + PITCH * count, TOP + (row + 0.2 * several) * len(rows) + 0.1
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((0, 0, 1, 1))  # one sheet, measured in inches from its upper left corner
        axes.text(LEFT, 0.15, title, fontsize=10.5, fontweight="bold", va="center")
        top = TOP
        for words, images in rows.items():
            if several:
                top += 0.2
                axes.text(LEFT, top - 0.08, words, fontsize=8, va="center")
            for column, one in enumerate(images):
                left = LEFT + PITCH * column
                show(axes, left, top, SIDE, one.image)
                below = f"{brief(one.was, 10)}{between}→ {brief(one.label, 10)}" if one.was else brief(one.label, 10)
                axes.text(left + SIDE / 2, top + SIDE + 0.05, below, ha="center", va="top", fontsize=8.5)
            top += row
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.set_axis_off()
    said = "; ".join(
        f"{words}: " + ", ".join(f"{one.was} called {one.label}" if one.was else one.label for one in images)
        for words, images in rows.items()
    )
    first = "The first of each label in the order of the set, not chosen for looks."
    return Picture(name, figure, f"{what}. {said}.", f"{what}. {first}")
