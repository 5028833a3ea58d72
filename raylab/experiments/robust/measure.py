"""How robust students of D_R, D_NR and their controls are, and what speaks against each number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from raylab.core import masking
from raylab.core.invert import Iterate
from raylab.core.layers import LOGITS
from raylab.core.statistics import Estimate
from raylab.engine.study import Built
from raylab.experiments.robust.config import INVERTED, SETS, RobustFeatures
from raylab.experiments.robust.plan import ADVERSARIAL, CLEAN, STANDARD, RobustCell
from raylab.report.names import FEATURES, calls
from raylab.report.per_seed import PerSeed
from raylab.report.read import Columns, Findings, Split, begun, in_todays_words, reader_of
from raylab.scoreboard.protocol import NORMS, named

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
    ADVERSARIAL: "D, adversarially",
}
AGAINST = (CLEAN, "nr_image", "filtered")  # what the student of D_R has to beat
COMPARED = (*AGAINST, "blurred")
NOTHING = PerSeed({})


class Caution(NamedTuple):
    """A warning that an artifact carries, and the set and network that it is about."""

    where: str
    seed: int
    text: str


@dataclass(frozen=True)
class AtRadius:
    """Accuracy under attack at one radius; of each image `worst` counts what any attack found."""

    pgd: PerSeed
    ensemble: PerSeed  # of no seeds where it was not asked
    worst: PerSeed


@dataclass(frozen=True)
class MeasuredNetwork:
    """One architecture trained on one set, on the test images."""

    set: str
    architecture: str
    accuracy: PerSeed  # on the whole test set
    attacked_clean: PerSeed  # on the test images that were attacked: radius 0
    at: Mapping[float, AtRadius]
    others: Mapping[str, PerSeed]  # under other sets of perturbations
    reliance: Mapping[str, PerSeed] = field(default_factory=dict)  # See-Far: by FEATURES, where the two disagree
    own: PerSeed = NOTHING  # of D_R: under PGD at the main radius on its own training images
    moved: PerSeed = NOTHING  # and on test images that were made as D_R
    warnings: tuple[Caution, ...] = ()  # of gradient masking
    overestimates: tuple[Caution, ...] = ()  # PGD alone is too kind: no doubt of `worst`, which counts the ensemble
    collapse: tuple[Caution, ...] = ()
    further: Mapping[str, PerSeed] = field(default_factory=dict)  # accuracy on further test images, by their name


@dataclass(frozen=True)
class InversionQuality:
    """How well an inversion went: relative residuals of the features, means over seeds."""

    set: str
    n: int
    median: float
    p95: float
    unconverged: float  # share
    iterate: Iterate  # that was kept
    doubts: tuple[Caution, ...]


@dataclass(frozen=True)
class Layers:
    """Layer robustness R(f) of networks of the source's architecture: 0 where nothing moves a layer, 1 where the ball
    reaches as far as from one image to another."""

    eps: float
    n: int  # images a seed
    names: tuple[str, ...]
    of: Mapping[str, tuple[PerSeed, ...]]  # by network: STANDARD, ADVERSARIAL, "r_image"; a number a layer
    worst: Mapping[str, PerSeed]  # by network: the layer that moves farthest; the logits only where there is no other

    @property
    def above(self) -> PerSeed:
        """R of the layer that moves farthest: that of the adversarial network minus that of the standard one."""
        return self.worst[ADVERSARIAL] - self.worst[STANDARD]

    @property
    def ratio(self) -> PerSeed:
        """R of the layer that moves farthest: that of the standard network over that of the adversarial one."""
        return _over(self.worst[STANDARD], self.worst[ADVERSARIAL])

    @property
    def ratios(self) -> tuple[PerSeed, ...]:
        """R of every layer: that of the standard network over that of the adversarial one."""
        return tuple(map(_over, self.of[STANDARD], self.of[ADVERSARIAL]))


@dataclass(frozen=True)
class RobustSets(Findings[RobustFeatures, RobustCell]):
    """One study's result."""

    networks: tuple[MeasuredNetwork, ...]  # students by architecture, then those that were trained adversarially
    standard: PerSeed  # accuracy of D_NR's source
    standard_collapse: tuple[Caution, ...]
    inverted: tuple[InversionQuality, ...]
    layers: Layers | None  # None: not asked, or nothing of it was built

    @property
    def sets(self) -> tuple[str, ...]:
        """D and all constructed sets, in order."""
        return _sets(self.config)

    @property
    def title(self) -> str:
        c = self.config
        return f"{named(c.data)}: {NORMS[c.robustness.norm]} radius {c.eps:g}, source {c.source}"

    @property
    def attacked(self) -> int:
        """The number of test images a seed that were attacked."""
        return next((one.n for network in self.networks for one in network.attacked_clean.values()), 0)

    def network(self, of: str, architecture: str) -> MeasuredNetwork:
        return next(one for one in self.networks if (one.set, one.architecture) == (of, architecture))

    @property
    def reference(self) -> MeasuredNetwork:
        """The adversarially trained source."""
        return self.network(ADVERSARIAL, self.config.source)

    def robust(self, of: str, architecture: str) -> PerSeed:
        """Robust accuracy at the radius of the verdict, under the worst of all attacks."""
        return self.network(of, architecture).at[self.config.eps].worst

    def above(self, student: str) -> dict[str, PerSeed]:
        """Robust accuracy of the student of D_R less those of the sets that it is compared with, paired by seed."""
        won = self.robust("r_image", student)
        return {of: won - self.robust(of, student) for of in COMPARED if of in self.sets}

    @property
    def warnings(self) -> tuple[Caution, ...]:
        """Everything that speaks against a number, in the order of its weight."""
        collapsed = [caution for one in self.networks for caution in one.collapse]
        doubts = [caution for one in self.inverted for caution in one.doubts]
        return (*self.standard_collapse, *collapsed, *doubts, *(w for one in self.networks for w in one.warnings))

    @property
    def overestimate(self) -> tuple[float, int]:
        """The largest amount by which PGD alone is too kind at a radius, and in how many networks it is."""
        asked = [at for one in self.networks for at in one.at.values() if at.ensemble]
        gaps = [at.pgd.mean.mean - at.worst.mean.mean for at in asked]
        return max(gaps, default=0.0), sum(len(one.overestimates) for one in self.networks)


