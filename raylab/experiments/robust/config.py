"""The config of the robust sets."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from raylab.config import Config
from raylab.config.radius import Radius
from raylab.engine.stage import Compute
from raylab.experiments.fields import (
    AdversarialRecipe,
    Distinct,
    FurtherTests,
    Names,
    NetworkName,
    NetworkRates,
    Seeds,
    SourceName,
    StandardRecipe,
    StudyName,
    check_networks,
)
from raylab.stages.dataset import DataConfig, SeeFarData
from raylab.stages.inversion import Inversion
from raylab.stages.layer_robustness import LayerRobustness
from raylab.stages.recipe import Adversary, Recipe
from raylab.stages.robustness import Ensemble, Robustness
from raylab.stages.spectrum import Match

# Constructed sets: by whose features (r: robust, nr: standard) and from which start. Two are filtered:
# `filtered` is D with the power spectrum of D_R from images, `blurred` only what D has in common with it, by frequency.
# The authors released two of theirs.
SetName = Literal["r_image", "r_noise", "nr_image", "nr_noise", "filtered", "blurred", "released_r", "released_nr"]
SETS: tuple[SetName, ...] = get_args(SetName)
INVERTED = SETS[:4]
FILTERS: dict[SetName, Match] = {"filtered": "power", "blurred": "correlation"}
RELEASED: dict[SetName, Literal["d_robust", "d_non_robust"]] = {"released_r": "d_robust", "released_nr": "d_non_robust"}
CIFAR10 = ("cifar10", "cifar10_lossless_subset", "cifar10_1")  # whose images a released network knows, also in part


class RobustFeatures(Config):
    """One experiment: sets x student architectures, over seeds."""

    study: StudyName = "seefar"
    data: DataConfig = SeeFarData(name="seefar", train_rows=2000, test_rows=1000)  # where the images come from
    # Its penultimate layer must be narrower than the image: otherwise an inversion returns the image.
    source: SourceName = "mlp_bottleneck16"
    # Constructed sets, beside D; released ones lie in the data root of cifar10.
    sets: Annotated[tuple[SetName, ...], Distinct] = SETS[:6]
    # A checkpoint of MadryLab/robustness below the data root, as the robust source: cifar_l2_0_5.pt. None: train one.
    # Any part of CIFAR-10 will do for it (per_class, fraction).
    released_network: str | None = None
    students: Names = ("mlp_bottleneck16", "mlp", "cnn")  # architectures that learn from the sets
    # Architectures trained adversarially too, beside the source.
    references: Annotated[tuple[NetworkName, ...], Distinct] = ()
    seeds: Seeds = (0, 1, 2)
    train: StandardRecipe = Recipe()  # training of the standard source
    # Training of the robust source and the references.
    adversarial: AdversarialRecipe = Recipe(adversary=Adversary(eps=0.8))
    student: StandardRecipe = Recipe(epochs=8)  # training of the students
    student_on: dict[SetName, StandardRecipe] = Field(default={})  # training where a set has a recipe of its own
    # Learning rates of single networks: they win over those of all recipes.
    network_lr: NetworkRates = Field(default={})
    from_image: Inversion = Inversion(start="image")  # inversion for the sets that start at another image
    from_noise: Inversion = Inversion(start="noise")  # inversion for the sets that start at noise
    eps: Radius = 0.8  # the radius that the verdict is about: one of robustness.eps
    robustness: Robustness = Robustness(
        eps=(0.2, 0.4, 0.6, 0.8, 1.2),
        ensemble=Ensemble(steps=30, queries=300),
        ensemble_eps=(0.8,),
        # 0.05 on each of 256 pixels is 0.8 in L2.
        others={"linf": 0.05, "l1": 5.0, "l2_low": 0.8, "l2_high": 0.8, "shift": 1.0, "rotate": 10.0},
        rows=300,
    )
    # Further test images for all networks, by the name that tables call them.
    evaluate_on: FurtherTests = None
    layers: LayerRobustness | None = LayerRobustness()  # robustness by layer, of the sources and of D_R's student
    compute: Compute = Compute(batch_rows=1000)  # small networks: a call costs more than its images

    @model_validator(mode="after")
    def _check(self) -> RobustFeatures:
        check_networks(self)
        for name, start in (("from_image", "image"), ("from_noise", "noise")):
            if getattr(self, name).start != start:
                raise ValueError(f"{name}.start is {start}, got {getattr(self, name).start}; remove it")
        if "r_image" not in self.sets:
            raise ValueError(f"sets: r_image is what all others are compared with, got {list(self.sets)}; add it")
        if self.released_network and self.data.name not in CIFAR10:
            raise ValueError(f"data: released_network is of cifar10, got {self.data.name}; change one of them")
        asked = [name for name in RELEASED if name in self.sets]
        if asked and self.data.name != "cifar10":
            raise ValueError(f"data: {asked[0]} is of cifar10, got {self.data.name}; change one of them")
        if asked and (self.data.per_class is not None or self.data.fraction is not None):
            raise ValueError(
                f"data: all of cifar10 beside {asked[0]}, which is whole; remove per_class and fraction, or {asked[0]}"
            )
        if extra := set(self.student_on) - set(self.sets):
            raise ValueError(f"student_on: {sorted(extra)} are not among sets {list(self.sets)}; add them there")
        adversary = self.adversarial.adversary
        if adversary is not None and adversary.norm != self.robustness.norm:
            raise ValueError(
                f"robustness.norm: {adversary.norm}, the adversary's, got {self.robustness.norm}; "
                "other norms belong to robustness.others"
            )
        if self.eps not in self.robustness.eps:
            raise ValueError(f"eps is one of robustness.eps {list(self.robustness.eps)}, got {self.eps}; add it there")
        if self.robustness.ensemble_eps is not None and self.eps not in self.robustness.ensemble_eps:
            raise ValueError(
                f"robustness.ensemble_eps holds eps {self.eps}, got {list(self.robustness.ensemble_eps)}; add it there"
            )
        return self
