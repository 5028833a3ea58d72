"""Anybody's arrays: what `raylab store export --format npz` writes, and any other npz of images and labels."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raylab.data.arrays import Arrays
from raylab.data.reader import (
    DataError,
    Ids,
    Labels,
    Pixels,
    RawFile,
    check_image_array,
    check_pixels,
    check_whole_numbers,
    missing,
)
from raylab.engine.redaction import excerpt

SET = "set.npz"  # the name of an export's file
IMAGES, LABELS, IDS = "image", "label", "id"
LONGEST = 200  # characters of another library's words


@dataclass(frozen=True)
class Npz(Arrays):
    """`<root>/<folder>/train.npz` or `train/set.npz`, and `test`: arrays image, label, and id where there is one.

    image: (N, C, H, W), uint8, or float32 in [0, 1]; label: (N,) whole numbers; id: (N,) whole numbers, each once, else
    rows.
    """

    folder: str = ""
    test_only: bool = False  # the test images stand for train too: there are no others

    def images(self, root: Path, split: str, ids: Ids) -> Pixels:
        path, rows = self._path(root, split), self._shape(root, split)[0]
        own = self._ids(path, rows)
        order = np.argsort(own)
        images = _array(path, IMAGES)[order[np.searchsorted(own, ids, sorter=order)]]
        check_pixels(images, str(path))
        return images

    def content(self, root: Path, split: str) -> list[RawFile]:
        return [RawFile(self._path(root, split), "arrays")]

    def _path(self, root: Path, split: str) -> Path:
        split = "test" if self.test_only else split
        paths = [root / self.folder / f"{split}.npz", root / self.folder / split / SET]
        there = [path for path in paths if path.is_file()]
        if not there:
            raise missing(root, f"{Path(self.folder) / split}.npz (or {split}/{SET})")
        if len(there) > 1:
            raise DataError(f"{there[0]}: {there[1]} is there too, and would be {split} as well; move one of them away")
        return there[0]

    def _where(self, root: Path, split: str) -> str:
        return str(self._path(root, split))

    def _shape(self, root: Path, split: str) -> tuple[int, ...]:
        """Of which nothing but the header is read."""
        path = self._path(root, split)
        shape, dtype = _header(path, IMAGES)
        check_image_array(shape, dtype, f"{path}: {IMAGES}")
        return shape

    def _labels(self, root: Path, split: str) -> Labels:
        path, rows = self._path(root, split), self._shape(root, split)[0]
        labels = self._numbers(path, LABELS, rows)  # first: a header may claim more rows than memory has ids for
        return Labels(self._ids(path, rows), labels)

    def _numbers(self, path: Path, name: str, rows: int) -> NDArray[Any]:
        return check_whole_numbers(_array(path, name), rows, f"{path}: {name}")

    def _ids(self, path: Path, rows: int) -> Ids:
        if IDS not in _names(path):
            return np.arange(rows)
        ids = self._numbers(path, IDS, rows).astype(np.int64)
        if len(np.unique(ids)) < rows:
            raise DataError(f"{path}: {IDS}: each once, got some twice; number the images")
        return ids


BROKEN = (ValueError, OSError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error, MemoryError, RuntimeError)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Raises DataError for whatever is wrong with the archive, or with the array that is read from it."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except DataError:
        raise
    except BROKEN as error:
        why = excerpt(str(error) or type(error).__name__, LONGEST)
        raise DataError(f"{path}: no npz file that can be read ({why}); write it with numpy.savez") from error


def _names(path: Path) -> list[str]:
    with _opened(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def _array(path: Path, name: str) -> NDArray[Any]:
    shape, dtype = _header(path, name)  # what is wrong with it is said once
    with _opened(path) as archive, archive.open(f"{name}.npy") as stream:
        size, needed = archive.getinfo(f"{name}.npy").file_size, math.prod(shape) * dtype.itemsize
        if needed > size:
            raise ValueError(f"{name}: its header says {needed:,} bytes, there are {size:,}")
        found: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        return found


def _header(path: Path, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array, of which nothing else is read."""
    with _opened(path) as archive:
        if f"{name}.npy" not in archive.namelist():
            there = ", ".join(_names(path)) or "nothing"
            raise DataError(f"{path}: no array {name}, only {there}; name the arrays {IMAGES} and {LABELS}")
        with archive.open(f"{name}.npy") as stream:
            try:
                version = np.lib.format.read_magic(stream)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(stream)
            except ValueError as error:
                raise DataError(f"{path}: {name}: not a NumPy array ({error}); write the file again") from error
    return tuple(shape), dtype