def measure(built: Built[RobustFeatures, RobustCell]) -> RobustSets:
    """All numbers, from the results of single examples."""
    config = built.config
    read = _Read(built)
    places = [(of, student) for student in config.students for of in _sets(config)]
    places += [(ADVERSARIAL, name) for name in dict.fromkeys((config.source, *config.references))]
    return RobustSets(
        *begun(built),
        tuple(read.network(*place) for place in places),
        read.reader.right(RobustCell("test", 0, STANDARD, config.source)),
        read.cautions("network", STANDARD, config.source, "collapse"),
        tuple(read.inverted(of) for of in _sets(config) if of in INVERTED),
        read.layers(),
    )


class _Read:
    """Reads the numbers of one study."""

    def __init__(self, built: Built[RobustFeatures, RobustCell]) -> None:
        self.built, self.config = built, built.config
        self.reader = reader_of(built)

    def network(self, of: str, name: str) -> MeasuredNetwork:
        c = self.config
        attacked = RobustCell("robust", 0, of, name)
        warnings = self.cautions("robust", of, name, "warnings")
        numbers = {seed: artifact.metrics for seed, artifact in self.reader.artifacts(attacked).items()}
        kind = tuple(one for one in warnings if _is_overestimate(one, numbers[one.seed]))
        return MeasuredNetwork(
            of,
            name,
            self.reader.right(RobustCell("test", 0, of, name)),
            self._standing(attacked, "clean_margin"),
            {eps: self._at(attacked, place) for place, eps in enumerate(c.robustness.eps)},
            {other: self._standing(attacked, f"{other}_margin") for other in c.robustness.others},
            self._reliance(of, name),
            self._standing(RobustCell("own", 0, of, name), "pgd_margin", 0, "train"),
            self._standing(RobustCell("moved", 0, of, name), "pgd_margin", 0),
            tuple(one for one in warnings if one not in kind),
            kind,
            self.cautions("network", of, name, "collapse"),
            {on: self.reader.further(RobustCell("further", 0, of, name, on)) for on in c.evaluate_on or {}},
        )

    def _at(self, cell: RobustCell, place: int) -> AtRadius:
        asked = self.config.robustness.judged[place]
        return AtRadius(
            self._standing(cell, "pgd_margin", place),
            self._standing(cell, "ensemble_margin", place) if asked else NOTHING,
            self.reader.robust(cell, place),
        )

    def _standing(self, cell: RobustCell, margin: str, place: int | None = None, split: Split = "test") -> PerSeed:
        """The share of images whose margin an attack leaves above 0."""
        return self.reader.share(cell, partial(_is_right, margin, place), split=split)

    def _reliance(self, of: str, name: str) -> dict[str, PerSeed]:
        if not any(cell.role == "usage" for cell in self.built.planned):
            return {}
        place = RobustCell("usage", 0, of, name)
        return {feature: self.reader.share(place, calls(column)) for feature, column in FEATURES.items()}

    def inverted(self, of: str) -> InversionQuality:
        found = self.reader.metrics(RobustCell("set", 0, of))
        inversion = self.config.from_noise if of.endswith("noise") else self.config.from_image

        def mean(name: str) -> float:
            return math.fsum(float(one[name]) for one in found) / len(found) if found else math.nan

        return InversionQuality(
            of,
            sum(int(one["n"]) for one in found),
            mean("residual_median"),
            mean("residual_p95"),
            mean("unconverged"),
            inversion.iterate or "best",
            self.cautions("set", of, "", "doubts"),
        )

    def layers(self) -> Layers | None:
        networks = (STANDARD, ADVERSARIAL, "r_image")
        cells = {of: self.reader.artifacts(RobustCell("layers", 0, of, self.config.source)) for of in networks}
        metrics = {of: {seed: one.metrics for seed, one in found.items()} for of, found in cells.items()}
        first = next((one for found in metrics.values() for one in found.values()), None)
        if first is None:
            return None
        names = tuple(first["layers"])
        places = range(len(names))
        hidden = [place for place in places if names[place] != LOGITS] or list(places)
        return Layers(
            first["eps"],
            first["n"],
            names,
            {of: tuple(_each(found, partial(_layer, place)) for place in places) for of, found in metrics.items()},
            {of: _each(found, partial(_farthest, hidden)) for of, found in metrics.items()},
        )

    def cautions(self, role: str, of: str, network: str, metric: str) -> tuple[Caution, ...]:
        """The sentences of a metric, of all seeds; a metric that is None or absent warns of nothing."""
        where = LABELS.get(of, of) + (f", {network}" if network else "")
        found = []
        for seed, artifact in self.reader.artifacts(RobustCell(role, 0, of, network)).items():
            sentences = artifact.metrics.get(metric) or ()
            listed: Sequence[str] = (sentences,) if isinstance(sentences, str) else sentences
            found += [Caution(where, seed, in_todays_words(text)) for text in listed]
        return tuple(found)


