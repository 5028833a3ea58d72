"""Numbers with their uncertainty: proportions, means over seeds, correlations that resample networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raylab.core import seeding

Vector = NDArray[np.float64]


Range = tuple[float, float]
ANYTHING: Range = (-math.inf, math.inf)


class Examples(NamedTuple):
    """What each image adds to the error of one seed's estimate: (value - mean) / n of a mean of n images."""

    ids: NDArray[Any]  # (m,) integers
    parts: NDArray[np.float32]  # (m,) their sum is 0, the sum of their squares the sampling variance
    images: str  # what the ids are of, such as the test images of a world: there equal ids are one image


@dataclass(frozen=True)
class Estimate:
    """A mean and its standard error; nan where there is nothing to compute it from."""

    mean: float
    se: float
    n: int  # examples behind the mean, over all seeds; 0: computed, not sampled
    seeds: int  # it is a mean over; with one, se is that of sampling examples and knows nothing of networks
    interval: Range | None = field(default=None, compare=False)  # 95 %, over seeds, by `raylab.report.per_seed`
    within: Range = field(default=ANYTHING, compare=False, repr=False)  # all values that it could have
    examples: Examples | None = field(default=None, compare=False, repr=False)  # of one seed; None: not at hand


def proportion(successes: int, n: int) -> Estimate:
    """successes / n of one seed, with its binomial standard error sqrt(p (1 - p) / n); nan where n = 0.

    At p = 0 or 1 that error is 0 although the truth may lie some 3 / n away.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"proportion: successes must lie in [0, n], got {successes} of {n}")
    if n == 0:
        return Estimate(math.nan, math.nan, 0, 1, within=(0.0, 1.0))
    p = successes / n
    return Estimate(p, math.sqrt(p * (1.0 - p) / n), n, 1, within=(0.0, 1.0))


def sampled(
    values: NDArray[Any],  # (n,) one an image: whether it is a hit, or a number
    ids: NDArray[Any],  # (n,) of the images
    images: str,  # of `Examples`
    within: Range = ANYTHING,  # of numbers
) -> Estimate:
    """The mean of one seed's images, with what each adds to its error: so that means of the same images can be paired.

    Raises ValueError where there is not one id for every value.
    """
    if values.shape != ids.shape or values.ndim != 1:
        raise ValueError(f"sampled: one id for every value, got shapes {ids.shape} and {values.shape}")
    n, hits = len(values), values.dtype == np.bool_
    if hits:
        found = proportion(int(values.sum()), n)
    else:
        se = float(values.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
        found = Estimate(float(values.mean()) if n else math.nan, se, n, 1, within=within)
    if n == 0:
        return found
    parts = ((values - found.mean) / n).astype(np.float32)
    return replace(found, examples=Examples(ids, parts, images))


def over_seeds(
    values: Sequence[float],  # one per seed; nan: that seed had no data (a conditional rate with n = 0)
    n: int,  # examples behind them, over all seeds
) -> Estimate:
    """Mean over seeds, with the standard error sd / sqrt(k) of the k seeds that have data (sd with k - 1).

    One seed says nothing about other seeds: its standard error is nan.  For a difference between two
    conditions pass the differences by seed, which keeps their pairing.
    """
    seen = np.asarray([value for value in values if not math.isnan(value)], dtype=np.float64)
    k = len(seen)
    mean = float(seen.mean()) if k else math.nan
    se = float(seen.std(ddof=1)) / math.sqrt(k) if k > 1 else math.nan
    return Estimate(mean, se, n, k)


def pearson(x: ArrayLike, y: ArrayLike) -> float:
    """Correlation of two vectors; nan for fewer than 3 points, a constant vector, or a nan in either."""
    x, y = _pair(x, y)
    return math.nan if np.isnan(x).any() or np.isnan(y).any() else float(_pearson(_Points.of(x, y))[0])


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Pearson correlation of the ranks, equal values sharing their mean rank; nan as for `pearson`."""
    x, y = _pair(x, y)
    return math.nan if np.isnan(x).any() or np.isnan(y).any() else float(_spearman(_Points.of(x, y))[0])


