"""Figures of robust and non-robust sets: accuracy against the radius, and the same images in every set."""

from __future__ import annotations

import numpy as np

from raylab.core import invert
from raylab.engine.artifact import Artifact
from raylab.experiments.robust.config import SETS
from raylab.experiments.robust.measure import LABELS, MeasuredNetwork, RobustSets
from raylab.experiments.robust.plan import ADVERSARIAL, CLEAN, RobustCell
from raylab.report import samples
from raylab.report.charts import images, spoken
from raylab.report.drawing import Pixels, despine, error_in_percent, seeds_phrase, unit
from raylab.report.later import Figure, Line2D
from raylab.report.picture import INK, LINE, SOFT, Picture, style
from raylab.scoreboard.protocol import NORMS

# Blue for what a robust network made, orange for a standard one; from noise the lighter and dashed.
DASHED, DOTTED = (0, (4, 2)), (0, (1, 1.5))
MARKS: dict[str, tuple[str, object, str]] = {
    CLEAN: (SOFT, "-", "s"),
    "r_image": ("#0072b2", "-", "o"),
    "r_noise": ("#56b4e9", DASHED, "o"),
    "nr_image": ("#d55e00", "-", "^"),
    "nr_noise": ("#e69f00", DASHED, "^"),
    "filtered": ("#009e73", DOTTED, "D"),
    "blurred": ("#8c6d31", DOTTED, "d"),
    "released_r": ("#785ef0", "-", "P"),
    "released_nr": ("#cc79a7", "-", "X"),
    ADVERSARIAL: (INK, (0, (6, 2, 1, 2)), "v"),
}
START = "start"


def robust_accuracy(found: RobustSets) -> Picture:
    """A panel for each student architecture, a line for each set."""
    c = found.config
    panels = {student: _lines(found, student) for student in c.students}
    with style():
        figure = Figure(figsize=(max(9.2, 0.9 + 2.75 * len(panels)), 4.2), layout="constrained")
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for ax, (student, networks) in zip(axes, panels.items(), strict=True):
            for network in networks:
                colour, dashes, marker = MARKS[network.set]
                points = {0.0: network.attacked_clean, **{eps: at.worst for eps, at in network.at.items()}}
                ax.errorbar(
                    list(points), [100 * one.mean.mean for one in points.values()],
                    yerr=[error_in_percent(one.mean) for one in points.values()], color=colour, linestyle=dashes,
                    marker=marker, markersize=4, linewidth=1.6, elinewidth=0.9,
                )  # fmt: skip
            ax.axvline(c.eps, color=LINE, linewidth=1)
            ax.set(xlim=(-0.02 * max(c.robustness.eps), None), ylim=(-3, 103))
            ax.set(xlabel=f"{NORMS[c.robustness.norm]} radius of the attack")
            ax.set_title(f"student {student}")
            despine(ax)
        axes[0].set_ylabel("accuracy on attacked test images, %")
        kinds = dict.fromkeys(network.set for network in found.networks)
        figure.legend(
            handles=[_handle(of) for of in kinds], loc="outside lower center", ncols=5, markerscale=0.8, handlelength=3
        )
    values = {
        student: {LABELS[one.set]: one.at[c.eps].worst for one in networks} for student, networks in panels.items()
    }
    title = f"Accuracy against the radius of the attack, by student architecture and training set. At {c.eps:g}"
    return Picture("robust_accuracy", figure, f"{title}: {spoken(values)}", _caption(found))


def _caption(found: RobustSets) -> str:
    c = found.config
    asked = [f"{eps:g}" for eps, judged in zip(c.robustness.eps, c.robustness.judged, strict=True) if judged]
    ensemble = f" The ensemble was asked at {', '.join(asked)}; elsewhere it is PGD alone." if asked else " PGD alone."
    return (
        f"Of each image the worst of all attacks.{ensemble} Bars: standard error{seeds_phrase(c.seeds)}. The upright "
        f"rule is the verdict’s radius, {c.eps:g}. “{LABELS[ADVERSARIAL]}” is adversarial training of the architecture "
        f"of its panel where that was done, else of the source, {c.source}."
    )


def _lines(found: RobustSets, student: str) -> list[MeasuredNetwork]:
    """The networks of a panel: of that architecture, and an adversarially trained one, the source where it has none."""
    of_student = [one for one in found.networks if one.architecture == student]
    trained = any(one.set == ADVERSARIAL for one in of_student)
    return of_student if trained else [*of_student, found.reference]


def _handle(of: str) -> Line2D:
    colour, dashes, marker = MARKS[of]
    return Line2D([], [], color=colour, linestyle=dashes, marker=marker, label=LABELS[of])  # type: ignore[arg-type]


def examples(found: RobustSets) -> Picture:
    """The same few images in every set that was built, beside those that the inversions started from."""
    cells, c = found.built.artifacts, found.config
    seed = next(seed for seed in c.seeds if RobustCell("data", seed) in cells)
    data = cells[RobustCell("data", seed)]
    first = samples.first_of_classes(data.batch(0, samples.READ_ROWS))
    names, ids = [found.class_names[label] for label in first], list(first.values())
    rows = {LABELS[CLEAN]: _of_ids(data, ids)}
    if c.from_image.pool is None:
        rows[START] = _starts(data, ids, seed)
    made = {name: cells.get(RobustCell("set", seed, name)) for name in SETS if name in c.sets}
    rows |= {LABELS[name]: _of_ids(artifact, ids) for name, artifact in made.items() if artifact is not None}
    started = (
        f" “{START}” is where the inversions from images began: what a set still shows of it, the features do not see."
        if START in rows
        else ""
    )
    caption = f"Seed {seed}: the first training images of {len(ids)} classes, not chosen for looks.{started}"
    words = {of: [f"for {name}" for name in names] if of == START else names for of in rows}
    sheet = {of: list(zip(words[of], pixels, strict=True)) for of, pixels in rows.items()}
    return images("examples", "The same images in every set", sheet, caption, side=0.85)


def _of_ids(artifact: Artifact, ids: list[int]) -> list[Pixels]:
    return samples.pixels(artifact.batch(0, samples.READ_ROWS), ids)


def _starts(data: Artifact, ids: list[int], seed: int) -> list[Pixels]:
    """The images that the inversions of these ids started from: rows in the order of all ids."""
    order = np.argsort(data.without_images()["id"])
    rows = order[invert.start_rows(np.asarray(ids, dtype=np.int64), len(order), seed, "train")]
    return [unit(data.batch(int(row), int(row) + 1)["image"][0]) for row in rows]
