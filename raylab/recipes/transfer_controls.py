"""What a student of the transfer matrix must beat, and what bounds the radius at which anything may be claimed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from raylab.config import Config
from raylab.recipes.fields import NetworkName
from raylab.stages.construction import Attack
from raylab.stages.recipe import Adversary, Recipe, with_epochs


class RobustSource(Config):
    """An adversarially trained source of each architecture (Ilyas et al. 2019, tables 9 and 10).

    Where the attack leads this one astray too, the images show it: nothing can then be said of non-robust features.
    """

    recipe: Recipe | None = None  # its training; None: `train`
    adversary: Adversary | None = None  # its adversary; None: that of the recipe, else the attack's norm and eps

    @model_validator(mode="after")
    def _check(self) -> RobustSource:
        if self.adversary is not None and self.recipe is not None and self.recipe.adversary is not None:
            raise ValueError("adversary: the recipe has one already; give one of them")
        return self

    def trained(self, train: Recipe, attack: Attack) -> Recipe:
        recipe = self.recipe or train
        adversary = self.adversary or recipe.adversary or Adversary(norm=attack.norm, eps=attack.eps)
        return recipe.model_copy(update={"adversary": adversary})


class Leakage(Config):
    """Sets that can only leak (Jordan): one random pattern a class, of the attack's size, on every image but those that
    a weakly trained network already calls their new class. What they teach comes from the images that keep their
    pixels, by selection alone."""

    weak_epochs: Annotated[int, Field(ge=0, le=100_000)] = (
        1  # of the network that selects, of the source's architecture
    )


class Controls(Config):
    """What a student must beat. The unperturbed images with the same labels cost a student each; the others need
    sources and sets of their own, so they can be confined to some sources and targets (None: all)."""

    unperturbed: bool = True  # students of the unperturbed images with the same labels
    random_labels: bool = True  # a source fitted to random labels: the same attack and norm, nothing that generalises
    untrained: bool = True  # a source with random weights
    robust: RobustSource | None = RobustSource()  # a robust source, without which no row can be evidence
    leakage: Leakage | None = Leakage()
    # Epochs of the source of random labels: fitting noise takes longer.
    random_label_epochs: Annotated[int, Field(ge=1, le=100_000)] = 60
    sources: tuple[NetworkName, ...] | None = None  # sources that have controls; None: all
    targets: tuple[NetworkName, ...] | None = None  # students that have controls; None: all

    def beside(self, source: str, target: str) -> bool:
        """Whether the controls with a source of their own stand beside this pair."""
        return source in (self.sources or (source,)) and target in (self.targets or (target,))

    @property
    def of_sources(self) -> tuple[str, ...]:
        """The controls that have a source of their own, of those that are wanted."""
        wanted = {
            "random_labels": self.random_labels,
            "untrained": self.untrained,
            "robust": self.robust is not None,
            "leakage": self.leakage is not None,
        }
        return tuple(name for name, on in wanted.items() if on)

    def recipe(self, control: str, train: Recipe, attack: Attack) -> Recipe:
        """How the source of a control is trained."""
        if control == "robust" and self.robust is not None:
            return self.robust.trained(train, attack)
        if control == "leakage" and self.leakage is not None:
            return with_epochs(train, min(self.leakage.weak_epochs, train.epochs))
        epochs = 0 if control == "untrained" else self.random_label_epochs
        return with_epochs(train, epochs).model_copy(update={"augment": "none"})