def _sets(config: RobustFeatures) -> tuple[str, ...]:
    return (CLEAN, *(name for name in SETS if name in config.sets))


def _is_right(margin: str, place: int | None, rows: Columns) -> Any:
    margins = rows[margin]
    return (margins if place is None else margins[:, place]) > 0


def _is_overestimate(caution: Caution, metrics: Mapping[str, Any]) -> bool:
    pairs = [pair for pair in zip(metrics["pgd"], metrics["ensemble"], strict=True) if pair[1] is not None]
    sentences = [masking.ensemble_below(pgd, ensemble) for pgd, ensemble in pairs]
    return any(sentence is not None and caution.text.startswith(sentence) for sentence in sentences)


def _each(metrics: Mapping[int, Mapping[str, Any]], number: Callable[[Mapping[str, Any]], Estimate]) -> PerSeed:
    return PerSeed({seed: number(one) for seed, one in metrics.items()})


def _layer(place: int, metrics: Mapping[str, Any]) -> Estimate:
    value, se = metrics["robustness"][place], metrics["se"][place]
    return Estimate(math.nan if value is None else value, math.nan if se is None else se, metrics["n"], 1)


def _farthest(places: Sequence[int], metrics: Mapping[str, Any]) -> Estimate:
    """R of the layer that moves farthest, of these."""
    found = (_layer(place, metrics) for place in places)
    return max(found, key=lambda one: -1.0 if math.isnan(one.mean) else one.mean)


def _over(of: PerSeed, by: PerSeed) -> PerSeed:
    """The ratio of every seed; its error by the images is not known."""
    shared = [seed for seed in of if seed in by and by[seed].mean > 0]
    return PerSeed({seed: Estimate(of[seed].mean / by[seed].mean, math.nan, of[seed].n, 1) for seed in shared})
