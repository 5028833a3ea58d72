"""CIFAR-10: the original pickles, or Parquet as the Hugging Face hub lays it out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raylab.data import pickles
from raylab.data.parquet import Parquet
from raylab.data.reader import (
    DataError,
    Description,
    Ids,
    Labels,
    Pixels,
    RawFile,
    Reader,
    check_labels,
    missing,
)

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEAN = (0.4914, 0.4822, 0.4465)
STD = (
    0.2470,
    0.2435,
    0.2616,
)  # of the pixels; (0.2023, 0.1994, 0.2010), often seen, averages the images' own
PICKLES = "cifar-10-batches-py"
BATCHES = {"train": tuple(f"data_batch_{n}" for n in range(1, 6)), "test": ("test_batch",)}
SHAPE = (3, 32, 32)
JPEG_NOTE = (
    "JPEG CIFAR: these images went through JPEG, which removes part of the high-frequency signal; compare "
    "with numbers from the original CIFAR-10 by direction only."
)


@dataclass(frozen=True)
class Cifar10:
    """`<root>/cifar-10-batches-py`, else `<root>/<folder>/{train,test}-*.parquet`."""

    folder: str = "cifar10/plain_text"

    def describe(self, root: Path) -> Description:
        description = self._reader(root).describe(root)
        if description.shape != SHAPE:
            raise DataError(f"{root}: images of CIFAR-10 have shape {SHAPE}, got {description.shape}")
        return description

    def labels(self, root: Path, split: str) -> Labels:
        return self._reader(root).labels(root, split)

    def images(self, root: Path, split: str, ids: Ids) -> Pixels:
        return self._reader(root).images(root, split, ids)

    def content(self, root: Path, split: str) -> list[RawFile] | str:
        return self._reader(root).content(root, split)

    def _reader(self, root: Path) -> Reader:
        if (root / PICKLES).is_dir():  # first, because it is certain to be without loss
            return _Pickled()
        if (root / self.folder).is_dir():
            return lossless_subset(self.folder)
        raise missing(root, f"{PICKLES}/data_batch_1 or {self.folder}/train-*.parquet")


def lossless_subset(folder: str = "cifar10_lossless_subset/plain_text") -> Parquet:
    """CIFAR-10, or some of it, in Parquet."""
    return Parquet(folder, "img", "label", CLASS_NAMES, MEAN, STD, jpeg_note=JPEG_NOTE)


class _Pickled:
    """The pickles of cs.toronto.edu/~kriz/cifar.html: ids run through the batches in their order."""

    def describe(self, root: Path) -> Description:
        rows = {split: len(self.labels(root, split).ids) for split in BATCHES}
        return Description(SHAPE, CLASS_NAMES, rows, MEAN, STD)

    def labels(self, root: Path, split: str) -> Labels:
        labels = np.concatenate([labels for _, labels in self._batches(root, split)])
        return Labels(np.arange(len(labels)), labels)

    def images(self, root: Path, split: str, ids: Ids) -> Pixels:
        return np.concatenate([images for images, _ in self._batches(root, split)])[ids]

    def content(self, root: Path, split: str) -> list[RawFile]:
        return [RawFile(path, "batch") for path in self._paths(root, split)]

    def _paths(self, root: Path, split: str) -> list[Path]:
        paths = [root / PICKLES / name for name in BATCHES[split]]
        for path in paths:
            if not path.is_file():
                raise missing(path.parent, f"{PICKLES}/{path.name}")
        return paths

    def _batches(self, root: Path, split: str) -> list[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        return [_batch(path) for path in self._paths(root, split)]


def _batch(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    batch = pickles.load(path)
    data, labels = batch.get("data"), batch.get("labels")
    if not isinstance(data, np.ndarray) or not isinstance(labels, list):
        raise DataError(f"{path}: a batch of CIFAR-10 has `data` and `labels`, got {sorted(batch)}")
    if not all(isinstance(label, int) for label in labels):
        raise DataError(f"{path}: labels must be whole numbers, got {labels[:3]}")
    if data.shape != (len(labels), 3072):
        raise DataError(f"{path}: {len(labels)} labels need data of shape ({len(labels)}, 3072), got {data.shape}")
    numbers = np.array(labels, dtype=object)  # whole numbers of any size: int64 would overflow before the check
    check_labels(numbers, len(CLASS_NAMES), str(path))
    return data.reshape(-1, *SHAPE), numbers.astype(np.int64)
