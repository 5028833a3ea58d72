"""What the score allows to be said: how often the verdict is wrong, and whether networks rely on what they may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from raylab.experiments.worlds.measure import JudgedCase, Score, evidence
from raylab.report.blocks import Verdict
from raylab.report.claims import NOT_BUILT
from raylab.report.numbers import share
from raylab.report.values import Badge, Rate


@dataclass(frozen=True)
class Rule:
    """One of the rules of `reliance`, for readers."""

    name: str  # the field of `WrongReliance`
    title: str
    asks: str
    why: str  # a sentence, or nothing
    unseen_from: int  # the first held-out case that was drawn after it was fixed


WHERE_CLAIMED = "where evidence is claimed, the student relies on"
RULES = (
    Rule(
        "most",
        "Non-robust features outweigh the robust one (the first rule)",
        "the oracles read at least 97 % of the clean images right; where non-robust features say nothing, neither the "
        "source nor the student relies on them beyond chance on images whose robust feature is of another class; where "
        f"the attack turned them, its source relies on them there beyond chance; {WHERE_CLAIMED} the non-robust "
        "feature more often than on the robust one and on the class after it.",
        "",
        200,
    ),
    Rule(
        "at_all",
        "Non-robust features count (the second rule)",
        "the oracles read at least 97 % of the clean images right; where non-robust features say nothing, neither the "
        "source nor the student relies on them beyond chance, against a robust feature or alone; where the attack "
        f"turned them, its source reads them alone beyond chance; {WHERE_CLAIMED} them beyond chance, against a robust "
        "feature and alone.",
        "It was made because the first finds no reliance where a robust feature decides nearly every image, and calls "
        "a reliance wrong where a robust feature outweighs it.",
        300,
    ),
)


@dataclass(frozen=True)
class RuleScore:
    """One rule on all cases of a study."""

    rule: Rule
    right: Rate
    unseen: bool  # whether it was fixed before any of these cases was drawn
    wrong: Mapping[str, tuple[str, ...]]  # by case


def by_rule(score: Score) -> tuple[RuleScore, ...]:
    """Both rules over a study; nothing where no reliance was asked for."""
    found, config = [], score.config
    measured = {one.name: one.reliance for one in score.judged if one.reliance is not None}
    for rule in RULES if measured else ():
        wrong = {name: failed for name, one in measured.items() if (failed := getattr(one, rule.name))}
        unseen = config.split == "held_out" and config.first >= rule.unseen_from
        found.append(RuleScore(rule, Rate(len(measured) - len(wrong), len(measured)), unseen, wrong))
    return tuple(found)


def answer(score: Score) -> Verdict:
    """By the cases that have nothing to find, where every claim of evidence is a mistake."""
    subject, false, power = "the verdict", evidence(score.of("without")), evidence(score.of("turned"))
    if not (false.n or power.n):
        return Verdict(subject, NOT_BUILT, "No case that this verdict needs was built.")
    if not false.n:
        return Verdict(subject, NOT_BUILT, "No case that has nothing to find was built, and only these show mistakes.")
    turned = (
        f"and in {_of(power, 'whose non-robust features were turned')}, where every abstention is one"
        if power.n
        else "and of no case the non-robust features were turned"
    )
    words = (
        f"Evidence is claimed in {_of(false, 'cases that have nothing to find')}, where every claim is a mistake, "
        f"{turned}. Brackets: exact 95 % intervals."
    )
    badge = Badge("warn", "false evidence") if false.hits else Badge("good", "no false evidence")
    return Verdict(subject, badge, words)


def of_claims(score: Score) -> Rate:
    """The claims of evidence in which non-robust features do not decide most."""
    return Rate(len(score.outweighed), sum(one.evidence for one in score.judged if one.reliance is not None))


def of_mistake(one: JudgedCase) -> str:
    return "; ".join(one.failed_conditions) if one.failed_conditions else one.code


def _of(rate: Rate, cases: str) -> str:
    low, high = rate.interval
    return f"{rate.hits} of {rate.n} {cases} ({share(rate.share)} % [{share(low)}, {share(high)}])"
