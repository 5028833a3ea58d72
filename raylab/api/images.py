"""Somebody's images, labels and ids: what the field gets wrong is refused before anything is computed."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from raylab.config import Config
from raylab.config.objections import reason
from raylab.engine.columns import Batch

Given = TypeVar("Given", bound=Config)
UNLABELLED = -1
CHANNELS = (1, 3, 4)  # of an image, as they are found last


def checked(
    images: Tensor,  # (N, C, H, W) float32 or float64, in [0, 1]
    labels: Tensor | None,  # (N,) int64; None: there are none
    ids: Tensor | None,  # (N,) int64, each once; None: 0 to N - 1
) -> Batch:
    """Columns id, image and label, as stages take them.  Raises ValueError."""
    check_images(images)
    if labels is None:
        labels = torch.full((len(images),), UNLABELLED)
    else:
        check_labels(labels, len(images))
    return {
        "id": ids_of(ids, len(images)),
        "image": images.detach().cpu().contiguous().numpy(),
        "label": labels.detach().cpu().numpy(),
    }


def check_images(images: Tensor, name: str = "images") -> None:
    """Raises ValueError where they are not (N, C, H, W) floats in [0, 1]."""
    if not isinstance(images, Tensor):
        raise ValueError(f"{name}: a tensor, got {type(images).__name__}; call torch.from_numpy or torch.stack")
    if images.dtype == torch.uint8:
        raise ValueError(f"{name}: floats in [0, 1], got uint8; write {name}.float() / 255")
    if images.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"{name}: float32 or float64, got {images.dtype}; call .float()")
    if images.ndim != 4 or images.numel() == 0:
        raise ValueError(f"{name}: shape (N, C, H, W), none of them 0, got {tuple(images.shape)}")
    if images.shape[1] not in CHANNELS and images.shape[3] in CHANNELS:
        raise ValueError(
            f"{name}: channels first, (N, C, H, W), got {tuple(images.shape)}; call {name}.permute(0, 3, 1, 2)"
        )
    if not images.isfinite().all():
        raise ValueError(f"{name}: finite numbers, got nan or inf in {_not_finite(images)} of {len(images)} images")
    low, high = float(images.min()), float(images.max())
    if low < 0:
        raise ValueError(
            f"{name}: pixels in [0, 1], got {low:.4g} to {high:.4g}; do not normalise them, and give the network as "
            "raylab.Normalised(model, mean, std)"
        )
    if high > 1:
        remedy = "divide them by 255" if high > 2 else "clip them"
        raise ValueError(f"{name}: pixels in [0, 1], got {low:.4g} to {high:.4g}; {remedy}")


def check_labels(labels: Tensor, count: int, num_classes: int | None = None, name: str = "labels") -> None:
    """Raises ValueError where they are not one class for each image."""
    if not isinstance(labels, Tensor):
        raise ValueError(f"{name}: a tensor, got {type(labels).__name__}; call torch.tensor")
    if labels.ndim == 2 and labels.shape[0] == count:
        raise ValueError(f"{name}: one class for each image, got shape {tuple(labels.shape)}; call .argmax(1)")
    if labels.shape != (count,):
        raise ValueError(f"{name}: one class for each of {count} images, got shape {tuple(labels.shape)}")
    if labels.dtype != torch.int64:
        raise ValueError(f"{name}: int64, got {labels.dtype}; call .long()")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or (num_classes is not None and high >= num_classes):
        top = "K" if num_classes is None else num_classes
        raise ValueError(
            f"{name}: classes from 0 to {top} - 1 of a network of {top} logits, got {low} to {high}; count from 0, and "
            "take the classes that the network was trained on"
        )


def ids_of(ids: Tensor | None, count: int) -> NDArray[np.int64]:
    """Raises ValueError where they are not one name for each image."""
    if ids is None:
        return np.arange(count)
    if not isinstance(ids, Tensor) or ids.dtype != torch.int64 or ids.shape != (count,):
        got = f"{ids.dtype} of shape {tuple(ids.shape)}" if isinstance(ids, Tensor) else type(ids).__name__
        raise ValueError(f"ids: an int64 tensor, one id for each of {count} images, got {got}")
    found: NDArray[np.int64] = ids.detach().cpu().numpy()
    if len(distinct := np.unique(found)) < count:
        raise ValueError(f"ids: each once, got {count - len(distinct)} more than once; images draw their numbers by id")
    return found


def configured(kind: type[Given], **given: Any) -> Given:
    """A config of a stage from arguments.  Raises ValueError, which names the argument and the rule."""
    try:
        return kind(**given)
    except ValidationError as error:
        raise ValueError(reason(error)) from None


def _not_finite(images: Tensor) -> int:
    return int((~images.isfinite()).flatten(1).any(dim=1).sum())
