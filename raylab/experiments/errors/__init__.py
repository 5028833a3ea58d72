"""Can a network learn from nothing but the errors of another?  (Wallace, Distill 2019)"""

from __future__ import annotations

from raylab.experiments.errors.config import LearningFromErrors
from raylab.experiments.errors.measure import Errors, measure
from raylab.experiments.errors.plan import ErrorsCell, plan
from raylab.experiments.errors.report import conditions, report
from raylab.experiments.errors.scoreboard import evidence
from raylab.report.experiment import Experiment
from raylab.report.significance import in_deviations

__all__ = ["EXPERIMENT", "Errors", "ErrorsCell", "LearningFromErrors", "measure", "plan"]

EXPERIMENT = Experiment(
    name="learning_from_errors",
    tracked="errors",
    title="Learning from errors",
    method=(
        "A network that was stopped early labels its own training images, and only those that it gets wrong are kept, "
        "with its wrong labels. A fresh network is trained on them. The same across domains, and with points of the "
        "plane."
    ),
    lead=(
        "A network is stopped early and asked about its own training images. Only what it gets wrong is kept, under the"
        " wrong labels. A fresh network that sees nothing else is then right on far more test images than chance."
    ),
    how_to_read=(
        "Wrong labels carry the teacher’s knowledge: a 4 that it calls a 9 looks to it like a 9. The sharp control "
        "keeps every image and the whole table of which class is mistaken for which, and shuffles the wrong labels "
        "within each true class: what is left above it comes from the single images. Any wrong label at random teaches "
        "“not this class”, so that control lies below chance. No adversarial perturbation is needed for any of it: the "
        "article concludes that a model’s errors alone pass on what it knows. The authors agree, and call it a "
        "distillation of features, of which theirs is one kind. Verdicts are by rule, from 95 % intervals over seeds, "
        "or over worlds of the toy: reproduced, where the protocol is the published one and the interval lies inside "
        "the tolerance; same direction, where the protocol is smaller and the interval lies inside the bounds; "
        "contradicted, where it lies outside; else it cannot decide."
    ),
    source="After Wallace, “Learning from incorrectly labeled data”, Distill 2019.",
    papers=("wallace2019",),
    config=LearningFromErrors,
    plan=plan,
    measure=measure,
    report=report,
    conditions=conditions,
    detects=in_deviations,
    evidence=evidence,
)
