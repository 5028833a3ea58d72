"""The idx files of MNIST and Fashion-MNIST, gzipped or not (format: yann.lecun.com/exdb/mnist)."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from raylab.data.reader import DataError, Description, Ids, Labels, Pixels, RawFile, check_labels, missing

PREFIXES = {"train": "train", "test": "t10k"}
IMAGES, LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"
UNSIGNED_BYTE = 0x08


@dataclass(frozen=True)
class Idx:
    """Images and labels in `<root>/<folder>/raw`, as torchvision lays them out."""

    folder: str
    class_names: tuple[str, ...]
    mean: float
    std: float

    def describe(self, root: Path) -> Description:
        sizes = {split: read_sizes(self._find(root, split, IMAGES), 3) for split in PREFIXES}
        _, height, width = sizes["train"]
        if sizes["test"][1:] != sizes["train"][1:]:
            raise DataError(f"{self._raw(root)}: train and test images must be of one size, got {sizes}")
        rows = {split: size[0] for split, size in sizes.items()}
        return Description((1, height, width), self.class_names, rows, (self.mean,), (self.std,))

    def labels(self, root: Path, split: str) -> Labels:
        path = self._find(root, split, LABELS)
        labels = read_idx(path, 1).astype(np.int64)
        check_labels(labels, len(self.class_names), str(path))
        rows = read_sizes(self._find(root, split, IMAGES), 3)[0]
        if rows != len(labels):
            raise DataError(f"{path}: {len(labels)} labels for {rows} images; one of the two files is another one's")
        return Labels(np.arange(rows), labels)

    def images(self, root: Path, split: str, ids: Ids) -> Pixels:
        return read_idx(self._find(root, split, IMAGES), 3)[ids, None]

    def content(self, root: Path, split: str) -> list[RawFile]:
        return [RawFile(self._find(root, split, kind), kind) for kind in (IMAGES, LABELS)]

    def _raw(self, root: Path) -> Path:
        return root / self.folder / "raw"

    def _find(self, root: Path, split: str, kind: str) -> Path:
        name = f"{PREFIXES[split]}-{kind}"
        for candidate in (name, f"{name}.gz"):
            if (self._raw(root) / candidate).is_file():
                return self._raw(root) / candidate
        raise missing(self._raw(root), f"{self.folder}/raw/{name} (or {name}.gz)")


def read_sizes(path: Path, dimensions: int) -> tuple[int, ...]:
    """The sizes in the header of an idx file of unsigned bytes."""
    with _opened(path) as stream:
        return _header(stream, path, dimensions)


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """An idx file of unsigned bytes; DataError where its magic number or its length is wrong."""
    with _opened(path) as stream:
        sizes = _header(stream, path, dimensions)
        payload = stream.read()
    if len(payload) != math.prod(sizes):
        raise DataError(f"{path}: the header says {sizes}, {math.prod(sizes)} bytes, got {len(payload)}; copy it again")
    return np.frombuffer(payload, dtype=np.uint8).reshape(sizes)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb") as stream:
            yield stream
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: a gzip file cut short or damaged ({error}); copy it again") from error


def _header(stream: BinaryIO, path: Path, dimensions: int) -> tuple[int, ...]:
    head = stream.read(4 + 4 * dimensions)
    magic = bytes([0, 0, UNSIGNED_BYTE, dimensions])
    if len(head) != 4 + 4 * dimensions or head[:4] != magic:
        raise DataError(
            f"{path}: an idx file of {dimensions} dimensions starts with {magic.hex()} and its sizes, got "
            f"{head.hex() or 'nothing'}; is it another file, or gzipped without .gz?"
        )
    return struct.unpack(f">{dimensions}I", head[4:])
