"""Figures of a sweep."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from raylab.engine.space import Distribution
from raylab.report.drawing import despine
from raylab.report.later import Axes, Figure, FuncFormatter, LogLocator, MaxNLocator, NullLocator
from raylab.report.picture import COLOURS, SOFT, Picture, style
from raylab.sweep import words
from raylab.sweep.config import Objective
from raylab.sweep.records import TrialRecord, plain
from raylab.sweep.results import SweepResults

BLUE, RED, *_ = COLOURS
COLUMNS = 3
STYLES: dict[str, tuple[str, dict[str, Any]]] = {
    "finished": ("Filled: finished.", {"color": BLUE, "marker": "o"}),
    "outside the constraints": ("Crosses: finished, but outside the constraints.", {"color": SOFT, "marker": "x"}),
    "stopped": ("Grey rings: stopped early, at their last epoch.", {"facecolors": "none", "edgecolors": SOFT}),
}
NAMED_CURVES = 10  # with more, only the best and the others are told apart


def by_field(results: SweepResults, objective: Objective) -> Picture | None:
    """The objective against each field that is swept."""
    records = [record for record in results.records if not math.isnan(record.value(objective.name))]
    if not records:
        return None
    space, best = results.sweep.space, results.best
    columns, rows = min(len(space), COLUMNS), -(-len(space) // COLUMNS)
    states = {words.state(record) for record in records}
    with style():
        figure = Figure(figsize=(3.2 * columns, 2.6 * rows), layout="constrained")
        panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
        for axes, (path, one) in zip(panels, space.items(), strict=False):
            _field(axes, path, one, records, objective, best)
        for axes in panels[len(space) :]:
            axes.set_visible(False)
        panels[0].set_ylabel(objective.name)
        if len(states) > 1:
            panels[0].legend(loc="best", fontsize=7.5)
    winner = f"The best is trial {best.number} at {best.value(objective.name):.4g}." if best else "There is no winner."
    alt = f"{objective.name} of {len(records)} trials against {', '.join(space)}. {winner}"
    caption = [f"One point a trial, on {_judged_on(results)}."]
    caption += [key for name, (key, _) in STYLES.items() if name in states and len(states) > 1]
    caption += ["Ringed in orange: the winner."] if best else []
    if len(space) > 1:
        caption.append("The other fields vary too, so a trend here is not that of one field alone.")
    return Picture(f"{_file(objective.name)}_by_field", figure, alt, " ".join(caption))


def _field(
    axes: Axes, path: str, one: Distribution, records: list[TrialRecord], objective: Objective, best: TrialRecord | None
) -> None:
    listed = [_written(value) for value in one.values]

    def place(record: TrialRecord) -> Any:
        return listed.index(_written(record.point[path])) if listed else record.point[path]

    for name, (_, look) in STYLES.items():
        own = [record for record in records if words.state(record) == name]
        if own:
            at, values = [place(r) for r in own], [r.value(objective.name) for r in own]
            axes.scatter(at, values, s=18, label=name, **look)
    if best is not None:
        ring: dict[str, Any] = {"s": 90, "facecolors": "none", "edgecolors": RED, "linewidths": 1.4, "zorder": 4}
        axes.scatter([place(best)], [best.value(objective.name)], **ring)
    if listed:
        labels = [value if isinstance(value, str) else text for value, text in zip(one.values, listed, strict=True)]
        axes.set_xticks(range(len(listed)), labels)
        axes.set_xlim(-0.5, len(listed) - 0.5)
    elif one.kind == "loguniform":
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))  # powers would stay dark at night
        axes.xaxis.set_minor_locator(NullLocator())
    elif one.integers is not None:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(path)
    despine(axes)


def curves(results: SweepResults) -> Picture | None:
    """The objective after every epoch, and the accuracy on the training set beside it."""
    followed = [record for record in results.records if record.curve]
    if not followed:
        return None
    name, best, scheduler = results.sweep.objectives[0].name, results.best, results.sweep.scheduler
    named = len(followed) <= NAMED_CURVES
    with style():
        figure = Figure(figsize=(7.6, 3.1), layout="constrained")
        panels = figure.subplots(1, 2, sharex=True)
        for column, (axes, title) in enumerate(zip(panels, (name, "accuracy on its training set"), strict=True)):
            for place, record in enumerate(followed):
                own = best is not None and record.number == best.number
                colour = COLOURS[place % len(COLOURS)] if named else RED if own else SOFT
                values = [row[column] for row in record.curve]
                width = 1.8 if own else 1.1 if named else 0.7
                look: dict[str, Any] = {"color": colour, "linewidth": width, "zorder": 3 if own else 2}
                axes.plot(range(1, len(values) + 1), values, label=_point(record), **look)
                if record.state == "stopped":
                    axes.plot(len(values), values[-1], marker="o", color=colour, markersize=3.5)
            axes.set(xlabel="epoch", title=title)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            despine(axes)
            if scheduler.stops:
                axes.axvline(scheduler.grace, color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
        if named:
            panels[0].legend(loc="best", fontsize=7)
    ends = "; ".join(f"{_point(r)} {r.curve[-1][0]:.3f} after epoch {r.epochs}" for r in followed[:NAMED_CURVES])
    caption = (
        f"After every epoch, {name} on {_judged_on(results)}, and the accuracy on the training images as the network "
        "saw them."
    )
    if not named:
        caption += f"{' Orange: the winner.' if best else ''} Grey: the other trials."
    if any(record.state == "stopped" for record in followed):
        caption += f" A dot ends a trial that was stopped. Dashed: the grace period, epoch {scheduler.grace}."
    return Picture("curves", figure, f"{name} by epoch of {len(followed)} trials: {ends}.", caption)


def front(results: SweepResults) -> Picture | None:
    """Two objectives against each other, with the front."""
    if not results.front or len(results.sweep.objectives) < 2:
        return None
    x, y = results.sweep.objectives[:2]
    on = sorted(results.front, key=lambda record: record.value(x.name))
    with style():
        figure = Figure(figsize=(4.6, 3.2), layout="constrained")
        axes = figure.subplots()
        for record in results.records:
            if record.state == "finished":
                axes.scatter(record.value(x.name), record.value(y.name), s=18, **STYLES[words.state(record)][1])
        axes.plot([r.value(x.name) for r in on], [r.value(y.name) for r in on], color=RED, linewidth=1.2, marker="o")
        axes.set(xlabel=f"{x.name} ({x.direction})", ylabel=f"{y.name} ({y.direction})")
        despine(axes)
    numbers = "; ".join(f"trial {r.number}: {r.value(x.name):.3f}, {r.value(y.name):.3f}" for r in on)
    caption = "Joined: the Pareto front. Crosses: outside the constraints."
    return Picture("front", figure, f"Pareto front of {x.name} and {y.name}: {numbers}.", caption)


def importance(found: Mapping[str, float], objective: Objective) -> Picture | None:
    """Shares of the variance as bars."""
    if not found:
        return None
    with style():
        figure = Figure(figsize=(5.2, 0.5 + 0.32 * len(found)), layout="constrained")
        axes = figure.subplots()
        axes.barh(list(found)[::-1], list(found.values())[::-1], color=BLUE, height=0.6)
        axes.set(xlabel=f"share of the variance of {objective.name}", xlim=(0, 1))
        despine(axes, "x")
    numbers = ", ".join(f"{path} {share:.2f}" for path, share in found.items())
    caption = (
        "Functional ANOVA by a random forest over the finished trials (Hutter et al. 2014, as in Optuna): what the "
        "forest found in these trials, with no interval; of few trials it says little."
    )
    return Picture(f"{_file(objective.name)}_importance", figure, f"Importance: {numbers}.", caption)


def _written(value: Any) -> str:
    """The same before and after a journey through JSON."""
    return json.dumps(plain(value), sort_keys=True)


def _point(record: TrialRecord) -> str:
    shown = (f"{v:.3g}" if isinstance(v, float) else str(v) for v in record.point.values())
    return ", ".join(f"{path.rsplit('.', 1)[-1]} {value}" for path, value in zip(record.point, shown, strict=True))


def _judged_on(results: SweepResults) -> str:
    return "the test images" if words.mark(results.sweep) else "the validation split"


def _file(name: str) -> str:
    return re.sub(r"\W", "_", name)
