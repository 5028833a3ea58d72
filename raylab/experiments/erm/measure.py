"""What was measured on the planet: feature reliance of every network, D_det, more data and pixels, explanations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import Any, NamedTuple

from raylab.core.seefar import PROBES, USES, World
from raylab.core.statistics import Estimate, proportion
from raylab.engine.study import Built
from raylab.experiments import worlds
from raylab.experiments.erm.config import Erm
from raylab.experiments.erm.plan import EXPLAINED, NETWORKS, NO_TOOGITS, TOOGITS, ErmCell
from raylab.experiments.worlds import Conflict, Reliance, Score
from raylab.report.names import FEATURES, calls
from raylab.report.per_seed import PerSeed
from raylab.report.read import ByRow, CellReader

# Labels of the features, and their names in artifacts: See-Far's own.
LABELS = {  # the networks, by what they were trained on
    "standard": "standard",
    "robust": "robust",
    "rand": "student of D_rand",
    "det": "student of D_det",
    "clean": "student of D",
    "r_image": "student of D_R",
    "nr_image": "student of D_NR",
}
WORLDS = {TOOGITS: "non-robust features tell", NO_TOOGITS: "they tell nothing"}
SIZES = {"more_data": "images", "dimension": "pixels a side"}  # by part: what grows
OF_DET = {  # by label: role and metric of what was measured of D_det
    "turned": ("oracles", "toogit_is_target"),
    "kept": ("oracles", "shape_kept"),
    "energy": ("perturbation", "toogit"),
    "correlation": ("perturbation", "with_target"),
}


@dataclass(frozen=True)
class NetworkOnProbes:
    """One kind of network; a seed is a world."""

    accuracy: PerSeed  # on clean test images
    robust: PerSeed  # conflict images called by their robust feature
    non_robust: PerSeed  # by their non-robust feature
    robust_alone: PerSeed  # images with a robust feature alone, called by it
    non_robust_alone: PerSeed
    reliance: Reliance  # on the non-robust feature, beyond chance, over all worlds

    @property
    def preference(self) -> PerSeed:
        """Conflict images called by the non-robust feature less those by the robust one, paired by image."""
        return self.non_robust - self.robust


class WorldPoint(NamedTuple):
    """A standard network of one world at one number of training images or pixels a side."""

    part: str  # of SIZES
    world: str  # of WORLDS
    size: int
    accuracy: PerSeed
    lost: Mapping[float, PerSeed]  # by radius: the share of right answers that an attack takes
    robust: PerSeed
    non_robust: PerSeed


class SetAnswers(NamedTuple):
    """A D_det beside what networks and oracles say of its images."""

    success: float  # attack success rate on the source
    own: float  # share that the robust network calls by their own class
    label: float  # by their new label


@dataclass(frozen=True)
class Planet:
    """One study's result."""

    built: Built[Erm, ErmCell | worlds.WorldsCell]
    networks: Mapping[str, NetworkOnProbes]  # in the order of NETWORKS
    ceilings: Mapping[str, PerSeed]  # by feature: share of test images on which it tells the label
    oracles: Mapping[str, PerSeed]  # by feature: share of clean test images that its oracle reads right
    det: Mapping[str, PerSeed]  # by OF_DET
    by_chance: Mapping[str, float]  # by feature: share of the energy of a random direction
    points: tuple[WorldPoint, ...]
    explained: Mapping[tuple[str, float], Mapping[str, PerSeed]]  # by network and sigma: energy shares by feature
    worlds: Score | None
    notes: tuple[str, ...]

    @property
    def config(self) -> Erm:
        return self.built.config

    def of(self, part: str, world: str) -> list[WorldPoint]:
        return [point for point in self.points if (point.part, point.world) == (part, world)]


def measure(built: Built[Erm, ErmCell | worlds.WorldsCell]) -> Planet:
    """All numbers of one study; of what it does not ask for none."""
    config = built.config
    cells = {cell: artifact for cell, artifact in built.artifacts.items() if isinstance(cell, ErmCell)}
    planned = [cell for cell in built.planned if isinstance(cell, ErmCell)]
    reader = CellReader(
        cells, config.seeds if config.data else (), config.data.images_of if config.data else _no_images
    )
    here = {cell._replace(seed=0) for cell in planned}  # whatever the seed
    clean = ErmCell("oracles", "usage", 0, kind="test")
    lying = [ErmCell("perturbation", "usage", 0), *(ErmCell("explanation", "explain", 0, name) for name in EXPLAINED)]
    energies = [metrics for cell in lying for metrics in reader.metrics(cell)]
    return Planet(
        built,
        _networks(reader, [name for name in NETWORKS if ErmCell("test", "usage", 0, name) in here]),
        {feature: reader.share(clean, _tells(column)) for feature, column in FEATURES.items()},
        {feature: reader.counted(clean, f"{column}_right") for feature, column in FEATURES.items()},
        {label: _of_det(reader, *found) for label, found in OF_DET.items()},
        {feature: energies[0][f"{column}_by_chance"] if energies else nan for feature, column in FEATURES.items()},
        tuple(_points(reader, config, here)),
        _explained(reader, config, here),
        _worlds(built),
        tuple(dict.fromkeys(note for cell, a in cells.items() if cell.role == "data" and (note := a.metrics["note"]))),
    )


