"""Do the perturbations of one network teach another?  (Ilyas et al. 2019, section 3.2 and figure 3)"""

from __future__ import annotations

from raylab.experiments.transfer.config import Controls, RobustSource, StudentRecipes, TransferMatrix
from raylab.experiments.transfer.figures import Example
from raylab.experiments.transfer.limits import detects
from raylab.experiments.transfer.measure import TRANSFER, Matrix, Row, examples, measure
from raylab.experiments.transfer.plan import TransferCell, plan
from raylab.experiments.transfer.report import conditions, report
from raylab.experiments.transfer.scoreboard import evidence
from raylab.experiments.transfer.verdict import (
    CARRIES,
    EVIDENCE,
    FLIPS,
    RULE,
    STANDS,
    Thresholds,
    failed_conditions,
    verdict,
)
from raylab.report.experiment import Experiment

__all__ = [
    "CARRIES",
    "EVIDENCE",
    "EXPERIMENT",
    "FLIPS",
    "RULE",
    "STANDS",
    "TRANSFER",
    "Controls",
    "Example",
    "LeakageControl",
    "Matrix",
    "RobustSource",
    "Row",
    "StudentRecipes",
    "Thresholds",
    "TransferCell",
    "TransferMatrix",
    "conditions",
    "examples",
    "failed_conditions",
    "measure",
    "plan",
    "verdict",
]  # fmt: skip

EXPERIMENT = Experiment(
    name="transfer_matrix",
    tracked="transfer",
    title="Transfer of learned perturbations",
    method=(
        "A source network is attacked to push every training image towards another class, which becomes its "
        "label. Fresh networks are trained on nothing else and tested on untouched images, beside controls that "
        "lack what the claim is about."
    ),
    lead=(
        "Every training image is perturbed, within a small radius, towards another class of a source network, "
        "and is labelled with that class. A student sees only these images, and is then tested on untouched ones with "
        "their true labels. What it gets right there, it has learned from the perturbations."
    ),
    how_to_read=(
        "The number is the student’s accuracy on clean test images, ± its standard error over seeds; a seed changes "
        "split or world, source, targets and student together. In rand and other the new label is drawn at random, and "
        "even a faint push that flips no network can teach it: a weak test. In det the new label is the next class: "
        "whoever learns the visible content answers label + 1, and the share of such answers is the next-class rate "
        "(p1 in the papers’ tables). A high accuracy is never enough. Evidence for features that are not robust is a "
        "det student that exceeds the next-class rate and every control, under an attack that succeeds on its source, "
        "transfers to networks that never met it, and at whose radius an adversarially trained source is robust. "
        "Everything else is called leakage not excluded."
    ),
    source=(
        "After Ilyas et al. 2019, “Adversarial examples are not bugs, they are features”, section 3.2 and figure 3."
    ),
    config=TransferMatrix,
    plan=plan,
    measure=measure,
    report=report,
    conditions=conditions,
    detects=detects,
    evidence=evidence,
)
