"""Figures of a matrix: heat maps, transfer against learning, controls."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from raylab.core.statistics import Estimate
from raylab.report.drawing import calm
from raylab.report.numbers import coefficient, number, percent, share
from raylab.report.picture import COLOURS, INK, MARKERS, SOFT, Picture, contrast_ink, style
from raylab.report.transfer.matrix import CONTROLS, TRANSFER, Matrix, Row

SPOKEN = {
    "unperturbed": "unperturbed images",
    "random_labels": "random-label source",
    "untrained": "untrained source",
    "robust": "robust source",
    "leakage": "leakage-only set",
}
_CONTROL_MARKERS = {
    "unperturbed": ("o", "#7a8793"),
    "random_labels": ("^", "#d55e00"),
    "untrained": ("s", "#cc79a7"),
    "robust": ("D", "#009e73"),
    "leakage": ("v", "#b8860b"),
}


def heat_map(matrix: Matrix, kind: str) -> Picture:
    """Student accuracy by source (rows) and student architecture (columns); beside it p1 where the labels are y + 1."""

    def lines(row: Row) -> tuple[str, ...]:
        return (f"± {share(row.accuracy.se)}", *([f"p1 {share(row.p1.mean)}"] if kind == "det" else []))

    figure = _grid(
        matrix, kind, lambda row: row.accuracy, lines, f"{kind}: accuracy of the student, %", "student", "Blues"
    )
    what = f"Accuracy on untouched test images of students trained on {kind} sets"
    p1 = "; p1 is the share of test images that it calls label + 1, as the visible content of its training images says"
    chance = f"Chance is {100 / len(matrix.class_names):.3g} %"
    caption = f"{what}{p1 if kind == 'det' else ''}. {chance}; {_spread(matrix)}."
    return Picture(
        f"heat_map_{kind}", figure, _spoken(matrix, kind, what, lambda r: r.accuracy), _with_note(matrix, caption)
    )


def transfer_map(matrix: Matrix) -> Picture:
    """Targeted transfer from each source to an independent, ordinarily trained network of each architecture."""
    kind = matrix.config.kinds[0]  # the same for all kinds: it is a property of two networks

    def rate(row: Row) -> Estimate:
        return row.transfer[TRANSFER]

    def lines(row: Row) -> tuple[str, ...]:
        return (f"± {share(rate(row).se)}",)

    figure = _grid(matrix, kind, rate, lines, "targeted transfer, %", "independent network", "Oranges")
    what = "Share of test images, attacked towards label + 1 on the source, that an independent network calls label + 1"
    caption = f"{what} (it was trained on clean images and never saw the source); {_spread(matrix)}."
    return Picture("heat_map_transfer", figure, _spoken(matrix, kind, what, rate), _with_note(matrix, caption))


def scatter(matrix: Matrix, kind: str) -> Picture:
    """Targeted transfer against what the student learned: seeds small, their means large."""
    config = matrix.config
    colour = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(config.sources)}
    marker = {name: MARKERS[i % len(MARKERS)] for i, name in enumerate(config.targets)}
    with style():
        figure = Figure(figsize=(5.6, max(4.0, 0.9 + 0.2 * len(colour) + 0.2 * len(marker))), layout="constrained")
        axes = figure.add_subplot()
        for source in config.sources:
            for target in config.targets:
                points = [p for p in matrix.points if (p.kind, p.source, p.target) == (kind, source, target)]
                x, y = 100 * np.array([p.transfer for p in points]), 100 * np.array([p.learned for p in points])
                look: dict[str, Any] = {"color": colour[source], "marker": marker[target], "linewidths": 0}
                if len(points) > 1:
                    axes.scatter(x, y, s=14, alpha=0.45, **look)
                axes.scatter([x.mean()], [y.mean()], s=75, alpha=0.95, **look)
        axes.axhline(100 / len(matrix.class_names), color=SOFT, linewidth=1, linestyle=(0, (2, 3)))
        axes.annotate(
            "chance", (1, 100 / len(matrix.class_names)), (-2, 3), ("axes fraction", "data"), "offset points",
            ha="right", color=SOFT, fontsize=8,
        )  # fmt: skip
        axes.set(xlabel="targeted transfer to an independent network, %", ylabel="accuracy of the student, %")
        axes.set(xlim=(0, _top(axes.get_xlim()[1])), ylim=(0, _top(axes.get_ylim()[1])))
        axes.set_title(f"{kind}: transfer and learning")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
        calm(axes, grid="both")
        figure.legend(handles=_source_and_student(colour, marker), loc="outside right upper", labelspacing=0.45)
    views = matrix.correlations[kind]
    pooled, within = views["pooled"], views["within_source"]
    r = (
        f"Pearson r {coefficient(pooled.pearson)} over all {pooled.n} points, {coefficient(within.pearson)} "
        f"within each source (n = {within.n}); 95 % intervals resample sources and targets. The first also "
        "counts that stronger sources teach more; the second does not."
    )
    if kind not in matrix.correlated:
        r = "A correlation takes at least two sources and two targets."
    marks = "Large: means over seeds; small: single seeds." if len(config.seeds) > 1 else "One seed."
    caption = f"{marks} {r}"
    alt = f"Scatter of targeted transfer against the accuracy of students of {kind} sets. {r}"
    return Picture(f"scatter_{kind}", figure, alt, caption)


def has_controls(matrix: Matrix, kind: str) -> bool:
    return any(row.controls for row in matrix.rows if row.kind == kind)


def controls(matrix: Matrix, kind: str) -> Picture:
    """The student of every pair beside what it must beat; on det also the visible rule."""
    rows = [row for row in matrix.rows if row.kind == kind and row.controls]
    with style():
        figure = Figure(figsize=(6.2, 1.3 + 0.27 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        places = np.arange(len(rows), dtype=float)
        for place, row in zip(places, rows, strict=True):
            axes.axhline(place, color="#e6eaee", linewidth=0.8, zorder=0)
            aside = np.linspace(-0.24, 0.24, len(row.controls)) if len(row.controls) > 1 else [0.0]
            for (name, estimate), offset in zip(row.controls.items(), aside, strict=True):
                mark, colour = _CONTROL_MARKERS[name]
                _dot(axes, estimate, place + offset, mark, colour, size=5, hollow=True)
            if kind == "det":
                _dot(axes, row.p1, place, "|", INK, size=9)
            _dot(axes, row.accuracy, place, "o", "#0072b2", size=7)
        axes.axvline(100 / len(matrix.class_names), color=SOFT, linewidth=1, linestyle=(0, (2, 3)))
        axes.set_yticks(places, [f"{row.source} → {row.target}" for row in rows])
        axes.set(
            xlim=(-2, 102),
            ylim=(len(rows) - 0.5, -0.5),
            xlabel="% of test images; bars: standard error; dotted: chance",
        )
        axes.set_title(f"{kind}: the student against its controls")
        calm(axes, grid="x")
        figure.legend(handles=_control_legend(rows, kind), loc="outside lower center", ncols=3)
    said = "; ".join(f"{row.source} to {row.target}: student {percent(row.accuracy)}{_beside(row)}" for row in rows)
    rule = " The upright stroke is p1, what the visible rule would say." if kind == "det" else ""
    caption = f"Source → student. A control that was not run for a row is absent.{rule}"
    return Picture(f"controls_{kind}", figure, f"Students of {kind} sets beside their controls. {said}.", caption)


def _grid(
    matrix: Matrix,
    kind: str,
    value: Callable[[Row], Estimate],
    lines: Callable[[Row], Sequence[str]],
    title: str,
    columns: str,
    colours: str,
) -> Figure:
    sources, targets = matrix.config.sources, matrix.config.targets
    rows = [[matrix.row(source, target, kind) for target in targets] for source in sources]
    means = np.array([[value(row).mean for row in line] for line in rows])
    scale = mpl.colormaps[colours]
    with style():
        figure = Figure(
            figsize=(max(3.4, 1.05 + 0.74 * len(targets)), 0.95 + 0.64 * len(sources)), layout="constrained"
        )
        axes = figure.add_subplot()
        for i, line in enumerate(rows):
            for j, row in enumerate(line):
                mean = means[i, j]
                red, green, blue, _ = scale(0.04 + 0.9 * mean) if math.isfinite(mean) else (1.0, 1.0, 1.0, 1.0)
                box = mpl.patches.Rectangle((j - 0.48, i - 0.47), 0.96, 0.94, facecolor=(red, green, blue), linewidth=0)
                axes.add_patch(box)
                ink = contrast_ink((red, green, blue))
                small = list(lines(row))
                up = 0.13 + 0.06 * (len(small) - 1)
                axes.text(j, i - up, share(mean), ha="center", va="center", color=ink, fontsize=11.5, fontweight="bold")
                for k, text in enumerate(small):
                    axes.text(j, i - up + 0.33 + 0.23 * k, text, ha="center", va="center", color=ink, fontsize=7.5)
        axes.set(xlim=(-0.5, len(targets) - 0.5), ylim=(len(sources) - 0.5, -0.5))
        crowded = max(map(len, targets)) > 9
        turn: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
        axes.set_xticks(range(len(targets)), targets, **turn)
        axes.set_yticks(range(len(sources)), sources)
        axes.set(xlabel=columns, ylabel="source")
        axes.set_title(title)
        for side in axes.spines.values():
            side.set_visible(False)
    return figure


def _spoken(matrix: Matrix, kind: str, what: str, value: Callable[[Row], Estimate]) -> str:
    """A heat map in words, for alt texts."""
    rows = [row for row in matrix.rows if row.kind == kind]
    said = [f"{row.source} to {row.target} {number(value(row))}" for row in rows]
    return f"{what}, in percent, source to target: {'; '.join(said)}."


def _spread(matrix: Matrix) -> str:
    seeds = len(matrix.config.seeds)
    if seeds == 1:
        return "one seed, ± is the sampling error of the test images alone"
    return f"mean of {seeds} seeds, ± is the standard error over seeds"


def _with_note(matrix: Matrix, caption: str) -> str:
    return f"{caption} {matrix.note}" if matrix.note else caption


def _beside(row: Row) -> str:
    said = [f"{SPOKEN[name]} {percent(row.controls[name])}" for name in CONTROLS if name in row.controls]
    said += [f"p1 {percent(row.p1)}"] if row.kind == "det" else []
    return "".join(f", {text}" for text in said)


def _dot(axes: Axes, estimate: Estimate, y: float, marker: str, colour: str, size: float, hollow: bool = False) -> None:
    error = 0.0 if math.isnan(estimate.se) else 100 * estimate.se
    axes.errorbar(
        [100 * estimate.mean], [y], xerr=[error], fmt=marker, color=colour, markersize=size, elinewidth=1.2,
        markerfacecolor="white" if hollow else colour, markeredgewidth=1.4 if hollow or marker == "|" else 0,
    )  # fmt: skip


def _control_legend(rows: Sequence[Row], kind: str) -> list[Line2D]:
    look: dict[str, Any] = {"linestyle": "none", "markersize": 6}
    handles = [Line2D([], [], marker="o", color="#0072b2", label="student", **look)]
    for name in CONTROLS:
        if any(name in row.controls for row in rows):
            mark, colour = _CONTROL_MARKERS[name]
            handles.append(
                Line2D([], [], marker=mark, color=colour, markerfacecolor="white", label=SPOKEN[name], **look)
            )
    if kind == "det":
        handles.append(Line2D([], [], marker="|", color=INK, label="p1, the visible rule", **look))
    return handles


def _source_and_student(colour: dict[str, str], marker: dict[str, str]) -> list[Line2D]:
    """One column: the sources by colour, then the students by marker."""
    look: dict[str, Any] = {"linestyle": "none", "markersize": 6.5}
    sources = [Line2D([], [], marker="o", color=c, label=name, **look) for name, c in colour.items()]
    students = [Line2D([], [], marker=m, color=SOFT, label=name, **look) for name, m in marker.items()]
    first, gap, second = (Line2D([], [], label=text, linestyle="none") for text in ("source", " ", "student"))
    return [first, *sources, gap, second, *students]


def _top(limit: float) -> float:
    """The end of an axis in percent: the next ten, at most 100 and a little air."""
    return min(102.0, 10 * math.ceil(limit / 10))
