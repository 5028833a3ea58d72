"""One sentence for a student architecture: whether robustness came with the data, and if not, what failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from raylab.core.statistics import Estimate
from raylab.report.estimates import exceeds
from raylab.report.numbers import number, percent, share
from raylab.report.robust.table import AGAINST, LABELS, Said, Table

Code = Literal["warn", "open", "good"]  # the looks of a badge
LEARNED = 0.5  # of the way from chance to the accuracy of D's student: what a student of D_R must have learned


@dataclass(frozen=True)
class Verdict:
    code: Code
    badge: str
    sentence: str


def verdict(table: Table, student: str) -> Verdict:
    """What the numbers of one architecture allow, by rule.

    Robustness came with the data where D_R's student is more robust, over seeds and paired, than those of D, D_NR and
    the filtered D, has learned its task, and nothing casts doubt on its set or on the attack.
    """
    config = table.config
    won, plain = table.row("r_image", student), table.row("clean", student)
    at = won.at[config.eps]
    got = f"At radius {config.eps:g} the student of D_R withstands in {percent(at.worst)}"
    beside = f"that of D in {percent(plain.at[config.eps].worst)}"
    numbers = f"{got}, {beside}"
    if len(config.seeds) < 2:
        return Verdict("open", "one seed", f"{numbers}. One seed says nothing of other networks.")
    if collapsed := [*table.standard_collapse, *table.reference.collapse]:
        return Verdict("warn", "source failed", f"{numbers}. It means nothing: {_first(collapsed)}.")
    doubts = [said for made in table.made if made.set in ("r_image", "nr_image") for said in made.doubts]
    if doubts:
        return Verdict("warn", "set in doubt", f"{numbers}. {doubts[0].where} is in doubt: {_first(doubts)}.")
    if won.warnings:
        return Verdict("warn", "attack in doubt", f"{numbers}. The attack may be blinded: {_first(won.warnings)}.")
    chance = 1 / len(table.class_names)
    needed = chance + LEARNED * (plain.clean.mean - chance)
    if won.clean.mean < needed:
        return Verdict(
            "warn",
            "not learned",
            f"{numbers}. It has not learned its task: {percent(won.clean)} on clean images, where {share(needed, 0)} % "
            "are asked.",
        )
    differences = table.differences[student]
    failed = [of for of in AGAINST if of in differences and not exceeds(differences[of])]
    if failed == ["filtered"]:
        return Verdict(
            "warn",
            "no more than spectrum",
            f"{numbers}. But that of D with the spectrum of D_R, which knows nothing else of a network, does so in "
            f"{percent(table.row('filtered', student).at[config.eps].worst)}: D_R is not shown to add to that "
            f"({_points(differences['filtered'])}).",
        )
    if failed:
        listed = _and([f"{LABELS[of]} ({_points(differences[of])})" for of in failed])
        return Verdict(
            "warn",
            "not shown",
            f"{numbers}. That robustness came with the data is not shown: it is not above {listed}.",
        )
    if "blurred" in differences and not exceeds(differences["blurred"]):
        return Verdict(
            "warn",
            "no more than a blur",
            f"{numbers}. But that of D, blurred as D_R, does so in "
            f"{percent(table.row('blurred', student).at[config.eps].worst)}: D_R is not shown to add to that "
            f"({_points(differences['blurred'])}).",
        )
    missing = [LABELS[of] for of in AGAINST if of not in differences]
    above = _and([f"{_points(differences[of])} above {LABELS[of]}" for of in AGAINST if of in differences])
    unasked = f" {_and(missing)} {'was' if len(missing) == 1 else 'were'} not run." if missing else ""
    return Verdict(
        "good",
        "came with the data",
        f"Robustness came with the data. {got} and is right on {percent(won.clean)} of clean images; that is {above}. "
        f"Adversarial training of the source reaches {percent(table.reference.at[config.eps].worst)}."
        f"{_blur(table, student)}{unasked}",
    )


def _blur(table: Table, student: str) -> str:
    """Whether it took a network at all: where robust features are the low frequencies, a blur keeps them too."""
    if "blurred" not in table.differences[student]:
        return ""
    return f" A blur of D gives {percent(table.row('blurred', student).at[table.config.eps].worst)}."


def _first(said: list[Said] | tuple[Said, ...]) -> str:
    """The first sentence, and how many more there are."""
    more = f" (and {len(said) - 1} more like it)" if len(said) > 1 else ""
    return said[0].text.rstrip(".") + more


def _points(difference: Estimate) -> str:
    return f"{number(difference)} points"


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
