"""What if the images of D_det keep their labels?  (Tao et al. 2021; Nakkiran, Distill 2019)"""

from __future__ import annotations

from raylab.experiments.poison.config import PoisonStudy, Trigger
from raylab.experiments.poison.measure import Poisons, measure
from raylab.experiments.poison.plan import PoisonCell, plan
from raylab.experiments.poison.report import conditions, report
from raylab.experiments.poison.scoreboard import evidence
from raylab.report.experiment import Experiment
from raylab.report.significance import in_deviations

__all__ = ["EXPERIMENT", "PoisonCell", "PoisonStudy", "Poisons", "Trigger", "measure", "plan"]

EXPERIMENT = Experiment(
    name="poison",
    title="Poisons that change no label",
    method=(
        "The images of D_det under the labels that they had, and four more poisons that change no label. Victims are "
        "trained on each in the standard way and adversarially, and tested on clean images; a planted trigger shows "
        "how often it succeeds."
    ),
    lead=(
        "D_det moves every training image a little towards the next class, labels it with that class, and a network "
        "learns the next class from what cannot be seen. Here the same images keep the label that they had. Nothing is "
        "mislabelled, hardly anything is visible, and a network that trusts what cannot be seen learns it the wrong way"
        " round."
    ),
    how_to_read=(
        "Five poisons after Tao et al. 2021, none of which changes a label: towards the next class or towards the own "
        "one, for each image by itself or one pattern for a whole class, and random noise, one pattern a class. A "
        "victim is trained on each, in the standard way or adversarially, and tested on clean images. The defence "
        "knows of no poison. Accuracy on test images that are poisoned alike is what somebody measures who keeps back "
        "a part of the data as delivered: it warns of nothing. Harm, and that it is undone, are said by the 95 % "
        "interval of differences, paired over seeds. The budgets of the defence and of the trigger that come with the "
        "lab were chosen after a look at one seed of See-Far and of digits."
    ),
    source=(
        "After Tao et al., “Better safe than sorry: preventing delusive adversaries with adversarial training”, NeurIPS"
        " 2021; Nakkiran, Distill 2019; Gu et al. 2017, “BadNets”."
    ),
    papers=("tao2021", "nakkiran2019", "gu2017"),
    config=PoisonStudy,
    plan=plan,
    measure=measure,
    report=report,
    evidence=evidence,
    conditions=conditions,
    detects=in_deviations,
)
