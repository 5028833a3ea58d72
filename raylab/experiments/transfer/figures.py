"""The figures of a matrix: students beside their controls, transfer and learning, and what was done to images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from raylab.experiments.transfer.measure import CONTROLS, TRANSFER, Matrix, Row, points
from raylab.experiments.transfer.plan import TransferCell
from raylab.report import samples
from raylab.report.charts import Mark, dots, heat_map, images, spoken
from raylab.report.drawing import Pixels, despine, enlarged, magnification, seeds_phrase, unit
from raylab.report.later import Figure, Line2D, MaxNLocator
from raylab.report.numbers import coefficient, share
from raylab.report.per_seed import PerSeed
from raylab.report.picture import COLOURS, INK, MARKERS, SOFT, Picture, style
from raylab.scoreboard.protocol import norm_label

KINDS = {
    "rand": "the new label is drawn from all classes",
    "other": "the new label is drawn from the other classes",
    "det": "the new label is the next class",
}
STUDENT, NEXT = "student", "next-class rate (p1)"
MARKS = {
    STUDENT: Mark("#0072b2", "o"),
    NEXT: Mark(INK, "|"),
    CONTROLS["unperturbed"]: Mark("#7a8793", "o", hollow=True),
    CONTROLS["random_labels"]: Mark("#d55e00", "^", hollow=True),
    CONTROLS["untrained"]: Mark("#cc79a7", "s", hollow=True),
    CONTROLS["robust"]: Mark("#009e73", "D", hollow=True),
    CONTROLS["leakage"]: Mark("#b8860b", "v", hollow=True),
}
COUNT = 6


def scatter(matrix: Matrix, kind: str) -> Picture:
    """Targeted transfer against what the student learned: seeds small, their means large."""
    config, chance = matrix.config, 100 / len(matrix.class_names)
    colour = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(config.sources)}
    marker = {name: MARKERS[i % len(MARKERS)] for i, name in enumerate(config.targets)}
    with style():
        figure = Figure(figsize=(5.6, max(4.0, 0.9 + 0.2 * len(colour) + 0.2 * len(marker))), layout="constrained")
        axes = figure.add_subplot()
        for row in matrix.of(kind):
            found = list(points(row))
            look: dict[str, Any] = {"color": colour[row.source], "marker": marker[row.target], "linewidths": 0}
            x, y = (100 * np.array([point[place] for point in found]) for place in (1, 2))
            if len(found) > 1:
                axes.scatter(x, y, s=14, alpha=0.45, **look)
            if found:
                axes.scatter([x.mean()], [y.mean()], s=75, alpha=0.95, **look)
        axes.axhline(chance, color=SOFT, linewidth=1, linestyle=(0, (2, 3)))
        axes.annotate(
            "chance", (1, chance), (-2, 3), ("axes fraction", "data"), "offset points", ha="right", color=SOFT,
            fontsize=8,
        )  # fmt: skip
        axes.set(xlabel="targeted transfer to an independent network, %", ylabel="accuracy of the student, %")
        axes.set(xlim=(0, _top(axes.get_xlim()[1])), ylim=(0, _top(axes.get_ylim()[1])))
        axes.set_title(f"{kind}: transfer and learning")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
        despine(axes, grid="both")
        figure.legend(handles=_legend(colour, marker), loc="outside right upper", labelspacing=0.45)
    marks = "Large: means over seeds; small: single seeds." if len(config.seeds) > 1 else "One seed."
    correlation = _correlation(matrix, kind)
    told = {row.pair: {"transfer": row.transfer[TRANSFER], "student": row.accuracy} for row in matrix.of(kind)}
    alt = f"Targeted transfer and the accuracy of students of {kind} sets. {spoken(told)} {correlation}"
    return Picture(f"scatter_{kind}", figure, alt, f"{marks} {correlation}")


def _correlation(matrix: Matrix, kind: str) -> str:
    if kind not in matrix.correlated:
        return "A correlation takes at least two sources and two targets."
    pooled, within = matrix.correlated[kind]["pooled"], matrix.correlated[kind]["within_source"]
    return (
        f"Pearson r {coefficient(pooled.pearson)} over all {pooled.n} points, {coefficient(within.pearson)} "
        f"within each source (n = {within.n}); 95 % intervals resample sources and targets. The first also "
        "counts that students of stronger sources learn more; the second does not."
    )


def _legend(colour: dict[str, str], marker: dict[str, str]) -> list[Line2D]:
    """One column: the sources by colour, then the students by marker."""
    look: dict[str, Any] = {"linestyle": "none", "markersize": 6.5}
    sources = [Line2D([], [], marker="o", color=c, label=name, **look) for name, c in colour.items()]
    students = [Line2D([], [], marker=m, color=SOFT, label=name, **look) for name, m in marker.items()]
    first, gap, second = (Line2D([], [], label=text, linestyle="none") for text in ("source", " ", "student"))
    return [first, *sources, gap, second, *students]


def _top(limit: float) -> float:
    """The end of an axis in percent: the next ten, at most 100 and a little air."""
    return min(102.0, 10 * math.ceil(limit / 10))


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


def first_examples(matrix: Matrix, source: str, kind: str, seed: int, count: int = COUNT) -> list[Example]:
    """The first examples by row, each of another class and with a new label: not chosen for looks or success."""
    cells = matrix.built.artifacts
    of_set, of_data = cells.get(TransferCell("set", seed, source, "", kind)), cells.get(TransferCell("data", seed))
    if of_set is None or of_data is None:
        return []
    made, clean = of_set.batch(0, samples.READ_ROWS), of_data.batch(0, samples.READ_ROWS)
    where = samples.places(clean)
    names, chosen = matrix.class_names, dict[int, Example]()
    for row, example in enumerate(made["id"]):
        was, label = int(made["source_label"][row]), int(made["label"][row])
        if was == label or was in chosen or int(example) not in where:
            continue
        chosen[was] = Example(
            int(example), unit(clean["image"][where[int(example)]]), unit(made["image"][row]),
            names[was], names[label], int(made["source_prediction"][row]) == label,
        )  # fmt: skip
        if len(chosen) == count:
            break
    return list(chosen.values())


def panel(matrix: Matrix, source: str, kind: str) -> Picture | None:
    """Originals, perturbations and constructed images of the first seed; None where the first rows of the set hold no
    example with a new label."""
    seed, attack = matrix.config.seeds[0], matrix.config.attack
    chosen = first_examples(matrix, source, kind, seed)
    if not chosen:
        return None
    factor = magnification([one.perturbation for one in chosen])
    rows = {
        "original": [(one.was, one.original) for one in chosen],
        "perturbation": [(f"× {factor}", enlarged(one.perturbation, factor)) for one in chosen],
        "constructed": [(one.labelled if one.fooled else f"✗ {one.labelled}", one.constructed) for one in chosen],
    }
    caption = (
        f"{kind} from {source}, seed {seed}: the first training images of different classes whose label changes, "
        "whether or not the attack succeeded. Above an original its class, above a constructed image its new label, "
        f"with ✗ where the source does not say it. {norm_label(attack.norm)} radius {attack.eps:g}; perturbations are "
        f"shown × {factor} (grey is no change)."
    )
    return images(f"panel_{kind}_{source}", f"{kind} from {source}", rows, caption, side=0.88)


def beside_controls(found: Matrix, kind: str) -> Picture:
    """The student of every pair beside what it must beat; on det also the next-class rate."""
    rows = {row.pair: _series(row) for row in found.of(kind)}
    rule = " The upright stroke is the next-class rate: what the visible content says." if kind == "det" else ""
    caption = (
        f"Accuracy on clean test images after training on {kind} sets alone: {meaning(kind)}. Source → student; "
        f"hollow: the controls, which are absent where they were not run.{rule} Dotted: chance. Bars: standard error"
        f"{seeds_phrase(found.config.seeds)}."
    )
    title = f"{kind}: the student beside what it must beat"
    chance = 1 / len(found.class_names)
    return dots(f"controls_{kind}", title, "test images, %", rows, MARKS, caption, chance, width=8.4, pitch=0.27)


def _series(row: Row) -> dict[str, PerSeed]:
    series = {CONTROLS[name]: of for name, of in row.controls.items()}
    return series | ({NEXT: row.p1} if row.kind == "det" else {}) | {STUDENT: row.accuracy}


def accuracies(found: Matrix, kind: str) -> Picture:
    """Student accuracy by source (rows) and student architecture (columns); where labels are y + 1 the next-class rate
    too."""
    p1 = (
        "; p1 is the next-class rate, the share of test images that it calls label + 1, as the visible content of its "
        "training images says"
    )
    caption = (
        f"Accuracy on untouched test images of students trained on {kind} sets{p1 if kind == 'det' else ''}. Chance is "
        f"{100 / len(found.class_names):.3g} %; {_spread(found)}."
    )

    def below(source: str, target: str) -> Sequence[str]:
        row = found.row(source, target, kind)
        return _error(row.accuracy), f"p1 {share(row.p1.mean.mean)}" if kind == "det" else ""

    values = {s: {t: found.row(s, t, kind).accuracy for t in found.config.targets} for s in found.config.sources}
    title = f"{kind}: accuracy of the student, %"
    return heat_map(f"heat_map_{kind}", title, values, _noted(found, caption), ("student", "source"), below)


def transfer_map(found: Matrix) -> Picture:
    """Targeted transfer from each source to an independent, ordinarily trained network of each architecture."""
    kind = found.config.every_kind[0]
    caption = (
        "Share of test images, attacked towards label + 1 on the source, that an independent network calls label + 1 "
        f"(it was trained on clean images and never saw the source); {_spread(found)}."
    )
    values = {
        s: {t: found.row(s, t, kind).transfer[TRANSFER] for t in found.config.targets} for s in found.config.sources
    }
    return heat_map(
        "heat_map_transfer", "targeted transfer, %", values, _noted(found, caption), ("independent network", "source"),
        lambda source, target: [_error(values[source][target])], "Oranges",
    )  # fmt: skip


def _error(of: PerSeed) -> str:
    return f"± {share(of.mean.se)}" if of else ""


def _spread(found: Matrix) -> str:
    seeds = len(found.config.seeds)
    if seeds == 1:
        return "one seed, ± is the sampling error of the test images alone"
    return f"mean of {seeds} seeds, ± is the standard error over seeds"


def _noted(found: Matrix, caption: str) -> str:
    return f"{caption} {found.note}" if found.note else caption


def meaning(kind: str) -> str:
    return KINDS.get(kind, "a construction of one’s own")
