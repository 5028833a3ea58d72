"""What the numbers of a poison allow, by rule: does it harm, and does adversarial training undo it?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from raylab.core.statistics import Estimate
from raylab.recipes.poison import CLEAN
from raylab.report.estimates import difference, exceeds
from raylab.report.numbers import number, percent
from raylab.report.poison.table import LABELS, WAYS, Key, Poisons

Code = Literal["warn", "open", "good"]  # the looks of a badge
LEFT = 0.1  # of what standard training loses: more than so much of it may adversarial training not lose
OBEYED = 0.5  # of triggered images: called the target, at least, by a network that obeys


@dataclass(frozen=True)
class Verdict:
    code: Code
    badge: str
    sentence: str


@dataclass(frozen=True)
class Changes:
    """Differences of accuracy, paired by seed."""

    lost: Estimate  # standard training: on clean data minus on the poison
    defended: Estimate  # on the poison: adversarial minus standard training
    paid: Estimate  # adversarial training: on clean data minus on the poison
    robust: Estimate | None  # and what the poison takes of its robust accuracy


def changes(found: Poisons, of: str) -> Changes:
    """What a poison takes, and what the defence keeps."""
    standard, adversarial = found.victim(of, "standard"), found.victim(of, "adversarial")
    clean, hardened = found.victim(CLEAN, "standard"), found.victim(CLEAN, "adversarial")
    return Changes(
        difference(clean.by_seed, standard.by_seed),
        difference(adversarial.by_seed, standard.by_seed),
        difference(hardened.by_seed, adversarial.by_seed),
        difference(hardened.robust, adversarial.robust) if hardened.robust and adversarial.robust else None,
    )


def verdict(found: Poisons, of: str) -> Verdict:
    """Harm is shown where the 95 % interval of the loss, paired over seeds, is above 0.  It is partly undone where
    adversarial training is above standard training on the same poison in that sense, and undone where it also loses at
    most a tenth as much."""
    by, standard, adversarial = changes(found, of), found.victim(of, "standard"), found.victim(of, "adversarial")
    plain, hardened = found.victim(CLEAN, "standard"), found.victim(CLEAN, "adversarial")
    numbers = (
        f"Accuracy on clean test images after standard training: {percent(plain.accuracy)} on clean data, "
        f"{percent(standard.accuracy)} on the poison; after adversarial training: {percent(hardened.accuracy)} and "
        f"{percent(adversarial.accuracy)}"
    )
    if len(found.config.seeds) < 2:
        return Verdict("open", "one seed", f"{numbers}. One seed says nothing of other networks.")
    if found.collapsed:
        return Verdict("warn", "training failed", f"{numbers}. It means nothing: {found.collapsed[0]}.")
    cost = _robustness(by)
    if not exceeds(by.lost):
        return Verdict(
            "open", "no harm shown", f"{numbers}. {_points(by.lost)} lost: that it harms is not shown.{cost}"
        )
    what = f"{numbers}. The poison takes {_points(by.lost)}; adversarial training is {_points(by.defended)} above that"
    if not exceeds(by.defended):
        return Verdict("warn", "harms, not undone", f"{what}, which may be chance.{cost}")
    if by.paid.mean <= LEFT * by.lost.mean:
        return Verdict("good", "harms, undone", f"{what}.{cost}")
    return Verdict("warn", "harms, partly undone", f"{what}, and loses {_points(by.paid)} itself.{cost}")


def trigger_verdict(found: Poisons, way: str, eps: float) -> Verdict:
    """The trigger tells where images of other classes that have it are called its target more often, over seeds, than
    by networks that never saw it; it is obeyed where that is so in at least half of the cases."""
    keys: tuple[Key, Key] = (Key(way, "standard", 1.0, eps), Key(way, "adversarial", 1.0, eps))
    standard, adversarial = (found.obeyed[key] for key in keys)
    victim = found.victims[keys[0]]
    numbers = (
        f"{percent(standard.rate)} of triggered test images of other classes are called the target after standard "
        f"training, {percent(adversarial.rate)} after adversarial training; clean accuracy {percent(victim.accuracy)} "
        f"({percent(found.victim(CLEAN, 'standard').accuracy)} without the trigger)"
    )
    if len(found.config.seeds) < 2:
        return Verdict("open", "one seed", f"{numbers}. One seed says nothing of other networks.")
    told = {key.defence: _told(found, key) for key in keys}
    if not told["standard"]:
        return Verdict("open", "not obeyed", f"{numbers}. That is not shown to be more than without the trigger.")
    if standard.rate.mean < OBEYED:
        return Verdict("open", "seldom obeyed", f"{numbers}. The trigger tells, but in fewer than half of the cases.")
    if told["adversarial"] and adversarial.rate.mean >= OBEYED:
        return Verdict("warn", "obeyed by both", f"{numbers}. Adversarial training is no defence against it.")
    left = " A part of it stays." if told["adversarial"] else ""
    return Verdict("good", "obeyed, undone", f"{numbers}.{left}")


def judged(found: Poisons) -> list[tuple[str, Verdict]]:
    """Every poison, then the trigger at every size and way."""
    verdicts = [(LABELS[of], verdict(found, of)) for of in found.sets if of != CLEAN]
    planted = dict.fromkeys((key.of, key.eps) for key in found.obeyed)
    return verdicts + [(trigger_label(way, eps), trigger_verdict(found, way, eps)) for way, eps in planted]


def trigger_label(way: str, eps: float) -> str:
    return f"trigger {eps:g}, {WAYS[way]}"


def _told(found: Poisons, key: Key) -> bool:
    """Whether the trigger changes anything."""
    one = found.obeyed[key]
    return exceeds(difference(one.by_seed, one.before))


def _robustness(by: Changes) -> str:
    """Accuracy is not what adversarial training is for."""
    if by.robust is None or not exceeds(by.robust):
        return ""
    return f" Adversarial training on it has {_points(by.robust)} less robust accuracy than on clean data."


def _points(difference: Estimate) -> str:
    return f"{number(difference)} points"
