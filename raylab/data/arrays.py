"""Anybody's arrays: what their readers have in common, whatever the files or functions that the arrays come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from raylab.data.reader import (
    SPLITS,
    DataError,
    Description,
    Ids,
    Images,
    Labels,
    Pixels,
    check_class_names,
    check_labels,
    numbered,
    per_channel,
)


@dataclass(frozen=True, kw_only=True)
class Arrays(ABC):
    """Images of one shape. Where no class names are given, the classes are 0 to the largest label of train."""

    class_names: tuple[str, ...] | None = None
    mean: float | tuple[float, ...] = 0.5
    std: float | tuple[float, ...] = 0.25

    def __post_init__(self) -> None:
        if self.class_names is not None:
            check_class_names(self.class_names, "data.class_names")

    def describe(self, root: Path) -> Description:
        shapes = {split: self._shape(root, split) for split in SPLITS}
        channels, height, width = shapes["train"][1:]
        if shapes["test"][1:] != shapes["train"][1:]:
            where, train, test = self._where(root, "test"), shapes["train"][1:], shapes["test"][1:]
            raise DataError(f"{where}: images of shape {train}, those of train, got {test}")
        return Description(
            shape=(channels, height, width),
            class_names=self._class_names(root),
            rows={split: shape[0] for split, shape in shapes.items()},
            mean=per_channel(self.mean, channels, "data.mean"),
            std=per_channel(self.std, channels, "data.std"),
        )

    def labels(self, root: Path, split: str) -> Labels:
        ids, labels = self._labels(root, split)
        check_labels(labels, len(self._class_names(root)), self._where(root, split))
        order = np.argsort(ids)
        return Labels(ids[order], labels[order].astype(np.int64))

    def _class_names(self, root: Path) -> tuple[str, ...]:
        return self.class_names or numbered(self._labels(root, "train").labels, self._where(root, "train"))

    @abstractmethod
    def _shape(self, root: Path, split: str) -> tuple[int, ...]:
        """(N, C, H, W)"""

    @abstractmethod
    def _labels(self, root: Path, split: str) -> Labels:
        """In any order, and of any classes."""

    @abstractmethod
    def _where(self, root: Path, split: str) -> str:
        """What messages call a split."""


class LoadedArrays(Arrays):
    """Of which a split is read as a whole."""

    def images(self, root: Path, split: str, ids: Ids) -> Pixels:
        found = self._rows(root, split)
        images: Pixels = found.images[np.searchsorted(found.ids, ids)]
        return images

    def _shape(self, root: Path, split: str) -> tuple[int, ...]:
        return self._rows(root, split).images.shape

    def _labels(self, root: Path, split: str) -> Labels:
        ids, _, labels = self._rows(root, split)
        return Labels(ids, labels)

    @abstractmethod
    def _rows(self, root: Path, split: str) -> Images:
        """All of a split, by ascending ids."""
