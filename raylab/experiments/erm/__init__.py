"""The planet Erm: which features do networks rely on?  (the story of Ilyas et al. 2019, where the truth is known)"""

from __future__ import annotations

from raylab.experiments.erm.config import Erm
from raylab.experiments.erm.measure import Planet, measure
from raylab.experiments.erm.plan import ErmCell, plan
from raylab.experiments.erm.report import conditions, report
from raylab.report.experiment import Experiment

__all__ = ["EXPERIMENT", "Erm", "ErmCell", "Planet", "measure", "plan"]

EXPERIMENT = Experiment(
    name="erm",
    title="The planet Erm",
    method=(
        "A world whose images show a robust feature, which survives an attack, and a non-robust one, which does not. "
        "Probes with one of them, or with two that disagree, tell which feature networks rely on that were trained in "
        "the standard way, adversarially, and on D_rand, D_det, D_R and D_NR; matched filters tell what images really "
        "show."
    ),
    lead=(
        "On the planet Erm things are told apart by a robust feature and by a faint pattern that its people see as "
        "plainly. A network that calls an image a gab after such a pattern was added is wrong to those who see robust "
        "features alone, and right to those who see both."
    ),
    how_to_read=(
        "See-Far is that planet. Every image has a robust feature (See-Far calls it the shape), which tells its class "
        "fairly often and survives any attack of the radius used here, and a non-robust one (its toogit), which tells "
        "it more often and does not. Both are known, so matched filters (the oracles) read either from any image, and "
        "probes tell which feature a network relies on: images of one class’s robust and another’s non-robust feature, "
        "and images with one of them alone. A world is drawn by a seed; all intervals are over worlds."
    ),
    source=(
        "After the story that the authors of Ilyas et al., “Adversarial examples are not bugs, they are features” "
        "(2019), tell beside their paper. SmoothGrad: Smilkov et al. 2017."
    ),
    papers=("smilkov2017",),
    config=Erm,
    plan=plan,
    measure=measure,
    report=report,
    conditions=conditions,
)
