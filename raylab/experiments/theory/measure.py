"""The quantities of every small world, by seed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raylab.core.statistics import Estimate
from raylab.engine.study import Built
from raylab.experiments.theory.config import Theory
from raylab.experiments.theory.plan import TheoryCell, absent_images
from raylab.report.per_seed import PerSeed, shifted
from raylab.stages.quantities import read_quantities
from raylab.stages.usefulness import SPECTRUM


class Quantities(dict[str, PerSeed]):
    """Numbers of one world by name; one that was not measured, or not built, is a number of no seeds."""

    def __missing__(self, name: str) -> PerSeed:
        return PerSeed({})


@dataclass(frozen=True)
class TheoryWorlds:
    """One study's result."""

    built: Built[Theory, TheoryCell]
    quantities: Mapping[str, Quantities]  # by `TheoryCell.world`
    spectrum: Mapping[str, Any]  # Goh's plane, as it is drawn; empty where it was not built

    @property
    def config(self) -> Theory:
        return self.built.config

    def found(self, world: str) -> Quantities:
        return self.quantities.get(world, Quantities())

    def absence(self, world: str) -> str:
        """Why a world has no numbers; "" where it has."""
        if world in self.quantities:
            return ""
        reasons = (why for cell, why in self.built.missing.items() if cell.world == world)
        return next(reasons, "") or absent_images(self.config)


def measure(built: Built[Theory, TheoryCell]) -> TheoryWorlds:
    """All numbers, from the tables of quantities."""
    by_seed: dict[str, dict[int, Mapping[str, Estimate]]] = {}
    for cell, artifact in built.artifacts.items():
        if cell.role != "data":
            by_seed.setdefault(cell.world, {})[cell.seed] = with_excess(read_quantities(artifact))
    spectrum = built.artifacts.get(TheoryCell("usefulness"))
    return TheoryWorlds(
        built,
        {world: together(seeds) for world, seeds in by_seed.items()},
        json.loads(spectrum.read(SPECTRUM)) if spectrum is not None else {},
    )


def together(seeds: Mapping[int, Mapping[str, Estimate]]) -> Quantities:
    """Tables of single seeds as numbers by seed."""
    names = dict.fromkeys(name for found in seeds.values() for name in found)
    by_name = {name: {seed: found[name] for seed, found in seeds.items() if name in found} for name in names}
    return Quantities({name: PerSeed(of) for name, of in by_name.items()})


def with_excess(found: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """Beside every accuracy with a closed form of its own: how far it lies from it, seed by seed."""
    known = [name for name in found if f"{name} expected" in found]
    return {**found, **{f"{name} excess": shifted(found[name], -found[f"{name} expected"].mean) for name in known}}
