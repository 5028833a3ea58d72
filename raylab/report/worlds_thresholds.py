"""The verdict of a transfer matrix under other thresholds, over worlds of the calibration split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple

from raylab.experiments.transfer import EVIDENCE, RULE, Thresholds, verdict
from raylab.report.rates import Rate, rate
from raylab.report.terminal import table
from raylab.report.worlds import Judged, Result

FLIPS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
STANDS = (0.1, 0.15, 0.2, 0.25, 0.35, 0.5)
CARRIES = (0.05, 0.1, 0.15, 0.2, 0.3)
EQUALS = 6  # shown


class Tried(NamedTuple):
    """How often evidence is said under some thresholds."""

    rule: Thresholds
    false: Rate  # of worlds whose toogits say nothing, whether or not shapes can be turned
    power: Rate  # of worlds whose toogits were turned
    partly: Rate


def tried(judged: Sequence[Judged], rules: Iterable[Thresholds] | None = None) -> list[Tried]:
    """Those with the fewest false claims first, of these those with the most power; of equals the most demanding.
    `rules`: None stands for the whole grid."""
    if rules is None:
        rules = dict.fromkeys([RULE, *(Thresholds(*values) for values in product(FLIPS, STANDS, CARRIES))])
    found = [_tried(judged, rule) for rule in rules]
    return sorted(found, key=lambda t: (t.false.hits, -t.power.hits, -t.rule.flips, t.rule.stands, -t.rule.carries))


def best(found: Sequence[Tried]) -> list[Tried]:
    """Of every number of false claims those of most power (of equals the most demanding), as long as more false claims
    buy more power; and today's."""
    kept, most = list[Tried](), -1
    for false in sorted({one.false.hits for one in found}):
        of = [one for one in found if one.false.hits == false]
        power = max(one.power.hits for one in of)
        if power > most:
            kept, most = [*kept, *[one for one in of if one.power.hits == power][:EQUALS]], power
    return kept + [one for one in found if one.rule == RULE and one not in kept]


def as_text(result: Result) -> str:
    """The best thresholds, with today's among them."""
    lines = [
        [
            f"{one.rule.flips:g}", f"{one.rule.stands:g}", f"{one.rule.carries:g}",
            str(one.false), str(one.power), str(one.partly), "today" if one.rule == RULE else "",
        ]
        for one in best(tried(result.judged))
    ]  # fmt: skip
    header = ["flips", "stands", "carries", "false evidence", "power, turned", "partly turned", ""]
    return f"Thresholds of the verdict, split {result.config.split}\n{table(header, lines)}\n"


def _tried(judged: Sequence[Judged], rule: Thresholds) -> Tried:
    def said(*truths: str) -> Rate:
        of = [one for one in judged if one.truth in truths]
        return rate(sum(verdict(one.row, rule=rule).badge == EVIDENCE for one in of), len(of))

    return Tried(rule, said("without", "shape_flips"), said("turned"), said("partly"))
