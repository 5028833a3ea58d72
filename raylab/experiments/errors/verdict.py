"""What the numbers of learning from errors allow, by rule: rows of the scoreboard, whose bounds are theirs, and beside
them statements of our own."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from raylab.core.statistics import Estimate
from raylab.experiments.errors.measure import ADDED, PARTS, Errors, Learner, Series
from raylab.experiments.errors.scoreboard import planned
from raylab.report.blocks import Verdict
from raylab.report.claims import INF, within
from raylab.report.names import NAMES, NON_ROBUST
from raylab.report.numbers import share
from raylab.report.per_seed import PerSeed, bounds_of
from raylab.report.values import Badge
from raylab.scoreboard.cells import exact
from raylab.scoreboard.evidence import Evidence
from raylab.scoreboard.rows import Unit, all_rows

Code = Literal["reproduced", "same_direction", "inconclusive", "contradicted", "not_built"]
BADGES: Mapping[Code, Badge] = {
    "reproduced": Badge("good", "reproduced"),
    "same_direction": Badge("good", "same direction"),
    "inconclusive": Badge("open", "cannot decide"),
    "contradicted": Badge("warn", "contradicted"),
    "not_built": Badge("open", "not built"),
}
SCALES: Mapping[Unit, tuple[int, str]] = {"share": (100, " %"), "points": (100, " points"), "number": (1, "")}
PARTS_OF_ROWS = {18: "errors", 19: "toy", 20: "across"}
NOT_BUILT = "What this verdict needs was not built."


class Claim(NamedTuple):
    """One quantity: published, ours, and the verdict. Shares and their differences lie in [0, 1]."""

    part: str  # of the study
    row: int | None  # in the table of target numbers; None: a statement of our own
    quantity: str
    published: str  # "" where nothing was
    source: str
    ours: Estimate
    low: float  # the tolerance at the same protocol, or else the directional criterion
    high: float
    protocol: str  # in what ours differs; "": in nothing
    unit: Unit = "share"  # number: points of the plane

    @property
    def code(self) -> Code:
        """By the 95 % interval: inside the bounds, outside, or across one of them."""
        if math.isnan(self.ours.mean):
            return "not_built"
        inside = within(bounds_of(self.ours), self.low, self.high)
        if inside is None:
            return "inconclusive"
        return "contradicted" if not inside else "same_direction" if self.protocol else "reproduced"

    @property
    def expected(self) -> str:
        """At least 20 %, or 19 to 24."""
        scale, sign = SCALES[self.unit]
        low, high = (f"{bound * scale:g}".replace("-", "−") for bound in (self.low, self.high))
        if self.low == -INF:
            return f"at most {high}{sign}"
        return f"at least {low}{sign}" if self.high == INF else f"{low} to {high}{sign}"

    @property
    def value(self) -> str:
        """33.1 [28.0, 38.2] in percent, or in points of the toy."""
        scale, _ = SCALES[self.unit]
        mean, low, high = (share(number * scale / 100) for number in (self.ours.mean, *bounds_of(self.ours)))
        return mean if math.isnan(bounds_of(self.ours)[0]) else f"{mean} [{low}, {high}]"

    @property
    def verdict(self) -> Verdict:
        if self.code == "not_built":
            return Verdict(self.quantity, BADGES[self.code], NOT_BUILT)
        return Verdict(self.quantity, BADGES[self.code], f"{self.value}, expected {self.expected}")


def claims(found: Errors) -> list[Claim]:
    """Of every part that was asked for."""
    board = [claim for one in planned(found) if (claim := _of_board(one)) is not None]
    return [*board, *_errors(found), *_planted(found), *_across(found), *_toys(found)]


def answer(found: Errors, sentence: str) -> Verdict:
    """What a student reaches that saw nothing but the errors of its teacher, beside its controls: of the first part of
    the study, by all that is claimed of its students."""
    part, not_built = found.parts[0], BADGES["not_built"]
    codes = Counter(one.code for one in claims(found) if one.part == part and not one.quantity.startswith("teacher"))
    if set(codes) == {"not_built"}:
        return Verdict(PARTS[part], not_built, NOT_BUILT)
    if codes["reproduced"] and codes["same_direction"]:
        codes["same_direction"] += codes.pop("reproduced")
    badge = BADGES[next(iter(codes))] if len(codes) == 1 else Badge("open", "mixed" if codes else "no rule")
    counts = ", ".join(f"{count} {BADGES[code].words}" for code, count in codes.items())
    return Verdict(PARTS[part], badge, f"{sentence} By rule: {counts}." if len(codes) > 1 else sentence)


def above_shuffled(found: Errors, key: Learner) -> PerSeed:
    """Accuracy of a student of wrong labels less that of one whose wrong labels are shuffled within each class."""
    control = found.students.get(key._replace(kind="shuffled"))
    return found.students[key].accuracy - (control.accuracy if control else {})


# -- claims


def _of_board(one: Evidence) -> Claim | None:
    """The tolerance at the published protocol, else the directional criterion; None: the row asks nothing of that
    number there. What is counted, as the right pairs left in a set, has no interval, and is the scoreboard's alone."""
    row = all_rows()[one.row - 1]
    published, criterion = row.published.get(one.name), row.criteria.get(one.name)
    if one.ours.n == 0 and not math.isnan(one.ours.mean):
        return None
    if published is not None and not one.protocol:
        low, high, unit = published.low, published.high, published.unit
    elif criterion is not None:
        (low, high), unit = criterion.bounds, criterion.unit
    else:
        return None
    words = exact(published.value, published.unit) if published else ""
    part, quantity = PARTS_OF_ROWS[one.row], f"{one.name}, {one.on}"
    return Claim(part, one.row, quantity, words, row.source, one.ours, low, high, one.protocol, unit)


