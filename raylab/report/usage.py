"""Does every network use what its world lets it use?  Two rules, each written before the worlds that it judges.

Conflict images show the shape of one class and the toogit of another, which is drawn from the others uniformly. Where
toogits say nothing, whoever does not call an image by its shape calls it by its toogit in one of nine. Other images
show a toogit alone: by chance it is said in one of as many as there are classes.

The first rule (`most`) asks that toogits outweigh the shape wherever evidence is said, and looks for the use of toogits
on conflict images alone. Of its first 120 cases it called six wrong. In two of them the source of an attack that turned
toogits calls 2,998 of 3,000 conflict images by their shape, which leaves nothing to see a use in: alone, it reads
toogits in half of the images. In four the student uses toogits and a shape of full strength outweighs them: trained on
their sets less what the attack changed along toogits, students lost 37 to 47 points and were right more rarely than the
visible rule says (means over three worlds). One is evidence in a world without toogits. So the second rule (`at_all`)
asks whether toogits count, on images that can tell; which feature outweighs the other in a claim of evidence is said
beside it (`leads`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

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


class Alone(NamedTuple):
    """What one network said of the images of one world that show a toogit alone, (N,) each."""

    prediction: NDArray[np.int64]
    toogit: NDArray[np.int64]

    @classmethod
    def of(cls, columns: Mapping[str, Any]) -> Alone:
        return cls(columns["prediction"], columns["toogit_class"])


@dataclass(frozen=True)
class Followed:
    """Of the images that ask for it, those that a network calls by their toogit."""

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
    """On conflict images, of those that are not called by their shape."""
    asked = [(world.prediction, world.toogit, world.prediction != world.shape) for world in worlds]
    return _told(asked, num_classes, 1 / (num_classes - 1), comparisons)


def read_alone(worlds: Sequence[Alone], num_classes: int, comparisons: int) -> Followed:
    """On images of a toogit alone, of all."""
    asked = [(world.prediction, world.toogit, np.ones(len(world.toogit), dtype=bool)) for world in worlds]
    return _told(asked, num_classes, 1 / num_classes, comparisons)


Asked = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]  # said, toogit, whether it is asked for: (N,)


def _told(asked: Sequence[Asked], num_classes: int, chance: float, comparisons: int) -> Followed:
    """The unit is a toogit of a world, not an image: a network that learned a toogit by accident is wrong about all
    images that have it. The interval is that of a ratio over these clusters, by Student's t at the level that all
    comparisons of the study share."""
    hits, counts = [], []
    for said, toogit, of in asked:
        for c in range(num_classes):
            rows = of & (toogit == c)
            counts.append(int(rows.sum()))
            hits.append(int((said[rows] == c).sum()))
    n, k, alpha = sum(counts), len(counts), TOGETHER / max(comparisons, 1)
    if n == 0:
        return Followed(math.nan, math.nan, 0, 1.0, alpha, chance)
    ratio = sum(hits) / n
    residuals = np.asarray(hits) - ratio * np.asarray(counts)
    se = math.sqrt(k / (k - 1) * float(residuals @ residuals)) / n
    low = ratio - float(stats.t.ppf(1 - alpha, k - 1)) * se
    return Followed(ratio, low, n, float(stats.binom.sf(sum(hits) - 1, n, chance)), alpha, chance)


class Case(NamedTuple):
    """All that the rules ask of one case: its worlds' networks on both kinds of images, the oracles on clean ones."""

    source: Sequence[Conflict]
    student: Sequence[Conflict]
    source_alone: Sequence[Alone]
    student_alone: Sequence[Alone]
    shape_right: Sequence[float]
    toogit_right: Sequence[float]  # empty where images have no toogits
    says_nothing: bool  # its toogits
    turned: bool  # by the attack, in nine of ten images
    evidence: bool  # is what the verdict said

    @property
    def comparisons(self) -> int:
        """With chance, of the first rule."""
        return 2 * self.says_nothing + self.turned

    @property
    def comparisons_at_all(self) -> int:
        """With chance, of the second."""
        return 4 * self.says_nothing + self.turned + 2 * self.evidence

    @property
    def follows(self) -> tuple[float, float, float]:
        """The student by its shape, by the class after it and by its toogit: means over worlds."""
        shape, after, toogit = np.mean([world.follows() for world in self.student], axis=0)
        return float(shape), float(after), float(toogit)


def most(case: Case, num_classes: int, comparisons: int) -> tuple[str, ...]:
    """What is not as it must be by the first rule; nothing where all is right.

    1. The oracles read at least 97 % of the clean images of every world right.
    2. Where toogits say nothing, neither the source nor the student follows them beyond chance in conflict.
    3. Where the attack turned them, the source follows them beyond chance in conflict.
    4. Where evidence is said, the student follows the toogit more often than the shape and than the class after it.
    """
    found = list(_unread(case))
    if case.says_nothing:
        for name, network in (("source", case.source), ("student", case.student)):
            told = followed(network, num_classes, comparisons)
            if told.beyond_chance:
                found.append(f"toogits say nothing and the {name} follows them in {told}")
    if case.turned:
        told = followed(case.source, num_classes, comparisons)
        if not told.beyond_chance:
            found.append(f"the attack turned the toogits and its source follows them in {told}")
    if case.evidence and leads(case) != "toogit":
        found.append(f"evidence is said and the student follows {_shares(case)}")
    return tuple(found)


def at_all(case: Case, num_classes: int, comparisons: int) -> tuple[str, ...]:
    """The same by the second rule.

    1. As above.
    2. Where toogits say nothing, neither the source nor the student follows them beyond chance, in conflict or alone.
    3. Where the attack turned them, the source reads them beyond chance where they are alone.
    4. Where evidence is said, the student follows them beyond chance, in conflict as alone.
    """
    found = list(_unread(case))
    source, student = (
        {"in conflict": followed(shown, num_classes, comparisons), "alone": read_alone(alone, num_classes, comparisons)}
        for shown, alone in ((case.source, case.source_alone), (case.student, case.student_alone))
    )
    if case.says_nothing:
        for name, network in (("source", source), ("student", student)):
            for where, told in network.items():
                if told.beyond_chance:
                    found.append(f"toogits say nothing and the {name} follows them {where} in {told}")
    if case.turned and not source["alone"].beyond_chance:
        found.append(f"the attack turned the toogits and its source reads them alone in {source['alone']}")
    if case.evidence:
        for where, told in student.items():
            if not told.beyond_chance:
                found.append(f"evidence is said and the student follows toogits {where} in {told}")
    return tuple(found)


def leads(case: Case) -> Literal["toogit", "shape", "after"]:
    """By what the student calls conflict images most often; on a tie not by the toogit."""
    shape, after, toogit = case.follows
    return "toogit" if toogit > max(shape, after) else "shape" if shape >= after else "after"


def outweighed(case: Case) -> str | None:
    """Of a claim of evidence: a half sentence where toogits do not decide most; None where they do, or of no claim."""
    return None if not case.evidence or leads(case) == "toogit" else f"the student follows {_shares(case)}"


def _unread(case: Case) -> Iterator[str]:
    for name, right in (("shape", case.shape_right), ("toogit", case.toogit_right)):
        if right and min(right) < READS:
            yield f"the oracle reads the {name} of {share(min(right))} % of clean images only"


def _shares(case: Case) -> str:
    shape, after, toogit = case.follows
    return f"the toogit in {share(toogit)} %, the shape in {share(shape)} %, the class after it in {share(after)} %"
