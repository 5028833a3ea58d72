"""Is robustness a property of the data?  (Ilyas et al. 2019, section 3.1)"""

from __future__ import annotations

from raylab.experiments.robust.config import RobustFeatures
from raylab.experiments.robust.measure import RobustSets, measure
from raylab.experiments.robust.plan import RobustCell, plan
from raylab.experiments.robust.report import conditions, report
from raylab.experiments.robust.scoreboard import evidence
from raylab.report.experiment import Experiment
from raylab.report.significance import in_deviations

__all__ = ["EXPERIMENT", "RobustCell", "RobustFeatures", "RobustSets", "measure", "plan"]

EXPERIMENT = Experiment(
    name="robust_features",
    title="Robust and non-robust data sets",
    method=(
        "D_R keeps of every image what an adversarially trained network sees in it, by inverting its features "
        "from another image; D_NR the same with a standard network. Fresh networks are trained on each in the "
        "standard way, and attacked."
    ),
    lead=(
        "Is robustness a property of the data? A network is trained against attacks. Then each training image is "
        "replaced by one that has the same features in the eyes of that robust network, though it started as quite "
        "another image. Whatever the network does not use is gone: the new set, D_R, holds its robust features and "
        "little else. If a student that is trained on D_R in the ordinary way has robust accuracy, robustness came "
        "with the data."
    ),
    how_to_read=(
        "D_NR is made in the same way with the features of a standard network: a student that gains robust accuracy "
        "from any distillation would gain it here too. “D, spectrum of D_R” is D with every frequency scaled to its "
        "power in D_R, and knows nothing else of that network. The student of D_R has to beat those of these three, D, "
        "D_NR and D with that spectrum, paired over seeds. “D blurred as D_R” keeps of every frequency what D and D_R "
        "share: where robust features are low frequencies, it would do as well. The number that counts, robust "
        "accuracy, is of each image the worst that PGD and an ensemble of attacks (APGD on two losses, and Square) "
        "found; a seed changes split or world, both sources, starts and students together."
    ),
    source=(
        "After Ilyas et al. 2019, “Adversarial examples are not bugs, they are features”, section 3.1, figure 2 and "
        "tables 7 and 8; their reply to Nakano, Distill 2019."
    ),
    papers=("nakano2019",),
    config=RobustFeatures,
    plan=plan,
    measure=measure,
    report=report,
    conditions=conditions,
    detects=in_deviations,
    evidence=evidence,
)
