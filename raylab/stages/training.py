"""Networks: `train` makes one from a data set, `load_network` brings it back."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, model_validator

from raylab.artifact import Artifact
from raylab.config import Config
from raylab.core import networks
from raylab.core.augment import Augmentation
from raylab.core.construct import Kind, targets
from raylab.core.fit import Epoch, OptimizerName, fit
from raylab.core.networks import Network
from raylab.core.schedules import Schedule
from raylab.stage import Metrics, Stage, TaskContext
from raylab.stages.images import ImageSpec

WEIGHTS = "weights.pt"
Keep = Literal["all", "success", "failed"]

# Recipes as published; `preset: NAME` fills what a config leaves out.
PRESETS: dict[str, dict[str, Any]] = {
    # Ilyas et al. 2019, appendix C.2, with the defaults of MadryLab/robustness where the paper is silent (150 epochs,
    # the learning rate times 0.1 every 50, weight decay 5e-4); random crops and flips only.
    "ilyas2019_standard": {
        "epochs": 150, "batch_size": 128, "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4,
        "schedule": "step", "milestones": (50, 100), "augment": "crop_flip",
    },
    # Table 3 there: D_rand, learning rate 0.01 with augmentation; at 0.1 it can stay at chance for the whole training.
    "ilyas2019_rand": {
        "epochs": 150, "batch_size": 128, "optimizer": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4,
        "schedule": "step", "milestones": (50, 100), "augment": "crop_flip",
    },
    # Table 3 there: D_det, learning rate 0.1 without augmentation.
    "ilyas2019_det": {
        "epochs": 150, "batch_size": 128, "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4,
        "schedule": "step", "milestones": (50, 100), "augment": "none",
    },
    # Small networks in seconds: what the embedded digits and See-Far are trained with.
    "small": {"epochs": 12, "batch_size": 64, "optimizer": "adamw", "lr": 2e-3, "schedule": "one_cycle"},
}  # fmt: skip


class Recipe(Config):
    """How a network is trained. `preset` names a published recipe for the fields that are not given."""

    # The values are the identity, not what they are called.
    preset: Literal["ilyas2019_standard", "ilyas2019_rand", "ilyas2019_det", "small"] | None = Field(None, exclude=True)
    epochs: Annotated[int, Field(ge=0, le=100_000)] = 12
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 64
    optimizer: OptimizerName = "adamw"
    lr: Annotated[float, Field(gt=0, le=100)] = 2e-3
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    schedule: Schedule = "one_cycle"
    milestones: tuple[Annotated[int, Field(ge=1)], ...] = ()
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    augment: Augmentation = "none"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or given.get("preset") is None:
            return given
        return {**PRESETS.get(given["preset"], {}), **given}

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


@dataclass(frozen=True)
class Training:
    """The identity of a trained network, beside its data."""

    network: str
    recipe: Recipe
    images: ImageSpec
    seed: int
    labels: Kind | None  # None: as they are; else the labels of that construction on the images as they are
    labels_seed: int
    keep: Keep  # of a constructed set: all, only where the attack succeeded, or only where it failed


@dataclass(frozen=True)
class TrainBody:
    training: Training
    in_driver = False

    def run(self, context: TaskContext) -> Metrics:
        t, r = self.training, self.training.recipe
        data = context.inputs["data"].batch()
        ids, labels = data["id"].astype(np.int64), data["label"].astype(np.int64)
        if t.labels is not None:
            labels = targets(t.labels, labels, ids, t.images.num_classes, t.labels_seed, "train")
        # A control without perturbation is trained on the very examples that its set was cut to.
        rows = _kept(t.keep, context.inputs["kept_as"].without_images() if "kept_as" in context.inputs else data)
        network = networks.build(t.network, t.images.shape, t.images.num_classes, t.images.mean, t.images.std, t.seed)
        network = network.to(context.device)
        reported = context.reporter.resume()

        def on_epoch(epoch: Epoch, state: Any) -> None:
            context.reporter.report(asdict(epoch), lambda: _pack(state()))

        epochs = fit(
            network,
            torch.from_numpy(np.ascontiguousarray(data["image"][rows])),
            torch.from_numpy(labels[rows]),
            ids[rows],
            epochs=r.epochs,
            batch_size=r.batch_size,
            optimizer=r.optimizer,
            lr=r.lr,
            momentum=r.momentum,
            nesterov=r.nesterov,
            weight_decay=r.weight_decay,
            schedule=r.schedule,
            milestones=r.milestones,
            gamma=r.gamma,
            augment=r.augment,
            label_smoothing=r.label_smoothing,
            seed=t.seed,
            on_epoch=on_epoch,
            resume=None if reported is None else _unpack(reported),
        )
        weights = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
        context.write(WEIGHTS, _pack(weights), None)
        return {
            "examples": int(rows.sum()),
            "loss": tuple(epoch.loss for epoch in epochs),
            "accuracy": tuple(epoch.accuracy for epoch in epochs),
        }


def train(
    network: str,
    recipe: Recipe,
    data: Stage,
    images: ImageSpec,
    seed: int,
    *,
    labels: Kind | None = None,
    labels_seed: int = 0,
    keep: Keep = "all",
    kept_as: Stage | None = None,
    rows: int,
    name: str,
) -> Stage:
    """A network trained on `data`, with its own labels, or with those of a construction on the images as they are.

    `keep` selects examples of a constructed set: of `data`, or for a control of `kept_as`, which has the same ids.

    Raises ValueError where no network of that name can take the images.
    """
    networks.check(network, images.shape, images.num_classes)
    training = Training(network, recipe, images, seed, labels, labels_seed if labels else 0, keep)
    inputs = {"data": data} if kept_as is None else {"data": data, "kept_as": kept_as}
    return Stage("network", 1, training, inputs, TrainBody(training), name, recipe.epochs * rows)


def with_epochs(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe over another number of epochs, its milestones in proportion."""
    milestones = tuple(max(1, epoch * epochs // recipe.epochs) for epoch in recipe.milestones) if epochs else ()
    return recipe.model_copy(update={"epochs": epochs, "milestones": milestones})


def load_network(artifact: Artifact, device: str) -> Network:
    """The network of an artifact: on `device`, in eval mode, with frozen parameters, ready to be attacked."""
    config = artifact.config
    images = config["images"]
    network = networks.build(
        config["network"], tuple(images["shape"]), images["num_classes"], images["mean"], images["std"], seed=0
    )
    network.load_state_dict(_unpack(artifact.read(WEIGHTS)))
    return network.to(device).eval().requires_grad_(False)


def _kept(keep: Keep, data: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if keep == "all":
        return np.ones(len(data["id"]), dtype=np.bool_)
    hit = data["source_prediction"] == data["label"]
    rows = hit if keep == "success" else ~hit
    if not rows.any():
        raise ValueError(
            f"keep={keep}: none of {len(rows)} constructed examples is left; keep: all trains on every one"
        )
    return np.asarray(rows)


def _pack(state: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def _unpack(data: bytes) -> Any:
    return torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