@dataclass(frozen=True)
class Coefficient:
    """A correlation with its interval; low and high are nan where nothing could be resampled."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Correlation:
    """Both correlations over the same `n` pairs."""

    pearson: Coefficient
    spearman: Coefficient
    n: int


# The ways to look at the pairs: (leave out source = target, subtract each teacher's mean).
VIEWS = {
    "pooled": (False, False),
    "off_diagonal": (True, False),
    "within_source": (False, True),
    "within_source_off_diagonal": (True, True),
}


def correlate(
    source: Sequence[str],  # per row: the architecture of the source network
    target: Sequence[str],  # per row: the architecture of the target network
    x: ArrayLike,  # per row, such as the transfer rate from source to target
    y: ArrayLike,  # per row, such as what the target learned from the source's set
    seed: int,
    teacher: Sequence[int] | None = None,  # per row: which network of that architecture (its seed)
    resamples: int = 1000,
    level: float = 0.95,
) -> dict[str, Correlation]:
    """Correlation of x and y over (source, target) pairs, one for each of VIEWS.

    pooled: all rows.  off_diagonal: without source = target.  within_source: x and y less their means over
    one source network's rows, which removes "stronger sources teach more"; networks with one row are left
    out.  within_source_off_diagonal: both.

    The interval is the percentile one of the pigeonhole bootstrap (Owen 2007): sources and targets are drawn
    with replacement, independently, and a row counts (draws of its source) x (draws of its target) times.
    Drawing rows instead would take the pairs of one network for independent, and be too narrow.  With a
    handful of networks it is rough: where all hung on 6 sources, 95 % intervals held the truth in 87 % of
    200 worlds (intervals over rows: in 35 %).

    Rows with nan are left out.  A coefficient is nan for fewer than 3 rows or a constant side; an interval is
    nan for fewer than 2 sources or 2 targets, or where half of the resamples have no coefficient.
    """
    x, y = _pair(x, y)
    if not len(source) == len(target) == len(x) or (teacher is not None and len(teacher) != len(x)):
        raise ValueError(
            f"correlate: one source, target, teacher, x and y per row, got {len(source)} sources, "
            f"{len(target)} targets, {len(x)} values and {'no' if teacher is None else len(teacher)} teachers"
        )
    source_name, target_name = np.asarray(source, dtype=np.str_), np.asarray(target, dtype=np.str_)
    networks = np.zeros(len(x), dtype=np.int64) if teacher is None else np.asarray(teacher)
    keep = ~(np.isnan(x) | np.isnan(y))
    sources, source_code = np.unique(source_name[keep], return_inverse=True)
    targets, target_code = np.unique(target_name[keep], return_inverse=True)
    group = np.unique(np.stack([source_code, networks[keep]]), axis=1, return_inverse=True)[1]
    rows = _Rows(_Points.of(x[keep], y[keep]), group, (source_name == target_name)[keep])

    drawn = rows.take(np.empty(0, dtype=np.int64), 0, np.empty(0, dtype=np.int64))
    if min(len(sources), len(targets)) >= 2:
        source_counts = _draw_counts(seed, "bootstrap/source", len(sources), resamples)[:, source_code]
        target_counts = _draw_counts(seed, "bootstrap/target", len(targets), resamples)[:, target_code]
        sample, row = np.indices(source_counts.shape)
        counts = (source_counts * target_counts).ravel()
        drawn = rows.take(np.repeat(row.ravel(), counts), resamples, np.repeat(sample.ravel(), counts))

    result = {}
    for name, (off_diagonal, centred) in VIEWS.items():
        points, resampled = rows.view(off_diagonal, centred), drawn.view(off_diagonal, centred)
        linear, ranked = (
            Coefficient(float(measure(points)[0]), *_interval(measure(resampled), level))
            for measure in (_pearson, _spearman)
        )
        result[name] = Correlation(linear, ranked, len(points.x))
    return result


class _Points(NamedTuple):
    """Pairs of numbers of many samples at once, sample after sample: a resample at a time would take seconds."""

    x: Vector
    y: Vector
    sample: NDArray[np.int64]  # of each pair, in ascending order
    samples: int

    @classmethod
    def of(cls, x: Vector, y: Vector) -> _Points:
        """One sample."""
        return cls(x, y, np.zeros(len(x), dtype=np.int64), 1)


class _Rows(NamedTuple):
    points: _Points
    group: NDArray[np.int64]  # the teacher's number
    diagonal: NDArray[np.bool_]

    def take(self, index: NDArray[np.int64], samples: int, sample: NDArray[np.int64]) -> _Rows:
        """The rows of one sample drawn into others."""
        points = _Points(self.points.x[index], self.points.y[index], sample, samples)
        return _Rows(points, self.group[index], self.diagonal[index])

    def view(self, off_diagonal: bool, centred: bool) -> _Points:
        rows = self._only(~self.diagonal) if off_diagonal else self
        if not centred:
            return rows.points
        rows = rows._only(np.bincount(rows._teachers)[rows._teachers] > 1)
        x, y, sample, samples = rows.points
        return _Points(
            _centred(x, sample, samples, rows._teachers), _centred(y, sample, samples, rows._teachers), sample, samples
        )

    @property
    def _teachers(self) -> NDArray[np.int64]:
        """The teacher's number, another one in every sample."""
        return self.points.sample * (int(self.group.max(initial=0)) + 1) + self.group

    def _only(self, kept: NDArray[np.bool_]) -> _Rows:
        x, y, sample, samples = self.points
        return _Rows(_Points(x[kept], y[kept], sample[kept], samples), self.group[kept], self.diagonal[kept])


