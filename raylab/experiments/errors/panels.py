"""The numbers of each part of learning from errors that a reader came for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from raylab.experiments.errors.measure import ADDED, Errors, Learner
from raylab.report.names import NAMES, NON_ROBUST
from raylab.report.per_seed import PerSeed

LABELS = {
    "predicted": "its wrong labels",
    "shuffled": "shuffled within each true class",
    "random": "any wrong label",
    "true": "the right labels, same images",
}
HEADS = {"predicted": "its wrong labels", "shuffled": "shuffled", "random": "any wrong", "true": "right labels"}
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


def _errors(found: Errors) -> Panel:
    students = found.of("errors")
    rows: dict[str, dict[str, PerSeed]] = {}
    for key, student in students.items():
        rows.setdefault(key.pair, {})[HEADS[key.kind]] = student.accuracy
    return Panel(
        "Learning from errors alone",
        "Accuracy on clean test images of students that saw only images that their teacher gets wrong, by the labels "
        "they were given",
        rows,
        {words: [row[HEADS[kind]] for row in rows.values()] for kind, words in LABELS.items()},
        "Teacher → student. Shuffled: the wrong labels within each true class. The dotted line is chance; wrong labels "
        "without a pattern teach “not this class” and fall below. ",
        chance(found, "errors"),
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
        chance(found, "across"),
        f"{known}, %",
        "Trained on",
    )


PANELS = {"errors": _errors, "cue": _cue, "tint": _cast, "across": _across}


def chance(found: Errors, part: str) -> float | None:
    classes = len(found.domain(part).class_names)
    return 1 / classes if classes else None
