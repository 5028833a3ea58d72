"""The report on learning from errors: the answer, then each part with its figures, verdicts and numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from raylab.experiments.errors.figures import CURVES, pictures
from raylab.experiments.errors.measure import PARTS, Errors, Learner, Teacher, place
from raylab.experiments.errors.panels import HEADS, LABELS, PANELS, WAYS, Panel
from raylab.experiments.errors.plan import ErrorsCell
from raylab.experiments.errors.verdict import BADGES, SCALES, Claim, above_shuffled, answer, claims
from raylab.report.blocks import Block, Condition, Figures, Fold, Report, Table, Text, Verdicts, each
from raylab.report.drawing import seeds_phrase
from raylab.report.numbers import share, span
from raylab.report.per_seed import PerSeed
from raylab.report.picture import Picture
from raylab.report.significance import EVERY_TEST, paired_tests
from raylab.report.values import Fixed, Plain, Singles, format_value
from raylab.tracking import Param

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


def report(found: Errors) -> Report:
    panels = {part: PANELS[part](found) for part in found.parts if part in PANELS}
    first = found.parts[0]
    judged, drawn = claims(found), {part: pictures(found, part, panels.get(part)) for part in found.parts}
    return Report(
        f"Learning from errors: {found.config.study}",
        answer(found, _compared(panels[first]) if first in panels else _points(found)),
        (
            *([Text("About the data", found.notes, "note")] if found.notes else []),
            *([Text("Not reached", found.missed, "note")] if found.missed else []),
            *(one for part in found.parts for one in _part(found, part, panels.get(part), judged, drawn[part])),
            *([Fold(EVERY_TEST, (tested,))] if (tested := _tests(found)).rows else []),
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


def _compared(panel: Panel) -> str:
    spans = (f"{of} {span(one.mean for one in numbers)}" for of, numbers in panel.compared.items())
    return f"{panel.what}: {'; '.join(spans)}."


def _points(found: Errors) -> str:
    means = {
        of: [format_value(Fixed(toy[by].mean.mean, 1)) for by in ("right", "control")] for of, toy in found.toys.items()
    }
    points = "; ".join(f"{of} {right}, random directions {control}" for of, (right, control) in means.items())
    return (
        "Points with random labels that a student has right which saw only its teacher’s adversarial points under the "
        f"wrong label, and one which saw points pushed in random directions: {points}."
    )


# -- tables


def _table(found: Errors, part: str, panel: Panel) -> Table:
    """A row for each row of the figure; of the errors also the difference to the shuffled labels."""
    above = {key.pair: above_shuffled(found, key) for key in found.of(part) if key.kind == "predicted"}
    series = dict.fromkeys(of for row in panel.rows.values() for of in row)
    last = {"above shuffled": lambda row: above[row[0]]} if part == "errors" else {}
    return Table.of(
        part,
        f"{panel.what}; in percent, mean ± standard error{seeds_phrase(found.config.seeds)}.",
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
            "Teacher → student": lambda row: row[0].pair,
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


def _tests(found: Errors) -> Table:
    wrong = [key for key in found.students if key.kind == "predicted"]
    return paired_tests(
        "Accuracy of a student of wrong labels minus that of one whose labels are shuffled within each class",
        ("Part", "Teacher → student"),
        (((PARTS[key.part], key.pair), above_shuffled(found, key)) for key in wrong),
        len(found.config.seeds),
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
        f"Teachers, in percent: mean ± standard error{seeds_phrase(found.config.seeds)}.",
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
            verdict = words[f"errors only, {key.pair}: above wrong labels shuffled within each class"]
        labelled = ErrorsCell("set", key.part, 0, key.teacher, "", key.kind)
        trained_on = ErrorsCell("data", "cue") if (key.part, key.kind) == ("cue", "clean") else labelled
        yield Condition(_params(key, "student"), metrics, verdict, place("student", key), trained_on)


def _params(key: Learner, role: str) -> dict[str, Param]:
    return {"part": key.part, "role": role, **dict(zip(key._fields[1:], key[1:], strict=True))}


def _reliance(found: Errors, key: Learner) -> dict[str, PerSeed]:
    series = {"cue": found.cues, "tint": found.casts}.get(key.part, {}).get(key.kind or "teacher", {})
    return {f"reliance/{of.replace('-', '_').replace(' ', '_')}": one for of, one in series.items()}
