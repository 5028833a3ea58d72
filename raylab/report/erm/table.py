"""The planet Erm as tables: usage by network, robust accuracy by data and by size, energy of gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from raylab.artifact import Artifact
from raylab.core import seefar
from raylab.core.seefar import PROBES
from raylab.core.statistics import Estimate, proportion, sampled
from raylab.recipes import worlds
from raylab.recipes.erm import EXPLAINED, NETWORKS, NO_TOOGITS, TOOGITS, Cell, Erm
from raylab.report.estimates import BySeed, mean
from raylab.report.made import newest_provenance
from raylab.report.usage import Conflict, Followed, followed
from raylab.report.worlds import Result, judged

Artifacts = Mapping[Cell | worlds.Cell, Artifact]
Features = tuple[str, str]
FEATURES: Features = ("toogit", "shape")
SAID: Mapping[str, str] = {  # the networks, by what they were trained on
    "standard": "standard",
    "robust": "robust",
    "rand": "student of D_rand",
    "det": "student of D_det",
    "clean": "student of D",
    "r_image": "student of D_R",
    "nr_image": "student of D_NR",
}


@dataclass(frozen=True)
class Use:
    """One kind of network; by seed, that is by world."""

    accuracy: BySeed  # on clean test images
    follow_r: BySeed  # conflict images called by their shape
    follow_n: BySeed  # by their toogit
    only_r: BySeed  # images with a shape alone, by it
    only_n: BySeed
    followed: Followed  # beyond chance, over all worlds


class Point(NamedTuple):
    """A standard network of one world at one number of training images or pixels a side; by seed."""

    part: str  # "more_data", "dimension"
    world: str  # "toogits", "no toogits"
    size: int
    accuracy: BySeed
    lost: Mapping[float, BySeed]  # by radius: the share of right answers that an attack takes
    follow_n: BySeed
    follow_r: BySeed


@dataclass(frozen=True)
class Planet:
    """One config's result."""

    config: Erm
    key: str
    networks: Mapping[str, Use]  # in the order of NETWORKS
    ceilings: Mapping[str, BySeed]  # by feature: share of test images on which it tells the label
    oracles: Mapping[str, BySeed]  # by feature: share of clean test images that its oracle reads right
    attack: Mapping[str, BySeed]  # of D_det: success, shape_kept, toogit_is_target, and where its perturbations lie
    by_chance: Mapping[str, float]  # share of the energy of a random direction, by feature
    points: tuple[Point, ...]
    explained: Mapping[tuple[str, float], Mapping[str, BySeed]]  # by network and sigma: shares by feature
    worlds: Result | None
    notes: tuple[str, ...]
    artifacts: Artifacts
    provenance: Mapping[str, Any]

    def of(self, part: str, world: str) -> list[Point]:
        return [point for point in self.points if (point.part, point.world) == (part, world)]


def measured(config: Erm, key: str, artifacts: Artifacts) -> Planet:
    """All statistics of one config from its cells."""
    read = _Reader(config, artifacts)
    here = config.data is not None
    data = [artifact for cell, artifact in artifacts.items() if cell.role == "data"]
    return Planet(
        config,
        key,
        read.networks() if here else {},
        {name: read.ceiling(name) for name in ("shape", "toogit")} if here else {},
        {name: read.metric("oracles", f"{name}_right", kind="test") for name in ("shape", "toogit")} if here else {},
        read.attack() if here else {},
        read.by_chance() if here else {},
        tuple(read.points()) if here else (),
        read.explained() if here else {},
        _worlds(config, key, artifacts),
        tuple(dict.fromkeys(str(a.metrics["note"]) for a in data if a.metrics.get("note"))),
        artifacts,
        newest_provenance(artifacts.values()),
    )


