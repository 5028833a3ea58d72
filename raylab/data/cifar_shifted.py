"""Other test images for CIFAR-10: new ones (CIFAR-10.1, Recht et al. 2018, https://github.com/modestyachts/CIFAR-10.1),
and its own under corruptions (CIFAR-10-C, Hendrycks and Dietterich 2019, https://zenodo.org/records/2535967)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raylab.data.cifar import CLASS_NAMES, SHAPE
from raylab.data.one_split import OneSplit
from raylab.data.reader import DataError, Ids, Pixels, check_labels

VERSIONS = ("v4", "v6")  # 2,021 images; 2,000 images, as many of every class, which its authors recommend
SEVERITIES = 5  # of a file of CIFAR-10-C: the test images so many times, one severity after the other


class _Shifted(OneSplit):
    """The train split is CIFAR-10's own."""

    own = "test"

    def _count(self, root: Path) -> int:
        return len(self._images(root))  # whose shape is seen to, though no image is read

    def _chosen(self, root: Path, ids: Ids) -> Pixels:
        kept: Pixels = np.ascontiguousarray(self._images(root)[ids].transpose(0, 3, 1, 2))
        return kept

    def _images(self, root: Path) -> NDArray[np.uint8]:  # (N, 32, 32, 3), read where it is indexed
        path, rows = self._path(root, "images"), len(_labels(self._path(root, "labels")))
        images = _load(path)
        channels, height, width = SHAPE
        if images.dtype != np.uint8 or images.shape != (rows, height, width, channels):
            raise DataError(
                f"{path}: {rows} labels need uint8 images of shape {(rows, height, width, channels)}, got "
                f"{images.dtype} {images.shape}; is it a file of another version?"
            )
        return images

    def _labels(self, root: Path) -> NDArray[np.int64]:
        return _labels(self._path(root, "labels"))


@dataclass(frozen=True)
class Cifar10_1(_Shifted):  # noqa: N801 - its name
    """`<root>/<folder>/cifar10.1_v6_{data,labels}.npy`: images uint8 (N, 32, 32, 3), labels whole numbers (N,)."""

    version: str = "v6"
    folder: str = "CIFAR-10.1/datasets"  # as the repository is cloned

    def __post_init__(self) -> None:
        if self.version not in VERSIONS:
            raise DataError(f"data.version: one of {', '.join(VERSIONS)}, got {self.version!r}")

    def _name(self, role: str) -> str:
        return f"{self.folder}/cifar10.1_{self.version}_{'data' if role == 'images' else role}.npy"


@dataclass(frozen=True)
class Cifar10C(_Shifted):
    """`<root>/<folder>/fog.npy` and `labels.npy`, of the five severities one after the other; ids are CIFAR-10's."""

    corruption: str = "gaussian_noise"
    severity: int = 5
    folder: str = "CIFAR-10-C"  # as the archive unpacks

    def __post_init__(self) -> None:
        if not 1 <= self.severity <= SEVERITIES:
            raise DataError(f"data.severity: 1 to {SEVERITIES}, got {self.severity}")

    def _name(self, role: str) -> str:
        return f"{self.folder}/{self.corruption if role == 'images' else role}.npy"

    def _images(self, root: Path) -> NDArray[np.uint8]:
        return self._of_severity(super()._images(root))

    def _labels(self, root: Path) -> NDArray[np.int64]:
        return self._of_severity(super()._labels(root))

    def _of_severity(self, rows: NDArray[Any]) -> NDArray[Any]:
        count, rest = divmod(len(rows), SEVERITIES)
        if rest:
            raise DataError(f"data.corruption={self.corruption}: as many rows of each of 5 severities, got {len(rows)}")
        return rows[count * (self.severity - 1) : count * self.severity]


def _labels(path: Path) -> NDArray[np.int64]:
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
