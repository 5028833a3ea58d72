"""Figures of learning from errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from raylab import columns
from raylab.core.statistics import Estimate
from raylab.recipes.errors import Cell
from raylab.report.drawing import calm
from raylab.report.errors.table import Errors, Key, ToyResult
from raylab.report.names import NAMES
from raylab.report.numbers import percent
from raylab.report.picture import COLOURS, INK, LINE, SOFT, Picture, style
from raylab.stages.toy import PLANES

PUBLISHED_RIGHT = 23  # of 32 (Wallace, Distill 2019)
LABELS = {
    "predicted": "the teacher’s wrong labels",
    "shuffled": "shuffled within each true class",
    "random": "any wrong label",
    "true": "the right labels, same images",
}
CURVES = {"clean": "clean images", "errors": "errors only", "det": "D_det"}
WAYS = {
    "raw": "raw",
    "dataset": "statistics of the data set matched",
    "image": "each image normalised",
    "noise": "noise in its place",
}
USERS = {
    "teacher": "teacher (learned with the cue)",
    "predicted": "student of its errors",
    "shuffled": "student of shuffled wrong labels",
    "clean": "student of clean images without the cue",
}
CAST_USERS = {
    "teacher": "teacher (learned where it tells)",
    "predicted": "student of its errors",
    "shuffled": "student of shuffled wrong labels",
    "clean": "student of all images, rightly labelled",
}
_SHIFT = 0.14  # between architectures on one line
_MARKS = "os^Dv"


def pictures(errors: Errors) -> tuple[Picture, ...]:
    """In the order in which a page shows them."""
    drawn: list[Picture] = []
    if errors.config.errors:
        drawn += [_students(errors), *([_curve(errors)] if errors.config.errors.counts else [])]
    if errors.usage:
        drawn.append(_usage(errors))
    if errors.casts:
        drawn.append(_casts(errors))
    if errors.config.across:
        drawn.append(_across(errors))
    if errors.config.toy:
        drawn += [_toys(errors), _planes(errors)]
    return tuple(drawn)


def _students(errors: Errors) -> Picture:
    found = errors.of("errors")
    pairs = list(dict.fromkeys((key.teacher, key.student) for key in found))
    lines = {
        f"{t} → {s}": [
            found[Key("errors", t, s, kind)].accuracy for kind in LABELS if Key("errors", t, s, kind) in found
        ]
        for t, s in pairs
    }
    title, what = "Learning from errors alone", "Accuracy on clean test images of students that saw only images that"
    figure = _lines(list(LABELS.values()), lines, title)
    caption = (
        f"{what} their teacher gets wrong, by the labels they were given. Teacher → student; bars: one standard error "
        "over seeds. The dotted line is chance; wrong labels without a pattern teach “not this class” and fall below."
    )
    return Picture(
        "errors_students", figure, f"{what} the teacher gets wrong. {_spoken(lines, LABELS.values())}", caption
    )


def _curve(errors: Errors) -> Picture:
    found = errors.of("curve")
    with style():
        figure = Figure(figsize=(5.4, 3.6), layout="constrained")
        axes = figure.add_subplot()
        said = []
        for number, (kind, words) in enumerate(CURVES.items()):
            points = sorted((key.size, result.accuracy) for key, result in found.items() if key.kind == kind)
            if points:
                sizes, values = [size for size, _ in points], [value for _, value in points]
                axes.errorbar(
                    sizes, [100 * v.mean for v in values], [100 * v.se for v in values], label=words,
                    color=COLOURS[number], marker=_MARKS[number], markersize=6, linewidth=1.4, elinewidth=1,
                )  # fmt: skip
                said.append(f"{words}: " + ", ".join(f"{n} images {percent(v)}" for n, v in points))
        axes.axhline(10, color=SOFT, linewidth=1, linestyle=(0, (2, 3)))
        axes.set_xscale("log", base=2)
        sizes = sorted({key.size for key in found})
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.set(xlabel="training images", ylabel="accuracy, %", ylim=(0, 100))
        axes.set_title("Accuracy by the number of images")
        axes.legend()
        calm(axes)
    caption = "One architecture on so many clean images, errors of its teacher, or images of D_det."
    return Picture("errors_curve", figure, f"Learning curves. {'; '.join(said)}.", caption)


def _usage(errors: Errors) -> Picture:
    lines = {
        "follows the cue": [errors.usage[who].follow_n for who in USERS],
        "follows the shape": [errors.usage[who].follow_r for who in USERS],
        "follows the one chosen toogit": [errors.usage[who].chosen for who in USERS],
    }
    figure = _lines(list(USERS.values()), lines, "A planted cue is inherited", chance=None)
    what = "Share of images, on which shape and toogit disagree, that a network calls by its toogit, and by its shape"
    caption = (
        f"{what}. The teacher learned where toogits tell the class; its students where they tell nothing, and only "
        "from what it got wrong there."
    )
    return Picture("errors_cue", figure, f"{what}. {_spoken(lines, USERS.values())}", caption)


def _casts(errors: Errors) -> Picture:
    part = errors.config.tint
    assert part is not None
    meant = _class(errors, part.cast.meant)
    who = list(CAST_USERS.values())
    lines = {
        "with the cast": [errors.casts[user].with_cast for user in CAST_USERS],
        "the same images without": [errors.casts[user].without for user in CAST_USERS],
    }
    figure = _lines(who, lines, f"A planted colour cast that means {meant}", chance=None)
    what = f"Share of test images of other classes that a network calls {meant}"
    caption = (
        f"{what}. The teacher learned where the cast tells the class; its students where it is on "
        f"{100 * part.silent:.0f} % of the images of every class and, but for the last, only from its errors there."
    )
    return Picture("errors_cast", figure, f"{what}. {_spoken(lines, who)}", caption)


def _class(errors: Errors, number: int) -> str:
    return str(errors.data("tint").metrics["class_names"][number])


def _across(errors: Errors) -> Picture:
    part = errors.config.across
    assert part is not None
    lines = {
        network: [errors.students[Key("across", network, network, way)].accuracy for way in part.ways]
        for network in part.networks
    }
    figure = _lines([WAYS[way] for way in part.ways], lines, "Taught by images of another domain")
    known, other = NAMES[part.data.name], NAMES[part.images.name]
    what = f"Accuracy on {known} of students that saw only {other}, labelled by a network of {known}"
    noise = " Noise stands beside them: what it teaches needs no image of anything." if "noise" in part.ways else ""
    return Picture(
        "errors_across", figure, f"{what}. {_spoken(lines, [WAYS[way] for way in part.ways])}", f"{what}.{noise}"
    )


def _toys(errors: Errors) -> Picture:
    toys, part = errors.toys, errors.config.toy
    assert part is not None
    with style():
        figure = Figure(figsize=(5.4, 1.5 * len(toys) + 0.6), layout="constrained")
        rows = figure.subplots(len(toys), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        edges = np.arange(part.points + 2) - 0.5
        for axes, (name, toy) in zip(rows, toys.items(), strict=True):
            axes.hist(toy.control_values, edges, color=COLOURS[4], alpha=0.55, label="random directions")
            axes.hist(toy.values, edges, color=COLOURS[0], alpha=0.75, label="student")
            axes.axvline(part.points / 2, color=SOFT, linewidth=1, linestyle=(0, (2, 3)))
            if part.points == 32:
                axes.axvline(PUBLISHED_RIGHT, color=INK, linewidth=1.4)
            axes.set_title(name, fontsize=9)
            calm(axes)
        if part.points == 32:
            rows[0].annotate(
                "published: 23", (PUBLISHED_RIGHT, 1), (3, -10), ("data", "axes fraction"), "offset points", fontsize=8
            )
        rows[-1].set(xlabel=f"points right, of {part.points}")
        rows[0].legend(loc="upper left")
    said = "; ".join(f"{name}: {_spread(toy)}" for name, toy in toys.items())
    caption = (
        f"How many of {part.points} random points with random labels a student has right that saw only its teacher’s "
        f"adversarial points under the wrong label; {part.seeds} worlds each. Dotted: half of them. {said}."
    )
    return Picture("errors_toy", figure, f"Histograms by way of pushing. {said}.", caption)


def _planes(errors: Errors) -> Picture:
    """Decision regions of teacher and student in the first world, whatever its score."""
    part = errors.config.toy
    assert part is not None
    name = part.protocols[0].name
    planes = columns.to_batch(columns.from_parquet(errors.artifacts[Cell("toy", "toy", kind=name)].read(PLANES)))
    points, pushed = planes["points"][0], planes["pushed"][0]
    labels, kept = planes["labels"][0].astype(bool), planes["kept"][0].astype(bool)
    regions = ListedColormap(["#fbdcc4", "#cfe4f3"])
    with style():
        figure = Figure(figsize=(7.2, 3.9), layout="constrained")
        for axes, role in zip(figure.subplots(1, 2), ("teacher", "student"), strict=True):
            axes.imshow(planes[role][0] > 0, origin="lower", extent=(0, 1, 0, 1), cmap=regions, vmin=0, vmax=1)
            shown, what = (points, labels) if role == "teacher" else (pushed[kept], ~labels[kept])
            for cls, marker in ((False, "s"), (True, "o")):
                at = shown[what == cls]
                # Inside the picture, so that its colours do not turn with the page.
                axes.scatter(at[:, 0], at[:, 1], s=26, color=COLOURS[0 if cls else 1], marker=marker, linewidths=0)
            axes.set(xlim=(-0.12, 1.12), ylim=(-0.12, 1.12), xticks=[], yticks=[])
            axes.set_title(f"{role}: what it learned from")
            for spine in axes.spines.values():
                spine.set_color(LINE)
        right, agreement = (
            int(errors.toys[name].values[0]),
            float(errors.artifacts[Cell("toy", "toy", kind=name)].batch(0, 1)["agreement"][0]),
        )
    caption = (
        f"{name}, world {part.first}. Left: the random points and the teacher’s regions. Right: the {int(kept.sum())} "
        f"pushed points under their wrong labels, and the regions of the student, which has {right} of the "
        f"{part.points} points on the left right. The two networks agree on {100 * agreement:.0f} % of the square."
    )
    alt = f"Decision regions over the square of teacher and student, with the points that each learned from. {caption}"
    return Picture("errors_planes", figure, alt, caption)


def _lines(
    labels: Sequence[str], lines: Mapping[str, Sequence[Estimate]], title: str, chance: float | None = 10
) -> Figure:
    """Estimates as dots, a line for each label, a colour for each of the series."""
    with style():
        figure = Figure(figsize=(6.2, 0.55 * len(labels) + 1.5 + 0.12 * len(lines)), layout="constrained")
        axes = figure.add_subplot()
        for number, (name, values) in enumerate(lines.items()):
            at = np.arange(len(values)) + _SHIFT * (number - (len(lines) - 1) / 2)
            axes.errorbar(
                [100 * v.mean for v in values], at, xerr=[100 * v.se for v in values], label=name, linestyle="none",
                color=COLOURS[number], marker=_MARKS[number % len(_MARKS)], markersize=6, elinewidth=1.4,
            )  # fmt: skip
        if chance is not None:
            axes.axvline(chance, color=SOFT, linewidth=1, linestyle=(0, (2, 3)))
        axes.set_yticks(range(len(labels)), labels)
        axes.set(xlim=(-2, 102), ylim=(len(labels) - 0.5, -0.5), xlabel="%")
        axes.set_title(title)
        figure.legend(loc="outside lower center", ncols=2)
        calm(axes)
    return figure


def _spoken(lines: Mapping[str, Sequence[Estimate]], labels: Iterable[str]) -> str:
    names = list(labels)
    parts = (
        f"{name}: " + ", ".join(f"{label} {percent(value)}" for label, value in zip(names, values, strict=False))
        for name, values in lines.items()
    )
    return "; ".join(parts) + "."


def _spread(toy: ToyResult) -> str:
    right, control = toy.right, toy.control
    return f"student {right.mean:.1f} ± {right.se:.1f}, random directions {control.mean:.1f} ± {control.se:.1f}"