class _Reader:
    def __init__(self, config: Erm, artifacts: Artifacts) -> None:
        self.config, self.artifacts = config, artifacts
        self._columns: dict[Cell, dict[str, Any]] = {}

    def networks(self) -> dict[str, Use]:
        seeds, found = self.config.seeds, {}
        present = [name for name in NETWORKS if Cell("test", "usage", seeds[0], name) in self.artifacts]
        for name in present:
            used = {seed: self._usage(seed, name) for seed in seeds}
            conflicts = [Conflict.of(self.columns(Cell("usage", "usage", seed, name, "conflict"))) for seed in seeds]
            shares = {what: {seed: used[seed][what] for seed in seeds} for what in used[seeds[0]]}
            found[name] = Use(
                accuracy={seed: self._right(seed, name) for seed in seeds},
                **shares,
                followed=followed(conflicts, seefar.World.num_classes, len(present)),
            )
        return found

    def _usage(self, seed: int, name: str) -> dict[str, Estimate]:
        shown = {kind: self.columns(Cell("usage", "usage", seed, name, kind)) for kind in PROBES}
        return {what: self._called(seed, shown[kind], feature) for what, (kind, feature) in seefar.USES.items()}

    def _right(self, seed: int, name: str) -> Estimate:
        rows = self.columns(Cell("test", "usage", seed, name))
        return sampled(rows["correct"].astype(bool), rows["id"], f"test, world {seed}")

    def _called(self, seed: int, rows: Mapping[str, Any], feature: str) -> Estimate:
        """Images that are called by a feature: of a world, as it shows them."""
        return sampled(rows["prediction"] == rows[f"{feature}_class"], rows["id"], f"world {seed}")

    def ceiling(self, feature: str) -> BySeed:
        found = {}
        for seed in self.config.seeds:
            rows = self.columns(Cell("test", "usage", seed, "standard"))
            found[seed] = sampled(rows[f"{feature}_class"] == rows["label"], rows["id"], f"test, world {seed}")
        return found

    def attack(self) -> dict[str, BySeed]:
        oracle = {name: self.metric("oracles", name, kind="det") for name in ("shape_kept", "toogit_is_target")}
        lies = ("toogit", "shape", "with_target", "with_swap")
        where = {name: self.metric("perturbation", name) for name in lies}
        return {"success": self.metric("set", "success")} | oracle | where

    def by_chance(self) -> dict[str, float]:
        metrics = self.artifacts[Cell("perturbation", "usage", self.config.seeds[0])].metrics
        return {name: float(metrics[f"{name}_by_chance"]) for name in FEATURES}

    def points(self) -> list[Point]:
        c, found = self.config, []
        sizes = {"more_data": c.more_data and c.more_data.rows, "dimension": c.dimension and c.dimension.sizes}
        for part, of_part in sizes.items():
            for world in (TOOGITS, NO_TOOGITS):
                for size in of_part or ():
                    place = Cell("test", part, c.seeds[0], kind=world, size=size)
                    if place in self.artifacts:
                        found.append(self._point(place))
        return found

    def _point(self, place: Cell) -> Point:
        seeds, eps = self.config.seeds, self.config.eps
        shown = {seed: self.columns(place._replace(role="usage", seed=seed)) for seed in seeds}
        called = {name: {seed: self._called(seed, rows, name) for seed, rows in shown.items()} for name in FEATURES}
        stood = {seed: self.artifacts[place._replace(role="robust", seed=seed)].metrics for seed in seeds}
        lost = {
            radius: {seed: _lost(metrics, index) for seed, metrics in stood.items()} for index, radius in enumerate(eps)
        }
        return Point(
            place.part,
            place.kind,
            place.size,
            self.metric("test", "accuracy", part=place.part, kind=place.kind, size=place.size),
            lost,
            called["toogit"],
            called["shape"],
        )

    def explained(self) -> dict[tuple[str, float], dict[str, BySeed]]:
        part = self.config.explain
        if part is None:
            return {}
        found = {}
        for name in EXPLAINED:
            if Cell("explanation", "explain", self.config.seeds[0], name) in self.artifacts:
                for index, sigma in enumerate(part.sigmas):
                    found[name, sigma] = {
                        feature: self.metric("explanation", feature, index, part="explain", network=name)
                        for feature in FEATURES
                    }
        return found

    def metric(self, role: str, name: str, index: int | None = None, part: str = "usage", **cell: Any) -> BySeed:
        """A number of the manifests, by seed. Its own standard error is left out where it is no share of examples."""
        found = {}
        for seed in self.config.seeds:
            metrics = self.artifacts[Cell(role, part, seed, **cell)].metrics
            value, n = metrics[name], int(metrics.get(f"n_{name}", metrics["n"]))
            value = value[index or 0] if isinstance(value, list | tuple) else value
            if value is None:
                found[seed] = Estimate(math.nan, math.nan, 0, 1)
            elif role in ("perturbation", "explanation"):
                found[seed] = Estimate(float(value), math.nan, n, 1)
            else:
                found[seed] = proportion(round(value * n), n)
        return found

    def columns(self, cell: Cell) -> dict[str, Any]:
        if cell not in self._columns:
            table = self.artifacts[cell].table()
            kept = [name for name in table.column_names if name != "logits"]
            self._columns[cell] = {name: table.column(name).to_numpy() for name in kept}
        return self._columns[cell]


def over(by_seed: BySeed) -> Estimate:
    """Mean over worlds."""
    return mean(list(by_seed.values()))


def _lost(metrics: Mapping[str, Any], index: int) -> Estimate:
    """Of the images that a network has right, those that the attack takes: 1 - robust accuracy / accuracy."""
    n = round(metrics["clean"] * metrics["n"])
    return proportion(n - round(metrics["robust"][index] * metrics["n"]), n)


def _worlds(config: Erm, key: str, artifacts: Artifacts) -> Result | None:
    if config.worlds is None:
        return None
    return judged(config.worlds, key, {cell: a for cell, a in artifacts.items() if isinstance(cell, worlds.Cell)})
