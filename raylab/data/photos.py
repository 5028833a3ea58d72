"""Patches of the two photographs that come with scikit-learn: natural images that need no files of their own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raylab.core import seeding
from raylab.data.reader import DataError, Description, Ids, Labels, Pixels, RawFile
from raylab.data.scikit_learn import bundled

NAMES = ("china", "flower")  # a temple and a dahlia, 427x640; the class of a patch is its photograph
POOLS = (2, 3, 4, 5, 6)  # pixels a side that become one: patches of several scales
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass(frozen=True)
class Photos:
    """Grey square patches at random places and scales; those of the two splits may overlap."""

    train_rows: int = 12_000
    test_rows: int = 1000
    size: int = 8  # pixels a side

    def __post_init__(self) -> None:
        for name in ("train_rows", "test_rows"):
            if getattr(self, name) < 1:
                raise DataError(f"data.{name}: at least 1, got {getattr(self, name)}")
        if not 1 <= self.size <= 64:
            raise DataError(f"data.size: 1 to 64 pixels, got {self.size}; six times as many must fit a photograph")

    def describe(self, root: Path) -> Description:  # noqa: ARG002
        rows = {"train": self.train_rows, "test": self.test_rows}
        return Description((1, self.size, self.size), NAMES, rows, (0.5,), (0.25,))

    def labels(self, root: Path, split: str) -> Labels:  # noqa: ARG002
        ids = np.arange(self.train_rows if split == "train" else self.test_rows)
        return Labels(ids, self._places(split, ids)[:, 0])

    def images(self, root: Path, split: str, ids: Ids) -> Pixels:  # noqa: ARG002
        patches = np.empty((len(ids), 1, self.size, self.size), dtype=np.float32)
        for row, (photo, pool, top, left) in enumerate(self._places(split, ids)):
            side = pool * self.size
            window = _greys()[photo][top : top + side, left : left + side]
            patches[row, 0] = window.reshape(self.size, pool, self.size, pool).mean(axis=(1, 3))
        return patches

    def content(self, root: Path, split: str) -> list[RawFile]:  # noqa: ARG002
        return [RawFile(path, name) for name, path in zip(NAMES, _paths(), strict=True)]

    def _places(self, split: str, ids: Ids) -> NDArray[np.int64]:
        """(N, 4): photograph, pool, top, left."""
        draws = seeding.uniform(0, f"data/photos/{split}", ids, 4)
        photo = (draws[:, 0] * len(NAMES)).astype(np.int64)
        pool = np.array(POOLS)[(draws[:, 1] * len(POOLS)).astype(np.int64)]
        sizes = np.array([grey.shape for grey in _greys()])[photo]
        places = (draws[:, 2:] * (sizes - self.size * pool[:, None] + 1)).astype(np.int64)
        return np.column_stack([photo, pool, places])


@lru_cache(maxsize=1)
def _greys() -> tuple[NDArray[np.float32], ...]:  # (H, W) each, in [0, 1]
    from PIL import Image

    greys = []
    for path in _paths():
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"), dtype=np.float64)
        greys.append(np.asarray(pixels @ np.array(LUMA) / 255, dtype=np.float32))
    return tuple(greys)


def _paths() -> list[Path]:
    return bundled("images", tuple(f"{name}.jpg" for name in NAMES))
