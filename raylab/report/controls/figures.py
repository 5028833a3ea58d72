"""Figures of the controls: what each gives beside what it is compared with, and the robust source over the radius."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from raylab.core.statistics import Estimate
from raylab.report.controls.table import Controls, Curve
from raylab.report.estimates import interval
from raylab.report.numbers import percent
from raylab.report.picture import COLOURS, INK, SOFT, Picture, style

CONTROL, BESIDE = COLOURS[0], "#7a8793"
SOURCES = {"standard": (COLOURS[1], "s"), "robust": (COLOURS[2], "o")}


def forest(controls: Controls) -> Picture:
    """Every control beside what it is compared with, with 95 % intervals over seeds."""
    rows = controls.rows
    with style():
        figure = Figure(figsize=(7.4, 1.3 + 0.36 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        places = np.arange(len(rows), dtype=float)
        for place, row in zip(places, rows, strict=True):
            axes.axhline(place, color="#e6eaee", linewidth=0.8, zorder=0)
            _dot(axes, row.beside[1], place + 0.17, "D", BESIDE, hollow=True)
            _dot(axes, row.measured[1], place - 0.17, "o", CONTROL)
        _chance(axes.axvline, controls.chance)
        axes.set_yticks(places, [row.title for row in rows])
        axes.set(ylim=(len(rows) - 0.5, -0.5), xlim=(-2, 102), xlabel="accuracy on untouched test images, %")
        axes.set_title("The controls")
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        figure.legend(
            handles=[_key("the control", "o", CONTROL), _key("what it is compared with", "D", BESIDE, hollow=True)],
            loc="outside lower right",
            ncols=2,
        )
    spoken = "; ".join(
        f"{row.title}: {row.measured[0]} {percent(row.measured[1])}, {row.beside[0]} {percent(row.beside[1])}"
        for row in rows
    )
    caption = (
        f"Means and 95 % intervals over {_seeds(controls)}. The dotted line is chance. What a control is compared with "
        "is named in the table."
    )
    return Picture("controls", figure, f"Accuracies. {spoken}.", caption)


def curve(controls: Controls, found: Curve) -> Picture:
    """Students of next-class sets from a standard and from a robust source over the radius."""
    eps = np.array(found.eps)
    with style():
        figure = Figure(figsize=(6.2, 4.2), layout="constrained")
        axes = figure.add_subplot()
        if found.admissible is not None:
            axes.axvspan(0, found.admissible, color=COLOURS[2], alpha=0.08, linewidth=0)
            axes.annotate(
                "admissible", (found.admissible, 0.5), (-4, 0), ("data", "axes fraction"), "offset points",
                ha="right", va="center", color=SOFT, fontsize=8,
            )  # fmt: skip
        for of, (colour, marker) in SOURCES.items():
            _line(axes, eps, found.accuracy[of], color=colour, marker=marker)
            _line(axes, eps, found.p1[of], color=colour, marker=marker, linestyle=(0, (1, 2)), markerfacecolor="none")
        _chance(axes.axhline, controls.chance)
        axes.set(xlim=(0, eps[-1] * 1.05), ylim=(-2, 102), xlabel="radius of the attack", ylabel="test images, %")
        axes.set_title("det from a standard and from a robust source")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        keys = [_key(f"{of} source", marker, colour) for of, (colour, marker) in SOURCES.items()]
        lines = [Line2D([], [], color=INK, linestyle=dash, label=words) for dash, words in _MEANINGS]
        figure.legend(handles=[*keys, *lines], loc="outside lower center", ncols=2)
    where = (
        f"Up to {found.admissible:g}, students of the robust source stay at or below chance"
        if found.admissible is not None
        else f"Students of the robust source are above chance at {found.eps[0]:g} already"
    )
    pairs = zip(found.eps, found.accuracy["robust"], found.accuracy["standard"], strict=True)
    numbers = "; ".join(
        f"eps {step:g}: robust {percent(robust)}, standard {percent(standard)}" for step, robust, standard in pairs
    )
    caption = (
        f"{where}: only there can a perturbation of a standard source be told from a visible change. "
        f"Means and 95 % intervals over {_seeds(controls)}."
    )
    return Picture("robust_source", figure, f"Accuracy of students over the radius. {numbers}.", caption)


_MEANINGS: list[tuple[Any, str]] = [("-", "says the clean label"), ((0, (1, 2)), "says label + 1 (p1)")]


def _dot(axes: Axes, estimate: Estimate, place: float, marker: str, colour: str, *, hollow: bool = False) -> None:
    if math.isnan(estimate.mean):
        return
    low, high = (100 * value for value in interval(estimate))
    if not math.isnan(low):
        axes.plot([max(low, -2), min(high, 102)], [place, place], color=colour, linewidth=1.4, solid_capstyle="butt")
    face = "none" if hollow else colour
    axes.plot([100 * estimate.mean], [place], marker, color=colour, markerfacecolor=face, markersize=6)


def _line(axes: Axes, eps: Any, estimates: tuple[Estimate, ...], **look: Any) -> None:
    means = 100 * np.array([estimate.mean for estimate in estimates])
    bars = np.abs(100 * np.array([interval(estimate) for estimate in estimates]).T - means)
    axes.errorbar(eps, means, yerr=None if np.isnan(bars).any() else bars, elinewidth=1.0, linewidth=1.4, **look)


def _chance(draw: Any, chance: float) -> None:
    draw(100 * chance, color=SOFT, linewidth=1, linestyle=(0, (2, 3)), zorder=1)


def _key(words: str, marker: str, colour: str, *, hollow: bool = False) -> Line2D:
    face = "none" if hollow else colour
    return Line2D([], [], color=colour, marker=marker, markerfacecolor=face, linestyle="none", label=words)


def _seeds(controls: Controls) -> str:
    count = len(controls.config.seeds)
    return f"{count} seeds" if count > 1 else "one seed, which has no interval"
