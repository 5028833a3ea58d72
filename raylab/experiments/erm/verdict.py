"""What the numbers of the planet allow, by rule: which feature a network relies on, and whether expectations hold."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from raylab.experiments.erm.measure import LABELS, SIZES, WORLDS, NetworkOnProbes, Planet, WorldPoint
from raylab.experiments.erm.plan import NO_TOOGITS, TOOGITS
from raylab.experiments.erm.plan import silenced as says_nothing
from raylab.report.blocks import Verdict
from raylab.report.claims import INF, NOT_BUILT, ONE_SEED, within
from raylab.report.names import NON_ROBUST, ROBUST
from raylab.report.numbers import percent, share
from raylab.report.per_seed import PerSeed
from raylab.report.values import Badge

EXPECTED, UNEXPECTED = Badge("good", "as expected"), Badge("warn", "not as expected")
UNDECIDED, MEASURED = Badge("open", "cannot decide"), Badge("open", "measured")
ALONE, NEVER = 0.95, 0.05  # shares of conflict images from, and up to, which a feature counts as all and as nothing
MOSTLY, HARDLY = 0.8, 0.1  # and as most and as little
CEILING = 0.03  # how far an accuracy may lie from the ceiling of its feature
SAME = 0.1  # a change of the lost share that counts as none
MUCH = 0.3  # a difference of lost shares between the worlds that is more than any nuisance
LITTLE = 0.05  # a change of the energy in a feature that nobody would see


Unit = Literal["%", "points", "correlation"]
PARTS = ("reliance", "more data", "more pixels", "explanations")


class Expectation(NamedTuple):
    """A number with the bounds that the story asks for. Shares and their differences lie in [-1, 1]."""

    part: str  # of PARTS
    of: str
    quantity: str
    ours: PerSeed
    low: float = -INF
    high: float = INF
    unit: Unit = "%"

    @property
    def badge(self) -> Badge:
        """By the 95 % interval: inside the bounds, outside, or across one of them; without bounds just measured."""
        if not self.ours:
            return NOT_BUILT
        if (self.low, self.high) == (-INF, INF):
            return MEASURED
        inside = within(self.ours.interval, self.low, self.high)
        return UNDECIDED if inside is None else EXPECTED if inside else UNEXPECTED


def expectations(planet: Planet) -> list[Expectation]:
    """Of every part that was run."""
    if not planet.networks:
        return []
    of_networks = _silent_networks(planet) if silenced(planet) else _networks(planet)
    return [*_oracles(planet), *of_networks, *_more_data(planet), *_dimension(planet), *_explained(planet)]


def silenced(planet: Planet) -> bool:
    """Whether this world was made without non-robust features that tell anything."""
    return planet.config.data is not None and says_nothing(planet.config.data)


def counted(planet: Planet) -> Counter[str]:
    """Expectations by badge."""
    return Counter(one.badge.words for one in expectations(planet))


def answer(planet: Planet) -> Verdict:
    """Whether there are non-robust features at all: measured, and as the world was made."""
    built = [use for use in planet.networks.values() if use.non_robust]
    if not built:
        return Verdict("non-robust features", NOT_BUILT, "No network that this verdict needs was built.")
    users = [use for use in built if use.reliance.beyond_chance]
    words = (
        f"{len(users)} of {len(built)} networks rely on the non-robust features beyond chance: in this world they are "
        "features."
        if users
        else "No network relies on the non-robust features beyond chance: in this world they are no features that "
        "anybody could use."
    )
    as_made = silenced(planet) != bool(users)
    made = f"tell {'nothing' if silenced(planet) else 'the class'}{'' if as_made else ', which disagrees'}"
    found = counted(planet)
    order = [badge.words for badge in (EXPECTED, UNEXPECTED, UNDECIDED, MEASURED, NOT_BUILT)]
    counts = ", ".join(f"{found[words]} {words}" for words in order if words in found)
    return Verdict(
        "non-robust features",
        Badge("good", "as planted") if as_made else Badge("bad", "not as planted"),
        f"{words} It was made so that they {made}. Statements of the story: {counts}.",
    )


def of_networks(planet: Planet) -> tuple[Verdict, ...]:
    return tuple(Verdict(noun(name), *_relies(use)) for name, use in planet.networks.items())


def noun(name: str) -> str:
    return f"{LABELS[name]} network" if name in ("standard", "robust") else LABELS[name]


def _relies(use: NetworkOnProbes) -> tuple[Badge, str, str]:
    """The badge, the sentence and its numbers."""
    if not (use.robust and use.non_robust):
        return NOT_BUILT, "The network, or its answers to conflict images, were not built.", ""
    shares = f"{ROBUST} {percent(use.robust.mean)}, {NON_ROBUST} {percent(use.non_robust.mean)}"
    return *_judged(use), f"Where they disagree: {shares}."


def _judged(use: NetworkOnProbes) -> tuple[Badge, str]:
    """By the intervals of the shares of conflict images that are called by either feature."""
    if use.robust.mean.seeds < 2:
        return ONE_SEED, "It was trained once, which says nothing of others."
    features = ((ROBUST, use.robust, use.non_robust, NON_ROBUST), (NON_ROBUST, use.non_robust, use.robust, ROBUST))
    for most, least, words in ((ALONE, NEVER, "never"), (MOSTLY, HARDLY, "hardly ever")):
        for name, high, low, other in features:
            if high.interval[0] >= most and low.interval[1] <= least:
                return Badge("truth", name), f"It relies on the {name} and {words} on the {other}."
    if not use.reliance.beyond_chance:
        return Badge("open", "non-robust not beyond chance"), f"It does not rely on the {NON_ROBUST} beyond chance."
    more = use.preference.interval
    if more[0] > 0 or more[1] < 0:
        liked, other = (NON_ROBUST, ROBUST) if more[0] > 0 else (ROBUST, NON_ROBUST)
        if min(use.robust.mean.mean, use.non_robust.mean.mean) > HARDLY:
            return Badge("truth", "both"), f"It relies on both and prefers the {liked}."
        return Badge("truth", liked), f"It relies on the {liked} rather than on the {other}."
    if max(use.robust.mean.mean, use.non_robust.mean.mean) > HARDLY:
        return Badge("truth", "both"), "It relies on both, and neither is shown to be preferred."
    return Badge("truth", "neither"), "It relies on neither."


def of_explanations(planet: Planet) -> tuple[Verdict, ...]:
    """What gradients show of features that their network never relies on, and whether smoothing changes the picture."""
    return (*_unused(planet), *_smoothed(planet))


def _unused(planet: Planet) -> Iterator[Verdict]:
    for (name, sigma), shares in planet.explained.items():
        found = shares[NON_ROBUST]
        never = planet.networks[name].non_robust.interval[1] <= NEVER
        if not sigma and never and found.interval[0] > 2 * planet.by_chance[NON_ROBUST]:
            yield Verdict(
                f"gradients of the {noun(name)}",
                Badge("warn", "show what is not used"),
                f"They have {percent(found.mean)} of their energy in the non-robust features, where a random direction "
                f"has {share(planet.by_chance[NON_ROBUST])} %. The network never relies on them where a robust feature "
                "says something else: an explanation shows them all the same.",
            )


def _smoothed(planet: Planet) -> Iterator[Verdict]:
    part = planet.config.explain
    for sigma in part.sigmas[1:] if part else ():
        moved = [
            (planet.explained[name, sigma][feature] - planet.explained[name, 0.0][feature]).interval
            for name, of in planet.explained
            for feature in (NON_ROBUST, ROBUST)
            if of == sigma
        ]
        ends = [abs(end) for both in moved for end in both]
        if ends and not any(math.isnan(end) for end in ends):  # with one world nothing is known of others
            badge, words = UNDECIDED, "Whether it changes what is highlighted is not decided"
            if max(ends) <= LITTLE:
                badge, words = Badge("open", "same picture"), "It neither highlights nor hides a feature"
            elif any(low > LITTLE or high < -LITTLE for low, high in moved):
                badge, words = Badge("open", "another picture"), "It changes what is highlighted"
            most = f"no share of energy moves by more than {share(max(ends))} points"
            yield Verdict(f"smoothing over noise of {sigma:g}", badge, f"{words}: {most}.")


def _oracles(planet: Planet) -> Iterator[Expectation]:
    absent = planet.config.data is not None and not planet.config.data.toogit_amplitude
    for feature, right in planet.oracles.items():
        if feature == ROBUST or not absent:
            yield Expectation("reliance", "clean images", f"the oracle reads the {feature}", right, 0.99)


def _silent_networks(planet: Planet) -> Iterator[Expectation]:
    for name, use in planet.networks.items():
        by_chance = (-use.robust - -1.0) * (1 / 9)  # of the images that are not called by their robust feature
        excess = use.non_robust - by_chance
        quantity = "relies on the non-robust feature, less chance"
        yield Expectation("reliance", LABELS[name], quantity, excess, high=NEVER, unit="points")


def _networks(planet: Planet) -> Iterator[Expectation]:
    n, det, part, prefers = planet.networks, planet.det, "reliance", f"prefers the {NON_ROBUST}"
    yield Expectation(part, "standard", prefers, n["standard"].preference, 0, unit="points")
    yield Expectation(part, "robust", f"relies on the {ROBUST}", n["robust"].robust, ALONE)
    yield Expectation(part, "robust", f"relies on the {NON_ROBUST}", n["robust"].non_robust, high=NEVER)
    for name, least in (("rand", ALONE), ("det", 0.5)):
        yield Expectation(part, LABELS[name], f"relies on the {NON_ROBUST}", n[name].non_robust, least)
    yield Expectation(part, LABELS["det"], prefers, n["det"].preference, 0, unit="points")
    for name, feature in (("robust", ROBUST), ("rand", NON_ROBUST)):
        below, quantity = n[name].accuracy - planet.ceilings[feature], f"accuracy less the {feature}’s ceiling"
        yield Expectation(part, LABELS[name], quantity, below, -CEILING, CEILING, "points")
    if "r_image" in n:
        above, quantity = n["r_image"].robust - n["clean"].robust, f"relies on the {ROBUST} more than D’s"
        yield Expectation(part, LABELS["r_image"], quantity, above, 0, unit="points")
        yield Expectation(part, LABELS["r_image"], prefers, n["r_image"].preference, high=0, unit="points")
        quantity = f"relies on the {NON_ROBUST} more than D_R’s"
        above = n["nr_image"].non_robust - n["r_image"].non_robust
        yield Expectation(part, LABELS["nr_image"], quantity, above, 0, unit="points")
    yield Expectation(part, "D_det", f"the {NON_ROBUST} was turned to the target", det["turned"], 0.9)
    yield Expectation(part, "D_det", f"the {ROBUST} was kept", det["kept"], 0.95)
    yield Expectation(part, "D_det", "perturbation: energy in non-robust features", det["energy"], 0.5)
    quantity = "perturbation: correlation with the target’s"
    yield Expectation(part, "D_det", quantity, det["correlation"], unit="correlation")


def _more_data(planet: Planet) -> Iterator[Expectation]:
    radius, ends = planet.config.eps[-1], _ends(planet, "more_data")
    for world, (first, last) in ends.items():
        part, of, most, tells = "more data", WORLDS[world], _grouped(last.size), world == TOOGITS
        lost, changed = last.lost[radius], last.lost[radius] - first.lost[radius]
        quantity = f"lost at radius {radius:g} with {most} images"
        yield Expectation(part, of, quantity, lost, 0.5 if tells else -INF)
        quantity, bounds = f"change of that from {first.size} images", (-SAME, INF) if tells else (-INF, -SAME)
        yield Expectation(part, of, quantity, changed, *bounds, "points")
        if tells:
            quantity, more = f"change of reliance on them from {first.size}", last.non_robust - first.non_robust
            yield Expectation(part, of, quantity, more, 0, unit="points")
    yield from _between_worlds(planet, "more data", ends)


def _dimension(planet: Planet) -> Iterator[Expectation]:
    part, radius, ends = "more pixels", planet.config.eps[-1], _ends(planet, "dimension")
    for world, (small, large) in ends.items():
        quantity = f"lost at radius {radius:g} with {small.size}² pixels"
        yield Expectation(part, WORLDS[world], quantity, small.lost[radius])
        quantity, changed = f"change of that to {large.size}² pixels", large.lost[radius] - small.lost[radius]
        yield Expectation(part, WORLDS[world], quantity, changed, -SAME, SAME, "points")
    yield from _between_worlds(planet, part, ends)


def _ends(planet: Planet, part: str) -> dict[str, tuple[WorldPoint, WorldPoint]]:
    """By world, the smallest and the largest size."""
    return {world: (found[0], found[-1]) for world in WORLDS if (found := planet.of(part, world))}


def _between_worlds(
    planet: Planet, part: str, ends: Mapping[str, tuple[WorldPoint, WorldPoint]]
) -> Iterator[Expectation]:
    """What separates the worlds at the largest size."""
    if len(ends) == 2:
        radius, (_, tells), (_, nothing) = planet.config.eps[-1], ends[TOOGITS], ends[NO_TOOGITS]
        quantity = f"lost more where they tell, at {_grouped(tells.size)} {SIZES[tells.part]}"
        apart = tells.lost[radius] - nothing.lost[radius]
        yield Expectation(part, "between the worlds", quantity, apart, MUCH, unit="points")


def _explained(planet: Planet) -> Iterator[Expectation]:
    """A gradient tells the truth where it has more of the feature that decides; of networks that prefer one at all."""
    part = "explanations"
    for (name, sigma), shares in planet.explained.items():
        more, preference = shares[NON_ROBUST] - shares[ROBUST], planet.networks[name].preference
        low, high = preference.interval
        bounds = (0.0, INF) if low > 0 else (-INF, 0.0) if high < 0 else (-INF, INF)
        quantity = f"{f'smoothed at {sigma:g} they' if sigma else 'gradients'} lie more in non-robust ones"
        yield Expectation(part, LABELS[name], quantity, more if preference else PerSeed({}), *bounds, "points")
        if sigma:
            moved = shares[NON_ROBUST] - planet.explained[name, 0.0][NON_ROBUST]
            quantity = f"smoothing at {sigma:g} adds to non-robust ones"
            yield Expectation(part, LABELS[name], quantity, moved, unit="points")


def _grouped(size: int) -> str:
    return f"{size:,}".replace(",", "\u202f")
