"""Every experiment by the name of its job."""

from __future__ import annotations

from typing import Literal

from raylab.experiments.poison import EXPERIMENT as POISON
from raylab.experiments.transfer import EXPERIMENT as TRANSFER
from raylab.report.controls.experiment import EXPERIMENT as CONTROLS
from raylab.report.erm.experiment import EXPERIMENT as ERM
from raylab.report.errors.experiment import EXPERIMENT as ERRORS
from raylab.report.experiment import AnyExperiment
from raylab.report.fourier.experiment import EXPERIMENT as FOURIER
from raylab.report.robust.experiment import EXPERIMENT as ROBUST
from raylab.report.theory.experiment import EXPERIMENT as THEORY

Name = Literal[
    "transfer_matrix", "robust_features", "controls", "learning_from_errors", "fourier", "poison", "erm", "theory"
]
EXPERIMENTS: dict[Name, AnyExperiment] = {
    "transfer_matrix": TRANSFER,
    "robust_features": ROBUST,
    "controls": CONTROLS,
    "learning_from_errors": ERRORS,
    "fourier": FOURIER,
    "poison": POISON,
    "erm": ERM,
    "theory": THEORY,
}
