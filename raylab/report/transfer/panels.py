"""Panels of examples: the original image, the perturbation magnified, the constructed image, and both labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from raylab.recipes.transfer_matrix import Cell
from raylab.report.drawing import Pixels, brief, show, unit
from raylab.report.picture import SOFT, Picture, style
from raylab.report.transfer.matrix import Matrix

COUNT = 6
READ_ROWS = 500  # of a set: the examples come from its first rows, so that a page need not read a whole CIFAR
FACTORS = (1, 2, 3, 5, 8, 10, 15, 20, 30, 50, 80, 100)
SIDE, PITCH, ROW, LEFT, TOP = 0.88, 0.96, 1.2, 0.3, 0.05  # inches


@dataclass(frozen=True)
class Example:
    """One image of a constructed set and what it was made from."""

    id: int
    original: Pixels
    constructed: Pixels
    was: str  # the name of its class
    labelled: str
    fooled: bool  # the source says the new label

    @property
    def perturbation(self) -> Pixels:
        return self.constructed - self.original


def examples(matrix: Matrix, source: str, kind: str, seed: int, count: int = COUNT) -> list[Example]:
    """The first examples by row, each of another class and with a new label: not chosen for looks or success."""
    made = matrix.artifacts[Cell("set", seed, source, "", kind)].batch(0, READ_ROWS)
    clean = matrix.artifacts[Cell("data", seed)].batch(0, READ_ROWS)
    where = {int(example): row for row, example in enumerate(clean["id"])}
    names, chosen = matrix.class_names, dict[int, Example]()
    for row, example in enumerate(made["id"]):
        was, label = int(made["source_label"][row]), int(made["label"][row])
        if was == label or was in chosen or int(example) not in where:
            continue
        said = int(made["source_prediction"][row])
        chosen[was] = Example(
            int(example), unit(clean["image"][where[int(example)]]), unit(made["image"][row]),
            names[was], names[label], said == label,
        )  # fmt: skip
        if len(chosen) == count:
            break
    return list(chosen.values())


def magnification(shown: list[Example]) -> int:
    """The largest factor at which 90 % of all pixels of the perturbations stay within half of the range."""
    size = float(np.quantile(np.abs(np.concatenate([e.perturbation.ravel() for e in shown])), 0.9))
    return max((factor for factor in FACTORS if factor * size <= 0.5), default=1)


def panel(matrix: Matrix, source: str, kind: str, seed: int) -> Picture | None:
    """Three rows of images; None where the first rows of the set hold no example with a new label."""
    shown = examples(matrix, source, kind, seed)
    if not shown:
        return None
    factor, grey = magnification(shown), shown[0].original.shape[0] == 1
    tops = [TOP + ROW * row for row in range(3)]
    with style():
        figure = Figure(figsize=(LEFT + PITCH * len(shown), tops[2] + ROW + 0.15))
        axes = figure.add_axes((0, 0, 1, 1))  # one sheet, measured in inches from its upper left corner
        for top, text in zip(tops, ("original", f"perturbation × {factor}", "constructed"), strict=True):
            axes.text(LEFT - 0.12, top + SIDE / 2, text, rotation=90, ha="center", va="center", fontsize=8)
        for column, example in enumerate(shown):
            left = LEFT + PITCH * column
            noise = factor * example.perturbation
            show(axes, left, tops[0], SIDE, example.original)
            if grey:
                show(axes, left, tops[1], SIDE, noise, cmap="PuOr", vmin=-0.5, vmax=0.5)
            else:
                show(axes, left, tops[1], SIDE, np.clip(0.5 + noise, 0, 1))
            show(axes, left, tops[2], SIDE, example.constructed)
            said = "source agrees" if example.fooled else "source does not"
            below: dict[str, Any] = {"ha": "center", "va": "top"}
            middle = left + SIDE / 2
            axes.text(middle, tops[0] + SIDE + 0.05, brief(example.was), **below)
            axes.text(middle, tops[2] + SIDE + 0.05, brief(example.labelled), fontweight="bold", **below)
            axes.text(middle, tops[2] + SIDE + 0.22, said, fontsize=7.5, color=SOFT, **below)
        width, height = figure.get_size_inches()
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.set_axis_off()
    attack = matrix.config.attack
    zero = "white is no change" if grey else "grey is no change"
    caption = (
        f"{kind} from {source}, seed {seed}: the first training images of different classes whose label changes, "
        "whether or not the attack succeeded. Below an original its class, below a constructed image its new "
        "label, and whether the source says it. "
        f"{attack.norm.upper()} radius {attack.eps:g}; perturbations are shown × {factor} ({zero})."
    )
    said = "; ".join(
        f"{e.was} relabelled {e.labelled}{'' if e.fooled else ' (the source does not say so)'}" for e in shown
    )
    alt = f"Originals, perturbations magnified {factor} times and constructed images of {kind} from {source}: {said}."
    return Picture(f"panel_{kind}_{source}", figure, alt, caption)
