"""The verdict of a transfer matrix under other thresholds, over cases of the calibration split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple

from raylab.experiments.transfer import RULE, Thresholds
from raylab.experiments.worlds.measure import JudgedCase, code
from raylab.report.values import Rate

FLIPS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
STANDS = (0.1, 0.15, 0.2, 0.25, 0.35, 0.5)
CARRIES = (0.05, 0.1, 0.15, 0.2, 0.3)
EQUALS = 6  # that are shown


class Tried(NamedTuple):
    """How often evidence is claimed under some thresholds."""

    rule: Thresholds
    false: Rate  # of cases that have nothing to find, whether or not the robust feature can be turned
    power: Rate  # of cases whose non-robust features were turned
    partly: Rate


def tried(judged: Sequence[JudgedCase], rules: Iterable[Thresholds] | None = None) -> list[Tried]:
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


def _tried(judged: Sequence[JudgedCase], rule: Thresholds) -> Tried:
    def claimed(*truths: str) -> Rate:
        of = [one for one in judged if one.truth in truths]
        return Rate(sum(code(one.row, rule) == "evidence" for one in of), len(of))

    return Tried(rule, claimed("without", "robust_turns"), claimed("turned"), claimed("partly"))
