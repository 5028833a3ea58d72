"""The four sets that Ilyas et al. 2019 released: https://github.com/MadryLab/constructed-datasets."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raylab.core.later import torch
from raylab.data import tensors
from raylab.data.cifar import CLASS_NAMES, SHAPE, Cifar10
from raylab.data.reader import DataError, Description, Ids, Labels, Pixels, RawFile, check_labels, missing

FOLDERS = {
    "d_robust": "d_robust_CIFAR",
    "d_non_robust": "d_non_robust_CIFAR",
    "d_rand": "drand_CIFAR",
    "d_det": "ddet_CIFAR",
}
IMAGES, LABELS = "CIFAR_ims", "CIFAR_lab"
ROUNDING = 1e-6  # of a projection to [0, 1] in float32


@dataclass(frozen=True)
class ConstructedDatasets:
    """`<root>/release_datasets/d_robust_CIFAR/{CIFAR_ims,CIFAR_lab}` and its like; the test split is CIFAR-10's own.

    Each file is a `torch.save`d tensor, or a list of them to be joined (their README: `ch.cat(ch.load(...))`): images
    float32 (N, 3, 32, 32) in [0, 1], labels int64 (N,). Ids are rows.
    """

    set: str = "d_robust"
    folder: str = "release_datasets"
    test: Cifar10 = field(default_factory=Cifar10)

    def __post_init__(self) -> None:
        if self.set not in FOLDERS:
            raise DataError(f"data.set: one of {', '.join(FOLDERS)}, got {self.set!r}")

    def describe(self, root: Path) -> Description:
        about = self.test.describe(root)
        return replace(about, rows={"train": len(self._labels(root)), "test": about.rows["test"]})

    def labels(self, root: Path, split: str) -> Labels:
        if split == "test":
            return self.test.labels(root, split)
        labels = self._labels(root)
        return Labels(np.arange(len(labels)), labels)

    def images(self, root: Path, split: str, ids: Ids) -> Pixels:
        if split == "test":
            return self.test.images(root, split, ids)
        path, rows = self._path(root, IMAGES), len(self._labels(root))
        images = _joined(path, "float32")
        if images.shape != (rows, *SHAPE):
            raise DataError(f"{path}: {rows} labels need images of shape {(rows, *SHAPE)}, got {images.shape}")
        low, high = (float(images.min()), float(images.max())) if rows else (0.0, 0.0)
        if not (low >= -ROUNDING and high <= 1 + ROUNDING):  # NaN fails too
            raise DataError(f"{path}: pixels lie in [0, 1], got {low:.4g} to {high:.4g}; do not normalise them")
        kept: Pixels = images[ids].clip(0, 1)
        return kept

    def content(self, root: Path, split: str) -> list[RawFile] | str:
        if split == "test":
            return self.test.content(root, split)
        return [RawFile(self._path(root, IMAGES), "images"), RawFile(self._path(root, LABELS), "labels")]

    def _path(self, root: Path, name: str) -> Path:
        path = root / self.folder / FOLDERS[self.set] / name
        if not path.is_file():
            raise missing(root, f"{self.folder}/{FOLDERS[self.set]}/{name}")
        return path

    def _labels(self, root: Path) -> NDArray[np.int64]:
        path = self._path(root, LABELS)
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
