"""The config of Fourier analysis."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from raylab.config import Config
from raylab.engine.stage import Compute
from raylab.experiments.fields import FurtherTests, Increasing, NetworkName, Seeds, StudyName
from raylab.stages.corruption import Corruptions, FilteredNoise
from raylab.stages.dataset import DataConfig, SeeFarData
from raylab.stages.heat_map import HeatMap
from raylab.stages.recipe import Adversary, Recipe

STANDARD, GAUSSIAN, ADVERSARIAL = "standard", "gaussian", "adversarial"
NETWORKS = (STANDARD, GAUSSIAN, ADVERSARIAL)
Bandwidths = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Increasing]


class Filtered(Config):
    """Training on one band of frequencies, and testing on the same band of the test images."""

    low: Bandwidths = (1, 3, 5, 11)  # bandwidths of the lowest frequencies, increasing
    high: Bandwidths = (5, 7, 9, 11)  # bandwidths of the highest frequencies, increasing
    train: Recipe = Recipe(epochs=6)


class Fourier(Config):
    """One experiment over seeds; a part that is null is left out."""

    study: StudyName = "seefar"
    data: DataConfig = SeeFarData(name="seefar")  # where the images come from
    network: NetworkName = "mlp"  # architecture
    seeds: Seeds = (0, 1, 2)
    standard: Recipe = Recipe(epochs=6)  # training without noise or adversary
    gaussian: Recipe = Recipe(epochs=6, gaussian=0.5)  # training with Gaussian noise
    adversarial: Recipe = Recipe(epochs=8, adversary=Adversary(eps=0.8))  # training against an adversary
    heat_map: HeatMap = HeatMap(norm=6.0)
    corruptions: Corruptions | None = Corruptions(rows=500)
    noise: FilteredNoise | None = FilteredNoise(norm=6.0, low=(3, 5, 9, 15), high=(3, 7, 11, 15))
    filtered: Filtered | None = Filtered()
    evaluate_on: FurtherTests = None  # further test images for the three, by the name that tables call them
    compute: Compute = Compute(batch_rows=500, shard_rows=1000)

    @model_validator(mode="after")
    def _check(self) -> Fourier:
        for name in NETWORKS:
            recipe: Recipe = getattr(self, name)
            if (recipe.gaussian is not None) != (name == GAUSSIAN):
                asked = "how much noise is added, got none" if name == GAUSSIAN else "null, got noise; remove it"
                raise ValueError(f"{name}.gaussian: {asked}")
            if (recipe.adversary is not None) != (name == ADVERSARIAL):
                asked = "the adversary, got none; give its eps" if name == ADVERSARIAL else "null, got one; remove it"
                raise ValueError(f"{name}.adversary: {asked}")
        return self
