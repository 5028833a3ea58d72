"""The config of the planet Erm: one world, and what is asked of it. A part that is null is left out."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from raylab.config import Config
from raylab.engine.stage import Compute
from raylab.experiments.fields import Increasing, NetworkName, Radii, Seeds, StandardRecipe, StudyName
from raylab.experiments.worlds import WorldStudy
from raylab.stages.construction import Attack
from raylab.stages.dataset import DigitsData, SeeFarData
from raylab.stages.inversion import Inversion
from raylab.stages.recipe import Adversary, Recipe

Count = Annotated[int, Field(ge=1, le=10_000_000)]


class Restricted(Config):
    """D_R and D_NR: the networks of robust_features on this world, as its default has them."""

    network: NetworkName = "mlp_bottleneck16"  # of sources and students: narrower than the image
    train_rows: Annotated[int, Field(ge=1, le=10_000_000)] = 2000  # training images of this world
    train: StandardRecipe = Recipe()
    adversarial: Recipe = Recipe(adversary=Adversary(eps=0.8))
    student: Recipe = Recipe(epochs=8)
    inversion: Inversion = Inversion(start="image")


class DigitsPanels(Config):
    """The panels of the story on digits, where nobody knows the non-robust features."""

    data: DigitsData = DigitsData()
    network: NetworkName = "mlp"  # architecture
    attack: Attack = Attack()
    train: Recipe = Recipe()
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0  # seed of the split and the network


class MoreData(Config):
    """Does vulnerability vanish with more data?  Standard networks here and in a world without non-robust features."""

    # Training images, increasing.
    rows: Annotated[tuple[Count, ...], Field(min_length=2), Increasing] = (500, 2000, 9000)
    passes: Count = 18_000  # images seen in a training, as by the standard network: epochs are passes / rows
    network: NetworkName = "mlp"  # architecture
    train: Recipe = Recipe()  # training; its epochs do not count

    @model_validator(mode="after")
    def _check(self) -> MoreData:
        if self.passes < self.rows[-1]:
            raise ValueError(f"passes: at least one epoch of {self.rows[-1]} rows, got {self.passes}; take more")
        if self.train.milestones:
            raise ValueError("train.milestones: of epochs, which change with the rows; use another schedule")
        return self


class Dimension(Config):
    """Does it grow with dimension alone?  The same features on more pixels, at the same L2 norms."""

    # Pixels a side, increasing multiples of 16.
    sizes: Annotated[tuple[Annotated[int, Field(ge=16, le=128)], ...], Field(min_length=2), Increasing] = (16, 32)
    network: NetworkName = "mlp"  # architecture

    @model_validator(mode="after")
    def _check(self) -> Dimension:
        if odd := [size for size in self.sizes if size % 16]:
            raise ValueError(f"sizes: multiples of 16, for features to move by the same share of an image, got {odd}")
        return self


class Explain(Config):
    """What gradients show of the features, plain and smoothed."""

    # Of the noise of a pixel; 0: the plain gradient. Smilkov et al. take 10 to 20 % of the range of an image.
    sigmas: Annotated[tuple[Annotated[float, Field(ge=0, le=10)], ...], Field(min_length=2)] = (0.0, 0.15)
    # Noisy copies of an image that a smoothed gradient is averaged over.
    draws: Annotated[int, Field(ge=1, le=10_000)] = 16
    rows: Count = 300  # test images

    @model_validator(mode="after")
    def _check(self) -> Explain:
        if self.sigmas[0] != 0.0 or list(self.sigmas) != sorted(set(self.sigmas)):
            raise ValueError(f"sigmas: increasing from 0, the plain gradient, got {list(self.sigmas)}; sort them")
        return self


class Erm(Config):
    """The planet: which of its features every kind of network relies on, and the parts."""

    study: StudyName = "embedded"
    seeds: Seeds = (0, 1, 2)
    data: SeeFarData | None = SeeFarData(name="seefar")  # the world; None: no networks here, only `digits` and `worlds`
    # As the default of transfer_matrix on See-Far has them.
    network: NetworkName = "mlp"
    attack: Attack = Attack(eps=0.8)
    train: StandardRecipe = Recipe(epochs=6)
    restricted: Restricted | None = Restricted()
    more_data: MoreData | None = MoreData()
    dimension: Dimension | None = Dimension()
    explain: Explain | None = Explain()
    # L2 radii of robust accuracy; the last is judged.
    eps: Radii = (0.4, 0.8)
    attacked_rows: Count = 300  # test images under attack, in `more_data` and `dimension`
    digits: DigitsPanels | None = DigitsPanels()
    worlds: WorldStudy | None = None  # the lab's verdict against the truth of many worlds: configs/erm/worlds.yaml
    compute: Compute = Compute(batch_rows=500, shard_rows=10_000)

    @model_validator(mode="after")
    def _check(self) -> Erm:
        if self.data is None and self.digits is None and self.worlds is None:
            raise ValueError("data, digits and worlds are all null; leave one in")
        return self

    @model_validator(mode="after")
    def _check_world(self) -> Erm:
        if self.data is None:
            return self
        if self.data.size is not None:
            raise ValueError(f"data.size: `dimension` changes it, got {self.data.size}; remove it")
        if max(self.attacked_rows, self.explain.rows if self.explain else 0) > self.data.test_rows:
            raise ValueError(
                f"attacked_rows, explain.rows: at most the {self.data.test_rows} test images, "
                f"got {self.attacked_rows} and {self.explain.rows if self.explain else 0}"
            )
        return self