def answers(planet: Planet, part: str, seed: int) -> SetAnswers | None:
    """What is said of a D_det; None where a part of it was not built."""
    made, judged = (planet.built.artifacts.get(ErmCell(role, part, seed)) for role in ("set", "judged"))
    if made is None or judged is None:
        return None
    rows = judged.without_images()
    own, label = (float((rows["prediction"] == rows[name]).mean()) for name in ("source_label", "label"))
    return SetAnswers(float(made.metrics["success"]), own, label)


def _networks(reader: CellReader[ErmCell], names: list[str]) -> dict[str, NetworkOnProbes]:
    found = {}
    for name in names:
        shown = {kind: ErmCell("usage", "usage", 0, name, kind) for kind in PROBES}
        shares = {use: reader.share(shown[kind], calls(feature)) for use, (kind, feature) in USES.items()}
        conflicts = [Conflict.of(reader.columns(a)) for a in reader.artifacts(shown["conflict"]).values()]
        found[name] = NetworkOnProbes(
            reader.right(ErmCell("test", "usage", 0, name)),
            shares["follow_r"],
            shares["follow_n"],
            shares["only_r"],
            shares["only_n"],
            worlds.in_conflict(conflicts, World.num_classes, len(names)),
        )
    return found


def _points(reader: CellReader[ErmCell], config: Erm, here: set[ErmCell]) -> list[WorldPoint]:
    found = [_point(reader, cell, config) for cell in here if cell.role == "test" and cell.part in SIZES]
    parts, kinds = list(SIZES), list(WORLDS)
    return sorted(found, key=lambda point: (parts.index(point.part), kinds.index(point.world), point.size))


def _point(reader: CellReader[ErmCell], place: ErmCell, config: Erm) -> WorldPoint:
    shown = place._replace(role="usage")
    attacked = {seed: a.metrics for seed, a in reader.artifacts(place._replace(role="robust")).items()}
    return WorldPoint(
        place.part,
        place.kind,
        place.size,
        reader.counted(place, "accuracy"),
        {
            radius: PerSeed({seed: _lost(metrics, k) for seed, metrics in attacked.items()})
            for k, radius in enumerate(config.eps)
        },
        reader.share(shown, calls("shape")),
        reader.share(shown, calls("toogit")),
    )


def _lost(metrics: Mapping[str, Any], place: int) -> Estimate:
    """Of the images that a network has right, those that the attack takes: 1 - robust accuracy / accuracy."""
    n = round(metrics["clean"] * metrics["n"])
    return proportion(n - round(metrics["robust"][place] * metrics["n"]), n)


def _explained(
    reader: CellReader[ErmCell], config: Erm, here: set[ErmCell]
) -> dict[tuple[str, float], Mapping[str, PerSeed]]:
    cells = {name: ErmCell("explanation", "explain", 0, name) for name in EXPLAINED}
    return {
        (name, sigma): {feature: _energy(reader, cell, column, k) for feature, column in FEATURES.items()}
        for name, cell in cells.items()
        if cell in here
        for k, sigma in enumerate(config.explain.sigmas if config.explain else ())
    }


def _of_det(reader: CellReader[ErmCell], role: str, metric: str) -> PerSeed:
    if role == "oracles":
        n = "n_toogit_is_target" if metric == "toogit_is_target" else "n"
        return reader.counted(ErmCell(role, "usage", 0, kind="det"), metric, n)
    return _energy(reader, ErmCell(role, "usage", 0), metric)


def _energy(reader: CellReader[ErmCell], cell: ErmCell, metric: str, place: int = 0) -> PerSeed:
    """A number of the manifests that is no share of images: it has no standard error of its own."""
    found = {}
    for seed, artifact in reader.artifacts(cell).items():
        value, n = artifact.metrics[metric], int(artifact.metrics["n"])
        value = value[place] if isinstance(value, list | tuple) else value
        if value is not None:
            found[seed] = Estimate(float(value), nan, n, 1)
    return PerSeed(found)


def _tells(feature: str) -> ByRow:
    """Whether a feature of an image is that of its label."""
    return lambda rows: rows[f"{feature}_class"] == rows["label"]


def _no_images(seed: int, split: str) -> str:
    return f"{split} {seed}"


def _worlds(built: Built[Erm, ErmCell | worlds.WorldsCell]) -> Score | None:
    if built.config.worlds is None:
        return None
    cells = {cell: a for cell, a in built.artifacts.items() if isinstance(cell, worlds.WorldsCell)}
    missing = {cell: why for cell, why in built.missing.items() if isinstance(cell, worlds.WorldsCell)}
    return worlds.measure(Built(built.config.worlds, built.key, cells, missing))
