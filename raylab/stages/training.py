"""Networks that are trained from scratch on a data set."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from raylab.core import adversary
from raylab.core.construct import Kind, targets
from raylab.core.fit import Epoch, State, fit
from raylab.core.later import networks, torch
from raylab.engine.memory_map import memory_mapped
from raylab.engine.stage import Metrics, Stage, TaskContext
from raylab.stages import architecture
from raylab.stages.architecture import Architecture
from raylab.stages.images import ImageSpec, to_tensor
from raylab.stages.recipe import Recipe
from raylab.stages.weights import WEIGHTS, pack, unpack

# Of a constructed set: every example, only where the attack succeeded or failed, or by the margin that it reached.
Keep = Literal["all", "success", "failed", "top", "bottom"]
OnEpoch = Callable[[Epoch, Callable[[], State]], None]


@dataclass(frozen=True)
class Training:
    """The identity of a trained network, beside its data."""

    doing = ("training", "network")
    in_driver = False
    network: Architecture
    recipe: Recipe
    images: ImageSpec
    seed: int
    labels: Kind | None  # None: as they are; else the labels of that construction on the images as they are
    labels_seed: int
    keep: Keep
    keep_share: float | None  # of "top" and "bottom"

    def run(self, context: TaskContext) -> Metrics:
        data = memory_mapped(context.inputs["data"])
        ids, labels = data["id"].astype(np.int64), data["label"].astype(np.int64)
        if self.labels is not None:
            labels = targets(self.labels, labels, ids, self.images.num_classes, self.labels_seed, "train")
        # A control without perturbation is trained on the very examples that its set was cut to.
        rows = _kept(self, context.inputs["kept_as"].without_images() if "kept_as" in context.inputs else data)
        network = architecture.build(self.network, self.images, self.seed).to(context.device)
        reported = context.reporter.resume()

        def on_epoch(epoch: Epoch, state: Callable[[], State]) -> None:
            numbers = {"epoch": epoch.epoch, "loss": epoch.loss, "accuracy": epoch.accuracy}
            context.reporter.report(numbers, lambda: pack(state()))

        images, labels, ids = _moved_up(data["image"], rows), labels[rows], ids[rows]
        run = partial(fit, network, torch.from_numpy(images), torch.from_numpy(labels), ids, seed=self.seed)
        epochs = self.fitted(run, on_epoch, None if reported is None else unpack(reported))
        weights = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
        context.write(WEIGHTS, pack(weights), None)
        metrics: dict[str, Any] = {
            "examples": len(ids),
            "loss": tuple(epoch.loss for epoch in epochs),
            "accuracy": tuple(epoch.accuracy for epoch in epochs),
            "collapse": None,
        }
        if self.recipe.adversary is not None:
            right = partial(_accuracy, network, images, labels, context.device)
            metrics["collapse"] = _collapse(epochs, labels, right, self.recipe.adversary.ramp)
        stopped = epochs[-1].stopped if epochs else None
        return metrics if stopped is None else {**metrics, "stopped": asdict(stopped)}

    def fitted(self, run: Callable[..., list[Epoch]], on_epoch: OnEpoch, resume: State | None) -> list[Epoch]:
        """The record of every epoch; `run` is `fit` on the data."""
        return run(**arguments(self.recipe), on_epoch=on_epoch, resume=resume)


def arguments(recipe: Recipe) -> dict[str, Any]:
    """Those of `fit` that a recipe says."""
    return {
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "optimizer": recipe.optimizer,
        "lr": recipe.lr,
        "momentum": recipe.momentum,
        "nesterov": recipe.nesterov,
        "weight_decay": recipe.weight_decay,
        "schedule": recipe.schedule,
        "milestones": recipe.milestones,
        "gamma": recipe.gamma,
        "augment": recipe.augment,
        "gaussian": recipe.gaussian,
        "label_smoothing": recipe.label_smoothing,
        **({} if recipe.adversary is None else recipe.adversary.arguments),
        "stop": recipe.stop,
        "precision": recipe.precision,
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
    keep_share: float = 0.4,
    kept_as: Stage | None = None,
    rows: int,
    name: str,
) -> Stage:
    """A network trained from scratch on `data`: its own labels, or those of a construction on the images as they are.

    `keep` selects examples of a constructed set: of `data`, or for a control of `kept_as`, which has the same ids.
    "top" is the share `keep_share` of them with the largest margin, "bottom" is the rest.

    Raises ValueError where no network of that name can take the images, or the share is not in (0, 1).
    """
    made, images = architecture.trainable(network, images)
    by_margin = keep in ("top", "bottom")
    if by_margin and not 0.0 < keep_share < 1.0:
        raise ValueError(f"keep_share: a share in (0, 1) of the examples, got {keep_share}; keep: all takes every one")
    recipe = recipe.pinned(images)
    training = Training(
        made, recipe, images, seed, labels, labels_seed if labels else 0, keep, keep_share if by_margin else None
    )
    inputs = {"data": data} if kept_as is None else {"data": data, "kept_as": kept_as}
    passes = recipe.passes * rows
    # 2: the adversary no longer stands still on a confident network; the others' weights are as they were.
    room = rows * math.prod(images.shape) * (4 if data.kind == "constructed" else 1)  # unread data may be bytes
    return Stage("network", 1 if recipe.adversary is None else 2, training, inputs, name, passes, room)


def _kept(training: Training, data: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    keep, share = training.keep, training.keep_share
    if keep == "all":
        return np.ones(len(data["id"]), dtype=np.bool_)
    if share is not None:
        rows = _top(share, data) if keep == "top" else ~_top(share, data)
    else:
        hit = data["source_prediction"] == data["label"]
        rows = hit if keep == "success" else ~hit
    if not rows.any():
        raise ValueError(
            f"keep={keep}: none of {len(rows)} constructed examples is left; keep: all trains on every one"
        )
    return np.asarray(rows)


CHUNK = 500


def _moved_up(images: NDArray[Any], rows: NDArray[np.bool_]) -> NDArray[Any]:
    """The images of these rows, in the place of the first: a second array would need as much room again."""
    kept = np.flatnonzero(rows)
    for low in range(0, len(kept) if len(kept) < len(rows) else 0, CHUNK):
        part = kept[low : low + CHUNK]
        images[low : low + len(part)] = images[part]  # no image is written over that is still to be moved
    return images[: len(kept)]


def _top(share: float, data: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """The examples of largest margin; of equals the lowest id, so that the order of the rows decides nothing."""
    if "margin" not in data:
        raise ValueError(
            f"keep by margin: a set with a column `margin` is needed, got {sorted(data)}; take a constructed set"
        )
    best_first = np.lexsort((data["id"], -data["margin"]))
    rows = np.zeros(len(best_first), dtype=np.bool_)
    rows[best_first[: round(share * len(rows))]] = True
    return rows


def _collapse(
    epochs: Sequence[Epoch], labels: NDArray[np.int64], clean: Callable[[], float], ramp: float
) -> str | None:
    """What a report must warn of: the weights are kept, for a collapse is a result too."""
    majority = float(np.bincount(labels).max() / len(labels))
    return adversary.collapse(epochs, majority, clean, ramp) if epochs and majority < 1.0 else None


def _accuracy(network: networks.Network, images: NDArray[Any], labels: NDArray[np.int64], device: str) -> float:
    """On images as they are, without augmentation."""
    network.eval()
    right = 0
    with torch.inference_mode():
        for start in range(0, len(labels), CHUNK):
            part = slice(start, start + CHUNK)
            called = network(to_tensor(images[part], device)).argmax(1).cpu().numpy()
            right += int((called == labels[part]).sum())
    return right / len(labels)
