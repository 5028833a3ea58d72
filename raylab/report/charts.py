"""The charts of all experiments. Each gets numbers as tables do, and says them itself to those who cannot see it.

Shares are drawn in percent; bars are standard errors, or 95 % intervals, of counted cases exact ones. What has no
number is not drawn. The alternative text of a chart says what is drawn: these numbers with these bars and their unit,
published marks, small lines and the line at a number too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from raylab.core.statistics import Estimate
from raylab.report.drawing import Pixels, brief, despine, error_in_percent, show
from raylab.report.later import Axes, Figure, Line2D, Patch, Rectangle, mpl
from raylab.report.numbers import ABSENT, number, percent, share
from raylab.report.per_seed import PerSeed, bounds_of
from raylab.report.picture import INK, LINE, SOFT, Picture, contrast_ink, style
from raylab.report.values import Rate, estimate

Measured = PerSeed | Estimate
Rows = Mapping[str, Mapping[str, Measured]]  # label of a row -> series -> number
Counted = Mapping[str, Mapping[str, Measured | Rate]]  # the same, some of them counted cases
Spoken = Mapping[str, Mapping[str, Measured | Rate | str]]  # the same, some of them in words already


class Mark(NamedTuple):
    """How a series looks, in every chart of an experiment."""

    colour: str
    marker: str = "o"
    hollow: bool = False


def dots(
    name: str,
    title: str,
    unit: str,
    rows: Counted,
    marks: Mapping[str, Mark],
    caption: str,
    at: float | None = None,  # a dotted line, such as chance, as a share
    limits: tuple[float, float] = (-2.0, 102.0),
    *,
    intervals: bool = False,
    width: float = 6.4,  # in inches
    pitch: float = 0.42,  # of the rows, in inches
) -> Picture:
    """A line for each row, on it a dot with its error for each series."""
    series = list(dict.fromkeys(one for by in rows.values() for one in by))
    shifts = dict(
        zip(series, np.linspace(-0.16, 0.16, len(series)) if len(series) > 1 else [0.0] * len(series), strict=True)
    )
    with style():
        figure = Figure(figsize=(width, 1.5 + pitch * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        for place, by in enumerate(rows.values()):
            axes.axhline(place, color="#e6eaee", linewidth=0.8, zorder=0)
            for of, value in by.items():
                mean, below, above = _spread(value, intervals)
                if not math.isnan(mean):
                    look = _look(marks[of])
                    axes.errorbar([mean], [place + shifts[of]], xerr=[[below], [above]], elinewidth=1.2, **look)
        if at is not None:
            axes.axvline(100 * at, color=SOFT, linewidth=1, linestyle=(0, (2, 3)))
        _ranked(axes, list(rows), title, unit, limits)
        _legend(figure, {of: marks[of] for of in series})
    told = spoken(rows, _in_words(unit, intervals))
    return Picture(name, figure, f"{title}. {told}{_line_at(at, unit)}", caption)


def stacked(
    name: str,
    title: str,
    unit: str,
    rows: Rows,
    parts: Mapping[str, str],  # series -> colour
    rest: str,  # what is left to 100 %
    caption: str,
) -> Picture:
    """Shares that add up to 100 %: a bar for each row."""
    with style():
        figure = Figure(figsize=(6.4, 1.5 + 0.25 * (len(rows) + 1)), layout="constrained")
        axes = figure.add_subplot()
        for place, by in enumerate(rows.values()):
            left = 0.0
            shares = [0.0 if math.isnan(mean := estimate(by[part]).mean) else mean for part in parts]
            drawn = [*zip(shares, parts.values(), strict=True)]
            if any(not math.isnan(estimate(by[part]).mean) for part in parts):
                drawn.append((max(0.0, 1 - sum(shares)), LINE))
            for one, colour in drawn:
                axes.barh(place, 100 * one, 0.76, left=100 * left, color=colour)
                left += one
        _ranked(axes, list(rows), title, unit, (0, 100))
        handles = [Patch(color=colour, label=words) for words, colour in (*parts.items(), (rest, LINE))]
        figure.legend(handles=handles, loc="outside lower center", ncols=4, columnspacing=1.2, handlelength=1.4)
    return Picture(name, figure, f"{title}. {spoken(rows)}", caption)


def reliance(of: str, rows: Rows, features: Mapping[str, str], caption: str) -> Picture:
    """Feature reliance: by the class of which feature (feature -> colour) images are called whose features disagree.
    `of`: what networks are called here."""
    words = "% of images whose features disagree"
    return stacked("reliance", f"Which feature a {of} relies on", words, rows, features, "neither", caption)


def lines(
    name: str,
    title: str,
    x: str,
    y: str,
    curves: Mapping[str, Mapping[float, Measured]],  # series -> place -> number
    marks: Mapping[str, Mark],
    caption: str,
    *,
    limits: tuple[float, float | None] = (-2, 102),
    log: bool = False,  # the places on a logarithmic axis, each with its number
    at: float | None = None,  # a dashed line, such as chance, as a share
    levels: Mapping[str, Measured] | None = None,  # dotted lines, in the colours of the series of their names
    published: Mapping[str, Mapping[float, float]] | None = None,  # of series of these names: open marks
    stretches: Mapping[str, tuple[float, float]] | None = None,  # of x: their names above
    intervals: bool = False,
) -> Picture:
    """A curve for each series over a number."""
    levels, published = levels or {}, published or {}
    with style():
        figure = Figure(figsize=(5.4, 3.4), layout="constrained")
        axes = figure.add_subplot()
        _grounds(axes, marks, at, levels, stretches or {})
        for of, curve in curves.items():
            drawn = np.array([_spread(one, intervals) for one in curve.values()]).reshape(-1, 3)
            axes.errorbar(
                list(curve), drawn[:, 0], drawn[:, 1:].T, label=of, linewidth=1.4, elinewidth=1,
                **_look(marks[of]) | {"linestyle": "-"},
            )  # fmt: skip
        for of, known in published.items():
            look = _look(marks[of]._replace(hollow=True)) | {"linestyle": (0, (1, 2)), "linewidth": 1}
            axes.plot(list(known), [100 * one for one in known.values()], **look)
        axes.set(xlabel=x, ylabel=y, ylim=limits)
        if log:
            places = sorted({place for curve in curves.values() for place in curve})
            axes.set_xscale("log")
            axes.set_xticks(places, [f"{place:,g}".replace(",", "\u202f") for place in places])
            axes.minorticks_off()
        axes.set_title(title, pad=20 if stretches else None)
        axes.legend(loc="best")
        despine(axes)
    told: dict[str, Mapping[str, Measured | str]] = {
        of: {f"{place:g}": value for place, value in curve.items()} for of, curve in curves.items()
    }
    told |= {
        f"{of}, published": {f"{place:g}": f"{share(one)} %" for place, one in known.items()}
        for of, known in published.items()
    }
    if levels:
        told["Levels"] = levels
    return Picture(name, figure, f"{title}. {spoken(told, _in_words(y, intervals))}{_line_at(at, y)}", caption)


def heat_map(
    name: str,
    title: str,
    rows: Rows,  # label of a row -> column -> number; all with the same columns
    caption: str,
    axes_labels: tuple[str, str] = ("", ""),  # of the columns, of the rows
    below: Callable[[str, str], Sequence[str]] | None = None,  # (row, column) -> small lines under a number
    colours: str = "Blues",
) -> Picture:
    """A coloured grid of shares with their numbers."""
    columns, told = list(next(iter(rows.values()), {})), dict[str, dict[str, str]]()
    scale = mpl.colormaps[colours]
    with style():
        size = max(3.4, 1.05 + 0.74 * len(columns)), 0.95 + 0.64 * len(rows)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        for i, (row, by) in enumerate(rows.items()):
            for j, column in enumerate(columns):
                mean = estimate(by[column]).mean
                red, green, blue, _ = scale(0.04 + 0.9 * mean) if math.isfinite(mean) else (1.0, 1.0, 1.0, 1.0)
                axes.add_patch(Rectangle((j - 0.48, i - 0.47), 0.96, 0.94, facecolor=(red, green, blue), linewidth=0))
                small = [one for one in below(row, column) if one] if below else []
                beside = f" ({', '.join(small)})" if small and math.isfinite(mean) else ""
                told.setdefault(row, {})[column] = f"{share(mean)} %{beside}" if math.isfinite(mean) else ABSENT
                up = 0.13 + 0.06 * (len(small) - 1) if small else 0.0
                look: dict[str, Any] = {"ha": "center", "va": "center", "color": contrast_ink((red, green, blue))}
                axes.text(j, i - up, share(mean), fontsize=11.5, fontweight="bold", **look)
                for k, text in enumerate(small):
                    axes.text(j, i - up + 0.33 + 0.23 * k, text, fontsize=7.5, **look)
        axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
        turn: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
        axes.set_xticks(range(len(columns)), columns, **(turn if max(map(len, columns), default=0) > 9 else {}))
        axes.set_yticks(range(len(rows)), list(rows))
        axes.set(xlabel=axes_labels[0], ylabel=axes_labels[1])
        axes.set_title(title)
        for side in axes.spines.values():
            side.set_visible(False)
    return Picture(name, figure, f"{title}. {spoken(told)}", caption)


def images(
    name: str,
    title: str,
    rows: Mapping[str, Sequence[tuple[str, Pixels]]],  # label of a row -> (words, image)
    caption: str,
    side: float = 1.0,  # of an image, in inches
) -> Picture:
    """A sheet of images, each under its own words, which may be of several lines."""
    deepest = max((words.count("\n") for those in rows.values() for words, _ in those), default=0)
    pitch, left, top = side + 0.06, 2.15, 0.3 + 0.15 * deepest
    with style():
        count = max(map(len, rows.values()), default=0)
        down = pitch + 0.2 + 0.15 * deepest
        width, height = left + pitch * count, top + down * len(rows)
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((0, 0, 1, 1))  # measured in inches from its upper left corner
        for row, (of, those) in enumerate(rows.items()):
            at = top + down * row
            axes.text(left - 0.12, at + side / 2, of, ha="right", va="center", fontsize=8.5)
            for column, (words, image) in enumerate(those):
                place = left + pitch * column
                show(axes, place, at, side, image)
                above = "\n".join(brief(line, int(12 * side)) for line in words.split("\n"))
                axes.text(place + side / 2, at - 0.05, above, ha="center", va="bottom", fontsize=8)
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.set_axis_off()
    told = "; ".join(
        f"{of.replace(chr(10), ', ')}: {', '.join(' '.join(words.split()) for words, _ in those)}"
        for of, those in rows.items()
    )
    return Picture(name, figure, f"{title}. {told}.", caption)


def spoken(rows: Spoken, said: Callable[[Estimate], str] = percent) -> str:
    """The numbers of a chart in words."""

    def words(one: Measured | Rate | str) -> str:
        return str(one) if isinstance(one, Rate | str) else said(estimate(one))

    told = (f"{row}: " + ", ".join(f"{of} {words(one)}" for of, one in by.items()) for row, by in rows.items())
    return "; ".join(told) + "."


def _in_words(unit: str, intervals: bool) -> Callable[[Estimate], str]:
    """Numbers with what their bars are: 73.4 ± 1.2 %, or 73.4 [70.1, 76.7] %; differences in points."""
    sign = "points" if unit.startswith("points") else "%"

    def said(one: Estimate) -> str:
        if math.isnan(one.mean):
            return ABSENT
        bounds = bounds_of(one)
        if not intervals or math.isnan(bounds[0]):
            return f"{share(one.mean) if intervals else number(one)} {sign}"
        return f"{share(one.mean)} [{share(bounds[0])}, {share(bounds[1])}] {sign}"

    return said


def _line_at(at: float | None, unit: str) -> str:
    return "" if at is None else f" A line is at {share(at)} {'points' if unit.startswith('points') else '%'}."


def _spread(value: Measured | Rate, intervals: bool = False) -> tuple[float, float, float]:
    """What is drawn of a number, in percent: it, and how far its bar goes down and up."""
    if isinstance(value, Rate):
        low, high = value.interval
        return 100 * value.share, 100 * (value.share - low), 100 * (high - value.share)
    mean = estimate(value)
    if not intervals:
        return 100 * mean.mean, error_in_percent(mean), error_in_percent(mean)
    below, above = np.nan_to_num([mean.mean - bounds_of(mean)[0], bounds_of(mean)[1] - mean.mean]).clip(0.0)
    return 100 * mean.mean, 100 * float(below), 100 * float(above)


def _look(mark: Mark) -> dict[str, Any]:
    face = "none" if mark.hollow else mark.colour
    return {
        "color": mark.colour, "marker": mark.marker, "markerfacecolor": face, "markersize": 6.5, "linestyle": "none"
    }  # fmt: skip


def _legend(figure: Figure, marks: Mapping[str, Mark]) -> None:
    handles = [Line2D([], [], label=of, **_look(mark)) for of, mark in marks.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, handletextpad=0.2, columnspacing=1.2)


def _grounds(
    axes: Axes,
    marks: Mapping[str, Mark],
    at: float | None,
    levels: Mapping[str, Measured],
    stretches: Mapping[str, tuple[float, float]],
) -> None:
    """What curves are drawn upon: levels, and stretches of the axis."""
    if at is not None:
        axes.axhline(100 * at, color=SOFT, linewidth=1, linestyle=(0, (4, 2)))
    for of, level in levels.items():
        if not math.isnan(mean := estimate(level).mean):
            colour = marks[of].colour if of in marks else INK
            axes.axhline(100 * mean, color=colour, linewidth=1, linestyle=(0, (2, 3)))
    above: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "bottom", "color": SOFT}
    for of, (low, high) in stretches.items():
        for edge in (low, high):
            axes.axvline(edge, color=LINE, linewidth=1)
        axes.text((low + high) / 2, 1.0, of, fontsize=8.5, **above)


def _ranked(axes: Axes, labels: Sequence[str], title: str, unit: str, limits: tuple[float, float]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlim=limits, ylim=(len(labels) - 0.5, -0.5), xlabel=unit)
    axes.set_title(title)
    despine(axes, "x")
