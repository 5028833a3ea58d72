"""What every reader of raw data gives, and the values it gives it in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Pixels = NDArray[Any]  # uint8 in 0..255 or float32 in [0, 1]

SPLITS = ("train", "test")
MOST_CLASSES = 100_000
# What anybody's files and folders call a split; the first that is there counts.
SPELLINGS = {"train": ("train",), "test": ("test", "validation", "val")}


class DataError(ValueError):
    """Raw data that is missing, broken or not what was said; the message says where and what to do."""


@dataclass(frozen=True)
class Description:
    """What is known of a data set without decoding it."""

    shape: tuple[int, int, int]  # (C, H, W)
    class_names: tuple[str, ...]
    rows: Mapping[str, int]  # by split
    mean: tuple[float, ...]  # per channel, of pixels in [0, 1]: the constants of a network's first layer
    std: tuple[float, ...]
    note: str = ""  # what a report must say beside every number from this data

    def __post_init__(self) -> None:
        if not all(0.0 < value < math.inf for value in self.std):
            raise DataError(f"data.std: finite and above 0, got {self.std}; images are divided by it")

    @property
    def num_classes(self) -> int:
        return len(self.class_names)


class Images(NamedTuple):
    """Rows of one split, in the order of their ids."""

    ids: Ids  # (N,)
    images: Pixels  # (N, C, H, W)
    labels: NDArray[np.int64]  # (N,)

    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns of a data set."""
        return {"id": self.ids, "image": self.images, "label": self.labels}


class Labels(NamedTuple):
    ids: Ids  # (N,), ascending
    labels: NDArray[np.int64]  # (N,)


class RawFile(NamedTuple):
    path: Path
    role: str  # what its place means for the data, such as the class of a folder; not its path


class Reader(Protocol):
    """One source with its options. `root` is the data root; embedded sources ignore it."""

    def describe(self, root: Path) -> Description:
        """Cheap: reads headers and labels, decodes one image at most."""

    def labels(self, root: Path, split: str) -> Labels:
        """Ids and labels of all rows of a split."""

    def images(
        self,
        root: Path,
        split: str,
        ids: Ids,  # (N,), ascending
    ) -> Pixels:  # (N, C, H, W)
        """The images of these rows."""

    def content(self, root: Path, split: str) -> list[RawFile] | str:
        """The files whose bytes are this split, or the name and version of what generates it."""


@dataclass(frozen=True)
class Cut:
    """The first rows of every class, in the order of ids, which are kept; nothing set keeps everything.

    Per class, because data are often stored by class and a plain prefix would then lack most of them.
    """

    per_class: int | None = None  # rows of a class; a class with fewer keeps what it has
    fraction: float | None = None  # share of every class, in (0, 1], rounded up

    def __post_init__(self) -> None:
        if self.per_class is not None and self.fraction is not None:
            raise ValueError("Cut: per_class or fraction, got both; leave one out")
        if self.per_class is not None and self.per_class < 1:
            raise ValueError(f"Cut.per_class: at least 1, got {self.per_class}")
        if self.fraction is not None and not 0.0 < self.fraction <= 1.0:
            raise ValueError(f"Cut.fraction: in (0, 1], got {self.fraction}")

    def positions(
        self,
        labels: NDArray[np.int64],  # (N,)
    ) -> NDArray[np.int64]:
        """Ascending positions of the rows that are kept."""
        if self.per_class is None and self.fraction is None:
            return np.arange(len(labels))
        kept = []
        for label in np.unique(labels):
            rows = np.flatnonzero(labels == label)
            kept.append(rows[: self._count(len(rows))])
        return np.sort(np.concatenate([*kept, np.empty(0, dtype=np.int64)]))

    def _count(self, rows: int) -> int:
        if self.per_class is not None:
            return self.per_class
        return math.ceil((self.fraction or 0.0) * rows - 1e-9)  # 0.07 * 100 is 7.000000000000001


