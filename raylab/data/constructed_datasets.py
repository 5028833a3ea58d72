"""The four sets that Ilyas et al. 2019 released: https://github.com/MadryLab/constructed-datasets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raylab.core.later import torch
from raylab.data import tensors
from raylab.data.cifar import CLASS_NAMES, SHAPE
from raylab.data.one_split import OneSplit
from raylab.data.reader import DataError, Ids, Pixels, check_labels

FOLDERS = {
    "d_robust": "d_robust_CIFAR",
    "d_non_robust": "d_non_robust_CIFAR",
    "d_rand": "drand_CIFAR",
    "d_det": "ddet_CIFAR",
}
FILES = {"images": "CIFAR_ims", "labels": "CIFAR_lab"}
ROUNDING = 1e-6  # of a projection to [0, 1] in float32


@dataclass(frozen=True)
class ConstructedDatasets(OneSplit):
    """`<root>/release_datasets/d_robust_CIFAR/{CIFAR_ims,CIFAR_lab}` and its like; the test split is CIFAR-10's own.

    Each file is a `torch.save`d tensor, or a list of them to be joined (their README: `ch.cat(ch.load(...))`): images
    float32 (N, 3, 32, 32) in [0, 1], labels int64 (N,). Ids are rows.
    """

    own = "train"
    set: str = "d_robust"
    folder: str = "release_datasets"

    def __post_init__(self) -> None:
        if self.set not in FOLDERS:
            raise DataError(f"data.set: one of {', '.join(FOLDERS)}, got {self.set!r}")

    def _name(self, role: str) -> str:
        return f"{self.folder}/{FOLDERS[self.set]}/{FILES[role]}"

    def _count(self, root: Path) -> int:
        return len(self._labels(root))

    def _chosen(self, root: Path, ids: Ids) -> Pixels:
        path, rows = self._path(root, "images"), self._count(root)
        images = _joined(path, "float32")
        if images.shape != (rows, *SHAPE):
            raise DataError(f"{path}: {rows} labels need images of shape {(rows, *SHAPE)}, got {images.shape}")
        low, high = (float(images.min()), float(images.max())) if rows else (0.0, 0.0)
        if not (low >= -ROUNDING and high <= 1 + ROUNDING):  # NaN fails too
            raise DataError(f"{path}: pixels lie in [0, 1], got {low:.4g} to {high:.4g}; do not normalise them")
        kept: Pixels = images[ids].clip(0, 1)
        return kept

    def _labels(self, root: Path) -> NDArray[np.int64]:
        path = self._path(root, "labels")
        labels = _joined(path, "int64")
        if labels.ndim != 1:
            raise DataError(f"{path}: labels are one number an image, got shape {labels.shape}")
        check_labels(labels, len(CLASS_NAMES), str(path))
        return labels


def _joined(path: Path, dtype: str) -> NDArray[Any]:
    found = tensors.load(path)
    pieces = found if isinstance(found, list | tuple) else [found]
    if not pieces or not all(isinstance(piece, torch.Tensor) for piece in pieces):
        raise DataError(
            f"{path}: a tensor or a list of tensors, got {type(found).__name__}; copy the original file again"
        )
    try:
        values: NDArray[Any] = torch.cat([piece.detach() for piece in pieces]).numpy()
    except RuntimeError as error:
        raise DataError(f"{path}: its tensors cannot be joined ({error}); copy the original file again") from error
    if values.dtype != dtype:
        raise DataError(f"{path}: {dtype} is expected, got {values.dtype}; is it a file of another data set?")
    return values
