"""Every experiment by the name of its job."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Literal, TypeAlias

from raylab.report.experiment import AnyExperiment

# The folders of `raylab/experiments`, in the order of the results. A new experiment is added here, and nowhere else.
ROOMS = ("transfer", "robust", "controls", "errors", "fourier", "poison", "erm", "worlds", "theory")

_found: tuple[AnyExperiment, ...] = tuple(import_module(f"raylab.experiments.{room}").EXPERIMENT for room in ROOMS)
EXPERIMENTS: dict[str, AnyExperiment] = {experiment.name: experiment for experiment in _found}

if TYPE_CHECKING:
    Name: TypeAlias = str
else:
    Name = Literal[tuple(EXPERIMENTS)]  # so that configs name them in their errors and in `--help`
