"""The config of every point, by the loader of the jobs, and what a trial at it measures."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from raylab.config import Config, load
from raylab.engine.space import Point
from raylab.engine.stage import Stage
from raylab.report.experiments import EXPERIMENTS, Name
from raylab.stages.half import Side
from raylab.stages.recipe import Recipe
from raylab.sweep.config import Measure, Sweep
from raylab.sweep.measure import chosen, on_side

Needs = dict[str, dict[Hashable, Stage]]  # name of a measure -> its cells


@dataclass(frozen=True)
class Base:
    """The config that a sweep changes, as text: a worker reads it as the command line would."""

    experiment: Name
    text: str
    changes: tuple[str, ...]
    origin: str

    def config(self, point: Mapping[str, Any]) -> Config:
        """Raises ConfigError, where the change is called one of the command line."""
        settings = [*self.changes, *(f"{path}={json.dumps(value)}" for path, value in point.items())]
        loaded: Config = load(EXPERIMENTS[self.experiment].config, self.text, settings, self.origin)
        return loaded

    def plan(self, point: Mapping[str, Any]) -> Mapping[Any, Stage]:
        """Raises ConfigError or ValueError."""
        cells: Mapping[Any, Stage] = EXPERIMENTS[self.experiment].plan(self.config(point))
        return cells


@dataclass(frozen=True)
class Prepared(Mapping[tuple[int, str, Hashable], Stage]):
    """A sweep that can be run; as a mapping, what is measured by trial, measure and cell."""

    sweep: Sweep
    base: Base
    key: str
    points: tuple[Point, ...]  # of all trials in order; empty where a sampler will propose them
    needs: tuple[Needs, ...]  # what the trials measure, by point; for a sampler that of the corners of the space

    @cached_property
    def stages(self) -> dict[tuple[int, str, Hashable], Stage]:
        return {
            (number, name, cell): stage
            for number, needs in enumerate(self.needs)
            for name, cells in needs.items()
            for cell, stage in cells.items()
        }

    def __getitem__(self, place: tuple[int, str, Hashable]) -> Stage:
        return self.stages[place]

    def __iter__(self) -> Iterator[tuple[int, str, Hashable]]:
        return iter(self.stages)

    def __len__(self) -> int:
        return len(self.stages)


def needed(sweep: Sweep, base: Base, point: Mapping[str, Any]) -> Needs:
    """What a trial measures: on the half that may choose. Raises ConfigError or ValueError."""
    needs = measured(sweep, base, point, sweep.measures, side_of(sweep))
    if sweep.watched:
        watched(sweep, needs)
    return needs


def side_of(sweep: Sweep) -> Side | None:
    """What trials are judged on: a half, or (None) all of the test set."""
    return "selection" if sweep.selection.split == "half" else None


def measured(
    sweep: Sweep, base: Base, point: Mapping[str, Any], measures: tuple[Measure, ...], side: Side | None
) -> Needs:
    """The cells of measures at a point, on one half of the test set or (None) on all of it. Raises ConfigError, or
    ValueError with a line for each measure that is wrong."""
    cells, found, problems = base.plan(point), Needs(), list[str]()
    for measure in measures:
        try:
            here = chosen(measure, cells)
        except ValueError as error:
            problems.append(str(error))
            continue
        if side is not None:
            cut = {cell: on_side(stage, side, sweep.selection.seed) for cell, stage in here.items()}
            if any(cut[cell].key == stage.key for cell, stage in here.items()):
                problems.append(
                    f"{measure.name}: judges on no test images, so no half of them can choose and the other report; "
                    "choose another measure, or say selection: {split: test}"
                )
                continue
            here = cut
        found[measure.name] = here
    if problems:
        raise ValueError("\n".join(problems))
    return found


def watched(sweep: Sweep, needs: Needs) -> tuple[Stage, Stage]:
    """The network whose training is judged, and the evaluation of it that is the objective. Raises ValueError where the
    objective is not the accuracy of one network."""
    objective = sweep.objectives[0]
    cells = list(needs[objective.name].values())
    why = "curves" if sweep.curves else f"scheduler: {sweep.scheduler.name}"
    if len(cells) > 1:
        raise ValueError(
            f"{why} follows the training of one network, but {objective.name} is a mean over {len(cells)}; take one "
            "seed, with changes: ['seeds=[0]']"
        )
    evaluation = cells[0]
    if evaluation.kind != "evaluation" or evaluation.inputs["model"].kind not in ("network", "phased_network"):
        raise ValueError(
            f"{why} follows the training of a network, but {objective.name} is no evaluation of one, it is of kind "
            f"{evaluation.kind}; take scheduler: {{name: fifo}} and curves: false"
        )
    if objective.metric not in ("accuracy", "p1"):
        raise ValueError(f"{why} judges by accuracy or p1, got {objective.metric}")
    return evaluation.inputs["model"], evaluation


def recipe_of(network: Stage) -> Recipe:
    recipe: Recipe = network.config.recipe
    return recipe
