"""Relabelling for constructed data sets: the class each example is perturbed towards and then labelled with."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from raylab.core import seeding

Kind = Literal["rand", "other", "det"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def targets(
    kind: Kind,
    label: NDArray[np.int64],  # (N,), in {0, ..., num_classes - 1}
    ids: NDArray[np.int64],  # (N,)
    num_classes: int,
    seed: int,
    split: str,
) -> NDArray[np.int64]:
    """(N,) target classes (Ilyas et al. 2019, section 3.2; `other` is Jordan's control without t = y).

    rand: uniform over all classes, the own one included.  other: uniform over the others.
    det: (label + 1) mod num_classes, whatever the seed.
    Keyed by (seed, kind, split, id): shards and order cannot change them.
    """
    _check(kind, label, ids, num_classes)
    purpose = f"targets/{kind}/{split}"
    match kind:
        case "rand":
            return seeding.integers(seed, purpose, ids, num_classes)
        case "other":
            return (label + 1 + seeding.integers(seed, purpose, ids, num_classes - 1)) % num_classes
        case "det":
            return (label + 1) % num_classes


def _check(kind: str, label: NDArray[np.int64], ids: NDArray[np.int64], num_classes: int) -> None:
    if kind not in KINDS:
        raise ValueError(f"targets: kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if num_classes < 2:
        raise ValueError(f"targets: at least 2 classes, got {num_classes}")
    if label.shape != ids.shape:
        raise ValueError(f"targets: one id per label, got {ids.shape} ids and {label.shape} labels")
    if label.size and (label.min() < 0 or label.max() >= num_classes):
        raise ValueError(f"targets: labels in [0, {num_classes}), got {label.min()} to {label.max()}")
