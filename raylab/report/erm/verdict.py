"""What the numbers of the planet allow: statements by rule, those of the story with the bounds that it asks for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from raylab.core.statistics import Estimate
from raylab.recipes.erm import NO_TOOGITS, TOOGITS
from raylab.recipes.erm import silenced as says_nothing
from raylab.report.erm.table import SAID, Planet, Point, Use, over
from raylab.report.estimates import BySeed, difference, interval
from raylab.report.numbers import share
from raylab.report.per_seed import PerSeed

Code = Literal["as_told", "not_as_told", "undecided", "measured"]
BADGES: Mapping[Code, str] = {
    "as_told": "as expected",
    "not_as_told": "not as expected",
    "undecided": "cannot decide",
    "measured": "measured",
}
COLOURS: Mapping[Code, str] = {"as_told": "good", "not_as_told": "warn", "undecided": "open", "measured": "open"}
INF = math.inf
ALONE, NEVER = 0.95, 0.05  # shares of conflict images from, and up to, which a feature counts as all and as nothing
CEILING = 0.03  # how far an accuracy may lie from the ceiling of its feature
SAME = 0.1  # a change of the lost share that counts as none
MUCH = 0.3  # a difference of lost shares between the worlds that is more than any nuisance


class Row(NamedTuple):
    """One statement with the number behind it. Shares and their differences lie in [-1, 1]."""

    part: str
    quantity: str
    ours: Estimate
    low: float = -INF
    high: float = INF
    unit: Literal["share", "difference", "correlation"] = "share"

    @property
    def code(self) -> Code:
        """By the 95 % interval: inside the bounds, outside, or across one of them; without bounds just measured."""
        if (self.low, self.high) == (-INF, INF):
            return "measured"
        low, high = interval(self.ours)
        if math.isnan(low):
            return "undecided"
        if self.low <= low and high <= self.high:
            return "as_told"
        return "not_as_told" if high < self.low or low > self.high else "undecided"

    @property
    def expected(self) -> str:
        if self.code == "measured":
            return ""
        unit = " points" if self.unit == "difference" else " %"
        low, high = (f"{100 * bound:g}".replace("-", "−") for bound in (self.low, self.high))
        if self.low == -INF:
            return f"at most {high}{unit}"
        return f"at least {low}{unit}" if self.high == INF else f"{low} to {high}{unit}"


def rows(planet: Planet) -> list[Row]:
    """Of every part that was run."""
    if not planet.networks:
        return []
    return [*_usage(planet), *_data(planet), *_dimension(planet), *_explained(planet)]


def silenced(planet: Planet) -> bool:
    """Whether this world was made without toogits that tell anything."""
    return planet.config.data is not None and says_nothing(planet.config.data)


def _usage(planet: Planet) -> Iterator[Row]:
    part = "usage"
    for feature, right in planet.oracles.items():
        if feature == "shape" or not (
            silenced(planet) and planet.config.data and not planet.config.data.toogit_amplitude
        ):
            yield Row(part, f"the oracle reads the {feature} of clean images", over(right), 0.99)
    if silenced(planet):
        for name, use in planet.networks.items():
            yield Row(
                part, f"{SAID[name]}: follows the toogit, less chance", _excess(use), high=NEVER, unit="difference"
            )
        return
    n = planet.networks
    yield Row(part, "standard: follows the toogit more than the shape", prefers(n["standard"]), 0, unit="difference")
    yield Row(part, "robust: follows the shape", over(n["robust"].follow_r), ALONE)
    yield Row(part, "robust: follows the toogit", over(n["robust"].follow_n), high=NEVER)
    yield Row(part, "D_rand: follows the toogit", over(n["rand"].follow_n), ALONE)
    yield Row(part, "D_det: follows the toogit", over(n["det"].follow_n), 0.5)
    yield Row(part, "D_det: follows the toogit more than the shape", prefers(n["det"]), 0, unit="difference")
    for name, feature in (("robust", "shape"), ("rand", "toogit")):
        below = _less(n[name].accuracy, planet.ceilings[feature])
        quantity = f"{SAID[name]}: accuracy less the ceiling of the {feature}"
        yield Row(part, quantity, below, -CEILING, CEILING, unit="difference")
    if "r_image" in n:
        more = difference(n["r_image"].follow_r, n["clean"].follow_r)
        yield Row(part, "D_R: follows the shape more than the standard student", more, 0, unit="difference")
        yield Row(part, "D_R: follows the toogit more than the shape", prefers(n["r_image"]), high=0, unit="difference")
        less = difference(n["nr_image"].follow_n, n["r_image"].follow_n)
        yield Row(part, "D_NR: follows the toogit more than D_R does", less, 0, unit="difference")
    a = planet.attack
    yield Row(part, "D_det: the toogit was turned to the target", over(a["toogit_is_target"]), 0.9)
    yield Row(part, "D_det: the shape was kept", over(a["shape_kept"]), 0.95)
    yield Row(part, "D_det: energy of the perturbation in the toogits", over(a["toogit"]), 0.5)
    yield Row(
        part,
        "D_det: correlation of the perturbation with the target's toogit",
        over(a["with_target"]),
        unit="correlation",
    )


def _data(planet: Planet) -> Iterator[Row]:
    part, radius = "more data", planet.config.eps[-1]
    ends = {world: (found[0], found[-1]) for world in (TOOGITS, NO_TOOGITS) if (found := planet.of("more_data", world))}
    for world, (first, last) in ends.items():
        most = f"{last.size:,}".replace(",", "\u202f")
        lost, changed = over(last.lost[radius]), difference(last.lost[radius], first.lost[radius])
        low = 0.5 if world == TOOGITS else -INF
        yield Row(part, f"{world}: right answers lost at radius {radius:g} with {most} images", lost, low)
        high = INF if world == TOOGITS else -SAME
        quantity = f"{world}: change of that from {first.size} to {most} images"
        yield Row(part, quantity, changed, -SAME if world == TOOGITS else -INF, high, unit="difference")
        if world == TOOGITS:
            more = difference(last.follow_n, first.follow_n)
            yield Row(
                part,
                f"{world}: follows the toogit with {most} images more than with {first.size}",
                more,
                0,
                unit="difference",
            )
    yield from _apart(part, {world: last for world, (_, last) in ends.items()}, radius, "images")


def _dimension(planet: Planet) -> Iterator[Row]:
    part, radius = "dimension", planet.config.eps[-1]
    last = {}
    for world in (TOOGITS, NO_TOOGITS):
        if found := planet.of(part, world):
            small, large = found[0], found[-1]
            last[world] = large
            changed = difference(large.lost[radius], small.lost[radius])
            quantity = f"{world}: right answers lost at radius {radius:g} with {small.size}² pixels"
            yield Row(part, quantity, over(small.lost[radius]))
            quantity = f"{world}: change of that from {small.size}² to {large.size}² pixels"
            yield Row(part, quantity, changed, -SAME, SAME, unit="difference")
    yield from _apart(part, last, radius, "pixels a side")


def _apart(part: str, last: Mapping[str, Point], radius: float, unit: str) -> Iterator[Row]:
    """What separates the worlds at the largest size."""
    if len(last) == 2:
        apart = difference(last[TOOGITS].lost[radius], last[NO_TOOGITS].lost[radius])
        size = f"{last[TOOGITS].size:,}".replace(",", "\u202f")
        yield Row(part, f"lost with toogits more than without, at {size} {unit}", apart, MUCH, unit="difference")


def _explained(planet: Planet) -> Iterator[Row]:
    """A gradient tells the truth where it has more of the feature that decides; of networks that prefer one at all."""
    part = "explanations"
    for (name, sigma), shares in planet.explained.items():
        how = f"gradients{f' smoothed at {sigma:g}' if sigma else ''}"
        more = difference(shares["toogit"], shares["shape"])
        low, high = interval(prefers(planet.networks[name]))
        bounds = (0.0, INF) if low > 0 else (-INF, 0.0) if high < 0 else (-INF, INF)
        yield Row(
            part, f"{SAID[name]}: {how} lie in the toogits more than in the shapes", more, *bounds, unit="difference"
        )
        if sigma:
            moved = difference(shares["toogit"], planet.explained[name, 0.0]["toogit"])
            yield Row(part, f"{SAID[name]}: smoothing at {sigma:g} adds to the toogits", moved, unit="difference")


def prefers(use: Use) -> Estimate:
    """follow_n less follow_r, paired by world."""
    return difference(use.follow_n, use.follow_r)


def _less(accuracy: BySeed, ceiling: BySeed) -> Estimate:
    """Both are of the same images."""
    return difference(accuracy, ceiling)


def _excess(use: Use) -> Estimate:
    """follow_n less what falls to it by chance: a ninth of the images that are not called by their shape."""
    by_shape = PerSeed(use.follow_r) * (1 / 9)
    return (PerSeed(use.follow_n) - by_shape * -1.0 - 1 / 9).mean


def value(row: Row) -> str:
    """33.1 [28.0, 38.2] in percent or points; a correlation as it is."""
    low, high = interval(row.ours)
    if row.unit == "correlation":
        return f"{row.ours.mean:.2f}" + ("" if math.isnan(low) else f" [{low:.2f}, {high:.2f}]")
    return share(row.ours.mean) + ("" if math.isnan(low) else f" [{share(low)}, {share(high)}]")
