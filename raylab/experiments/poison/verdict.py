"""What the numbers of a poison allow, by rule: does it harm, and does adversarial training undo it?"""

from __future__ import annotations

from raylab.experiments.poison.measure import LABELS, Key, Poisons, trigger_label
from raylab.experiments.poison.plan import CLEAN, Defence
from raylab.report.blocks import Verdict
from raylab.report.claims import not_built, one_seed
from raylab.report.numbers import percent, points
from raylab.report.per_seed import PerSeed
from raylab.report.read import in_brief
from raylab.report.values import Badge

LEFT = 0.1  # of what standard training loses: more than so much of it may adversarial training not lose
SUCCEEDS = 0.5  # attack success rate of a trigger, at least


def verdicts(found: Poisons) -> tuple[Verdict, ...]:
    """Every poison, then the trigger at every size and way."""
    planted = dict.fromkeys((key.of, key.eps) for key in found.triggered)
    return (
        *(of_poison(found, of) for of in found.sets if of != CLEAN),
        *(of_trigger(found, way, eps) for way, eps in planted),
    )


def answer(found: Poisons) -> Verdict:
    """Of P1, which the question is about."""
    return of_poison(found, "p1")


def lost(found: Poisons, of: str, defence: Defence = "standard") -> PerSeed:
    """Accuracy after training on clean data less that after training on the poison, paired by seed."""
    return found.victim(CLEAN, defence).accuracy - found.victim(of, defence).accuracy


def defended(found: Poisons, of: str) -> PerSeed:
    """Accuracy after training on the poison: adversarial less standard."""
    return found.victim(of, "adversarial").accuracy - found.victim(of, "standard").accuracy


def robustness_lost(found: Poisons, of: str) -> PerSeed:
    """Robust accuracy after adversarial training: on clean data less on the poison."""
    return found.victim(CLEAN, "adversarial").robust - found.victim(of, "adversarial").robust


def of_poison(found: Poisons, of: str) -> Verdict:
    """Harm is shown where the 95 % interval of the loss, paired over seeds, is above 0.  It is partly undone where
    adversarial training is above standard training on the same poison in that sense, and undone where it also loses at
    most a tenth as much."""
    standard, adversarial = found.victim(of, "standard").accuracy, found.victim(of, "adversarial").accuracy
    plain, hardened = found.victim(CLEAN, "standard").accuracy, found.victim(CLEAN, "adversarial").accuracy
    name = LABELS[of]
    if not (standard and adversarial and plain and hardened):
        return not_built(name)
    numbers = (
        f"Accuracy on clean test images after standard training: {_percent(plain)} on clean data, "
        f"{_percent(standard)} on the poison; after adversarial training: {_percent(hardened)} and "
        f"{_percent(adversarial)}"
    )
    loss, gain, paid = lost(found, of), defended(found, of), lost(found, of, "adversarial")
    if undecided := one_seed(name, numbers, (loss, gain, paid)):
        return undecided
    if found.collapsed:
        said = f"{numbers}. It means nothing: {in_brief(found.collapsed[0])}."
        return Verdict(name, Badge("warn", "training failed"), said)
    cost = ""
    if (less := robustness_lost(found, of)).is_above():  # accuracy is not what adversarial training is for
        cost = f" Adversarial training on it has {points(less.mean)} less robust accuracy than on clean data."
    if not loss.is_above():
        said = f"{numbers}. {points(loss.mean)} lost: that it harms is not shown.{cost}"
        return Verdict(name, Badge("open", "no harm shown"), said)
    what = f"{numbers}. The poison takes {points(loss.mean)}; adversarial training is {points(gain.mean)} above that"
    if not gain.is_above():
        return Verdict(name, Badge("warn", "harms, not undone"), f"{what}, which may be chance.{cost}")
    if paid.mean.mean <= LEFT * loss.mean.mean:
        return Verdict(name, Badge("good", "harms, undone"), f"{what}.{cost}")
    return Verdict(name, Badge("warn", "harms, partly undone"), f"{what}, and loses {points(paid.mean)} itself.{cost}")


def of_trigger(found: Poisons, way: str, eps: float) -> Verdict:
    """A trigger has an effect where images of other classes that have it are called its target more often, over seeds,
    than by networks that never saw it; it succeeds where that is so in at least half of the cases."""
    name, keys = trigger_label(way, eps), (Key(way, "standard", 1.0, eps), Key(way, "adversarial", 1.0, eps))
    if not all(key in found.triggered and found.triggered[key].rate for key in keys):
        return not_built(name)
    standard, adversarial = (found.triggered[key] for key in keys)
    differences = [one.rate - one.before for one in (standard, adversarial)]
    if not all(differences):
        return not_built(name)
    numbers = (
        f"{_percent(standard.rate)} of triggered test images of other classes are called the target after standard "
        f"training, {_percent(adversarial.rate)} after adversarial training; clean accuracy "
        f"{_percent(found.victims[keys[0]].accuracy)} "
        f"({_percent(found.victim(CLEAN, 'standard').accuracy)} without the trigger)"
    )
    if undecided := one_seed(name, numbers, differences):
        return undecided
    shown, shown_adversarial = (one.is_above() for one in differences)
    if not shown:
        said = f"{numbers}. That is not shown to be more than without the trigger."
        return Verdict(name, Badge("open", "no success shown"), said)
    if standard.rate.mean.mean < SUCCEEDS:
        said = f"{numbers}. It succeeds, but in fewer than half of the cases."
        return Verdict(name, Badge("open", "seldom succeeds"), said)
    if shown_adversarial and adversarial.rate.mean.mean >= SUCCEEDS:
        said = f"{numbers}. Adversarial training is no defence against it."
        return Verdict(name, Badge("warn", "succeeds on both"), said)
    left = " A part of it stays." if shown_adversarial else ""
    return Verdict(name, Badge("good", "succeeds, undone"), f"{numbers}.{left}")


def _percent(one: PerSeed) -> str:
    return percent(one.mean)
