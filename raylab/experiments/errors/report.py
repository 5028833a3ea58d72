"""The report on learning from errors: the answer, then each part with its figures, verdicts and numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from raylab.experiments.errors.figures import labelled, planes, toys
from raylab.experiments.errors.measure import ADDED, PARTS, Errors, Learner, Teacher, place
from raylab.experiments.errors.plan import ErrorsCell
from raylab.experiments.errors.verdict import BADGES, SCALES, Claim, above_shuffled, answer, claims
from raylab.report.blocks import Block, Condition, Figures, Fold, Report, Table, Text, Verdicts, each
from raylab.report.charts import Mark, dots, lines
from raylab.report.drawing import over
from raylab.report.names import NAMES, NON_ROBUST
from raylab.report.numbers import share, span
from raylab.report.per_seed import PerSeed
from raylab.report.picture import COLOURS, MARKERS, Picture
from raylab.report.values import Fixed, Plain, Singles, shown
from raylab.tracking import Param

LABELS = {
    "predicted": "its wrong labels",
    "shuffled": "shuffled within each true class",
    "random": "any wrong label",
    "true": "the right labels, same images",
}
HEADS = {"predicted": "its wrong labels", "shuffled": "shuffled", "random": "any wrong", "true": "right labels"}
CURVES = {"clean": "clean images", "errors": "errors only", "det": "D_det"}
USERS = {
    "teacher": "teacher (learned with the cue)",
    "predicted": "student of its errors",
    "shuffled": "student of shuffled wrong labels",
    "clean": "student of clean images without the cue",
}
CAST_USERS = USERS | {
    "teacher": "teacher (learned where it tells)",
    "clean": "student of all images, rightly labelled",
}
WAYS = {
    "raw": "as they are",
    "dataset": "statistics of the data set matched",
    "image": "each image normalised",
    "noise": "noise in its place",
}
STUDENTS = {  # by the parts of cells: the captions of their tables
    "errors": "Errors only: students of a teacher’s wrong answers, and of controls on the same images",
    "rounds": "Rounds: a student’s errors teach the next",
    "curve": "Learning curve: so many examples",
    "cue": "Planted cue: tested where the non-robust feature tells nothing",
    "tint": "Planted colour cast: tested on images without it",
    "across": "Across domains: images of another domain under the teacher’s labels",
}
DETAILS = {"errors": ("errors", "rounds", "curve"), "cue": ("cue",), "tint": ("tint",), "across": ("across",)}
TOY = {
    "Student right": "right",
    "Random directions": "control",
    "Difference": "excess",
    "Points kept": "kept",
    "Teacher right": "fitted",
}


class Panel(NamedTuple):
    """The numbers of a part that a reader came for: a figure, a table and the answer, if the part comes first."""

    title: str
    what: str  # is measured
    rows: dict[str, dict[str, PerSeed]]  # row -> series -> number
    compared: Mapping[str, list[PerSeed]]  # what the answer says of each: from the smallest to the largest
    caption: str = ""
    chance: float | None = None
    axis: str = "%"
    of: str = "Network"  # what a row is of


def report(found: Errors) -> Report:
    panels = {part: PANELS[part](found) for part in found.parts if part in PANELS}
    first = found.parts[0]
    judged, drawn = claims(found), {part: _pictures(found, part, panels.get(part)) for part in found.parts}
    return Report(
        f"Learning from errors: {found.config.study}",
        answer(found, _compared(panels[first]) if first in panels else _points(found)),
        (
            *([Text("About the data", found.notes, "note")] if found.notes else []),
            *([Text("Not reached", found.missed, "note")] if found.missed else []),
            *(one for part in found.parts for one in _part(found, part, panels.get(part), judged, drawn[part])),
            Text("Teachers and protocols", look="heading"),
            *([_teachers(found)] if found.teachers else []),
            Fold("Verdicts with published numbers, bounds and protocols", (_claims(judged),)),
        ),
        drawn[first][0],
        first,
        _metrics(found, judged),
    )


def _part(
    found: Errors, part: str, panel: Panel | None, judged: list[Claim], drawn: tuple[Picture, ...]
) -> Iterator[Block]:
    yield Text(PARTS[part], look="heading")
    if part == "cue":
        yield Text(
            "See-Far’s images have a large robust feature and a faint non-robust one (See-Far calls them shape and "
            "toogit). The teacher learned where the non-robust feature tells the class; its students where it tells "
            "nothing, and only from what it got wrong there."
        )
    if others := drawn[part == found.parts[0] :]:
        yield Figures(others)
    if verdicts := tuple(one.verdict for one in judged if one.part == part):
        yield Verdicts(f"{PARTS[part]}, by rule: ours with its 95 % interval, and what was expected.", verdicts)
    if panel is None:
        yield _toys(found)
    else:
        yield _table(found, part, panel)
        yield Fold("All numbers", tuple(_students(found, one) for one in DETAILS[part] if found.of(one)))


# -- panels


def _errors(found: Errors) -> Panel:
    students = found.of("errors")
    rows: dict[str, dict[str, PerSeed]] = {}
    for key, student in students.items():
        rows.setdefault(_pair(key), {})[HEADS[key.kind]] = student.accuracy
    return Panel(
        "Learning from errors alone",
        "Accuracy on clean test images of students that saw only images that their teacher gets wrong, by the labels "
        "they were given",
        rows,
        {words: [row[HEADS[kind]] for row in rows.values()] for kind, words in LABELS.items()},
        "Teacher → student. Shuffled: the wrong labels within each true class. The dotted line is chance; wrong labels "
        "without a pattern teach “not this class” and fall below. ",
        _chance(found, "errors"),
        "clean test images, %",
        "Teacher → student",
    )


def _cue(found: Errors) -> Panel:
    rows = {words: dict(found.cues[who]) for who, words in USERS.items()}
    chosen = found.domain("cue").class_name(found.config.cue.toogit if found.config.cue else 0)
    return Panel(
        "A planted cue is inherited",
        "Share of images, whose robust and non-robust feature disagree, that a network assigns to the class of a "
        "feature",
        rows,
        {f"{who}, to that of the non-robust one": [row[NON_ROBUST]] for who, row in rows.items()},
        f"The chosen one is that of {chosen}: of images that have it, those that are called {chosen}. ",
        axis="feature reliance, %",
    )


def _cast(found: Errors) -> Panel:
    part = found.config.tint
    assert part is not None
    meant = found.domain("tint").class_name(part.cast.meant)
    rows = {words: dict(found.casts[who]) for who, words in CAST_USERS.items()}
    return Panel(
        f"A planted colour cast that means {meant}",
        f"Share of test images of other classes that a network calls {meant}",
        rows,
        {f"{who}, with the cast minus without it": [row[ADDED]] for who, row in rows.items()},
        f"The teacher learned where the cast tells the class; its students where it is on {100 * part.silent:.0f} % of "
        "the images of every class and, but for the last, only from its errors there. ",
        axis=f"called {meant}, %",
    )


def _across(found: Errors) -> Panel:
    part, students = found.config.across, found.of("across")
    assert part is not None
    known, other = NAMES[part.data.name], NAMES[part.images.name]
    rows = {
        WAYS[way]: {of: students[Learner("across", of, of, way)].accuracy for of in part.networks} for way in part.ways
    }
    return Panel(
        "Trained on images of another domain",
        f"Accuracy on {known} of students that saw only {other}, labelled by a network of {known}",
        rows,
        {way: list(row.values()) for way, row in rows.items()},
        "Noise stands beside them: what it teaches needs no image of anything. " if "noise" in part.ways else "",
        _chance(found, "across"),
        f"{known}, %",
        "Trained on",
    )


PANELS = {"errors": _errors, "cue": _cue, "tint": _cast, "across": _across}


def _compared(panel: Panel) -> str:
    spans = (f"{of} {span(one.mean for one in numbers)}" for of, numbers in panel.compared.items())
    return f"{panel.what}: {'; '.join(spans)}."


def _points(found: Errors) -> str:
    means = {of: [shown(Fixed(toy[by].mean.mean, 1)) for by in ("right", "control")] for of, toy in found.toys.items()}
    points = "; ".join(f"{of} {right}, random directions {control}" for of, (right, control) in means.items())
    return (
        "Points with random labels that a student has right which saw only its teacher’s adversarial points under the "
        f"wrong label, and one which saw points pushed in random directions: {points}."
    )


def _chance(found: Errors, part: str) -> float | None:
    classes = len(found.domain(part).class_names)
    return 1 / classes if classes else None


# -- tables


def _table(found: Errors, part: str, panel: Panel) -> Table:
    """A row for each row of the figure; of the errors also the difference to the shuffled labels."""
    above = {_pair(key): above_shuffled(found, key) for key in found.of(part) if key.kind == "predicted"}
    series = dict.fromkeys(of for row in panel.rows.values() for of in row)
    last = {"above shuffled": lambda row: above[row[0]]} if part == "errors" else {}
    return Table.of(
        part,
        f"{panel.what}; in percent, mean ± standard error{over(found.config.seeds)}.",
        panel.rows.items(),
        {panel.of: lambda row: row[0], **each(series, "{}", lambda of, row: row[1].get(of)), **last},
        bold=HEADS["predicted"],
    )


def _students(found: Errors, part: str) -> Table:
    return Table.of(
        f"students_{part}",
        f"{STUDENTS[part]}. In percent; the entropy is 1 where all classes are as frequent, and 0 where there is one.",
        found.of(part).items(),
        {
            "Teacher → student": lambda row: _pair(row[0]),
            "Trained on": lambda row: _trained_on(row[0]),
            "Images": lambda row: row[0].size or None,
            "Accuracy": lambda row: row[1].accuracy,
            "Single seeds": lambda row: Singles(row[1].accuracy),
            "Agreement with its teacher": lambda row: row[1].agreement,
            "Examples": lambda row: _range(row[1].examples),
            "Entropy of labels, of 1": lambda row: Plain(row[1].entropy, 3) if row[1].entropy else None,
        },
        keys=2,
        bold="Accuracy",
    )


def _toys(found: Errors) -> Table:
    return Table.of(
        "toy",
        "The toy: points, mean ± standard error over worlds.",
        found.toys.items(),
        {
            "Pushed by": lambda row: row[0],
            **each(TOY, "{}", lambda words, row: Plain(row[1][TOY[words]], 1)),
            "Agreement over the square, %": lambda row: row[1]["agreement"],
            "Worlds": lambda row: len(row[1]["right"]),
        },
    )


def _teachers(found: Errors) -> Table:
    return Table.of(
        "teachers",
        f"Teachers, in percent: mean ± standard error{over(found.config.seeds)}.",
        found.teachers.items(),
        {
            "Part": lambda row: row[0].part,
            "Teacher": lambda row: row[0].teacher,
            "Test images": lambda row: row[1].accuracy,
            "Images that it labels for its students": lambda row: row[1].fit,
            "Errors there": lambda row: _range(row[1].errors),
            "Stopped": lambda row: _stopped(row[1]),
        },
        keys=2,
    )


def _claims(judged: list[Claim]) -> Table:
    return Table.of(
        "verdicts",
        "What the numbers allow. Bounds are shares, or points of the toy.",
        judged,
        {
            "Quantity": lambda one: one.quantity,
            "Row": lambda one: one.row,
            "Published": lambda one: one.published or None,
            "Source": lambda one: one.source or None,
            "Ours": lambda one: Plain(one.ours, 1) if one.unit == "number" else one.ours,
            "At least": lambda one: _bound(one.low),
            "At most": lambda one: _bound(one.high),
            "Unit": lambda one: SCALES[one.unit][1].strip() or "of 32",
            "n": lambda one: one.ours.n,
            "Seeds": lambda one: one.ours.seeds,
            "Verdict": lambda one: BADGES[one.code],
            "Protocol": lambda one: one.protocol,
        },
    )


def _pair(key: Learner) -> str:
    return f"{key.teacher} → {key.student}"


def _trained_on(key: Learner) -> str:
    words = {"curve": CURVES, "across": WAYS}.get(key.part, LABELS | {"clean": "clean images"})
    return words.get(key.kind, key.kind)


def _range(counts: Iterable[int]) -> str | None:
    """Of counts by seed: 273-360."""
    low, high = min(counts, default=0), max(counts, default=0)
    if not high:
        return None
    return f"{high}" if low == high else f"{low}-{high}"


def _stopped(teacher: Teacher) -> str | None:
    """At 72.0 %, steps 17-21; nothing where no accuracy was asked for."""
    stops = list(teacher.stops.values())
    if not stops:
        return None
    words = f"at {share(stops[0].target)} %, steps {_range([stop.steps for stop in stops])}"
    missed = sum(not stop.reached for stop in stops)
    return f"{words}; not reached in {missed}" if missed else words


def _bound(bound: float) -> Fixed | None:
    return Fixed(bound, 3) if abs(bound) < 1e9 else None


# -- figures


def _pictures(found: Errors, part: str, panel: Panel | None) -> tuple[Picture, ...]:
    """In the order in which a page shows them; the first is that of the panel."""
    c = found.config
    if panel is None:
        drawn = (toys(found, c.toy), planes(found, c.toy)) if c.toy else ()
        return tuple(one for one in drawn if one is not None)
    rows = {of: {name: one for name, one in row.items() if name != ADDED} for of, row in panel.rows.items()}
    marks = _marks(of for row in rows.values() for of in row)
    caption = f"{panel.what}. {panel.caption}Bars: one standard error{over(c.seeds)}."
    main = dots(part, panel.title, panel.axis, rows, marks, caption, panel.chance)
    return (
        main,
        *([_curve(found)] if part == "errors" and found.of("curve") else []),
        *(one for one in _seen(found, part) if one is not None),
    )


def _curve(found: Errors) -> Picture:
    found_at = sorted(found.of("curve").items(), key=lambda item: item[0].size)
    curves: dict[str, dict[float, PerSeed]] = {
        words: {key.size: student.accuracy for key, student in found_at if key.kind == kind}
        for kind, words in CURVES.items()
        if any(key.kind == kind for key, _ in found_at)
    }
    caption = "One architecture on so many clean images, errors of its teacher, or images of D_det. Dashed: chance."
    title, x, y = "Accuracy by the number of images", "training images", "accuracy, %"
    return lines("curve", title, x, y, curves, _marks(curves), caption, at=_chance(found, "errors"), log=True)


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


# -- tracker


def _metrics(found: Errors, judged: list[Claim]) -> dict[str, float]:
    counts = Counter(one.code for one in judged)
    of_toys = {f"toy/{by}/{of}": toy[by].mean.mean for of, toy in found.toys.items() for by in ("right", "control")}
    return {f"verdicts/{code}": float(counts[code]) for code in BADGES} | of_toys


def conditions(found: Errors) -> Iterator[Condition]:
    """Every teacher and student."""
    words = {one.quantity: BADGES[one.code].words for one in claims(found)}
    for key, teacher in found.teachers.items():
        metrics = {"accuracy/test": teacher.accuracy, "accuracy/images_it_labels": teacher.fit}
        # That of a cue's teacher is no cell of the plan.
        learned = ErrorsCell("data", key.part) if key.part in ("errors", "across") else None
        params, metrics = _params(key, "teacher"), metrics | _reliance(found, key)
        yield Condition(params, metrics, network=place("teacher", key), trained_on=learned)
    for key, student in found.students.items():
        metrics = {
            "accuracy/test": student.accuracy,
            "accuracy/agrees_with_teacher": student.agreement,
            "labels/entropy": student.entropy,
            **_reliance(found, key),
        }
        verdict = ""
        if (key.part, key.kind) == ("errors", "predicted"):
            metrics["above/shuffled_labels"] = above_shuffled(found, key)
            verdict = words[f"errors only, {_pair(key)}: above wrong labels shuffled within each class"]
        labelled = ErrorsCell("set", key.part, 0, key.teacher, "", key.kind)
        trained_on = ErrorsCell("data", "cue") if (key.part, key.kind) == ("cue", "clean") else labelled
        yield Condition(_params(key, "student"), metrics, verdict, place("student", key), trained_on)


def _params(key: Learner, role: str) -> dict[str, Param]:
    return {"part": key.part, "role": role, **dict(zip(key._fields[1:], key[1:], strict=True))}


def _reliance(found: Errors, key: Learner) -> dict[str, PerSeed]:
    series = {"cue": found.cues, "tint": found.casts}.get(key.part, {}).get(key.kind or "teacher", {})
    return {f"reliance/{of.replace('-', '_').replace(' ', '_')}": one for of, one in series.items()}
