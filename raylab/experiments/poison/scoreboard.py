"""What the poisons say about row 44."""

from __future__ import annotations

from collections.abc import Iterator

from raylab.experiments.poison.measure import Poisons
from raylab.experiments.poison.plan import CLEAN
from raylab.experiments.poison.verdict import defended
from raylab.scoreboard import recipes
from raylab.scoreboard.evidence import Evidence, measured
from raylab.scoreboard.protocol import differing, named, of_attack, of_data, of_networks, of_precision, radius
from raylab.scoreboard.recipes import of_recipes
from raylab.stages.construction import Attack

PUBLISHED = Attack(norm="l2", eps=0.5, steps=100, step_size=0.1)
GATE = 0.2  # of the row: a perfect defence on this poison would be as good as on clean data
FLIPS = 0.5  # attack success rate on the source: below it P1 hardly holds the features of another class


def evidence(found: Poisons) -> Iterator[Evidence]:
    """Of P1 on all images."""
    c = found.config
    standard, adversarial = found.victim("p1", "standard").accuracy, found.victim("p1", "adversarial").accuracy
    if not (standard and adversarial):
        return
    on, protocol = f"{named(c.data, found.note)}, {c.source} against {c.victim}, {radius(c.attack)}", _protocol(found)
    yield from measured(44, on, protocol, {"standard training": standard, "adversarial training": adversarial})
    above = {"adversarial minus standard training": defended(found, "p1")}
    yield from measured(44, on, protocol, above, _undecided(found))


def _undecided(found: Poisons) -> str:
    """Where the attack fails, a training collapsed, or the defence has no room, nothing can be seen of it."""
    if found.collapsed:
        return "a training failed"
    success = found.sets_seen["p1"].success
    if success and success.mean.mean < FLIPS:
        return f"the attack succeeds on {100 * success.mean.mean:.0f} % only"
    room = (found.victim(CLEAN, "adversarial").accuracy - found.victim("p1", "standard").accuracy).mean.mean
    if room < GATE:
        return f"adversarial training on clean data is {100 * room:.0f} points above standard training on P1"
    return ""


def _protocol(found: Poisons) -> str:
    c = found.config
    return differing(
        (
            of_data(c.data, "cifar10", found.note, found.training_rows),
            of_networks((c.source, c.victim), "vgg16"),
            of_attack(c.attack, PUBLISHED),
            of_precision(c.compute),
            of_recipes(
                ("source", c.train, recipes.DELUSIVE),
                ("victims", c.train, recipes.DELUSIVE),
                ("defended victims", c.robust, recipes.DELUSIVE_DEFENCE),
            ),
        )
    )