def _own(part: str, quantity: str, ours: PerSeed, at_least: float, protocol: str, unit: Unit = "points") -> Claim:
    return Claim(part, None, quantity, "", "", ours.mean, at_least, INF, protocol, unit)


def _errors(found: Errors) -> Iterator[Claim]:
    if found.config.errors is None:
        return
    protocol = f"{NAMES[found.config.errors.data.name]}; the control is ours"
    for key in found.of("errors"):
        if key.kind == "predicted":
            quantity = f"errors only, {key.pair}: above wrong labels shuffled within each class"
            yield _own("errors", quantity, above_shuffled(found, key), 0.15, protocol)


def _planted(found: Errors) -> Iterator[Claim]:
    told, tint = "the article tells it as a story", found.config.tint
    if found.config.cue:
        of = {kind: series[NON_ROBUST] for kind, series in found.cues.items()}
        yield from _inherited("cue", "planted cue", "a student of clean images", of, f"See-Far; {told}")
    if tint:
        of, rows = {kind: series[ADDED] for kind, series in found.casts.items()}, found.domain("tint").rows
        protocol = f"{NAMES[tint.data.name]}, {rows:,} images; {told}"
        yield from _inherited("tint", "planted colour cast", "a student of right labels", of, protocol)


def _inherited(part: str, cue: str, clean: str, of: Series, protocol: str) -> Iterator[Claim]:
    for kind, control in (("clean", clean), ("shuffled", "a student of shuffled wrong labels")):
        above = of["predicted"] - of[kind]
        yield _own(part, f"{cue}: relied on more than by {control}", above, 0.2, protocol)


def _across(found: Errors) -> Iterator[Claim]:
    part = found.config.across
    if part is None or part.images.name != "photos" or "image" not in part.ways:
        return
    for network in part.networks:
        student, known = found.students[Learner("across", network, network, "image")], NAMES[part.data.name]
        quantity = f"{network} trained on photographs that a network of {known} labelled, per image"
        protocol = f"{known} and photographs, at most {max(student.examples, default=0):,} images"
        yield _own("across", quantity, student.accuracy, 0.8, protocol, "share")


def _toys(found: Errors) -> Iterator[Claim]:
    """Of 32 points, of which the article has one run, with 23 right; neither network nor attack are stated."""
    part = found.config.toy
    if part is None or part.points != 32:
        return
    source = all_rows()[18].source
    once, differs = "23 of 32 (one run)", "neither network nor attack are stated in the article"
    for protocol in part.protocols:
        if (protocol.push, protocol.amount) == ("minimal", 5.0):
            toy, what = found.toys[protocol.name], f"toy, {protocol.name}"
            right, control = toy["right"].mean, toy["control"].mean
            yield Claim("toy", None, f"{what}: points right", once, source, right, 21, 26, differs, "number")
            quantity = f"{what}: random directions, points right"
            yield Claim("toy", None, quantity, "", "", control, -INF, 11, differs, "number")
