"""CIFAR-10 with somebody's own images in the place of one of its splits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from raylab.data.cifar import Cifar10
from raylab.data.reader import Description, Ids, Labels, Pixels, RawFile, missing

CIFAR = Cifar10()


class OneSplit(ABC):
    """The other split is CIFAR-10's; so is the note, for JPEG in one split tells on both. Ids of the own are rows."""

    own: ClassVar[str]  # the split

    def describe(self, root: Path) -> Description:
        about = CIFAR.describe(root)
        return replace(about, rows={**about.rows, self.own: self._count(root)})

    def labels(self, root: Path, split: str) -> Labels:
        if split != self.own:
            return CIFAR.labels(root, split)
        labels = self._labels(root)
        return Labels(np.arange(len(labels)), labels)

    def images(self, root: Path, split: str, ids: Ids) -> Pixels:
        return self._chosen(root, ids) if split == self.own else CIFAR.images(root, split, ids)

    def content(self, root: Path, split: str) -> list[RawFile] | str:
        if split != self.own:
            return CIFAR.content(root, split)
        return [RawFile(self._path(root, role), role) for role in ("images", "labels")]

    def _path(self, root: Path, role: str) -> Path:
        path = root / self._name(role)
        if not path.is_file():
            raise missing(root, self._name(role))
        return path

    @abstractmethod
    def _name(self, role: str) -> str:
        """Of the file of "images" or "labels", below the root."""

    @abstractmethod
    def _count(self, root: Path) -> int:
        """Rows of the own split."""

    @abstractmethod
    def _labels(self, root: Path) -> NDArray[np.int64]:
        """(N,)"""

    @abstractmethod
    def _chosen(self, root: Path, ids: Ids) -> Pixels:
        """The images of these rows."""
