"""Usage over many worlds: both rules on every case, and what is said of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from raylab.recipes.worlds import Worlds
from raylab.report import usage
from raylab.report.rates import Rate, rate


class Used(NamedTuple):
    """What is wrong with the usage of one case, by either rule of `report.usage`; nothing where it is right."""

    most: tuple[str, ...]
    at_all: tuple[str, ...]
    outweighed: str | None  # of a claim of evidence in which toogits do not decide most


@dataclass(frozen=True)
class Rule:
    """One of the two, for readers."""

    name: str  # the field of `Used`
    title: str
    asks: str
    why: str  # a sentence, or nothing
    unseen_from: int  # the first held-out case that was drawn after it was fixed


WHERE_SAID = "where evidence is said, the student follows"
RULES = (
    Rule(
        "most",
        "Toogits outweigh the shape (the first rule)",
        "the oracles read at least 97 % of the clean images right; where toogits say nothing, neither the source nor "
        "the student follows them beyond chance on images whose shape is of another class; where the attack turned "
        f"them, its source follows them there beyond chance; {WHERE_SAID} the toogit more often than the shape and "
        "than the class after it.",
        "",
        200,
    ),
    Rule(
        "at_all",
        "Toogits count (the second rule)",
        "the oracles read at least 97 % of the clean images right; where toogits say nothing, neither the source nor "
        "the student follows them beyond chance, against a shape or alone; where the attack turned them, its source "
        f"reads them alone beyond chance; {WHERE_SAID} them beyond chance, against a shape and alone.",
        "It was made because the first finds no use where a shape decides nearly every image, and calls a use wrong "
        "where a shape outweighs it.",
        300,
    ),
)


class Ruled(NamedTuple):
    """One rule on all cases of a study."""

    rule: Rule
    right: Rate
    unseen: bool  # whether it was fixed before any of these cases was drawn
    wrong: Mapping[str, tuple[str, ...]]  # by case


def by_rules(cases: Mapping[str, usage.Case], num_classes: int) -> dict[str, Used]:
    """Every case by both; each rule's comparisons with chance share its level."""
    most = sum(case.comparisons for case in cases.values())
    at_all = sum(case.comparisons_at_all for case in cases.values())
    return {
        name: Used(usage.most(case, num_classes, most), usage.at_all(case, num_classes, at_all), usage.outweighed(case))
        for name, case in cases.items()
    }


def ruled(config: Worlds, used: Mapping[str, Used]) -> tuple[Ruled, ...]:
    """Both rules over a study; nothing where no usage was asked for."""
    found = []
    for rule in RULES if used else ():
        wrong = {name: said for name, one in used.items() if (said := getattr(one, rule.name))}
        unseen = config.split == "held_out" and config.first >= rule.unseen_from
        found.append(Ruled(rule, rate(len(used) - len(wrong), len(used)), unseen, wrong))
    return tuple(found)
