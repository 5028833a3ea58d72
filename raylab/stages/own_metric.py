"""A measure of one's own, of every example: what a function says of a network on test images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator

from raylab.core.later import nn, torch
from raylab.engine import objects
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch
from raylab.engine.stage import Compute, Metrics, Stage
from raylab.stages.images import ImageSpec, to_tensor
from raylab.stages.own_object import check_call, own, pinned, trial
from raylab.stages.weights import load_network

# module:function, called as `metric(network, images, labels)`: (B, C, H, W) in [0, 1] and (B,) to a number each, (B,).
MetricName = Annotated[str, AfterValidator(objects.check_reference)]
CLOSE = 1e-3  # of the largest number: what another batch may round


@dataclass(frozen=True)
class _OwnMetric:
    """The identity of a measurement, beside its network and data."""

    doing = ("measuring", "network")
    over = "data"
    metric: str  # a label, with the code
    compute: Compute

    def open(self, inputs: Mapping[str, Artifact], device: str) -> Callable[[Batch], Batch]:
        network = load_network(inputs["model"], device)

        def measure(batch: Batch) -> Batch:
            labels = batch["label"].astype(np.int64)
            found = _measured(self.metric, network, batch["image"], labels, device)
            return {"id": batch["id"], "label": labels, "value": found}

        return measure

    def summarise(self, artifact: Artifact) -> Metrics:
        values = artifact.batch()["value"]
        return {"n": len(values), "mean": float(values.mean())}


def own_metric(
    metric: str, model: Stage, data: Stage, images: ImageSpec, compute: Compute, *, rows: int, name: str
) -> Stage:
    """A number for each example.  Raises ValueError where the function is not to be found, or gives anything else."""
    _check(metric, images)
    identity = _OwnMetric(pinned(metric), compute.measuring)
    return Stage("own_metric", 1, identity, {"model": model, "data": data}, name, rows)


def _measured(
    metric: str, network: nn.Module, images: NDArray[Any], labels: NDArray[np.int64], device: str
) -> NDArray[np.float64]:
    """Raises ValueError for anything but a finite number for each image."""
    found = own(metric)(network, to_tensor(images, device), torch.from_numpy(labels).to(device))
    values = np.asarray(found.detach().cpu() if isinstance(found, torch.Tensor) else found, dtype=np.float64)
    if values.shape != labels.shape or not np.isfinite(values).all():
        got = f"shape {values.shape}" if values.shape != labels.shape else "nan or inf"
        raise ValueError(f"{metric}: a finite number for each of {len(labels)} images is needed, got {got}; mend it")
    return values


def _check(metric: str, images: ImageSpec) -> None:
    """On two images and a linear network, together and each alone."""
    check_call(metric, own(metric), "metric(network, images, labels)", 3)
    network, x, of = trial(images)
    shown, labels = x.numpy(), of.numpy()
    try:
        both = _measured(metric, network, shown, labels, "cpu")
        alone = [_measured(metric, network, shown[i : i + 1], labels[i : i + 1], "cpu")[0] for i in range(2)]
    except Exception as error:  # whatever somebody's function does
        raise ValueError(f"{metric}: {type(error).__name__}: {error}") from error
    if not np.allclose(both, alone, rtol=CLOSE, atol=CLOSE * float(np.abs(both).max())):
        raise ValueError(f"{metric}: an image alone has other numbers than beside others; measure each for itself")
