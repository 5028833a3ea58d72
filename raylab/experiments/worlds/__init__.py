"""How often is the verdict of the transfer matrix wrong?  See-Far worlds with and without non-robust features."""

from __future__ import annotations

from raylab.experiments.worlds.config import WorldStudy
from raylab.experiments.worlds.measure import Score, measure
from raylab.experiments.worlds.plan import WorldsCell, cases, plan
from raylab.experiments.worlds.reliance import Conflict, Reliance, in_conflict
from raylab.experiments.worlds.report import conditions, report
from raylab.report.experiment import Experiment

__all__ = [
    "EXPERIMENT",
    "Conflict",
    "Reliance",
    "Score",
    "WorldStudy",
    "WorldsCell",
    "cases",
    "in_conflict",
    "measure",
    "plan",
    "report",
]

EXPERIMENT = Experiment(
    name="worlds",
    title="How often is the verdict wrong?",
    method=(
        "Small transfer matrices in See-Far worlds that are drawn by number, with and without non-robust features. The "
        "verdict that every matrix gets is given without looking at the truth, which oracles know, and then compared."
    ),
    lead=(
        "Every case here is a small transfer matrix whose truth is known: whether anything that tells the class could "
        "be turned at the radius of the attack, or only leaked. The verdict is given without looking, and then "
        "compared."
    ),
    how_to_read=(
        "In See-Far every image has a robust feature (its shape) and may have a non-robust one (its toogit). Nothing to"
        " find means: non-robust features say nothing or are not there, and no more than 5 % of the robust ones could "
        "be turned at that radius. Where non-robust features tell the class, what counts is in how many images the "
        "oracle saw the attack turn them to the target."
    ),
    source="The verdict is that of the transfer matrix; See-Far is synthetic.",
    config=WorldStudy,
    plan=plan,
    measure=measure,
    report=report,
    conditions=conditions,
)
