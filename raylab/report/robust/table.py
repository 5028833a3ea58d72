"""Robust and non-robust sets as a table: one row for each set and student architecture, and what counts against it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raylab.artifact import Artifact
from raylab.core import masking
from raylab.core.invert import Iterate
from raylab.core.statistics import Estimate
from raylab.recipes.robust_features import ADVERSARIAL, CLEAN, INVERTED, SETS, STANDARD, Cell, RobustFeatures
from raylab.report.estimates import BySeed, difference, mean
from raylab.report.names import NAMES
from raylab.report.robust.answers import Answers
from raylab.report.robust.layers import Layers, layers

LABELS = {
    CLEAN: "D",
    "r_image": "D_R",
    "r_noise": "D_R from noise",
    "nr_image": "D_NR",
    "nr_noise": "D_NR from noise",
    "filtered": "D, spectrum of D_R",
    "blurred": "D blurred as D_R",
    "released_r": "released D_R",
    "released_nr": "released D_NR",
    ADVERSARIAL: "D under attack",
}
MEANINGS = {
    CLEAN: "the training images",
    "r_image": "images with the robust network’s features of D, started from other training images",
    "r_noise": "the same, started from noise",
    "nr_image": "images with the standard network’s features of D, started from other training images",
    "nr_noise": "the same, started from noise",
    "filtered": "D, every frequency scaled to the power that it has in D_R: the same spectrum without a network",
    "blurred": "D, every frequency weakened to what D_R shares with it: a blur without a network",
    "released_r": "the robust set that Ilyas et al. released",
    "released_nr": "and their non-robust one",
    ADVERSARIAL: "D, trained under attack: the source of D_R and what all others are measured against",
}
AGAINST = (CLEAN, "nr_image", "filtered")  # what the student of D_R has to beat
COMPARED = (*AGAINST, "blurred")
Artifacts = Mapping[Cell, Artifact]


@dataclass(frozen=True)
class AtEps:
    """Accuracy under attack at one radius; of each image `worst` counts what any attack found."""

    pgd: Estimate
    ensemble: Estimate | None  # None: not asked at this radius
    worst: Estimate
    by_seed: BySeed  # of `worst`


@dataclass(frozen=True)
class Row:
    """What was measured of one architecture trained on one set."""

    set: str
    student: str
    clean: Estimate  # on the whole test set
    clean_by_seed: BySeed
    attacked_clean: Estimate  # on the test images that were attacked: radius 0
    at: Mapping[float, AtEps]
    others: Mapping[str, Estimate]  # under other sets of perturbations
    usage: Mapping[str, Estimate]  # See-Far: follow_r, follow_n
    warnings: tuple[Said, ...]  # of gradient masking
    overestimates: tuple[Said, ...]  # where PGD alone is too kind: no doubt of `worst`, which counts the ensemble too
    collapse: tuple[Said, ...]

    @property
    def label(self) -> str:
        return LABELS[self.set]


@dataclass(frozen=True)
class Said:
    """A warning, and where it was heard."""

    where: str
    seed: int
    text: str


@dataclass(frozen=True)
class Made:
    """How well an inversion went."""

    set: str
    n: int
    median: float  # relative residual, over seeds
    p95: float
    unconverged: float  # share
    iterate: Iterate  # that was kept
    doubts: tuple[Said, ...]


@dataclass(frozen=True)
class Shift:
    """Accuracy of a student of D_R under PGD at the main radius: its own images, test images made alike, the test set.

    Row 13 of Ilyas et al. 2019 (table 8): 77.33, 62.49, 48.27 %.
    """

    student: str
    own: Estimate
    constructed: Estimate
    test: Estimate


@dataclass(frozen=True)
class Table:
    """One config's result."""

    config: RobustFeatures
    key: str
    note: str
    class_names: tuple[str, ...]
    rows: tuple[Row, ...]
    differences: Mapping[str, Mapping[str, Estimate]]  # student: D_R minus another set, at the main radius, by seed
    shifts: tuple[Shift, ...]
    made: tuple[Made, ...]
    standard: Estimate  # accuracy of D_NR's source
    standard_collapse: tuple[Said, ...]
    layers: Layers | None  # None: not asked
    artifacts: Artifacts

    def row(self, of: str, student: str) -> Row:
        return next(r for r in self.rows if (r.set, r.student) == (of, student))

    def of_student(self, student: str) -> list[Row]:
        """The rows of one architecture: D, its versions, and adversarial training where it was done."""
        return [row for row in self.rows if row.student == student]

    @property
    def reference(self) -> Row:
        """The adversarially trained source."""
        return self.row(ADVERSARIAL, self.config.source)

    @property
    def warnings(self) -> list[Said]:
        """Everything that speaks against a number, in the order of its weight."""
        found = [*self.standard_collapse, *(said for row in self.rows for said in row.collapse)]
        found += [said for made in self.made for said in made.doubts]
        return found + [said for row in self.rows for said in row.warnings]

    @property
    def overestimate(self) -> tuple[float, int]:
        """The largest amount by which PGD alone is too kind at a radius, and of how many networks that was said."""
        gaps = [at.pgd.mean - at.worst.mean for row in self.rows for at in row.at.values() if at.ensemble is not None]
        return max(gaps, default=0.0), sum(len(row.overestimates) for row in self.rows)

    @property
    def title(self) -> str:
        c = self.config
        norm = {"l2": "L2", "linf": "Linf"}[c.robustness.norm]
        return f"{NAMES.get(c.data.name, c.data.name)}: {norm} radius {c.eps:g}, source {c.source}"


