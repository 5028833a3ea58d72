"""The config of the controls."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from raylab.config import Config
from raylab.config.radius import Radius
from raylab.engine.stage import Compute
from raylab.experiments.fields import (
    AdversarialRecipe,
    Kinds,
    NetworkName,
    NetworkRates,
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


class Bugs(Config):
    """Perturbations that mislead their source and nobody else (Nakkiran 2019), beside plain ones of the same budget."""

    source: NetworkName = "cnn"  # one whose weakness is its own
    student: NetworkName = "cnn"  # also the architecture of the independent network
    # Architectures of the ensemble that a perturbation must not mislead.
    ensemble: Annotated[tuple[NetworkName, ...], Field(min_length=1)] = ("mlp", "cnn", "mlp", "cnn")
    attack: Attack = Attack(eps=0.5)
    train: StandardRecipe = Recipe()  # of all its networks


class RobustCurve(Config):
    """The next-class set of an adversarially trained source over the radius, and the radius where its sign is known."""

    eps: Radii = (0.2, 0.4, 0.6, 0.8, 1.0)  # radii, increasing
    expected_at: Radius = 0.6  # there its students learn the visible class

    @model_validator(mode="after")
    def _check(self) -> RobustCurve:
        if self.expected_at not in self.eps:
            raise ValueError(f"expected_at: one of eps {list(self.eps)}, got {self.expected_at}; add it there")
        return self


class ControlStudy(Config):
    """One source and one student architecture, all controls, over seeds."""

    study: StudyName = "seefar"
    data: DataConfig = SeeFarData(name="seefar")  # where the images come from
    source: SourceName = "mlp"  # architecture whose perturbations are learnt from
    student: NetworkName = "mlp"  # architecture that learns from the sets
    kinds: Kinds = ("rand", "det")  # constructed sets: targets drawn at random, or the next class
    seeds: Seeds = (0, 1, 2)
    attack: Attack = Attack(eps=0.8)
    train: StandardRecipe = Recipe(epochs=6)  # of the source and the students
    # Of the robust source and the robust features.
    robust: AdversarialRecipe = Recipe(epochs=8, adversary=Adversary(eps=0.8))
    # Learning rates of single networks: they win over those of all recipes.
    network_lr: NetworkRates = Field(default={"linear": 1e-2})
    selector_epochs: Annotated[int, Field(ge=1, le=100_000)] = 1  # of the weak network that selects what stays (Jordan)
    base: Annotated[int, Field(ge=1)] = 64  # training images that share a universal perturbation while it is made
    top_share: Annotated[float, Field(gt=0, lt=1)] = 0.4  # of D_other, by the margin that the source gives
    top_eps: Radius | None = (
        0.4  # the radius of that D_other, None: the attack's; where all of it is easily learned, no part can be better
    )
    bugs: Bugs | None = Bugs()
    curve: RobustCurve | None = RobustCurve()
    compute: Compute = Compute()

    @model_validator(mode="after")
    def _check(self) -> ControlStudy:
        check_networks(self)
        same_norm(self.attack, {"robust.adversary": self.robust.adversary})
        if "other" in self.kinds:
            raise ValueError("kinds: rand and det, got other, which stands in the row of D_other by margin; remove it")
        return self
