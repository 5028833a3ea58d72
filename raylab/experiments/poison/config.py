"""The config of the poisons and the trigger."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from raylab.config import Config
from raylab.core.poison import POISONS, PoisonName
from raylab.engine.stage import Compute
from raylab.experiments.fields import (
    AdversarialRecipe,
    Distinct,
    FurtherTests,
    NetworkName,
    Radii,
    Seeds,
    SourceName,
    StandardRecipe,
    StudyName,
    check_networks,
    same_norm,
)
from raylab.stages.construction import Attack
from raylab.stages.dataset import DataConfig, SeeFarData
from raylab.stages.recipe import Adversary, Recipe
from raylab.stages.robustness import Robustness
from raylab.stages.trigger import Way

Share = Annotated[float, Field(gt=0, lt=1)]


class Trigger(Config):
    """A small pattern that is to make a network say `target`."""

    eps: Radii = (0.8, 1.6)  # its size, in the norm of the attack
    side: Annotated[int, Field(ge=1, le=512)] = 3  # pixels a side
    target: Annotated[int, Field(ge=0)] = 0  # the class that it is to make networks say
    # Whether the images with the pattern keep their labels.
    ways: Annotated[tuple[Way, ...], Field(min_length=1), Distinct] = ("clean_label", "changed_label")
    share_of_target: Annotated[float, Field(gt=0, le=1)] = 0.5  # of the target's images, clean_label
    share_of_others: Annotated[float, Field(gt=0, le=1)] = 0.05  # of all others, changed_label

    def share(self, way: Way) -> float:
        return self.share_of_target if way == "clean_label" else self.share_of_others


class PoisonStudy(Config):
    """One source, one victim architecture, all poisons and both trainings, over seeds.

    The attack and the training of the defaults are those of See-Far everywhere; the recipe of the defence and the
    trigger's sizes were chosen after a look at one world.
    """

    study: StudyName = "seefar"
    data: DataConfig = SeeFarData(name="seefar")  # where the images come from
    source: SourceName = "mlp"  # architecture that the poisons are made with
    victim: NetworkName = "mlp"  # architecture that is trained on them
    # Which of P1 to P5, p1 among them.
    poisons: Annotated[tuple[PoisonName, ...], Field(min_length=1), Distinct] = POISONS
    seeds: Seeds = (0, 1, 2)
    attack: Attack = Attack(eps=0.8)  # its radius is that of all poisons
    base: Annotated[int, Field(ge=1)] = 256  # training images that share a universal perturbation while it is made
    train: StandardRecipe = Recipe(epochs=6)  # training of the source, and of victims without a defence
    robust: AdversarialRecipe = Recipe(
        epochs=4, batch_size=128, lr=4e-3, adversary=Adversary(eps=0.8, steps=3, step_share=0.4)
    )  # of victims that are trained adversarially
    shares: Annotated[tuple[Share, ...], Distinct] = (0.1, 0.5)  # of the images that P1 perturbs, beside all of them
    trigger: Trigger | None = Trigger()
    robustness: Robustness | None = Robustness(eps=(0.8,), ensemble=None, rows=300)  # of adversarially trained victims
    evaluate_on: FurtherTests = None  # further test images for all victims, by the name that tables call them
    neighbours: Annotated[int, Field(ge=0)] = 1000  # images of a set in the 1-nearest-neighbour check; 0: no check
    compute: Compute = Compute()

    @model_validator(mode="after")
    def _check(self) -> PoisonStudy:
        check_networks(self)
        same_norm(self.attack, {"robust.adversary": self.robust.adversary, "robustness": self.robustness})
        if "p1" not in self.poisons:
            raise ValueError(f"poisons: p1 is what the question is about, got {list(self.poisons)}; add it")
        return self
