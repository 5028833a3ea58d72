"""CIFAR-10.1, new test images for CIFAR-10 (Recht et al. 2018): https://github.com/modestyachts/CIFAR-10.1."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raylab.data.cifar import CLASS_NAMES, SHAPE, Cifar10
from raylab.data.reader import DataError, Description, Ids, Labels, Pixels, RawFile, check_labels, missing

VERSIONS = ("v4", "v6")  # 2,021 images; 2,000 images, as many of every class, which its authors recommend


@dataclass(frozen=True)
class Cifar10_1:  # noqa: N801 - its name
    """`<root>/<folder>/cifar10.1_v6_{data,labels}.npy`: images uint8 (N, 32, 32, 3), labels whole numbers (N,).

    The train split is CIFAR-10's own; so is the note, for what was trained on JPEG was. Ids are rows.
    """

    version: str = "v6"
    folder: str = "CIFAR-10.1/datasets"  # as the repository is cloned
    train: Cifar10 = field(default_factory=Cifar10)

    def __post_init__(self) -> None:
        if self.version not in VERSIONS:
            raise DataError(f"data.version: one of {', '.join(VERSIONS)}, got {self.version!r}")

    def describe(self, root: Path) -> Description:
        about = self.train.describe(root)
        return replace(about, rows={"train": about.rows["train"], "test": len(self._images(root))})

    def labels(self, root: Path, split: str) -> Labels:
        if split == "train":
            return self.train.labels(root, split)
        labels = self._labels(root)
        return Labels(np.arange(len(labels)), labels)

    def images(self, root: Path, split: str, ids: Ids) -> Pixels:
        if split == "train":
            return self.train.images(root, split, ids)
        kept: Pixels = np.ascontiguousarray(self._images(root)[ids].transpose(0, 3, 1, 2))
        return kept

    def content(self, root: Path, split: str) -> list[RawFile] | str:
        if split == "train":
            return self.train.content(root, split)
        return [RawFile(self._path(root, "data"), "images"), RawFile(self._path(root, "labels"), "labels")]

    def _path(self, root: Path, what: str) -> Path:
        name = f"cifar10.1_{self.version}_{what}.npy"
        path = root / self.folder / name
        if not path.is_file():
            raise missing(root, f"{self.folder}/{name}")
        return path

    def _images(self, root: Path) -> NDArray[np.uint8]:  # (N, 32, 32, 3), read where it is indexed
        path, rows = self._path(root, "data"), len(self._labels(root))
        images = _load(path)
        channels, height, width = SHAPE
        if images.dtype != np.uint8 or images.shape != (rows, height, width, channels):
            raise DataError(
                f"{path}: {rows} labels need uint8 images of shape {(rows, height, width, channels)}, got "
                f"{images.dtype} {images.shape}; is it a file of another version?"
            )
        return images

    def _labels(self, root: Path) -> NDArray[np.int64]:
        path = self._path(root, "labels")
        labels = _load(path)
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise DataError(f"{path}: labels are one whole number an image, got {labels.dtype} {labels.shape}")
        check_labels(labels, len(CLASS_NAMES), str(path))
        return np.array(labels, dtype=np.int64)


def _load(path: Path) -> NDArray[Any]:
    """Mapped into memory, so that shape and type are known before anything is read."""
    try:
        found: object = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(found, np.ndarray):  # an archive of several
            raise ValueError(f"a {type(found).__name__}")
    except (ValueError, EOFError) as error:
        raise DataError(f"{path}: not a NumPy array ({error}); copy the original file again") from error
    return found
