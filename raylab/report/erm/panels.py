"""The panels of the story: an image, a perturbation that is a gab, their sum, and who says what of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raylab.core import explanations
from raylab.core.seefar import World
from raylab.experiments.transfer import Example, magnification
from raylab.recipes.erm import Cell
from raylab.report.drawing import Pixels, unit
from raylab.report.erm.table import Planet
from raylab.report.numbers import share
from raylab.report.picture import INK, SOFT, Picture, style

COUNT = 4
READ_ROWS = 1000  # of a set: the examples come from its first rows
FIRST = {"seefar": 1, "digits": 4}  # the target of the first panel: a gab, and a "4"
SIDE, PITCH, ROW, LEFT, TOP, WORDS = 0.95, 1.25, 1.12, 0.1, 0.34, 2.1  # inches


@dataclass(frozen=True)
class Panel:
    """One image of D_det, and what is said of it."""

    example: Example
    toogit: Pixels | None  # (1, H, W): that of the new label; None where nobody knows it
    correlation: float  # of the perturbation with it; nan
    oracle: tuple[str, str] | None  # the classes of shape and toogit that the oracles read
    robust: str
    standard: str


def panels(planet: Planet) -> Iterator[Picture]:
    """One of See-Far and one of digits, where they were run and the attack succeeds among the first images."""
    config = planet.config
    if config.data is not None:
        seed = config.seeds[0]
        yield from _picture(planet, "usage", seed, config.data.world(seed), config.attack.eps, "seefar")
    if config.digits is not None:
        yield from _picture(planet, "digits", config.digits.seed, None, config.digits.attack.eps, "digits")


def chosen(planet: Planet, part: str, seed: int, world: World | None) -> list[Panel]:
    """For each target the first image by row that leads the attacked network to it; of See-Far whose features agree
    with its class, as most do."""
    made = planet.artifacts[Cell("set", part, seed)].batch(0, READ_ROWS)
    clean = planet.artifacts[Cell("data", part, seed)].batch(0, READ_ROWS)
    names = _names(planet.artifacts[Cell("data", part, seed)].metrics["class_names"])
    robust = _by_id(planet, Cell("judged", part, seed), "prediction")
    where = {int(example): row for row, example in enumerate(clean["id"])}
    oracle = Cell("oracles", part, seed, kind="det")
    reads = {name: _by_id(planet, oracle, f"{name}_read") for name in ("shape", "toogit")} if world else {}
    found = []
    for step in range(min(COUNT, len(names))):
        target = (FIRST["seefar" if world else "digits"] + step) % len(names)
        typical = (made["label"] == target) & (made["source_prediction"] == target)
        if world:
            typical = typical & (made["shape_class"] == made["source_label"])
            typical = typical & (made["toogit_class"] == made["source_label"])
        for row in np.flatnonzero(typical)[:1]:
            example = int(made["id"][row])
            was, said = int(made["source_label"][row]), int(made["source_prediction"][row])
            before, after = unit(clean["image"][where[example]]), unit(made["image"][row])
            pattern = world.toogits[target][None] if world else None
            found.append(
                Panel(
                    Example(example, before, after, names[was], names[target], said == target),
                    pattern,
                    float(explanations.correlation((after - before)[None], pattern[None])[0])
                    if pattern is not None
                    else float("nan"),
                    (names[reads["shape"][example]], names[reads["toogit"][example]]) if world else None,
                    names[robust[example]],
                    names[said],
                )
            )
    return found


def _picture(planet: Planet, part: str, seed: int, world: World | None, eps: float, data: str) -> Iterator[Picture]:
    shown = chosen(planet, part, seed, world)
    if not shown:
        return
    factor = magnification([panel.example for panel in shown])
    places = [LEFT + PITCH * column for column in range(3)] + [LEFT + PITCH * 3 + WORDS] * bool(world)
    columns = ["image", f"perturbation × {factor}", "sum"] + ["its toogit, alone"] * bool(world)
    width = LEFT + PITCH * 3 + WORDS + (PITCH if world else 0.0)
    with style():
        figure = Figure(figsize=(width, TOP + ROW * len(shown) + 0.1))
        axes = figure.add_axes((0, 0, 1, 1))  # one sheet, measured in inches from its upper left corner
        for left, title in zip(places, columns, strict=True):
            axes.text(left + SIDE / 2, TOP - 0.1, title, ha="center", va="bottom", fontsize=8.5)
        for row, panel in enumerate(shown):
            _row(axes, TOP + ROW * row, places, panel, factor)
        axes.set(xlim=(0, width), ylim=(TOP + ROW * len(shown) + 0.1, 0))
        axes.set_axis_off()
    first = shown[0].example
    who = (
        "Shapes alone are seen by their oracle and by an adversarially trained network; toogits by their oracle and by "
        "the standard network that was attacked. “Its toogit, alone” is the pattern of the new label, with its "
        "correlation with the perturbation."
        if world
        else "An adversarially trained network stands for the reader; the standard one is the one that was attacked."
    )
    success = float(planet.artifacts[Cell("set", part, seed)].metrics["success"])
    kept, turned = _robustly(planet, Cell("judged", part, seed))
    caption = (
        f"Image + {first.labelled} = “{first.labelled}”: for each new label the first image of D_det"
        f"{' whose features agree with its class and' if world else ''} on which the attack succeeds, as it does on "
        f"{share(success)} % of all; L2 radius {eps:g}, perturbations × {factor}. {who} Of the whole set the robust "
        f"network calls {share(kept)} % by their own class and {share(turned)} % by the new label."
    )
    said = "; ".join(
        f"{p.example.was} pushed towards {p.example.labelled}: "
        + (f"shape oracle {p.oracle[0]}, toogit oracle {p.oracle[1]}, " if p.oracle else "")
        + f"robust network {p.robust}, standard network {p.standard}"
        for p in shown
    )
    yield Picture(f"erm_{data}", figure, f"Images, magnified perturbations and their sums. {said}.", caption)


def _row(axes: Axes, top: float, places: list[float], panel: Panel, factor: int) -> None:
    example = panel.example
    images: list[tuple[Pixels, dict[str, Any]]] = [
        (example.original, {"cmap": "gray", "vmin": 0, "vmax": 1}),
        (factor * example.perturbation, {"cmap": "PuOr", "vmin": -0.5, "vmax": 0.5}),
        (example.constructed, {"cmap": "gray", "vmin": 0, "vmax": 1}),
    ]
    if panel.toogit is not None:
        size = float(np.linalg.norm(example.perturbation))  # as large as the perturbation, so that the two compare
        images.append((factor * size * panel.toogit, {"cmap": "PuOr", "vmin": -0.5, "vmax": 0.5}))
    signs = ("+", "=", "")
    for column, (left, (pixels, look)) in enumerate(zip(places, images, strict=True)):
        axes.imshow(pixels[0], extent=(left, left + SIDE, top + SIDE, top), aspect="auto", interpolation="none", **look)
        if column < 2:
            middle = left + (SIDE + PITCH) / 2
            axes.text(middle, top + SIDE / 2, signs[column], ha="center", va="center", fontsize=15, color=SOFT)
    lines = [f"{example.was} + {example.labelled} = “{panel.standard}”"]
    if panel.oracle:
        lines += [f"shape oracle: {panel.oracle[0]}", f"robust network: {panel.robust}"]
        lines += [f"toogit oracle: {panel.oracle[1]}", f"standard network: {panel.standard}"]
        lines.append(f"correlation with its toogit: {panel.correlation:.2f}")
    else:
        lines += [f"robust network: {panel.robust}", f"standard network: {panel.standard}"]
    left = LEFT + PITCH * 3
    for number, line in enumerate(lines):
        weight = "bold" if number == 0 else "normal"
        axes.text(left, top + 0.04 + 0.165 * number, line, va="top", fontsize=8.5, fontweight=weight, color=INK)


def _robustly(planet: Planet, cell: Cell) -> tuple[float, float]:
    """Shares of D_det that the robust network calls by the class they had, and by their new label."""
    table = planet.artifacts[cell].table()
    said, was, label = (table.column(name).to_numpy() for name in ("prediction", "source_label", "label"))
    return float((said == was).mean()), float((said == label).mean())


def _by_id(planet: Planet, cell: Cell, column: str) -> dict[int, int]:
    table = planet.artifacts[cell].table()
    ids, values = (table.column(name).to_numpy().tolist() for name in ("id", column))
    return dict(zip(ids, values, strict=True))


def _names(given: Any) -> list[str]:
    return [str(name) for name in given]
