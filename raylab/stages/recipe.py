"""How a network is trained: every knob of a training, and published recipes by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from raylab.config import Config
from raylab.config.radius import Radius
from raylab.core import adversary
from raylab.core.augment import Augmentation
from raylab.core.fit import OptimizerName, Stop
from raylab.core.schedules import Schedule
from raylab.core.trades import Trades, WeightPerturbation
from raylab.engine.identity import ADDED_LATER
from raylab.stages.images import ImageSpec
from raylab.stages.norm import BallName, ball, pinned_norm

# Ilyas et al. 2019, appendix C.2, with the defaults of MadryLab/robustness where the paper is silent (150 epochs, the
# learning rate times 0.1 every 50, weight decay 5e-4); random crops and flips only.
_STANDARD: dict[str, Any] = {
    "epochs": 150, "batch_size": 128, "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4,
    "schedule": "step", "milestones": (50, 100), "augment": "crop_flip",
}  # fmt: skip

# Recipes as published; `preset: NAME` fills what a config leaves out.
PRESETS: dict[str, dict[str, Any]] = {
    "ilyas2019_standard": _STANDARD,
    # Table 3 of that appendix: D_rand, learning rate 0.01 with augmentation; at 0.1 it can stay at chance to the end.
    "ilyas2019_rand": {
        "epochs": 150, "batch_size": 128, "optimizer": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4,
        "schedule": "step", "milestones": (50, 100), "augment": "crop_flip",
    },
    # Table 3 there: D_det, learning rate 0.1 without augmentation.
    "ilyas2019_det": {
        "epochs": 150, "batch_size": 128, "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4,
        "schedule": "step", "milestones": (50, 100), "augment": "none",
    },
    # Appendix C.3: adversarial training, PGD-7 in L2 by steps of eps / 5. The published recipe has no ramp: ours has
    # one unless `adversary.ramp` is 0, for without it a training can collapse to chance.
    "ilyas2019_adversarial": {**_STANDARD, "adversary": {"norm": "l2", "eps": 0.5}},
    # The same in Linf at the field's usual radius (MadryLab/robustness has a model of it). Madry et al. 2018 start at a
    # random point of the ball; this adversary starts at the clean image.
    "robustness_linf": {**_STANDARD, "adversary": {"norm": "linf", "eps": 8 / 255}},
    # Zhang et al. 2019, as in the authors' train_trades_cifar10.py. The ramp is ours, as above.
    "trades_linf": {
        "epochs": 76, "batch_size": 128, "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 2e-4,
        "schedule": "step", "milestones": (74,), "augment": "crop_flip",
        "adversary": {"norm": "linf", "eps": 0.031, "steps": 10, "step_share": 0.007 / 0.031, "trades": 6.0},
    },
    # Small networks in seconds: what the embedded digits and See-Far are trained with.
    "small": {"epochs": 12, "batch_size": 64, "optimizer": "adamw", "lr": 2e-3, "schedule": "one_cycle"},
}  # fmt: skip


class Adversary(Config):
    """The adversary of adversarial training: untargeted PGD from the clean image, in pixel units of [0, 1].

    With `trades` it is that of TRADES, which starts at a random point beside the image (Zhang et al. 2019)."""

    norm: BallName = "l2"  # norm of the ball: l2, linf, or module:object of one's own
    eps: Radius  # radius of the ball around an image
    steps: Annotated[int, Field(ge=1, le=1000)] = adversary.STEPS  # steps of gradient descent, for each batch
    step_share: Annotated[float, Field(gt=0, le=10)] = adversary.STEP_SHARE  # length of a step, as a share of eps
    ramp: Annotated[float, Field(ge=0, le=1)] = adversary.RAMP  # the share of the training over which eps grows
    # Weight of the divergence between clean and attacked answers, beta of TRADES; None: cross-entropy under attack.
    trades: Annotated[Annotated[float, Field(gt=0, le=1000)] | None, ADDED_LATER] = None
    # Size of the adversarial perturbation of the weights, as a share of theirs (AWP, Wu et al. 2020); None: none.
    awp: Annotated[Annotated[float, Field(gt=0, le=1)] | None, ADDED_LATER] = None
    # Epochs before the weights are perturbed; None: from the first on.
    awp_after: Annotated[Annotated[int, Field(ge=1)] | None, ADDED_LATER] = None

    @model_validator(mode="after")
    def _check(self) -> Adversary:
        if self.norm == "linf" and self.eps > 1:
            raise ValueError(
                f"eps: pixels lie in [0, 1], so an Linf radius is at most 1, got {self.eps:g}; "
                f"for {self.eps:g} of 255 levels write {self.eps:g}/255"
            )
        if self.steps * self.step_share < 1 - 1e-9:
            raise ValueError(
                f"step_share: {self.steps} steps of {self.step_share} eps cannot reach the radius; "
                f"take at least {1 / self.steps:.3g}"
            )
        if self.awp_after is not None and self.awp is None:
            raise ValueError(f"awp_after belongs to awp, got {self.awp_after} without it; set both")
        return self

    @property
    def arguments(self) -> dict[str, Any]:
        """Those of `fit`."""
        around = ball(self.norm, self.eps)
        with_awp = {"awp": WeightPerturbation(self.awp, self.awp_after or 0)} if self.awp is not None else {}
        if self.trades is not None:
            return {"trades": Trades(around, self.steps, self.step_share, self.ramp, self.trades), **with_awp}
        return {"adversary": adversary.pgd(around, self.steps, self.step_share, self.ramp), **with_awp}

    @property
    def passes(self) -> int:
        """Images through the network for each example, beside the one of standard training."""
        learnt = 1 if self.trades is None else 2
        return self.steps + learnt - 1 + (learnt if self.awp is not None else 0)


class Recipe(Config):
    """How a network is trained. `preset` names a published recipe for the fields that are not given; it is no part of
    the identity, which the values are."""

    # A published recipe for the fields that are not given.
    preset: (
        Literal[
            "ilyas2019_standard",
            "ilyas2019_rand",
            "ilyas2019_det",
            "ilyas2019_adversarial",
            "robustness_linf",
            "trades_linf",
            "small",
        ]
        | None
    ) = Field(default=None, exclude=True)
    epochs: Annotated[int, Field(ge=0, le=100_000)] = 12  # passes over the training images
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 64  # images in a step of training
    optimizer: OptimizerName = "adamw"  # which optimizer
    lr: Annotated[float, Field(gt=0, le=100)] = 2e-3  # learning rate, at its highest
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9  # momentum of sgd
    nesterov: bool = False  # Nesterov's momentum, for sgd
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0  # weight decay of the optimizer
    schedule: Schedule = "one_cycle"  # how the learning rate changes
    # Epochs where the learning rate falls, with schedule: step.
    milestones: tuple[Annotated[int, Field(ge=1)], ...] = ()
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1  # factor on the learning rate at every milestone
    augment: Augmentation = "none"  # random crops and flips
    # Noise on every image, of a standard deviation that is uniform in [0, gaussian]; None: none (Yin et al. 2019).
    gaussian: Annotated[Annotated[float, Field(gt=0, le=1)] | None, ADDED_LATER] = None
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0  # share of a label that is spread over all classes
    adversary: Adversary | None = None  # adversarial training; None: standard training
    # The training ends once this share of its images is right, in eval mode and as they are; `epochs` are the most.
    stop_at_accuracy: Annotated[Annotated[float, Field(gt=0, le=1)] | None, ADDED_LATER] = None
    # How often that is asked within an epoch, in steps; None: at the end of each.
    stop_every: Annotated[Annotated[int, Field(ge=1)] | None, ADDED_LATER] = None

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or not isinstance(given.get("preset"), str):
            return given
        preset = PRESETS.get(given["preset"], {})
        filled = {**preset, **given}
        # Field by field in the adversary too, unless it is another norm's: eps would be in other units.
        named, own = preset.get("adversary"), given.get("adversary")
        if named and isinstance(own, Mapping) and own.get("norm", named["norm"]) == named["norm"]:
            filled["adversary"] = {**named, **own}
        return filled

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        if self.milestones and max(self.milestones) >= max(self.epochs, 1):
            raise ValueError(
                f"milestones lie before the last of {self.epochs} epochs, got {list(self.milestones)}; set both"
            )
        if self.milestones and self.schedule != "step":
            raise ValueError(f"milestones belong to schedule: step, got schedule: {self.schedule}; remove one of them")
        if self.nesterov and (self.optimizer != "sgd" or self.momentum == 0):
            raise ValueError("nesterov needs optimizer: sgd with momentum > 0; set nesterov: false")
        return self

    @model_validator(mode="after")
    def _check_stop(self) -> Recipe:
        if self.stop_at_accuracy is None:
            if self.stop_every is not None:
                raise ValueError(f"stop_every belongs to stop_at_accuracy, got {self.stop_every} without it; set both")
            return self
        if self.schedule not in ("constant", "step"):
            raise ValueError(
                f"stop_at_accuracy: schedule {self.schedule} plans the learning rate for {self.epochs} epochs, and a "
                "training that stops has fewer; set schedule: constant"
            )
        if self.adversary is not None and self.adversary.ramp > 0:
            raise ValueError(
                f"stop_at_accuracy: the adversary's radius grows over {self.adversary.ramp:g} of {self.epochs} epochs, "
                "and the training may stop before it is there; set adversary.ramp: 0"
            )
        return self

    def pinned(self, images: ImageSpec) -> Recipe:
        """With the code of an adversary's ball of one's own. Raises ValueError where it is none on such images."""
        if (one := self.adversary) is None:
            return self
        norm = pinned_norm(one.norm, one.eps, images)
        return self.model_copy(update={"adversary": one.model_copy(update={"norm": norm})})

    @property
    def stop(self) -> Stop | None:
        return None if self.stop_at_accuracy is None else Stop(self.stop_at_accuracy, self.stop_every)

    @property
    def passes(self) -> int:
        """Images through the network for each example, forward and backward."""
        return self.epochs * (1 if self.adversary is None else 1 + self.adversary.passes)


def with_epochs(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe over another number of epochs, its milestones in proportion."""
    milestones = tuple(max(1, epoch * epochs // recipe.epochs) for epoch in recipe.milestones) if epochs else ()
    return recipe.model_copy(update={"epochs": epochs, "milestones": milestones})
