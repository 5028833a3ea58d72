"""What the numbers of learning from errors allow, row by row and by rule; the rows of the scoreboard are among them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from raylab.core.statistics import Estimate
from raylab.data import Cut
from raylab.recipes.errors import PUBLISHED_TOY
from raylab.report.errors.table import Errors, Key
from raylab.report.estimates import difference, interval

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
ARTICLE = "Wallace, Learning from incorrectly labeled data, Distill 2019"
FULL_ROWS = 60_000  # of MNIST and of Fashion-MNIST
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
    return [*_errors(errors), *_cue(errors), *_cast(errors), *_across(errors), *_toys(errors)]


def _errors(errors: Errors) -> Iterator[Row]:
    if errors.config.errors is None:
        return
    data = errors.config.errors.data.name
    # A note: it was JPEG once.
    whole = data == "cifar10" and errors.config.errors.data.cut == Cut() and not errors.note("errors")
    for key, result in errors.of("errors").items():
        if key.kind != "predicted":
            continue
        pair = f"{key.teacher} → {key.student}"
        control = errors.students[key._replace(kind="shuffled")]
        same = whole and key.teacher == key.student == "resnet18"
        low, high = (0.437, 0.557) if same else (0.2, INF)
        yield Row(
            18, f"errors only, {pair}: accuracy", "49.7 %", ARTICLE, result.accuracy, low, high, same,
            f"{data}, {pair}; published: CIFAR-10, ResNet-18, 18,768 errors",
        )  # fmt: skip
        yield Row(
            None, f"errors only, {pair}: above wrong labels shuffled within each class", "", "",
            difference(result.by_seed, control.by_seed), 0.15, INF, False, f"{data}; the control is ours", "difference",
        )  # fmt: skip


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
    protocol = f"{errors.config.tint.data.name}, {rows:,} images; the article tells it as a story"
    for kind, words in (("clean", "a student of right labels"), ("shuffled", "a student of shuffled wrong labels")):
        above = difference(taught, errors.casts[kind].by_seed)
        quantity = f"planted colour cast: followed more than by {words}"
        yield Row(None, quantity, "", "", above, 0.2, INF, False, protocol, "difference")


def _across(errors: Errors) -> Iterator[Row]:
    part = errors.config.across
    if part is None:
        return
    published = (part.data.name, part.images.name) == ("mnist", "fashion_mnist")
    for network in part.networks:
        by_way = {way: errors.students[Key("across", network, network, way)] for way in part.ways}
        full = published and all(sum(r.examples) == FULL_ROWS * len(r.examples) for r in by_way.values())
        what = f"{network} taught by {part.images.name} that a {part.data.name} network labelled"
        ours = f"{part.data.name} and {part.images.name}, at most {max(by_way[part.ways[0]].examples):,} images"
        if "raw" in by_way:
            low, high = (0.80, 0.96) if full else (0.4, INF)
            yield Row(20, f"{what}, raw", "91.04 %", ARTICLE, by_way["raw"].accuracy, low, high, full, ours)
            for way in ("dataset", "image"):
                if way in by_way:
                    gained = difference(by_way[way].by_seed, by_way["raw"].by_seed)
                    yield Row(
                        20, f"{what}, normalised ({way}) minus raw", "3.5 points (94.5 %)", ARTICLE,
                        gained, -0.02, INF, full, ours, "difference",
                    )  # fmt: skip
        if part.images.name == "photos" and "image" in by_way:
            yield Row(None, f"{what}, per image", "", "", by_way["image"].accuracy, 0.8, INF, False, ours)


def _toys(errors: Errors) -> Iterator[Row]:
    part = errors.config.toy
    if part is None or part.points != 32:  # bounds are of 32 points
        return
    once, silent = "23 of 32 (one run)", "neither network nor attack are stated in the article"
    for protocol in part.protocols:
        name, toy = protocol.name, errors.toys[protocol.name]
        if name == PUBLISHED_TOY:
            same = (protocol.push, protocol.amount) == ("linf", 0.12)
            right = f"toy, {name}: points right, mean over worlds"
            yield Row(19, right, once, ARTICLE, toy.right, 19, 24, same, silent, "toy")
        if (protocol.push, protocol.amount) == ("minimal", 5.0):
            right, control = f"toy, {name}: points right", f"toy, {name}: random directions, points right"
            yield Row(None, right, once, ARTICLE, toy.right, 21, 26, False, silent, "toy")
            yield Row(None, control, "", "", toy.control, -INF, 11, False, silent, "toy")
