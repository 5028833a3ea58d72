"""The figures of learning from errors: each part's numbers, the toy, and images under wrong labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from raylab.engine import columns
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch
from raylab.experiments.errors.config import ToyPart
from raylab.experiments.errors.measure import ADDED, Domain, Errors, Learner, Series
from raylab.experiments.errors.panels import WAYS, Panel, chance
from raylab.experiments.errors.plan import ErrorsCell
from raylab.report import samples
from raylab.report.charts import Mark, dots, images, lines
from raylab.report.drawing import Pixels, brief, despine, seeds_phrase, unit
from raylab.report.later import Axes, Figure, ListedColormap
from raylab.report.names import NAMES
from raylab.report.per_seed import PerSeed
from raylab.report.picture import COLOURS, INK, LINE, MARKERS, SOFT, Picture, style
from raylab.report.values import Plain, format_value
from raylab.stages.toy import PLANES

PUBLISHED_RIGHT = 23  # of 32 (Wallace, Distill 2019)
COUNT, LONGEST = 8, 10  # images of a set, and letters of a class's name
CURVES = {"clean": "clean images", "errors": "errors only", "det": "D_det"}
Labelled = Sequence[tuple[str, Pixels]]


def pictures(found: Errors, part: str, panel: Panel | None) -> tuple[Picture, ...]:
    """In the order in which a page shows them; the first is that of the panel."""
    c = found.config
    if panel is None:
        drawn = (toys(found, c.toy), planes(found, c.toy)) if c.toy else ()
        return tuple(one for one in drawn if one is not None)
    rows = {of: {name: one for name, one in row.items() if name != ADDED} for of, row in panel.rows.items()}
    marks = _marks(of for row in rows.values() for of in row)
    caption = f"{panel.what}. {panel.caption}Bars: one standard error{seeds_phrase(c.seeds)}."
    main = dots(part, panel.title, panel.axis, rows, marks, caption, panel.chance)
    return (
        main,
        *([_curve(found)] if part == "errors" and found.of("curve") else []),
        *(one for one in _seen(found, part) if one is not None),
    )


def toys(found: Errors, part: ToyPart) -> Picture:
    """Histograms of the points that are right, by protocol."""
    published = part.points == 32
    with style():
        figure = Figure(figsize=(5.4, 1.5 * len(found.toys) + 0.6), layout="constrained")
        rows = figure.subplots(len(found.toys), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        edges = np.arange(part.points + 2) - 0.5
        for axes, (name, toy) in zip(rows, found.toys.items(), strict=True):
            axes.hist(_values(toy["control"]), edges, color=COLOURS[4], alpha=0.55, label="random directions")
            axes.hist(_values(toy["right"]), edges, color=COLOURS[0], alpha=0.75, label="student")
            axes.axvline(part.points / 2, color=SOFT, linewidth=1, linestyle=(0, (2, 3)))
            if published:
                axes.axvline(PUBLISHED_RIGHT, color=INK, linewidth=1.4)
            axes.set_title(name, fontsize=9)
            axes.set_ylabel("worlds")
            despine(axes)
        if published:
            words, place = f"published: {PUBLISHED_RIGHT}", (PUBLISHED_RIGHT, 1)
            rows[0].annotate(words, place, (3, -10), ("data", "axes fraction"), "offset points", fontsize=8)
        rows[-1].set(xlabel=f"points right, of {part.points}")
        rows[0].legend(loc="upper left")
    numbers = "; ".join(f"{name}: {_spread(toy)}" for name, toy in found.toys.items())
    caption = (
        f"How many of {part.points} random points with random labels a student has right that saw only its teacher’s "
        f"adversarial points under the wrong label; {part.seeds} worlds each. Dotted: half of them. {numbers}."
    )
    return Picture("toy", figure, f"Histograms by way of pushing. {numbers}.", caption)


def planes(found: Errors, part: ToyPart) -> Picture | None:
    """Decision regions of teacher and student in the first world, whatever its score; None: it was not built."""
    name = part.protocols[0].name
    artifact = found.built.artifacts.get(ErrorsCell("toy", "toy", kind=name))
    if artifact is None:
        return None
    drawn = columns.to_batch(columns.from_parquet(artifact.read(PLANES)))
    with style():
        figure = Figure(figsize=(7.2, 3.9), layout="constrained")
        for axes, role in zip(figure.subplots(1, 2), ("teacher", "student"), strict=True):
            _plane(axes, drawn, role)
    right, agreement = (_values(found.toys[name][by])[0] for by in ("right", "agreement"))
    caption = (
        f"{name}, world {part.first}. Left: the random points and the teacher’s regions. Right: the "
        f"{int(drawn['kept'][0].sum())} pushed points under their wrong labels, and the regions of the student, which "
        f"has {right:.0f} of the {part.points} points on the left right. The two networks agree on "
        f"{100 * agreement:.0f} % of the square."
    )
    alt = f"Decision regions over the square of teacher and student, with the points that each learned from. {caption}"
    return Picture("planes", figure, alt, caption)


def labelled(found: Errors, title: str, sets: Mapping[str, Learner], caption: str) -> Picture | None:
    """A few images of the sets of students, by what the sets are, each under its own label; None without any set."""
    rows: dict[str, Labelled] = {}
    for of, key in sets.items():
        for made in found.sets(key)[:1]:
            rows[of] = examples(made, found.domain(key.part), own=key.part != "across")
    if not rows:
        return None
    name = f"{next(iter(sets.values())).part}_images"
    first = "The first of each label in the order of the set, not chosen for looks."
    return images(name, title, rows, f"{caption}. {first}", side=0.8)


def examples(made: Artifact, of: Domain, own: bool, count: int = COUNT) -> Labelled:
    """The first images by row with a label that none before them has, then the first of the others: not chosen for
    looks. `own`: they have a class of this domain, and not only a label."""
    batch = made.batch(0, samples.READ_ROWS)
    _, first = np.unique(batch["label"], return_index=True)
    rows = [*sorted(first), *(row for row in range(len(batch["label"])) if row not in first)][:count]

    def words(row: int) -> str:
        own_class, label = (brief(of.class_name(int(batch[name][row])), LONGEST) for name in ("source_label", "label"))
        return f"{own_class}\n→ {label}" if own else label

    return [(words(row), unit(batch["image"][row])) for row in rows]


def _plane(axes: Axes, drawn: Batch, role: str) -> None:
    labels, kept = drawn["labels"][0].astype(bool), drawn["kept"][0].astype(bool)
    regions = ListedColormap(["#fbdcc4", "#cfe4f3"])
    axes.imshow(drawn[role][0] > 0, origin="lower", extent=(0, 1, 0, 1), cmap=regions, vmin=0, vmax=1)
    points = drawn["points"][0] if role == "teacher" else drawn["pushed"][0][kept]
    classes = labels if role == "teacher" else ~labels[kept]
    for cls, marker in ((False, "s"), (True, "o")):
        at = points[classes == cls]
        # Inside the picture, so that its colours do not turn with the page.
        axes.scatter(at[:, 0], at[:, 1], s=26, color=COLOURS[0 if cls else 1], marker=marker, linewidths=0)
    axes.set(xlim=(-0.12, 1.12), ylim=(-0.12, 1.12), xticks=[], yticks=[])
    axes.set_title(f"{role}: what it learned from")
    for spine in axes.spines.values():
        spine.set_color(LINE)


def _values(by_world: PerSeed) -> list[float]:
    return [one.mean for one in by_world.values()]


def _spread(toy: Series) -> str:
    return f"student {format_value(Plain(toy['right'], 1))}, random directions {format_value(Plain(toy['control'], 1))}"


def _curve(found: Errors) -> Picture:
    found_at = sorted(found.of("curve").items(), key=lambda item: item[0].size)
    curves: dict[str, dict[float, PerSeed]] = {
        words: {key.size: student.accuracy for key, student in found_at if key.kind == kind}
        for kind, words in CURVES.items()
        if any(key.kind == kind for key, _ in found_at)
    }
    caption = "One architecture on so many clean images, errors of its teacher, or images of D_det. Dashed: chance."
    title, x, y = "Accuracy by the number of images", "training images", "accuracy, %"
    return lines("curve", title, x, y, curves, _marks(curves), caption, at=chance(found, "errors"), log=True)


def _seen(found: Errors, part: str) -> Iterator[Picture | None]:
    """What students saw, of the first seed and network of a part."""
    c = found.config
    if part == "errors" and c.errors:
        of, student = c.errors.teachers[0].called, c.errors.students[0]
        what = f"Training images that {of} gets wrong: what each is → what it was labelled"
        sets = {f"as {of} labels them": Learner(part, of, student, "predicted")}
        yield labelled(found, "What the student saw: images under a wrong label", sets, what)
    if part == "tint" and c.tint:
        sets = {"as the teacher labels them": Learner(part, c.tint.network, c.tint.network, "predicted")}
        what = "Photographs that the teacher of the cast gets wrong: what each is → what it was labelled"
        yield labelled(found, "What the student of the cast saw", sets, what)
    if part == "across" and c.across:
        of, known, other = c.across.networks[0], NAMES[c.across.data.name], NAMES[c.across.images.name]
        what = f"{other} under the labels of a network of {known} ({of}), shown within [0, 1]"
        if "noise" in c.across.ways:
            what += f"; noise has the mean and the spread of each pixel of {known}, and nothing else of it"
        sets = {WAYS[way]: Learner(part, of, of, way) for way in c.across.ways}
        yield labelled(found, "What the student of another domain saw", sets, what)


def _marks(series: Iterable[str]) -> dict[str, Mark]:
    looks = zip(dict.fromkeys(series), COLOURS, MARKERS, strict=False)
    return {of: Mark(colour, marker) for of, colour, marker in looks}
