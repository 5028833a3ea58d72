"""Images that a function of somebody's own gives."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from raylab.data.arrays import LoadedArrays
from raylab.data.reader import DataError, Images, check_image_array, check_pixels, check_whole_numbers
from raylab.engine import objects


@dataclass(frozen=True)
class Own(LoadedArrays):
    """`function(split, root, **arguments)`: images (N, C, H, W), uint8 or float32 in [0, 1], and labels (N,).

    `root` is a Path, or None where no data root is given. Ids are rows. It is called once a process and split. The
    arrays are the content, so that other arrays are another data set, and other code that gives the same is not.
    """

    function: str
    arguments: str = "{}"  # as JSON

    def content(self, root: Path, split: str) -> str:
        _, images, labels = self._rows(root, split)
        total = hashlib.sha256(f"{images.dtype} {images.shape}".encode())
        for array in (images, labels):
            total.update(np.ascontiguousarray(array).data)
        return total.hexdigest()

    def _rows(self, root: Path, split: str) -> Images:
        return _called(self.function, self.arguments, root, split)

    def _where(self, root: Path, split: str) -> str:
        del root
        return f"{self.function}: {split}"


@lru_cache(maxsize=4)
def _called(function: str, arguments: str, root: Path, split: str) -> Images:
    """Raises DataError where the function is not to be found, fails, or gives anything else."""
    where = f"{function}: {split}"
    try:
        given = objects.find(function)(split, None if root == Path() else root, **json.loads(arguments))
        images, labels = (np.asarray(array) for array in given)
    except Exception as error:  # whatever somebody's function does
        told = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise DataError(
            f"data.function: {where}: {told}; it is called as function(split, root, **arguments) and gives images and "
            "labels"
        ) from error
    check_image_array(images.shape, images.dtype, where)
    check_pixels(images, where)
    return Images(np.arange(len(images)), images, check_whole_numbers(labels, len(images), where).astype(np.int64))
