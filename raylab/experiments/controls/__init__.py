"""What is the accuracy of a constructed set worth?  (Jordan, Goh, Nakkiran, Park et al., Ilyas et al.)"""

from __future__ import annotations

from raylab.experiments.controls.config import Bugs, ControlStudy, RobustCurve
from raylab.experiments.controls.measure import MeasuredControls, measure
from raylab.experiments.controls.plan import ControlsCell, plan
from raylab.experiments.controls.report import conditions, report
from raylab.experiments.controls.scoreboard import evidence
from raylab.report.experiment import Experiment

__all__ = ["EXPERIMENT", "Bugs", "ControlStudy", "ControlsCell", "MeasuredControls", "RobustCurve", "measure", "plan"]

EXPERIMENT = Experiment(
    name="controls",
    title="What an accuracy is worth",
    method=(
        "What else could explain the accuracy of networks trained on constructed sets: meaningless class-wise patterns,"
        " universal perturbations, robust linear features, perturbations that mislead no other network, robust sources."
        " Each with the sign that it should have."
    ),
    lead=(
        "A student that has only seen perturbed images under wrong labels is right on untouched ones. What has it "
        "learned from? Each control takes one explanation alone, and asks how far that explanation goes."
    ),
    how_to_read=(
        "The control is measured beside what it must be compared with, on the same test images and over the same seeds;"
        " the difference is paired by seed. The expected sign is the published one. “Cannot decide” is said where only "
        "one seed was run, where an expected difference has zero in its interval, or where a limit is passed by the "
        "mean within its interval. Accuracies of two sets are never divided: what students learn from one explanation "
        "and from another does not add up."
    ),
    source=(
        "Controls after Jordan (cifar10-zoo), Goh and Nakkiran (Distill 2019), Park et al. (2021) and Ilyas et al. "
        "(2019)."
    ),
    papers=("jordan", "goh2019leakage", "nakkiran2019", "park2021"),
    config=ControlStudy,
    plan=plan,
    measure=measure,
    report=report,
    conditions=conditions,
    evidence=evidence,
)
