"""The config of the small worlds."""

from __future__ import annotations

from raylab.config import Config
from raylab.experiments.fields import Seeds, StudyName
from raylab.stages.dataset import DataConfig, DigitsData, KnownData
from raylab.stages.theory import Gaussians, Squares, Synthetic
from raylab.stages.two_layer import TwoLayer
from raylab.stages.usefulness import Usefulness


class Theory(Config):
    """Every world over its seeds, but what is exact or has one published draw. Squares and the synthetic world have
    seeds of their own, for what they cost and what they need differ."""

    study: StudyName = "theory"
    seeds: Seeds = (0, 1, 2, 3, 4)
    gaussian: Gaussians = Gaussians()
    two_layer: TwoLayer = TwoLayer(lr=1.0, steps=1000, eps=(0.01, 0.004, 0.002))  # networks on shifted Gaussians
    # Of classes 1 and 2 of `images`, where its files are at hand; null: not asked for.
    two_layer_images: TwoLayer = TwoLayer(lr=0.01, steps=100, eps=(0.14, 0.056, 0.028))
    images: DataConfig | None = KnownData(name="mnist")  # data of the two-layer networks; None: no images
    usefulness: Usefulness = Usefulness(classes=(3, 8), eps=0.5)
    usefulness_data: DataConfig = DigitsData()  # data of the useful directions
    squares: Squares = Squares()
    squares_seeds: Seeds = (0, 1, 2)  # seeds of the squares
    synthetic: Synthetic = Synthetic()
    # Five seeds leave accuracies at η uncertain by .013, more than is left of row 45's tolerance of .02; these by .003.
    synthetic_seeds: Seeds = tuple(range(60))
