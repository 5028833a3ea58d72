"""Means, differences and intervals over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from scipy import stats

from raylab.core.statistics import Estimate, over_seeds
from raylab.report.numbers import share

BySeed = Mapping[int, Estimate]
CONFIDENCE = 0.975  # one-sided: intervals are of 95 %


def mean(seeds: Sequence[Estimate]) -> Estimate:
    """Over seeds; a single one keeps the standard error of its sample of examples, and says seeds=1."""
    return seeds[0] if len(seeds) == 1 else over_seeds([e.mean for e in seeds], sum(e.n for e in seeds))


def difference(of: BySeed, minus: BySeed) -> Estimate:
    """Paired by seed. The standard error is that over seeds together with that of the examples, for three seeds can
    agree by chance."""
    shared = [seed for seed in of if seed in minus]
    sampled = math.sqrt(sum(of[s].se ** 2 + minus[s].se ** 2 for s in shared)) / max(len(shared), 1)
    n = sum(of[seed].n for seed in shared)
    found = over_seeds([of[seed].mean - minus[seed].mean for seed in shared], n)
    between = 0.0 if math.isnan(found.se) else found.se
    return Estimate(found.mean, math.hypot(between, sampled), n, found.seeds)


def above(of: BySeed, bound: float) -> Estimate:
    """What a number that is no estimate, such as chance, leaves of each seed's."""
    return difference(of, dict.fromkeys(of, Estimate(bound, 0.0, 0, 1)))


def negated(estimate: Estimate) -> Estimate:
    return Estimate(-estimate.mean, estimate.se, estimate.n, estimate.seeds)


def interval(estimate: Estimate) -> tuple[float, float]:
    """95 %, by Student's t over seeds; nan with one."""
    if estimate.seeds < 2:
        return math.nan, math.nan
    half = float(stats.t.ppf(CONFIDENCE, estimate.seeds - 1)) * estimate.se
    return estimate.mean - half, estimate.mean + half


def exceeds(difference: Estimate) -> bool:
    """Whether a paired difference is above zero: with its whole interval, which one seed does not have."""
    return interval(difference)[0] > 0


def spanned(estimate: Estimate) -> str:
    """A difference in points with its interval: −2.1 [−4.0, −0.2]."""
    low, high = interval(estimate)
    return f"{share(estimate.mean)} [{f'{share(low)}, {share(high)}' if estimate.seeds > 1 else 'one seed'}]"
