"""A number that was measured once per seed, and the one rule of its 95 % interval.

**What an interval is about**: the mean over all networks (seeds) and all images of the kind that was tested.  A seed's
number errs by its network, by the images that it was tested on, and by both together.

**The rule.**  With k seeds, s the standard deviation of their numbers, and c the mean covariance of two seeds' sampling
errors, which they have in common as far as they were tested on the same images,

    variance = s^2 / k + c,     half = q sqrt(variance),     q^2 = z^2 + (t^2 - z^2) w^1.75,   w = s^2 / (k variance)

where z is the normal quantile, t is Student's with k - 1 degrees of freedom, and w the share of the variance that was
estimated from k numbers alone.

- Images of a seed's own (See-Far, where a seed is a world): c = 0, q = t.  The spread between seeds holds the sampling
  of images already.  Nothing narrower covers: the sampling error is a known part of s^2, but the rest may be anything
  from 0 up, and of all functions of s only t s / sqrt(k) covers 95 % whatever the rest is (the chi-squared family is
  complete).  A rule optimised to cover 94 to 96 % gained 4 to 10 points of power where networks hardly differ (two
  and three seeds), and lost up to 13 where they do.
- The same images for all seeds (MNIST, CIFAR): the covariance is measured image by image.  Were w^1.75 replaced by the
  degrees of freedom of Welch and Satterthwaite, two seeds would be covered in 87 % where networks differ much; adding
  the two half widths' squares (exponent 1) covers them in 98.7 % where networks differ little.
- Splits that overlap in part (digits) lie between, by the images that two seeds share.
- A difference is paired: by seed, and by image where both were tested on the same.

Shares are bounded, and so are their intervals; where hardly anything was hit or missed they hold that of Clopper and
Pearson over the images too.  Where all seeds agree to the last image the spread is not 0: two seeds of 100 images do so
by rounding in 1 of 18 cases, and count as apart by what rounding hides on average, 1 / (3 n); three and more hardly
ever do by chance, and have the sampling of their images.  So 150 of 300 twice has a narrower interval, [49.3, 50.7] %,
than thrice, [46.7, 53.3]: t makes up for two that agree by what it asks of two that do not.  With the sampling of their
images two seeds would be covered in 98.7 % instead of 96.5 (100 images each), in 97.6 instead of 95.4 (300).  One seed
has no interval: it knows nothing of other networks.

Some shares have no answers of single images at hand (a training's last epoch, certificates, bands of a heat map): they
count as of images of a seed's own, and where seeds share them their intervals are too narrow.

Coverage and power are held by tests/report/test_coverage.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from raylab.core.statistics import ANYTHING, Estimate, Examples, Range
from raylab.report.later import optimize, special

TAIL = 0.025  # on either side: intervals are of 95 %
BLEND = 1.75
FEW = 3  # hits or misses a seed below which a share's interval holds the exact one
EQUAL = 1e-12  # between seeds' numbers that agree
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PerSeed(Mapping[int, Estimate]):
    """Estimates by seed."""

    of: Mapping[int, Estimate]

    def __getitem__(self, seed: int) -> Estimate:
        return self.of[seed]

    def __iter__(self) -> Iterator[int]:
        return iter(self.of)

    def __len__(self) -> int:
        return len(self.of)

    def __sub__(self, other: Mapping[int, Estimate] | float) -> PerSeed:
        """Paired by seed, over the seeds that both have; or less a number that is no estimate, such as chance."""
        if isinstance(other, Mapping):
            return PerSeed({seed: _minus(one, other[seed]) for seed, one in self.of.items() if seed in other})
        return PerSeed({seed: shifted(one, -other) for seed, one in self.of.items()})

    def __mul__(self, factor: float) -> PerSeed:
        return PerSeed({seed: scaled(one, factor) for seed, one in self.of.items()})

    def __neg__(self) -> PerSeed:
        return self * -1.0

    @cached_property
    def mean(self) -> Estimate:
        """Over the seeds that have data, with the interval; a single one keeps the standard error of its images."""
        if len(self.of) == 1:
            return next(iter(self.of.values()))
        found = [one for one in self.of.values() if not math.isnan(one.mean)]
        n, k = sum(one.n for one in self.of.values()), len(found)
        if k == 0:
            return Estimate(math.nan, math.nan, n, 0)
        within = (min(one.within[0] for one in found), max(one.within[1] for one in found))
        if k == 1:
            return Estimate(found[0].mean, math.nan, n, 1, within=within)
        numbers = _Numbers.of(found, within)
        counted = math.isfinite(within[1] - within[0])
        between, shared = variances(*numbers[:3], numbers.n if counted else 0)
        bounds = None
        if n or np.ptp(numbers.values) > EQUAL:  # else computed, and equal for all seeds
            bounds = numbers.interval(TAIL)
        return Estimate(float(numbers.values.mean()), math.sqrt(float(between + shared)), n, k, bounds, within)

    @cached_property
    def p_value(self) -> float:
        """Two-sided, of a mean of 0: one less the level of the widest interval of the rule that leaves 0 out.  So it is
        below .05 where the interval of 95 % does, and with images of a seed's own it is that of Student's paired t.
        nan with one seed; never below 2e-12."""
        found, mean = [one for one in self.of.values() if not math.isnan(one.mean)], self.mean
        if len(found) < 2 or math.isnan(self.interval[0]):
            return math.nan
        numbers, sign = _Numbers.of(found, mean.within), math.copysign(1.0, mean.mean)

        def beyond(log_tail: float) -> float:  # 0, by the end of the interval that is nearer to it
            return min(sign * end for end in numbers.interval(math.exp(log_tail)))

        least, most = math.log(1e-12), math.log(0.5)
        if mean.mean == 0.0 or beyond(most) <= 0.0:
            return 1.0
        return 2.0 * math.exp(least if beyond(least) > 0.0 else optimize.brentq(beyond, least, most))

    @property
    def interval(self) -> Range:
        """95 %, for the mean over all networks and images; nan with one seed."""
        return bounds_of(self.mean)

    def is_above(self, bound: float = 0.0) -> bool:
        """With the whole interval, which one seed does not have."""
        return self.interval[0] > bound


class _Numbers(NamedTuple):
    """What the rule asks of a few seeds."""

    values: Floats  # (k,)
    common: float
    sampling: float
    n: int
    images: int
    within: Range

    @classmethod
    def of(cls, found: Sequence[Estimate], within: Range) -> _Numbers:
        errors = np.array([0.0 if math.isnan(one.se) else one.se for one in found])
        sampling, n = float((errors**2).mean()) / len(found), min(one.n for one in found)
        return cls(np.array([one.mean for one in found]), common_variance(found), sampling, n, _images(found), within)

    def interval(self, tail: float) -> Range:
        low, high = interval(*self, tail)
        return float(low), float(high)


def interval(
    values: Floats,  # (..., k) of k >= 2 seeds
    common: Floats | float,  # (...,) c of the rule; 0: no image is shared, or the answers to single images are unknown
    sampling: Floats | float,  # (...,) variance of the mean by its images alone, were none shared
    n: int,  # images of a seed; 0: none
    images: int,  # distinct ones, of all seeds
    within: Range = ANYTHING,
    tail: float = TAIL,
) -> tuple[Floats, Floats]:
    """The rule, vectorised over repetitions. nan where all seeds agree and nothing is known of their sampling."""
    k, width, mean = values.shape[-1], within[1] - within[0], values.mean(axis=-1)
    equal, counted = np.ptp(values, axis=-1) <= EQUAL, n > 0 and math.isfinite(width)
    between, shared = variances(values, common, sampling, n if counted else 0)
    variance = between + shared
    share = np.divide(between, variance, out=np.zeros_like(variance), where=variance > 0)
    z, t = normal(tail), student(k - 1, tail)
    half = np.sqrt(variance * (z**2 + (t**2 - z**2) * share**BLEND))
    low, high = mean - half, mean + half
    if counted and abs(width - 1.0) < 1e-9:  # a share, or a share less a constant
        hit = np.clip(mean - within[0], 0.0, 1.0)
        exact = clopper_pearson(hit * images, images, tail)
        few = n * np.minimum(hit, 1.0 - hit) < FEW
        low = np.where(few, np.minimum(low, exact[0] + within[0]), low)
        high = np.where(few, np.maximum(high, exact[1] + within[0]), high)
    elif counted:  # a difference: what so many images without any could hide
        hidden = np.where(equal, width / 2.0 * clopper_pearson(np.zeros(()), images, tail)[1], 0.0)
        low, high = np.minimum(low, mean - hidden), np.maximum(high, mean + hidden)
    unknown = equal & (low >= high)
    return tuple(np.where(unknown, math.nan, np.clip(end, *within)) for end in (low, high))  # type: ignore[return-value]


def variances(values: Floats, common: Floats | float, sampling: Floats | float, n: int) -> tuple[Floats, Floats]:
    """Of the mean, that which k numbers tell and that which images tell: s^2 / k and c, but where all seeds agree."""
    k, equal = values.shape[-1], np.ptp(values, axis=-1) <= EQUAL
    between = values.var(axis=-1, ddof=1) / k
    if n and k == 2:
        return np.where(equal, 1.0 / (18.0 * n**2 * k), between), np.asarray(common, np.float64)
    return np.where(equal, 0.0, between), np.where(equal, np.maximum(common, sampling), common)


def bounds_of(estimate: Estimate) -> Range:
    """The interval of a mean over seeds: its own, or (of a mean that was kept without, as in old tables) Student's; a
    point where it is computed; nan with one seed."""
    if estimate.interval is not None:
        return estimate.interval
    if estimate.n == 0 and estimate.se == 0.0:
        return estimate.mean, estimate.mean
    if estimate.seeds < 2 or math.isnan(estimate.se) or estimate.se == 0.0:
        return math.nan, math.nan
    half = student(estimate.seeds - 1) * estimate.se
    return max(estimate.mean - half, estimate.within[0]), min(estimate.mean + half, estimate.within[1])


def of_samples(estimate: Estimate) -> Range:
    """95 % of a quantity that one long run samples, where no network is trained and samples are all that varies: a sum
    by Monte Carlo. A point where it was computed, or drawn exactly as published (se nan)."""
    half = 0.0 if math.isnan(estimate.se) else normal() * estimate.se
    return estimate.mean - half, estimate.mean + half


def clopper_pearson(hits: Floats, n: int, tail: float = TAIL) -> tuple[Floats, Floats]:
    """The exact 95 % interval of a share; hits may be a mean over seeds, and then no whole number."""
    some, missed = np.maximum(hits, 1e-9), np.maximum(n - hits, 1e-9)
    low = np.where(hits > 0, special.betaincinv(some, n - hits + 1.0, tail), 0.0)
    high = np.where(hits < n, special.betaincinv(hits + 1.0, missed, 1.0 - tail), 1.0)
    return low, high


@lru_cache(maxsize=256)
def student(degrees: int, tail: float = TAIL) -> float:
    return float(special.stdtrit(degrees, 1.0 - tail))


@lru_cache(maxsize=256)
def normal(tail: float = TAIL) -> float:
    return float(special.ndtri(1.0 - tail))


def shifted(one: Estimate, by: float) -> Estimate:
    """Estimate + by, with its interval."""
    moved = None if one.interval is None else (one.interval[0] + by, one.interval[1] + by)
    return replace(one, mean=one.mean + by, interval=moved, within=(one.within[0] + by, one.within[1] + by))


def scaled(one: Estimate, factor: float) -> Estimate:
    """Estimate x factor, with its interval."""
    if factor == 0.0:
        raise ValueError("scaled: a factor other than 0, got 0")

    def ends(of: Range) -> Range:
        low, high = sorted((of[0] * factor, of[1] * factor))
        return low, high

    examples = one.examples
    if examples is not None:
        examples = examples._replace(parts=examples.parts * np.float32(factor))
    moved = None if one.interval is None else ends(one.interval)
    return Estimate(one.mean * factor, one.se * abs(factor), one.n, one.seeds, moved, ends(one.within), examples)


def _minus(one: Estimate, other: Estimate) -> Estimate:
    """Of one seed. By image where the answers are at hand; else as of samples that know nothing of each other."""
    within = (one.within[0] - other.within[1], one.within[1] - other.within[0])
    n, examples, se = one.n, None, math.hypot(one.se, other.se)
    if one.examples is not None and other.examples is not None and one.examples.images == other.examples.images:
        examples = _apart(one.examples, other.examples)
        se = math.sqrt(float(np.square(examples.parts, dtype=np.float64).sum()))
    return Estimate(one.mean - other.mean, se, n, 1, None, within, examples)


def _apart(one: Examples, other: Examples) -> Examples:
    if len(one.ids) == len(other.ids) and np.array_equal(one.ids, other.ids):
        return one._replace(parts=one.parts - other.parts)
    ids, parts = summed([one, other._replace(parts=-other.parts)])
    return one._replace(ids=ids, parts=parts.astype(np.float32))


def common_variance(found: Sequence[Estimate]) -> float:
    """c of the rule: the mean covariance of two seeds' errors by their images; 0 where it is unknown or negative."""
    of, k = [one.examples for one in found if one.examples is not None], len(found)
    if k < 2 or len(of) < k or len({one.images for one in of}) > 1:
        return 0.0
    _, together = summed(of)
    own = sum(float(np.square(one.parts, dtype=np.float64).sum()) for one in of)
    return max(float(np.square(together).sum()) - own, 0.0) / (k * (k - 1))


def summed(of: Sequence[Examples]) -> tuple[NDArray[np.int64], Floats]:
    """The sum of the parts of every image."""
    first = of[0].ids
    if all(len(one.ids) == len(first) and np.array_equal(one.ids, first) for one in of):
        return first, np.sum([one.parts for one in of], axis=0, dtype=np.float64)
    ids, place = np.unique(np.concatenate([one.ids for one in of]), return_inverse=True)
    parts = np.concatenate([one.parts for one in of]).astype(np.float64)
    return ids, np.asarray(np.bincount(place, parts, minlength=len(ids)), np.float64)


def _images(found: Sequence[Estimate]) -> int:
    """Distinct ones; of a single seed where it is not known which they are, for they may be the same."""
    of = [one.examples for one in found if one.examples is not None]
    if len(of) < len(found):
        return max(one.n for one in found)
    by_name: dict[str, list[Examples]] = {}
    for one in of:
        by_name.setdefault(one.images, []).append(one)
    return sum(len(summed(those)[0]) for those in by_name.values())
