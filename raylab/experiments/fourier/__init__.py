"""Which frequencies of an image does a network hang on?  (Yin et al. 2019)"""

from __future__ import annotations

from raylab.experiments.fourier.config import Filtered, Fourier
from raylab.experiments.fourier.measure import ByFrequency, measure
from raylab.experiments.fourier.plan import FourierCell, plan
from raylab.experiments.fourier.report import conditions, report
from raylab.experiments.fourier.scoreboard import evidence
from raylab.report.experiment import Experiment
from raylab.report.significance import in_deviations

__all__ = ["EXPERIMENT", "ByFrequency", "Filtered", "Fourier", "FourierCell", "measure", "plan"]

EXPERIMENT = Experiment(
    name="fourier",
    title="Robustness by frequency",
    method=(
        "A standard network, one trained with Gaussian noise and one trained adversarially are asked about test images "
        "with single Fourier waves added, about the corruptions of CIFAR-10-C at its published constants, and about "
        "noise of a band of frequencies. Fresh networks are trained and tested on one band alone."
    ),
    lead=(
        "Which frequencies of an image does a network hang on? One wave at a time is added to the test images. A "
        "standard network errs at high frequencies that people hardly see. Adversarial training cures that, and the "
        "question is what it costs: less robustness at low frequencies, where fog and contrast live?"
    ),
    how_to_read=(
        "In a heat map the lowest frequency is in the middle and brighter is more error; three networks share one "
        "scale. A network that is worse everywhere is not a flip, so every comparison is made twice: as measured, and "
        "after each network’s own error on clean images is subtracted. Flip is said where both halves hold both ways, "
        "with their whole 95 % interval over seeds. Corruptions are those of CIFAR-10-C with their published constants,"
        " drawn anew; published numbers stand beside ours and are of other images and another network."
    ),
    source=(
        "After Yin et al. 2019, “A Fourier perspective on model robustness in computer vision”, figures 1, 3 and 5 and "
        "table 2, and Gilmer and Hendrycks, Distill 2019."
    ),
    papers=("yin2019", "gilmer2019"),
    config=Fourier,
    plan=plan,
    measure=measure,
    report=report,
    conditions=conditions,
    detects=in_deviations,
    evidence=evidence,
)
