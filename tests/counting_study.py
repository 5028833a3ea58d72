"""An experiment in a few lines: so many numbers a seed, one of which may fail."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

import toy
from pydantic import Field

from raylab.config import Config
from raylab.core.statistics import Estimate
from raylab.engine.stage import Stage
from raylab.engine.study import Built
from raylab.report.blocks import Report, Table, Verdict
from raylab.report.experiment import Experiment
from raylab.report.per_seed import PerSeed
from raylab.report.values import Badge


class Counted(Config):
    """So many numbers a seed."""

    study: str = "counted"
    count: Annotated[int, Field(ge=1)] = 3
    seeds: tuple[int, ...] = (0, 1)
    folder: str = ""


class Cell(NamedTuple):
    role: str
    seed: int


def plan(config: Counted) -> Mapping[Cell, Stage]:
    cells = {Cell("numbers", seed): toy.numbers(config.count + seed) for seed in config.seeds}
    if config.folder:
        cells[Cell("faulty", 0)] = toy.faulty("raise", Path(config.folder))
    return cells


def report(built: Built[Counted, Cell]) -> Report:
    found = PerSeed({cell.seed: Estimate(0.5, 0.1, 9, 1) for cell in built.artifacts})
    table = Table.of("counts", "Counts ± nothing.", [0], {"Of": lambda _: "all", "Share": lambda _: found})
    return Report("Counting", Verdict("all", Badge("good", "counted"), "It was counted."), (table,), headline="counts")


EXPERIMENT = Experiment(
    name="counting", title="Counting", method="", lead="", how_to_read="", source="", config=Counted, plan=plan,
    measure=lambda built: built, report=report,
)  # fmt: skip