def check_labels(labels: NDArray[Any], num_classes: int, where: str) -> None:
    """Raise DataError, naming the row, unless all labels, integers of any width, lie in 0..num_classes-1."""
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(wrong):
        raise DataError(
            f"{where}: row {wrong[0]}: labels lie in 0..{num_classes - 1}, got {labels[wrong[0]]}; "
            "is the file of another data set, or are its labels withheld?"
        )


def check_image_array(shape: tuple[int, ...], dtype: np.dtype[Any], where: str) -> None:
    """Raise DataError unless an array of this shape and type can be images."""
    if len(shape) != 4 or dtype not in (np.uint8, np.float32):
        raise DataError(f"{where}: uint8 or float32 of shape (N, C, H, W), got {dtype} {shape}; channels come first")


def check_pixels(images: Pixels, where: str) -> None:
    """Raise DataError unless float32 pixels lie in [0, 1]."""
    low, high = (float(images.min()), float(images.max())) if images.size else (0.0, 0.0)
    if images.dtype == np.float32 and not (low >= 0.0 and high <= 1.0):  # nan fails too
        raise DataError(f"{where}: pixels lie in [0, 1], got {low:.4g} to {high:.4g}; divide them, or do not normalise")


def check_whole_numbers(array: NDArray[Any], rows: int, where: str) -> NDArray[Any]:
    """The array; raise DataError unless it has a whole number for each image."""
    if array.shape != (rows,) or array.dtype.kind not in "iu":
        raise DataError(f"{where}: a whole number for each of {rows} images, got {array.dtype} {array.shape}")
    return array


def numbered(labels: NDArray[Any], where: str) -> tuple[str, ...]:
    """Class names where none are given: 0 to the largest label.  Raises DataError where nobody has so many classes."""
    largest = int(labels.max(initial=-1))
    if largest >= MOST_CLASSES:
        raise DataError(
            f"{where}: label {largest}, at most {MOST_CLASSES - 1} where no class has a name; number them 0, 1, 2, ..."
        )
    return tuple(str(number) for number in range(largest + 1))


def check_class_names(names: Sequence[object], where: str) -> tuple[str, ...]:
    """The names, which must be text that a page can hold, each once; else DataError."""
    seen = dict[str, None]()  # as an ordered set
    for number, name in enumerate(names):
        if not isinstance(name, str) or not name.strip() or not _is_unicode(name):
            raise DataError(f"{where}: class names must be text in Unicode, got {name!r} for class {number}; rename it")
        if name in seen:
            raise DataError(f"{where}: every class needs a name of its own, got {name!r} twice; rename one of them")
        seen[name] = None
    return tuple(seen)


def _is_unicode(name: str) -> bool:
    """Whether it can be written: a folder's name of other bytes holds lone surrogates, which no page can."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def listed(names: Sequence[str], most: int = 5) -> str:
    """Names for a message: the first, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def check_size(size: int | None) -> None:
    """Raise DataError unless images can be scaled to this."""
    if size is not None and size < 1:
        raise DataError(f"data.size: at least 1 pixel, got {size}")


def per_channel(value: float | tuple[float, ...], channels: int, name: str) -> tuple[float, ...]:
    """A constant for every channel; raises DataError where their number does not fit the images."""
    values = (value,) * channels if isinstance(value, int | float) else value
    if len(values) != channels:
        raise DataError(f"{name}: one number, or one for each of {channels} channels, got {values}")
    return tuple(values)


@contextmanager
def readable(place: Path) -> Iterator[None]:
    """Readers say what is wrong inside a file; that the system does not hand it out is said here."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{error.filename or place}: cannot be read ({error.strerror or error}); see to its permissions, its "
            "links and the disk it is on"
        ) from error


def missing(searched: Path, expected: str) -> DataError:
    """The error for files that are not there."""
    return DataError(
        f"{searched}: {expected} not found; set data.root=FOLDER (or the environment variable RAYLAB_DATA) "
        "to the folder that holds it"
    )
