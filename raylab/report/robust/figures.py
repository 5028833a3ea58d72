"""Figures of robust and non-robust sets: accuracy against the radius, the shift, and which feature students follow."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from raylab.core.statistics import Estimate
from raylab.recipes.robust_features import ADVERSARIAL, CLEAN
from raylab.report.drawing import bar, calm, over
from raylab.report.numbers import percent
from raylab.report.picture import INK, LINE, SOFT, Picture, style
from raylab.report.robust.panels import panel
from raylab.report.robust.table import LABELS, Row, Shift, Table

# Blue for what a robust network made, orange for a standard one; from noise the lighter and dashed.
_DASHED = (0, (4, 2))
LOOKS: dict[str, tuple[str, object, str]] = {
    CLEAN: (SOFT, "-", "s"),
    "r_image": ("#0072b2", "-", "o"),
    "r_noise": ("#56b4e9", _DASHED, "o"),
    "nr_image": ("#d55e00", "-", "^"),
    "nr_noise": ("#e69f00", _DASHED, "^"),
    "filtered": ("#009e73", (0, (1, 1.5)), "D"),
    "blurred": ("#8c6d31", (0, (1, 1.5)), "d"),
    "released_r": ("#785ef0", "-", "P"),
    "released_nr": ("#cc79a7", "-", "X"),
    ADVERSARIAL: (INK, (0, (6, 2, 1, 2)), "v"),
}
_SHAPE, _TOOGIT, _NEITHER = "#0072b2", "#d55e00", LINE


def draw(table: Table) -> tuple[Picture, ...]:
    """All pictures, in the order in which a page shows them."""
    pictures = [curves(table), shift(table)]
    if any(row.usage for row in table.rows):
        pictures.append(usage(table))
    return (*pictures, panel(table, table.config.seeds[0]))


def curves(table: Table) -> Picture:
    """Accuracy under attack against its radius: a panel for each student architecture, a line for each set."""
    students, config = table.config.students, table.config
    with style():
        figure = Figure(figsize=(0.9 + 2.75 * max(len(students), 1.4), 4.2), layout="constrained")
        axes = np.atleast_1d(np.asarray(figure.subplots(1, len(students), sharey=True, squeeze=False)))[0]
        for ax, student in zip(axes, students, strict=True):
            for row in [*_own(table, student), _reference(table, student)]:
                _line(ax, row)
            ax.axvline(config.eps, color=LINE, linewidth=1)
            ax.set(xlim=(-0.02 * max(config.robustness.eps), None), ylim=(-3, 103))
            ax.set_xlabel(f"{_norm(table)} radius of the attack")
            ax.set_title(f"student {student}")
            calm(ax)
        axes[0].set_ylabel("accuracy on attacked test images, %")
        handles = [
            Line2D([], [], color=LOOKS[of][0], linestyle=LOOKS[of][1], marker=LOOKS[of][2], label=LABELS[of])  # type: ignore[arg-type]
            for of in dict.fromkeys(row.set for row in table.rows)
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=4, markerscale=0.8, handlelength=3.2)
    asked = [eps for eps, at in next(iter(table.rows)).at.items() if at.ensemble is not None]
    judged = f" The ensemble was asked at {_list(asked)}; elsewhere it is PGD alone." if asked else " PGD alone."
    caption = (
        f"Of each image the worst of all attacks.{judged} Bars: standard error{over(table.config.seeds)}. "
        f"The upright rule is the verdict’s radius, {config.eps:g}. “{LABELS[ADVERSARIAL]}” is of the architecture "
        f"of its panel where that was trained, else of the source, {config.source}."
    )
    said = "; ".join(
        f"{student} on {row.label} {percent(row.at[config.eps].worst)}"
        for student in students
        for row in _own(table, student)
    )
    alt = (
        f"Accuracy against attack radius, by student architecture and training set. At radius {config.eps:g}: {said}; "
        f"adversarially trained {config.source} {percent(table.reference.at[config.eps].worst)}."
    )
    return Picture("robust_accuracy", figure, alt, caption)


def shift(table: Table) -> Picture:
    """Students of D_R under one attack on three sets of images."""
    marks = (
        ("own", "its own training images", "o", "#0072b2"),
        ("constructed", "test images made as D_R", "s", "#56b4e9"),
        ("test", "the test images", "D", INK),
    )
    with style():
        figure = Figure(figsize=(5.6, 1.75 + 0.4 * len(table.shifts)), layout="constrained")
        ax = figure.add_subplot()
        for place, one in enumerate(table.shifts):
            ax.axhline(place, color="#e6eaee", linewidth=0.8, zorder=0)
            for name, _, marker, colour in marks:
                value: Estimate = getattr(one, name)
                ax.errorbar(
                    [100 * value.mean], [place], xerr=[bar(value)], fmt=marker, color=colour, markersize=6.5,
                    elinewidth=1.2,
                )  # fmt: skip
        ax.set_yticks(range(len(table.shifts)), [one.student for one in table.shifts])
        ax.set(xlim=(-2, 102), ylim=(len(table.shifts) - 0.5, -0.5))
        ax.set_xlabel(f"accuracy under PGD of radius {table.config.eps:g}, %")
        ax.set_title("Students of D_R: how far robustness carries")
        calm(ax, "x")
        handles = [
            Line2D([], [], linestyle="none", marker=marker, color=colour, label=words)
            for _, words, marker, colour in marks
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, handletextpad=0.2, columnspacing=1.2)
    caption = (
        "Table 8 of the paper: a ResNet-50 on CIFAR-10 has 77.3, 62.5 and 48.3 % at radius 0.25. The first gap is that "
        "of generalisation, the second what D_R lacks of D."
    )
    alt = "Accuracy of students of D_R under PGD. " + "; ".join(_in_words(one) for one in table.shifts) + "."
    return Picture("shift", figure, alt, caption)


def usage(table: Table) -> Picture:
    """Whom a network follows where shape and toogit disagree."""
    rows = [row for row in table.rows if row.usage]
    gaps = np.cumsum([0.0] + [1.6 if a.student != b.student else 1.0 for a, b in pairwise(rows)])
    with style():
        figure = Figure(figsize=(6.4, 1.5 + 0.235 * (gaps[-1] + 1)), layout="constrained")
        ax = figure.add_subplot()
        for place, row in zip(gaps, rows, strict=True):
            r, n = (100 * row.usage[name].mean for name in ("follow_r", "follow_n"))
            ax.barh(place, r, 0.72, color=_SHAPE)
            ax.barh(place, n, 0.72, left=r, color=_TOOGIT)
            ax.barh(place, max(0.0, 100 - r - n), 0.72, left=r + n, color=_NEITHER)
            if r >= 8:
                ax.text(1.5, place, f"{r:.0f}", va="center", color="#ffffff", fontsize=7.5)
        ax.set_yticks(gaps, [f"{row.student} · {row.label}" for row in rows])
        ax.set(xlim=(0, 100), ylim=(gaps[-1] + 0.6, -0.6), xlabel="% of images whose shape and toogit disagree")
        ax.set_title("Which feature a network follows")
        calm(ax, "x")
        handles = [
            Patch(color=_SHAPE, label="shape (robust)"),
            Patch(color=_TOOGIT, label="toogit (non-robust)"),
            Patch(color=_NEITHER, label="neither"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
    said = "; ".join(f"{row.student} on {row.label}: shape {percent(row.usage['follow_r'])}" for row in rows)
    caption = (
        "See-Far knows its features: a large shape, which the attack cannot change, and a faint toogit, which it can. "
        f"Means{over(table.config.seeds)}."
    )
    return Picture("usage", figure, f"Share of images in which a network follows the shape. {said}.", caption)


def _own(table: Table, student: str) -> list[Row]:
    return [row for row in table.of_student(student) if row.set != ADVERSARIAL]


def _reference(table: Table, student: str) -> Row:
    return next((row for row in table.of_student(student) if row.set == ADVERSARIAL), table.reference)


def _line(ax: Axes, row: Row) -> None:
    colour, dashes, marker = LOOKS[row.set]
    points = [(0.0, row.attacked_clean), *((eps, at.worst) for eps, at in row.at.items())]
    ax.errorbar(
        [eps for eps, _ in points], [100 * value.mean for _, value in points], yerr=[bar(v) for _, v in points],
        color=colour, linestyle=dashes, marker=marker, markersize=4, linewidth=1.6, elinewidth=0.9,
    )  # fmt: skip


def _in_words(one: Shift) -> str:
    return f"{one.student}: own {percent(one.own)}, made {percent(one.constructed)}, test {percent(one.test)}"


def _norm(table: Table) -> str:
    return {"l2": "L2", "linf": "Linf"}[table.config.robustness.norm]


def _list(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