def _draw_counts(seed: int, purpose: str, levels: int, resamples: int) -> NDArray[np.int64]:
    """(resamples, levels): how often each level comes up in `levels` draws with replacement."""
    drawn = (seeding.uniform(seed, purpose, np.arange(resamples), size=levels) * levels).astype(np.int64)
    return np.asarray(np.count_nonzero(drawn[:, :, None] == np.arange(levels), axis=1))


def _interval(draws: Vector, level: float) -> tuple[float, float]:
    seen = draws[~np.isnan(draws)]
    if len(seen) <= len(draws) / 2:
        return math.nan, math.nan
    low, high = np.quantile(seen, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)


def _pearson(points: _Points) -> Vector:
    """(samples,): the correlation within each sample; nan for fewer than 3 points or a constant side."""
    x, y = (_centred(side, points.sample, points.samples, points.sample) for side in points[:2])
    ends = np.searchsorted(points.sample, np.arange(points.samples + 1)).tolist()
    # Products of vectors, one a sample: `np.add.reduceat` sums in another order, and so to other last digits.
    xy, xx, yy = (
        np.array([a[low:high] @ b[low:high] for low, high in pairwise(ends)]) for a, b in ((x, y), (x, x), (y, y))
    )
    norm = np.sqrt(xx * yy)
    told = (np.diff(ends) >= 3) & (norm > 0.0)
    return np.where(told, np.clip(xy / np.where(told, norm, 1.0), -1.0, 1.0), math.nan)


def _spearman(points: _Points) -> Vector:
    x, y, sample, samples = points
    return _pearson(_Points(_mid_ranks(x, sample), _mid_ranks(y, sample), sample, samples))


def _centred(values: Vector, sample: NDArray[np.int64], samples: int, group: NDArray[np.int64]) -> Vector:
    """Values less their group's mean, rounded to 13 digits of the largest value of their sample.

    So .3 - .2 and .2 - .1 share a rank, and a constant is exactly 0, as it need not be less its own mean.
    """
    means = np.bincount(group, values) / np.maximum(np.bincount(group), 1)
    largest = np.zeros(samples)
    np.maximum.at(largest, sample, np.abs(values))
    scale = np.where(largest > 0.0, largest, 1.0)[sample]
    return np.asarray(np.round((values - means[group]) / scale, 13) * scale)


def _mid_ranks(values: Vector, sample: NDArray[np.int64]) -> Vector:
    """Within each sample; equal values share their mean rank."""
    order = np.lexsort((values, sample))
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (np.diff(values[order]) != 0) | (np.diff(sample[order]) != 0)
    first = np.flatnonzero(new)
    after = np.append(first[1:], len(order))
    ranks = np.empty(len(order))
    ranks[order] = np.repeat((first + after + 1) / 2.0, after - first)
    return ranks - np.searchsorted(sample, sample)


def _pair(x: ArrayLike, y: ArrayLike) -> tuple[Vector, Vector]:
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"correlation: two vectors of one length, got shapes {x.shape} and {y.shape}")
    return x, y
