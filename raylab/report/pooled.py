"""A number of all pairs of a matrix taken together, and two intervals of it, which are about different things.

**Other networks of these architectures, and other images**: the mean over the pairs, by seed, has the house's interval
(`per_seed`): seeds are what was repeated.

**Other architectures of sources and students, too**: a hierarchical bootstrap over sources, students, seeds and
examples, each level drawn with replacement on its own, for they are crossed (every student learns from every source).
Of a mean its variance needs no draws: a level of k units whose means vary by s^2 adds s^2 (k - 1) / k^2, and examples
that seeds share add the covariance c of `per_seed`; those of a seed's own are part of the seed.  Three units that are
drawn with replacement vary too little, and percentiles of them are no quantiles of anything.  So each level counts as
s^2 / k, and the rule of `per_seed` makes up for what few units tell of it, level by level:

    variance = sum s_l^2 / k_l + c,     w_l = s_l^2 / (k_l variance)
    half^2 = variance (z^2 + sum (t_l^2 - z^2) w_l^2.5)

with the exponent 2.5 instead of 1.75, as levels err in different directions.  The degrees of freedom of Welch and
Satterthwaite cover 92 to 94 % where seeds alone decide, and two units tell too little of a third: there is no interval
below three.  What belongs to single students is counted by each of three levels, and where hardly anything else varies
the interval covers 99 % and more.  Measured in docs/statistics.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from raylab.core.statistics import Estimate, Examples
from raylab.report.per_seed import Floats, PerSeed, common_variance, normal, student, summed

BLEND = 2.5
FEWEST = 3  # sources, students and seeds
Pairs = Mapping[tuple[str, str], PerSeed]  # by source and student


def over_pairs(pairs: Pairs) -> PerSeed:
    """The mean over all pairs, of the seeds that all of them have."""
    each = list(pairs.values())
    return PerSeed({seed: _mean([one[seed] for one in each]) for seed in each[0] if all(seed in one for one in each)})


def over_architectures(pairs: Pairs) -> Estimate | None:
    """The same mean with the interval for other sources and students; None with fewer than three of either, or of
    seeds, or where a pair lacks."""
    sources, students = (list(dict.fromkeys(pair[place] for pair in pairs)) for place in (0, 1))
    together = over_pairs(pairs)
    if min(len(sources), len(students), len(together)) < FEWEST or len(pairs) < len(sources) * len(students):
        return None
    values = np.array([[[pairs[s, t][seed].mean for seed in together] for t in students] for s in sources])
    low, high, se = crossed(values, common_variance(list(together.values())))
    mean, bounds = together.mean, together.mean.within
    ends = max(float(low), bounds[0]), min(float(high), bounds[1])
    return Estimate(mean.mean, float(se), mean.n, mean.seeds, ends, bounds)


def crossed(
    values: Floats,  # (..., sources, students, seeds), at least three of each
    common: Floats | float,  # (...,) variance of the mean by the examples that seeds share
) -> tuple[Floats, Floats, Floats]:
    """The interval of the mean, and its standard error."""
    levels, parts = (-3, -2, -1), []
    for level in levels:
        means = values.mean(axis=tuple(other for other in levels if other != level))
        parts.append(means.var(axis=-1, ddof=1) / means.shape[-1])
    between, z = np.stack(parts), normal()
    variance = between.sum(axis=0) + common
    shares = np.divide(between, variance, out=np.zeros_like(between), where=variance > 0)
    more = np.array([student(k - 1) ** 2 - z**2 for k in values.shape[-3:]])
    half = np.sqrt(variance * (z**2 + np.einsum("l...,l->...", shares**BLEND, more)))
    mean = values.mean(axis=levels)
    return mean - half, mean + half, np.sqrt(variance)


def _mean(of: Sequence[Estimate]) -> Estimate:
    """Of one seed: of all pairs, which were tested on the same images."""
    m, within = len(of), [sum(ends) / len(of) for ends in zip(*(one.within for one in of), strict=True)]
    mean, n, examples = sum(one.mean for one in of) / m, min(one.n for one in of), None
    se = math.sqrt(sum(one.se**2 for one in of)) / m
    known = [one.examples for one in of if one.examples is not None]
    if len(known) == m and len({one.images for one in known}) == 1:
        ids, parts = summed(known)
        examples = Examples(ids, (parts / m).astype(np.float32), known[0].images)
        se = math.sqrt(float(np.square(parts / m).sum()))
    return Estimate(mean, se, n, 1, None, (within[0], within[1]), examples)
