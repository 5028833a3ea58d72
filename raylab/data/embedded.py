"""Data that needs no files: scikit-learn's digits and the synthetic world See-Far."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raylab.core import seeding
from raylab.core.seefar import VERSION, World
from raylab.data.reader import DataError, Description, Ids, Labels, Pixels
from raylab.data.scikit_learn import bundled

DIGITS_TRAIN, DIGITS_ROWS = 1437, 1797
DIGITS_SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"  # of pixels, then labels, as bytes


@dataclass(frozen=True)
class Digits:
    """8x8 digits of scikit-learn; `seed` chooses the split, and ids are rows of the whole set."""

    seed: int = 0
    train_rows: int = DIGITS_TRAIN  # the other images are the test set
    mean: float = 0.5
    std: float = 0.25

    def __post_init__(self) -> None:
        if not 1 <= self.train_rows < DIGITS_ROWS:
            raise DataError(f"data.train_rows: 1 to {DIGITS_ROWS - 1} of the digits, got {self.train_rows}")

    def describe(self, root: Path) -> Description:  # noqa: ARG002
        rows = {"train": self.train_rows, "test": DIGITS_ROWS - self.train_rows}
        return Description((1, 8, 8), tuple("0123456789"), rows, (self.mean,), (self.std,))

    def labels(self, root: Path, split: str) -> Labels:  # noqa: ARG002
        order = seeding.permutation(self.seed, "data/digits/split", np.arange(DIGITS_ROWS))
        ids = np.sort(order[: self.train_rows] if split == "train" else order[self.train_rows :])
        return Labels(ids, _digits()[1][ids].astype(np.int64))

    def images(self, root: Path, split: str, ids: Ids) -> Pixels:  # noqa: ARG002
        # Sixteenths are exact in float32 and not in bytes.
        return _digits()[0][ids, None].astype(np.float32) / np.float32(16)

    def content(self, root: Path, split: str) -> str:  # noqa: ARG002
        return f"scikit-learn digits sha256 {DIGITS_SHA256}"


@dataclass(frozen=True)
class SeeFar:
    """Samples of a world; the world's seed chooses the images too."""

    world: World
    train_rows: int
    test_rows: int

    def describe(self, root: Path) -> Description:  # noqa: ARG002
        shape = (1, self.world.size, self.world.size)
        rows = {"train": self.train_rows, "test": self.test_rows}
        return Description(shape, self.world.class_names, rows, (0.5,), (0.2,))

    def labels(self, root: Path, split: str) -> Labels:  # noqa: ARG002
        ids = np.arange(self.train_rows if split == "train" else self.test_rows)
        return Labels(ids, self.world.labels(split, ids))

    def images(self, root: Path, split: str, ids: Ids) -> Pixels:  # noqa: ARG002
        return self.world.examples(split, ids)["image"]

    def content(self, root: Path, split: str) -> str:  # noqa: ARG002
        return f"raylab seefar {VERSION}"


def seefar(seed: int = 0, train_rows: int = 3000, test_rows: int = 1000, **world: Any) -> SeeFar:
    """See-Far with any field of `World` changed."""
    for name, rows in (("train_rows", train_rows), ("test_rows", test_rows)):
        if rows < 1:
            raise DataError(f"data.{name}: at least 1, got {rows}")
    try:
        return SeeFar(World(seed, **world), train_rows, test_rows)
    except ValueError as error:
        raise DataError(str(error)) from error


def _digits() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:  # (1797, 8, 8) in 0..16, (1797,)
    (path,) = bundled("data", ("digits.csv.gz",))
    table = _table(path)
    pixels, labels = table[:, :-1], table[:, -1]
    found = hashlib.sha256(pixels.tobytes() + labels.tobytes()).hexdigest()
    if found != DIGITS_SHA256:
        raise DataError(f"scikit-learn's digits: sha256 {DIGITS_SHA256}, got {found}; install another release")
    return pixels.reshape(-1, 8, 8), labels


@lru_cache(maxsize=1)  # a plan asks for every seed
def _table(path: Path) -> NDArray[np.uint8]:  # (1797, 65): 64 pixels and the label
    with gzip.open(path) as rows:
        return np.loadtxt(rows, dtype=np.uint8, delimiter=",")
