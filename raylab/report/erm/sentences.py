"""The planet in sentences, by rule: what each network uses, whether there are toogits at all, what gradients show."""

from __future__ import annotations

import math
from collections.abc import Iterator

from raylab.report.erm.table import SAID, Planet, Use, over
from raylab.report.erm.verdict import ALONE, NEVER, prefers, silenced
from raylab.report.estimates import difference, interval
from raylab.report.numbers import percent, share

MOSTLY, HARDLY = 0.8, 0.1  # shares of conflict images from, and up to, which a feature counts as most and as little
LITTLE = 0.05  # a change of the energy in a feature that nobody would see
STUDENTS = ("rand", "det", "clean", "r_image", "nr_image")


def sentences(planet: Planet) -> list[str]:
    """What each network uses, then whether there are toogits at all: measured, and as the world was made."""
    found = [f"The {_noun(name)} {_uses(use)}." for name, use in planet.networks.items()]
    return [*found, _toogits(planet), *_shown(planet)] if planet.networks else []


def _uses(use: Use) -> str:
    """By the intervals of follow_r and follow_n."""
    if over(use.follow_r).seeds < 2:
        return f"was trained once, which says nothing of others ({_both(use)})"
    shape, toogit = interval(over(use.follow_r)), interval(over(use.follow_n))
    features = (("shape", shape, toogit, "toogit"), ("toogit", toogit, shape, "shape"))
    for most, least, words in ((ALONE, NEVER, "never"), (MOSTLY, HARDLY, "hardly ever")):
        for name, high, low, other in features:
            if high[0] >= most and low[1] <= least:
                return f"follows the {name} and {words} the {other} ({_both(use)})"
    if not use.followed.beyond_chance:
        return f"does not follow the toogit beyond chance ({_both(use)})"
    more = interval(prefers(use))
    if more[0] > 0 or more[1] < 0:
        liked, other = ("toogit", "shape") if more[0] > 0 else ("shape", "toogit")
        both = over(use.follow_n if liked == "shape" else use.follow_r).mean > HARDLY
        said = f"uses both and prefers the {liked}" if both else f"follows the {liked} rather than the {other}"
        return f"{said} ({_both(use)})"
    either = max(over(use.follow_r).mean, over(use.follow_n).mean) > HARDLY
    return f"{'uses both, neither shown to be preferred' if either else 'follows neither'} ({_both(use)})"


def _noun(name: str) -> str:
    return SAID[name] if name in STUDENTS else f"{SAID[name]} network"


def _both(use: Use) -> str:
    return f"shape {percent(over(use.follow_r))}, toogit {percent(over(use.follow_n))} where they disagree"


def _toogits(planet: Planet) -> str:
    users = [name for name, use in planet.networks.items() if use.followed.beyond_chance]
    if not users:
        said = "No network follows the toogits beyond chance: in this world they are no feature that anybody could use"
    else:
        count = f"{len(users)} of {len(planet.networks)} networks"
        said = f"{count} follow the toogits beyond chance: in this world they are a feature"
    made = "tell nothing" if silenced(planet) else "tell the class"
    return (
        f"{said}. It was made so that toogits {made}{'' if silenced(planet) != bool(users) else ', which disagrees'}."
    )


def _shown(planet: Planet) -> Iterator[str]:
    """What gradients show of toogits that their network never follows, and whether smoothing changes the picture."""
    for (name, sigma), shares in planet.explained.items():
        found, chance = over(shares["toogit"]), planet.by_chance["toogit"]
        never = interval(over(planet.networks[name].follow_n))[1] <= NEVER
        if not sigma and never and interval(found)[0] > 2 * chance:
            yield (
                f"The gradients of the {_noun(name)} have {percent(found)} of their energy in the toogits, where a "
                f"random direction has {share(chance)} %. It never follows them where a shape says something else: an "
                "explanation shows them all the same."
            )
    part = planet.config.explain
    for sigma in part.sigmas[1:] if part else ():
        moved = [
            interval(difference(planet.explained[name, sigma][feature], planet.explained[name, 0.0][feature]))
            for name, of in planet.explained
            for feature in ("toogit", "shape")
            if of == sigma
        ]
        ends = [abs(end) for both in moved for end in both]
        if not any(math.isnan(end) for end in ends):  # with one world nothing is known of others
            most = max(ends)
            verb = "neither highlights nor hides" if most <= LITTLE else "changes the picture of"
            yield (
                f"Smoothing gradients over noise of {sigma:g} {verb} a feature: no share of energy moves by more than "
                f"{share(most)} points."
            )
