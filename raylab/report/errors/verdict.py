"""What the numbers of learning from errors allow, by rule: rows of the scoreboard, whose bounds are theirs, and beside
them statements of our own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from raylab.core.statistics import Estimate
from raylab.report.errors.scoreboard import evidence
from raylab.report.errors.table import Errors, Key
from raylab.report.estimates import difference, interval
from raylab.report.names import NAMES
from raylab.report.scoreboard.cells import exact
from raylab.report.scoreboard.evidence import Evidence
from raylab.report.scoreboard.rows import Unit, all_rows

Code = Literal["reproduced", "same_direction", "inconclusive", "contradicted"]
BADGES: Mapping[Code, str] = {
    "reproduced": "reproduced",
    "same_direction": "same direction",
    "inconclusive": "cannot decide",
    "contradicted": "contradicted",
}
COLOURS: Mapping[Code, str] = {
    "reproduced": "good",
    "same_direction": "good",
    "inconclusive": "open",
    "contradicted": "warn",
}
UNITS: Mapping[Unit, Literal["share", "difference", "toy"]] = {
    "share": "share", "points": "difference", "number": "toy",
}  # fmt: skip
INF = math.inf


class Row(NamedTuple):
    """One quantity: published, ours, and the verdict. Shares and their differences lie in [0, 1]."""

    number: int | None  # in the table of target numbers; None: a statement of our own
    quantity: str
    published: str  # "" where nothing was
    source: str
    ours: Estimate
    low: float  # the tolerance at the same protocol, or else the gate
    high: float
    same_protocol: bool
    protocol: str  # in what ours differs
    unit: Literal["share", "difference", "toy"] = "share"  # toy: points of the plane

    @property
    def code(self) -> Code:
        """By the 95 % interval: inside the bounds, outside, or across one of them."""
        low, high = interval(self.ours)
        if math.isnan(low):
            return "inconclusive"
        if self.low <= low and high <= self.high:
            return "reproduced" if self.same_protocol else "same_direction"
        return "contradicted" if high < self.low or low > self.high else "inconclusive"

    @property
    def expected(self) -> str:
        scale, sign = (1, "") if self.unit == "toy" else (100, " %" if self.unit == "share" else " points")
        low, high = (f"{bound * scale:g}".replace("-", "−") for bound in (self.low, self.high))
        if self.low == -INF:
            return f"at most {high}{sign}"
        return f"at least {low}{sign}" if self.high == INF else f"{low} to {high}{sign}"


def rows(errors: Errors) -> list[Row]:
    """Of every part that was run."""
    board = [row for one in evidence(errors) if (row := _of_board(one)) is not None]
    return [*board, *_errors(errors), *_cue(errors), *_cast(errors), *_across(errors), *_toys(errors)]


def _of_board(one: Evidence) -> Row | None:
    """The tolerance at the published protocol, else the gate; None: the row asks nothing of that number there. What is
    counted, as the right pairs left in a set, has no interval, and is the scoreboard's alone."""
    row = all_rows()[one.row - 1]
    published, gate = row.published.get(one.name), row.gates.get(one.name)
    if one.ours.n == 0:
        return None
    if published is not None and not one.protocol:
        low, high, unit = published.low, published.high, published.unit
    elif gate is not None:
        low = -INF if gate.at_least is None else gate.at_least
        high, unit = INF if gate.at_most is None else gate.at_most, gate.unit
    else:
        return None
    told = exact(published.value, published.unit) if published else ""
    return Row(
        one.row, f"{one.name}, {one.on}", told, row.source, one.ours, low, high, not one.protocol, one.protocol,
        UNITS[unit],
    )  # fmt: skip


def _errors(errors: Errors) -> Iterator[Row]:
    if errors.config.errors is None:
        return
    data = errors.config.errors.data.name
    for key, result in errors.of("errors").items():
        if key.kind == "predicted":
            control = errors.students[key._replace(kind="shuffled")]
            above = difference(result.by_seed, control.by_seed)
            quantity = f"errors only, {key.teacher} → {key.student}: above wrong labels shuffled within each class"
            protocol = f"{NAMES[data]}; the control is ours"
            yield Row(None, quantity, "", "", above, 0.15, INF, False, protocol, "difference")


def _cue(errors: Errors) -> Iterator[Row]:
    if not errors.usage:
        return
    taught, protocol = errors.usage["predicted"].by_seed, "See-Far; the article tells it as a story"
    for kind, words in (("clean", "a student of clean images"), ("shuffled", "a student of shuffled wrong labels")):
        above = difference(taught, errors.usage[kind].by_seed)
        quantity = f"planted cue: followed more than by {words}"
        yield Row(None, quantity, "", "", above, 0.2, INF, False, protocol, "difference")


def _cast(errors: Errors) -> Iterator[Row]:
    if not errors.casts:
        return
    assert errors.config.tint is not None
    rows = errors.data("tint").rows
    taught = errors.casts["predicted"].by_seed
    protocol = f"{NAMES[errors.config.tint.data.name]}, {rows:,} images; the article tells it as a story"
    for kind, words in (("clean", "a student of right labels"), ("shuffled", "a student of shuffled wrong labels")):
        above = difference(taught, errors.casts[kind].by_seed)
        quantity = f"planted colour cast: followed more than by {words}"
        yield Row(None, quantity, "", "", above, 0.2, INF, False, protocol, "difference")


def _across(errors: Errors) -> Iterator[Row]:
    part = errors.config.across
    if part is None or part.images.name != "photos" or "image" not in part.ways:
        return
    for network in part.networks:
        student = errors.students[Key("across", network, network, "image")]
        known = NAMES[part.data.name]
        what = f"{network} taught by photographs that a network of {known} labelled, per image"
        ours = f"{known} and photographs, at most {max(student.examples):,} images"
        yield Row(None, what, "", "", student.accuracy, 0.8, INF, False, ours)


def _toys(errors: Errors) -> Iterator[Row]:
    """Of 32 points, of which the article has one run, with 23 right; neither network nor attack are stated."""
    part = errors.config.toy
    if part is None or part.points != 32:
        return
    once, silent = "23 of 32 (one run)", "neither network nor attack are stated in the article"
    for protocol in part.protocols:
        if (protocol.push, protocol.amount) == ("minimal", 5.0):
            name, toy = protocol.name, errors.toys[protocol.name]
            right, control = f"toy, {name}: points right", f"toy, {name}: random directions, points right"
            yield Row(None, right, once, all_rows()[18].source, toy.right, 21, 26, False, silent, "toy")
            yield Row(None, control, "", "", toy.control, -INF, 11, False, silent, "toy")
