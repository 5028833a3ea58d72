"""The config of the transfer matrix: its networks, its sets, what a student must beat, and what bounds the radius."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from raylab.config import Config
from raylab.engine.identity import ADDED_LATER
from raylab.engine.stage import Compute
from raylab.experiments.fields import (
    FurtherTests,
    KindName,
    Kinds,
    Names,
    NetworkRates,
    Seeds,
    Sources,
    StandardRecipe,
    StudyName,
    TestName,
    check_networks,
)
from raylab.stages.construction import Attack
from raylab.stages.dataset import DataConfig, DigitsData
from raylab.stages.own_construction import ConstructionName
from raylab.stages.own_metric import MetricName
from raylab.stages.recipe import Adversary, Recipe, with_epochs
from raylab.stages.robustness import Robustness
from raylab.stages.training import Keep


class RobustSource(Config):
    """An adversarially trained source of each architecture (Ilyas et al. 2019, tables 9 and 10).

    Where the attack succeeds on this one too, the images show it: nothing can then be said of non-robust features.
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


class LeakageControl(Config):
    """Sets that can only leak (Jordan): one random pattern a class, of the attack's size, on every image but those that
    a weakly trained network already calls their new class. What their students learn comes from the images that keep
    their pixels, by selection alone."""

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
    leakage: LeakageControl | None = LeakageControl()
    # Epochs of the source of random labels: fitting noise takes longer.
    random_label_epochs: Annotated[int, Field(ge=1, le=100_000)] = 60
    sources: tuple[str, ...] | None = None  # sources that have controls; None: all
    targets: tuple[str, ...] | None = None  # students that have controls; None: all

    def beside(self, source: str, target: str) -> bool:
        """Whether this pair has the controls with a source of their own."""
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


class StudentRecipes(Config):
    """Recipes of the students by kind of constructed set; None: `train`."""

    rand: StandardRecipe | None = None
    other: StandardRecipe | None = None
    det: StandardRecipe | None = None


class TransferMatrix(Config):
    """One matrix: sources x targets x kinds, over seeds."""

    study: StudyName = "digits"
    data: DataConfig = DigitsData()  # where the images come from
    sources: Sources = ("linear", "mlp", "cnn", "vgg_small")  # architectures whose perturbations are learnt from
    targets: Names = ("linear", "mlp", "cnn", "vgg_small")  # architectures of the students
    kinds: Kinds = ("rand", "det")  # constructed sets: a target drawn from all or the other classes, or the next class
    # Sets by constructions of one's own beside them, by the name that tables call them.
    constructions: Annotated[dict[KindName, ConstructionName] | None, ADDED_LATER] = None
    seeds: Seeds = (0, 1, 2)
    attack: Attack = Attack()
    keep: Keep = "all"  # which examples of a set students see
    # Share of the images that count as top, for keep: top and bottom.
    keep_share: Annotated[float, Field(gt=0, lt=1)] = 0.4
    train: StandardRecipe = Recipe()  # training of the sources, and of students without a recipe of their own
    students: StudentRecipes = StudentRecipes()
    # Learning rates of single networks: they win over those of `train` and `students`.
    network_lr: NetworkRates = Field(default={"linear": 1e-2})
    controls: Controls = Controls()
    # Of the students beside whom controls stand, and of standard networks: do they only swap features for others?
    robustness: Robustness | None = Robustness(eps=(0.25, 0.5), ensemble=None)
    # Further test images for sources, independent networks, students and controls, by the name that tables call them.
    evaluate_on: FurtherTests = None
    # Measures of one's own of the same networks on the test images, by the name that tables call them.
    metrics: Annotated[dict[TestName, MetricName] | None, ADDED_LATER] = None
    neighbours: Annotated[int, Field(ge=0)] = 1000  # images of a set in the 1-nearest-neighbour check; 0: no check
    compute: Compute = Compute()

    @property
    def every_kind(self) -> tuple[str, ...]:
        """Of constructed sets, those of one's own last."""
        return (*self.kinds, *(self.constructions or ()))

    @model_validator(mode="after")
    def _check(self) -> TransferMatrix:
        check_networks(self)
        for name in ("sources", "targets"):
            extra = set(getattr(self.controls, name) or ()) - set(getattr(self, name))
            if extra:
                raise ValueError(f"controls.{name}: {sorted(extra)} are not among {name} {list(getattr(self, name))}")
        if self.controls.robust is not None:
            adversary = self.controls.robust.trained(self.train, self.attack).adversary
            if adversary is not None and adversary.norm != self.attack.norm:
                raise ValueError(
                    f"controls.robust: an adversary in {self.attack.norm}, the attack's norm, got {adversary.norm}; a "
                    "source that is robust in another norm bounds nothing"
                )
        return self
