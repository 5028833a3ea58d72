"""Every experiment by the name of its job."""

from __future__ import annotations

from typing import Literal

from raylab.experiments.controls import EXPERIMENT as CONTROLS
from raylab.experiments.erm import EXPERIMENT as ERM
from raylab.experiments.errors import EXPERIMENT as ERRORS
from raylab.experiments.fourier import EXPERIMENT as FOURIER
from raylab.experiments.poison import EXPERIMENT as POISON
from raylab.experiments.robust import EXPERIMENT as ROBUST
from raylab.experiments.theory import EXPERIMENT as THEORY
from raylab.experiments.transfer import EXPERIMENT as TRANSFER
from raylab.experiments.worlds import EXPERIMENT as WORLDS
from raylab.report.experiment import AnyExperiment

Name = Literal[
    "transfer_matrix",
    "robust_features",
    "controls",
    "learning_from_errors",
    "fourier",
    "poison",
    "erm",
    "worlds",
    "theory",
]
EXPERIMENTS: dict[Name, AnyExperiment] = {
    "transfer_matrix": TRANSFER,
    "robust_features": ROBUST,
    "controls": CONTROLS,
    "learning_from_errors": ERRORS,
    "fourier": FOURIER,
    "poison": POISON,
    "erm": ERM,
    "worlds": WORLDS,
    "theory": THEORY,
}
