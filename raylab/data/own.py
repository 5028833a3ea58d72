"""Images that a function of somebody's own gives."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from raylab import objects
from raylab.data.reader import (
    SPLITS,
    DataError,
    Description,
    Ids,
    Images,
    Labels,
    Pixels,
    check_class_names,
    check_image_array,
    check_labels,
    check_pixels,
    check_whole_numbers,
    numbered,
    per_channel,
)


@dataclass(frozen=True)
class Own:
    """`function(split, root, **arguments)`: images (N, C, H, W), uint8 or float32 in [0, 1], and labels (N,).

    `root` is a Path, or None where no data root is given. Ids are rows. It is called once a process and split. The
    arrays are the content, so that other arrays are another data set, and other code that gives the same is not.
    """

    function: str
    arguments: str = "{}"  # as JSON
    class_names: tuple[str, ...] | None = None
    mean: float | tuple[float, ...] = 0.5
    std: float | tuple[float, ...] = 0.25

    def __post_init__(self) -> None:
        if self.class_names is not None:
            check_class_names(self.class_names, "data.class_names")

    def describe(self, root: Path) -> Description:
        given = {split: self._given(root, split) for split in SPLITS}
        shapes = {split: images.images.shape[1:] for split, images in given.items()}
        if shapes["test"] != shapes["train"]:
            raise DataError(f"{self.function}: test: images of shape {shapes['train']}, got {shapes['test']}")
        channels, height, width = shapes["train"]
        return Description(
            shape=(channels, height, width),
            class_names=self.class_names or numbered(given["train"].labels, f"{self.function}: train"),
            rows={split: len(images.ids) for split, images in given.items()},
            mean=per_channel(self.mean, channels, "data.mean"),
            std=per_channel(self.std, channels, "data.std"),
        )

    def labels(self, root: Path, split: str) -> Labels:
        ids, _, labels = self._given(root, split)
        names = self.class_names or numbered(self._given(root, "train").labels, f"{self.function}: train")
        check_labels(labels, len(names), f"{self.function}: {split}")
        return Labels(ids, labels)

    def images(self, root: Path, split: str, ids: Ids) -> Pixels:
        images: Pixels = self._given(root, split).images[ids]
        return images

    def content(self, root: Path, split: str) -> str:
        _, images, labels = self._given(root, split)
        total = hashlib.sha256(f"{images.dtype} {images.shape}".encode())
        for array in (images, labels):
            total.update(np.ascontiguousarray(array).data)
        return total.hexdigest()

    def _given(self, root: Path, split: str) -> Images:
        return _called(self.function, self.arguments, root, split)


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
