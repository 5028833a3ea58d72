"""Worlds where the answer is known.  (Ilyas et al. 2019, section 4, and the discussion of their paper)"""

from __future__ import annotations

from raylab.experiments.theory.config import Theory
from raylab.experiments.theory.measure import TheoryWorlds, measure
from raylab.experiments.theory.plan import TheoryCell, plan
from raylab.experiments.theory.report import conditions, report
from raylab.experiments.theory.scoreboard import evidence
from raylab.report.experiment import Experiment

__all__ = ["EXPERIMENT", "Theory", "TheoryCell", "TheoryWorlds", "measure", "plan"]

EXPERIMENT = Experiment(
    name="theory",
    title="Worlds where the answer is known",
    method=(
        "The Gaussian model of the paper's section 4, wide two-layer networks, the adversarial squares, the plane "
        "of useful and robust directions, and a synthetic world: closed forms, and the same by sampling and "
        "training."
    ),
    lead=(
        "In a few small worlds the question has an answer on paper. Here each is computed, run, and held against what "
        "was published, so that whoever trusts the laboratory on images can see it be right where that can be known."
    ),
    how_to_read=(
        "A row has the target with its tolerance, or a directional criterion (at least, at most); and ours, ± its "
        "standard error over seeds, or of the sample where there is one run. The verdict follows from a rule: exact is "
        "computed and within tolerance, within tolerance has its whole 95 % interval inside, not within has none of it "
        "inside, and inconclusive is the rest. Nothing is judged by hand."
    ),
    source="After Ilyas et al. 2019, section 4; Goh and Nakkiran, Distill 2019; Kumano et al., NeurIPS 2024.",
    papers=("goh2019examples", "nakkiran2019", "kumano2024"),
    config=Theory,
    plan=plan,
    measure=measure,
    report=report,
    conditions=conditions,
    evidence=evidence,
)
