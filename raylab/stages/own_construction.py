"""Sets by a construction of one's own: what a function makes of images in the eyes of a source network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator

from raylab.core import objectives
from raylab.core.later import F, Tensor, nn, torch
from raylab.engine import objects
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch
from raylab.engine.stage import Compute, Metrics, Stage
from raylab.stages.construction import summarise
from raylab.stages.images import ImageSpec, to_tensor, truths
from raylab.stages.own_object import check_call, own, pinned, trial
from raylab.stages.weights import load_network

# module:function, called as `construct(network, images, labels, ids, seed)`: (B, C, H, W) in [0, 1], (B,) and (B,) to
# images of that shape in [0, 1], and their new labels. What it draws depends on seed and id alone.
ConstructionName = Annotated[str, AfterValidator(objects.check_reference)]
CLOSE = 1e-3  # of a pixel: what another batch may round


@dataclass(frozen=True)
class _OwnConstruction:
    """The identity of a set, beside its data and its source network."""

    doing = ("constructing", "data set")
    over = "data"
    construction: str  # a label, with the code
    num_classes: int
    seed: int
    compute: Compute

    def open(self, inputs: Mapping[str, Artifact], device: str) -> Callable[[Batch], Batch]:
        network = load_network(inputs["model"], device)

        def construct(batch: Batch) -> Batch:
            ids, label = batch["id"].astype(np.int64), batch["label"].astype(np.int64)
            known, numbers = (torch.from_numpy(of).to(device) for of in (label, ids))
            image, wanted = _made(self, network, to_tensor(batch["image"], device), known, numbers)
            with torch.inference_mode():
                logits = network(image)
            said = logits.argmax(1).cpu().numpy()
            return {
                "id": ids,
                "image": image.contiguous().cpu().numpy(),
                "label": wanted.cpu().numpy(),
                "source_label": label,
                "source_prediction": said,
                "other_prediction": said,  # there is no other iterate
                "loss": F.cross_entropy(logits, wanted, reduction="none").cpu().numpy(),
                "blind": np.zeros(len(ids), np.bool_),  # it takes no steps of ours
                "margin": objectives.margin(logits, wanted).cpu().numpy(),
                **truths(batch),
            }

        return construct

    def summarise(self, artifact: Artifact) -> Metrics:
        """As of constructions with a target."""
        return summarise("det", artifact.without_images())


def own_construction(
    construction: str,
    data: Stage,
    model: Stage,
    images: ImageSpec,
    seed: int,
    compute: Compute,
    *,
    rows: int,
    name: str,
) -> Stage:
    """Raises ValueError where the function is not to be found, or gives anything else than images and labels."""
    identity = _OwnConstruction(pinned(construction), images.num_classes, seed, compute.measuring)
    _check(construction, images, identity)
    inputs = {"data": data, "model": model}
    return Stage("own_constructed", 1, identity, inputs, name, rows)


def _made(c: _OwnConstruction, network: nn.Module, x: Tensor, labels: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Raises ValueError for anything but images in [0, 1] and labels of these classes."""
    name = c.construction
    made: Any = own(name)(network, x.clone(), labels.clone(), ids, c.seed)
    if not isinstance(made, tuple) or len(made) != 2 or not all(isinstance(one, torch.Tensor) for one in made):
        raise ValueError(f"{name}: a pair of tensors, images and labels, is needed, got {type(made).__name__}")
    image, label = (one.detach() for one in made)
    if image.shape != x.shape or image.dtype != torch.float32 or not bool(((image >= 0) & (image <= 1)).all()):
        got = f"{image.dtype} {tuple(image.shape)} from {float(image.min()):.4g} to {float(image.max()):.4g}"
        raise ValueError(f"{name}: float32 images of shape {tuple(x.shape)} in [0, 1] are needed, got {got}")
    if label.shape != labels.shape or label.dtype != torch.int64 or label.min() < 0 or label.max() >= c.num_classes:
        got = f"{label.dtype} {tuple(label.shape)}"
        raise ValueError(f"{name}: int64 labels below {c.num_classes} of {len(x)} images are needed, got {got}")
    return image, label


def _check(name: str, images: ImageSpec, identity: _OwnConstruction) -> None:
    """On two images and a linear network, together and each alone."""
    check_call(name, own(name), "construct(network, images, labels, ids, seed)", 5)
    (network, x, labels), ids = trial(images), torch.tensor([3, 8])
    try:
        both = _made(identity, network, x, labels, ids)
        alone = [_made(identity, network, x[i : i + 1], labels[i : i + 1], ids[i : i + 1]) for i in range(2)]
    except Exception as error:  # whatever somebody's function does
        raise ValueError(f"{name}: {type(error).__name__}: {error}") from error
    same = [torch.cat(one) for one in zip(*alone, strict=True)]
    if not torch.allclose(both[0], same[0], rtol=0, atol=CLOSE) or not torch.equal(both[1], same[1]):
        raise ValueError(f"{name}: an image alone becomes another than beside others; draw by seed and id alone")
