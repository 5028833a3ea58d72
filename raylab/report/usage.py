"""Does every network use what its world lets it use?  A rule, written before the worlds that it judges were drawn.

Conflict images show the shape of one class and the toogit of another, which is drawn from the others uniformly. Where
toogits say nothing, whoever does not call an image by its shape calls it by its toogit in one of nine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from raylab.report.numbers import share

TOGETHER = 0.05  # chance that any of a study's comparisons with chance is wrong, if all of them should find nothing
READS = 0.97  # share of clean images that an oracle reads right; 97.2 % was the least of the calibration's amplitudes,
# other than shapes of 0.12 below clutter of 0.15, which the held-out split does not have


class Conflict(NamedTuple):
    """What one network said of the conflict images of one world, (N,) each."""

    prediction: NDArray[np.int64]
    shape: NDArray[np.int64]
    toogit: NDArray[np.int64]

    @classmethod
    def of(cls, columns: Mapping[str, Any]) -> Conflict:
        return cls(columns["prediction"], columns["shape_class"], columns["toogit_class"])

    def follows(self) -> tuple[float, float, float]:
        """Shares called by the shape, by the class after it (the visible rule of D_det), and by the toogit."""
        said, count = self.prediction, int(self.shape.max()) + 1
        return tuple(float(np.mean(said == c)) for c in (self.shape, (self.shape + 1) % count, self.toogit))  # type: ignore[return-value]


@dataclass(frozen=True)
class Followed:
    """Of the images that a network does not call by their shape, those that it calls by their toogit."""

    share: float
    low: float  # of a one-sided interval
    n: int
    p_value: float  # exact, of so many under chance if images were independent
    alpha: float
    chance: float

    @property
    def beyond_chance(self) -> bool:
        return self.low > self.chance and self.p_value < self.alpha

    def __str__(self) -> str:
        return f"{share(self.share)} % of {self.n} (at least {share(self.low)}; chance {share(self.chance)})"


def followed(worlds: Sequence[Conflict], num_classes: int, comparisons: int) -> Followed:
    """The unit is a toogit of a world, not an image: a network that learned a toogit by accident is wrong about all
    images that have it. The interval is that of a ratio over these clusters, by Student's t at the level that all
    comparisons of the study share."""
    hits, counts = [], []
    for world in worlds:
        other = world.prediction != world.shape
        for c in range(num_classes):
            rows = other & (world.toogit == c)
            counts.append(int(rows.sum()))
            hits.append(int((world.prediction[rows] == c).sum()))
    n, k, alpha, chance = sum(counts), len(counts), TOGETHER / max(comparisons, 1), 1 / (num_classes - 1)
    if n == 0:
        return Followed(math.nan, math.nan, 0, 1.0, alpha, chance)
    ratio = sum(hits) / n
    residuals = np.asarray(hits) - ratio * np.asarray(counts)
    se = math.sqrt(k / (k - 1) * float(residuals @ residuals)) / n
    low = ratio - float(stats.t.ppf(1 - alpha, k - 1)) * se
    return Followed(ratio, low, n, float(stats.binom.sf(sum(hits) - 1, n, chance)), alpha, chance)


class Case(NamedTuple):
    """All that the rule asks of one case: its worlds' networks on conflict images, and the oracles on clean ones."""

    source: Sequence[Conflict]
    student: Sequence[Conflict]
    shape_right: Sequence[float]
    toogit_right: Sequence[float]  # empty where images have no toogits
    says_nothing: bool  # its toogits
    turned: bool  # by the attack, in nine of ten images
    evidence: bool  # is what the verdict said

    @property
    def comparisons(self) -> int:
        """With chance."""
        return 2 * self.says_nothing + self.turned


def wrong(case: Case, num_classes: int, comparisons: int) -> tuple[str, ...]:
    """What is not as it must be; nothing where all is right.

    1. The oracles read at least 97 % of the clean images of every world right.
    2. Where toogits say nothing, neither the source nor the student follows them beyond chance.
    3. Where the attack turned them, the source follows them beyond chance.
    4. Where evidence is said, the student follows the toogit more often than the shape and than the class after it.
    """
    found = [
        f"the oracle reads the {name} of {share(min(right))} % of clean images only"
        for name, right in (("shape", case.shape_right), ("toogit", case.toogit_right))
        if right and min(right) < READS
    ]
    if case.says_nothing:
        for name, network in (("source", case.source), ("student", case.student)):
            told = followed(network, num_classes, comparisons)
            if told.beyond_chance:
                found.append(f"toogits say nothing and the {name} follows them in {told}")
    if case.turned:
        told = followed(case.source, num_classes, comparisons)
        if not told.beyond_chance:
            found.append(f"the attack turned the toogits and its source follows them in {told}")
    if case.evidence:
        shape, after, toogit = np.mean([world.follows() for world in case.student], axis=0)
        if not toogit > max(shape, after):
            found.append(
                f"evidence is said and the student follows the toogit in {share(toogit)} %, the shape in "
                f"{share(shape)} %, the class after it in {share(after)} %"
            )
    return tuple(found)
