"""Means, differences and intervals over seeds, for readers: all by the rule of `raylab.report.per_seed`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raylab.core.statistics import Estimate
from raylab.report.numbers import share
from raylab.report.per_seed import PerSeed, bounds_of, scaled

BySeed = Mapping[int, Estimate]


def mean(seeds: Sequence[Estimate]) -> Estimate:
    """Over seeds; a single one keeps the standard error of its sample of examples, and says seeds=1."""
    return PerSeed(dict(enumerate(seeds))).mean


def difference(of: BySeed, minus: BySeed) -> Estimate:
    """Paired by seed, and by image where both have their answers."""
    return (PerSeed(of) - minus).mean


def above(of: BySeed, bound: float) -> Estimate:
    """What a number that is no estimate, such as chance, leaves of each seed's."""
    return (PerSeed(of) - bound).mean


def negated(estimate: Estimate) -> Estimate:
    return scaled(estimate, -1.0)


def interval(estimate: Estimate) -> tuple[float, float]:
    """95 %, for the mean over all networks and images; nan with one seed, which knows nothing of others."""
    return bounds_of(estimate)


def exceeds(difference: Estimate) -> bool:
    """Whether a paired difference is above zero: with its whole interval, which one seed does not have."""
    return interval(difference)[0] > 0


def spanned(estimate: Estimate) -> str:
    """A difference in points with its interval: −2.1 [−4.0, −0.2]."""
    low, high = interval(estimate)
    return f"{share(estimate.mean)} [{f'{share(low)}, {share(high)}' if estimate.seeds > 1 else 'one seed'}]"
