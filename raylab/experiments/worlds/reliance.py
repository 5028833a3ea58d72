"""Does every network rely on what its world lets it rely on?  Two rules, each fixed before the worlds that it judges.

Conflict images show the robust feature of one class and the non-robust feature of another, which is drawn from the
others uniformly. Where non-robust features say nothing, a network that does not call an image by its robust feature
calls it by its non-robust one in one of nine. Other images show a non-robust feature alone: by chance its class is
said in one of as many as there are.

The first rule (`most`) asks that non-robust features outweigh the robust one wherever evidence is claimed, and looks
for reliance on them in conflict images alone. Of its first 120 cases it called six wrong. In two of them the source of
an attack that turned non-robust features calls 2,998 of 3,000 conflict images by their robust one, which leaves nothing
to see a reliance in: alone, it reads non-robust features in half of the images. In four the student relies on them and
a robust feature of full strength outweighs them: trained on their sets less what the attack changed along non-robust
features, students lost 37 to 47 points and were right more rarely than the visible rule says (means over three worlds).
One is evidence in a world without non-robust features. So the second rule (`at_all`) asks whether they count, on images
that can tell; which feature outweighs the other in a claim of evidence is reported beside it (`leads`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from raylab.report.later import stats
from raylab.report.numbers import share

TOGETHER = 0.05  # chance that any of a study's comparisons with chance is wrong, if all of them should find nothing
READS = 0.97  # share of clean images that an oracle reads right; 97.2 % was the least of the calibration's amplitudes,
# other than robust features of 0.12 below clutter of 0.15, which the held-out split does not have

Classes = NDArray[np.int64]  # (N,) one an image


class Conflict(NamedTuple):
    """The answers of one network to the conflict images of one world."""

    prediction: Classes
    robust: Classes
    non_robust: Classes

    @classmethod
    def of(cls, columns: Mapping[str, Any]) -> Conflict:
        return cls(columns["prediction"], columns["shape_class"], columns["toogit_class"])

    def shares(self) -> tuple[float, float, float]:
        """The images called by the robust feature, by the class after it (the visible rule of D_det), and by the
        non-robust feature."""
        called, count = self.prediction, int(self.robust.max()) + 1
        robust, after, non_robust = (
            float(np.mean(called == c)) for c in (self.robust, (self.robust + 1) % count, self.non_robust)
        )
        return robust, after, non_robust


class Alone(NamedTuple):
    """The answers of one network to the images of one world that show a non-robust feature alone."""

    prediction: Classes
    non_robust: Classes

    @classmethod
    def of(cls, columns: Mapping[str, Any]) -> Alone:
        return cls(columns["prediction"], columns["toogit_class"])


@dataclass(frozen=True)
class Reliance:
    """The images, of those that can tell, that a network calls by their non-robust feature."""

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


def in_conflict(worlds: Sequence[Conflict], num_classes: int, comparisons: int) -> Reliance:
    """Of conflict images that are not called by their robust feature."""
    asked = [(world.prediction, world.non_robust, world.prediction != world.robust) for world in worlds]
    return _reliance(asked, num_classes, 1 / (num_classes - 1), comparisons)


def alone(worlds: Sequence[Alone], num_classes: int, comparisons: int) -> Reliance:
    """Of all images of a non-robust feature alone."""
    asked = [(world.prediction, world.non_robust, np.ones(len(world.non_robust), dtype=bool)) for world in worlds]
    return _reliance(asked, num_classes, 1 / num_classes, comparisons)


Asked = tuple[Classes, Classes, NDArray[np.bool_]]  # prediction, non-robust feature, whether the image can tell


def _reliance(asked: Sequence[Asked], num_classes: int, chance: float, comparisons: int) -> Reliance:
    """The unit is a non-robust feature of a world, not an image: a network that learned one by accident is wrong about
    all images that have it. The interval is that of a ratio over these clusters, by Student's t at the level that all
    comparisons of the study share."""
    hits, counts = [], []
    for called, non_robust, of in asked:
        for c in range(num_classes):
            rows = of & (non_robust == c)
            counts.append(int(rows.sum()))
            hits.append(int((called[rows] == c).sum()))
    n, k, alpha = sum(counts), len(counts), TOGETHER / max(comparisons, 1)
    if n == 0:
        return Reliance(math.nan, math.nan, 0, 1.0, alpha, chance)
    ratio = sum(hits) / n
    residuals = np.asarray(hits) - ratio * np.asarray(counts)
    se = math.sqrt(k / (k - 1) * float(residuals @ residuals)) / n
    low = ratio - float(stats.t.ppf(1 - alpha, k - 1)) * se
    return Reliance(ratio, low, n, float(stats.binom.sf(sum(hits) - 1, n, chance)), alpha, chance)


class CaseAnswers(NamedTuple):
    """All that the rules ask of one case: the answers of its networks to both kinds of images, in every world, and how
    often the oracles are right on clean ones."""

    source: Sequence[Conflict]
    student: Sequence[Conflict]
    source_alone: Sequence[Alone]
    student_alone: Sequence[Alone]
    robust_right: Sequence[float]
    non_robust_right: Sequence[float]  # empty where images have no non-robust features
    says_nothing: bool  # the non-robust features
    turned: bool  # by the attack, in nine of ten images
    evidence: bool  # is what the verdict claims

    @property
    def comparisons(self) -> int:
        """With chance, of the first rule."""
        return 2 * self.says_nothing + self.turned

    @property
    def comparisons_at_all(self) -> int:
        """With chance, of the second."""
        return 4 * self.says_nothing + self.turned + 2 * self.evidence

    @property
    def shares(self) -> tuple[float, float, float]:
        """The student by the robust feature, by the class after it and by the non-robust one: means over worlds."""
        robust, after, non_robust = np.mean([world.shares() for world in self.student], axis=0)
        return float(robust), float(after), float(non_robust)


def most(case: CaseAnswers, num_classes: int, comparisons: int) -> tuple[str, ...]:
    """What is not as it must be by the first rule (in words: `verdict.RULES`); nothing where all is right."""
    found = list(_unread(case))
    if case.says_nothing:
        for name, network in (("source", case.source), ("student", case.student)):
            reliance = in_conflict(network, num_classes, comparisons)
            if reliance.beyond_chance:
                found.append(f"non-robust features say nothing and the {name} relies on them in {reliance}")
    if case.turned:
        reliance = in_conflict(case.source, num_classes, comparisons)
        if not reliance.beyond_chance:
            found.append(f"the attack turned the non-robust features and its source relies on them in {reliance}")
    if case.evidence and leads(case) != "non-robust":
        found.append(f"evidence is claimed and the student relies on {_shares(case)}")
    return tuple(found)


def at_all(case: CaseAnswers, num_classes: int, comparisons: int) -> tuple[str, ...]:
    """The same by the second rule."""
    found = list(_unread(case))
    source, student = (
        {"in conflict": in_conflict(conflict, num_classes, comparisons), "alone": alone(one, num_classes, comparisons)}
        for conflict, one in ((case.source, case.source_alone), (case.student, case.student_alone))
    )
    if case.says_nothing:
        for name, network in (("source", source), ("student", student)):
            for where, reliance in network.items():
                if reliance.beyond_chance:
                    found.append(f"non-robust features say nothing and the {name} relies on them {where} in {reliance}")
    if case.turned and not source["alone"].beyond_chance:
        found.append(f"the attack turned the non-robust features and its source reads them alone in {source['alone']}")
    if case.evidence:
        for where, reliance in student.items():
            if not reliance.beyond_chance:
                found.append(f"evidence is claimed and the student relies on non-robust features {where} in {reliance}")
    return tuple(found)


def leads(case: CaseAnswers) -> Literal["non-robust", "robust", "after"]:
    """By what the student calls conflict images most often; on a tie not by the non-robust feature."""
    robust, after, non_robust = case.shares
    return "non-robust" if non_robust > max(robust, after) else "robust" if robust >= after else "after"


def outweighed(case: CaseAnswers) -> str | None:
    """Of a claim of evidence: a half sentence where non-robust features do not decide most; None where they do, or of
    no claim."""
    return None if not case.evidence or leads(case) == "non-robust" else f"the student relies on {_shares(case)}"


def _unread(case: CaseAnswers) -> Iterator[str]:
    for name, right in (("robust", case.robust_right), ("non-robust", case.non_robust_right)):
        if right and min(right) < READS:
            yield f"the oracle reads the {name} feature of {share(min(right))} % of clean images only"


def _shares(case: CaseAnswers) -> str:
    robust, after, non_robust = case.shares
    return (
        f"the non-robust feature in {share(non_robust)} %, the robust one in {share(robust)} %, the class after it in "
        f"{share(after)} %"
    )