def measured(config: RobustFeatures, key: str, artifacts: Artifacts) -> Table:
    """All statistics of one config from the results of its cells."""
    about = artifacts[Cell("data", config.seeds[0])].metrics
    reader = _Reader(config, artifacts)
    sets = [CLEAN, *(name for name in SETS if name in config.sets)]
    rows = [reader.row(of, student) for student in config.students for of in sets]
    rows += [reader.row(ADVERSARIAL, name) for name in dict.fromkeys((config.source, *config.references))]
    found = {(row.set, row.student): row for row in rows}
    return Table(
        config,
        key,
        about["note"],
        tuple(about["class_names"]),
        tuple(rows),
        {
            student: {
                of: difference(
                    found["r_image", student].at[config.eps].by_seed, found[of, student].at[config.eps].by_seed
                )
                for of in COMPARED
                if of in sets
            }
            for student in config.students
        },
        tuple(reader.shift(student, found["r_image", student]) for student in config.students),
        tuple(reader.made(of) for of in sets if of in INVERTED),
        mean(list(reader.answers.accuracy(STANDARD, config.source).values())),
        reader.said("network", STANDARD, config.source, "collapse"),
        layers(config, artifacts),
        artifacts,
    )


class _Reader:
    """Reads the metrics of artifacts over seeds."""

    def __init__(self, config: RobustFeatures, artifacts: Artifacts) -> None:
        self.config, self.artifacts, self.answers = config, artifacts, Answers(config, artifacts)

    def row(self, of: str, student: str) -> Row:
        c = self.config
        robust = {seed: self.artifacts[Cell("robust", seed, of, student)].metrics for seed in c.seeds}
        stood = {seed: self.answers.attacked(Cell("robust", seed, of, student)) for seed in c.seeds}
        clean = self.answers.accuracy(of, student)
        warnings = self.said("robust", of, student, "warnings")
        usage = {}
        if Cell("usage", c.seeds[0], of, student) in self.artifacts:
            usage = {
                name: mean([self.answers.follows(Cell("usage", seed, of, student), feature) for seed in c.seeds])
                for name, feature in (("follow_r", "shape_class"), ("follow_n", "toogit_class"))
            }
        return Row(
            of,
            student,
            mean(list(clean.values())),
            clean,
            mean([found["clean"] for found in stood.values()]),
            {eps: _at_eps(robust, stood, place) for place, eps in enumerate(c.robustness.eps)},
            {name: mean([found[name] for found in stood.values()]) for name in c.robustness.others},
            usage,
            tuple(said for said in warnings if not _is_overestimate(said, robust[said.seed])),
            tuple(said for said in warnings if _is_overestimate(said, robust[said.seed])),
            self.said("network", of, student, "collapse"),
        )

    def shift(self, student: str, row: Row) -> Shift:
        def under_attack(role: str) -> Estimate:
            return mean([self.answers.attacked(Cell(role, s, "r_image", student))["pgd 0"] for s in self.config.seeds])

        return Shift(student, under_attack("own"), under_attack("moved"), row.at[self.config.eps].pgd)

    def made(self, of: str) -> Made:
        found = [self.artifacts[Cell("set", seed, of)].metrics for seed in self.config.seeds]
        inversion = self.config.from_noise if of.endswith("noise") else self.config.from_image

        def over(name: str) -> float:
            return math.fsum(float(m[name]) for m in found) / len(found)

        return Made(
            of,
            sum(int(m["n"]) for m in found),
            over("residual_median"),
            over("residual_p95"),
            over("unconverged"),
            inversion.iterate or "best",
            self.said("set", of, "", "doubts"),
        )

    def said(self, role: str, of: str, network: str, metric: str) -> tuple[Said, ...]:
        """Sentences of a metric, of all seeds; a metric that is None or absent says nothing."""
        where = LABELS.get(of, of) + (f", {network}" if network else "")
        found = []
        for seed in self.config.seeds:
            sentences = self.artifacts[Cell(role, seed, of, network)].metrics.get(metric) or ()
            listed: Sequence[str] = (sentences,) if isinstance(sentences, str) else sentences
            found += [Said(where, seed, text) for text in listed]
        return tuple(found)


def _at_eps(robust: Mapping[int, Mapping[str, Any]], stood: Mapping[int, Mapping[str, Estimate]], place: int) -> AtEps:
    def by_seed(name: str) -> dict[int, Estimate]:
        return {seed: found[f"{name} {place}"] for seed, found in stood.items()}

    asked = all(m["ensemble"][place] is not None for m in robust.values())
    worst = by_seed("robust")
    return AtEps(
        mean(list(by_seed("pgd").values())),
        mean(list(by_seed("ensemble").values())) if asked else None,
        mean(list(worst.values())),
        worst,
    )


def _is_overestimate(said: Said, metrics: Mapping[str, Any]) -> bool:
    pairs = [pair for pair in zip(metrics["pgd"], metrics["ensemble"], strict=True) if pair[1] is not None]
    sentences = [masking.ensemble_below(pgd, ensemble) for pgd, ensemble in pairs]
    return any(sentence is not None and said.text.startswith(sentence) for sentence in sentences)
