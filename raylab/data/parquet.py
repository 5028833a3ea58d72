"""Labelled images in Parquet, in the Hugging Face layout: struct<bytes, path> images, integer labels."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from raylab.data.decode import JPEG_MAGIC, decode, decode_all
from raylab.data.reader import (
    SPELLINGS,
    SPLITS,
    DataError,
    Description,
    Ids,
    Labels,
    Pixels,
    RawFile,
    check_class_names,
    check_labels,
    check_size,
    listed,
    missing,
    per_channel,
)
from raylab.engine.redaction import excerpt

IMAGE_COLUMNS = ("image", "img")
# What follows a split in a file's name: nothing, or a number, of how many, and the hash that `datasets` once wrote.
LONGEST = 300  # characters of Arrow's words
PART = re.compile(r"([-_.]?(?P<number>\d+)(-of-(?P<total>\d+)(-[0-9a-f]{16})?)?)?\.parquet")


@dataclass(frozen=True)
class Parquet:
    """`<root>/<folder>/train.parquet` or its parts, and `test`; ids run through the files by name.

    Parts are train-00000-of-00002.parquet and its like, all of them, or train-0.parquet, train-1.parquet, ...
    Where nothing declares class names, the labels of train are 0, 1, 2, ... without a gap.
    """

    folder: str = ""
    image: str | None = None  # None: the column called image or img
    label: str = "label"
    class_names: tuple[str, ...] | None = None  # None: from the files' Hugging Face metadata, else numbers
    mean: float | tuple[float, ...] = 0.5
    std: float | tuple[float, ...] = 0.25
    size: int | None = None  # scale the shorter side to this and cut out the centre
    test_only: bool = False  # the test images stand for train too: there are no others
    jpeg_note: str = ""  # the description's note where the images are JPEG

    def __post_init__(self) -> None:
        check_size(self.size)
        if self.class_names is not None:
            check_class_names(self.class_names, "data.class_names")

    def describe(self, root: Path) -> Description:
        rows = dict.fromkeys(SPLITS, 0)
        for split in SPLITS:
            for path, file in self._files(root, split):
                self._image_column(path, file)
                rows[split] += file.metadata.num_rows
        shape, first = self._first(root)
        return Description(
            shape=shape,
            class_names=self._class_names(root),
            rows=rows,
            mean=per_channel(self.mean, shape[0], "data.mean"),
            std=per_channel(self.std, shape[0], "data.std"),
            note=self.jpeg_note if first.startswith(JPEG_MAGIC) else "",
        )

    def labels(self, root: Path, split: str) -> Labels:
        labels, names = [], self._class_names(root)
        for path, file in self._files(root, split):
            own = self._declared(path, file)
            if own and names[: len(own)] != own:
                raise DataError(
                    f"{path}: classes {listed(own)}, but {listed(names)} elsewhere in this data: a label would mean "
                    "two classes; write the files again with one list, or give data.class_names=[...]"
                )
            found = self._labels(path, file)
            check_labels(found, len(names), str(path))
            labels.append(found.astype(np.int64))
        joined = np.concatenate(labels)
        return Labels(np.arange(len(joined)), joined)

    def images(self, root: Path, split: str, ids: Ids) -> Pixels:
        shape, _ = self._first(root)
        return decode_all(self._encoded(root, split, ids), len(ids), shape, self.size)

    def content(self, root: Path, split: str) -> list[RawFile]:
        return [RawFile(path, "rows") for path in self._paths(root, split)]

    def _paths(self, root: Path, split: str) -> list[Path]:
        split = "test" if self.test_only else split
        found = {name: sorted((root / self.folder).glob(f"{name}*.parquet")) for name in SPELLINGS[split]}
        name, paths = next(((name, paths) for name, paths in found.items() if paths), (split, []))
        if not paths:
            raise missing(root / self.folder, f"{Path(self.folder) / split}*.parquet")
        _check_parts(paths, name)
        return paths

    def _files(self, root: Path, split: str) -> Iterator[tuple[Path, pq.ParquetFile]]:
        for path in self._paths(root, split):
            with _readable(path):
                file = pq.ParquetFile(path)
            with file:
                yield path, file

    def _labels(self, path: Path, file: pq.ParquetFile) -> NDArray[Any]:
        """(N,), integers as wide as the file has them: none is checked, and unsigned ones need not fit into int64."""
        _require(path, file, (self.label,), "label")
        with _readable(path):
            column = file.read(columns=[self.label]).column(0)
        remedy = "write class numbers, or name another column with data.label"
        if not pa.types.is_integer(column.type):
            raise DataError(f"{path}: column {self.label}: labels are integers, got {column.type}; {remedy}")
        if column.null_count:
            row = np.flatnonzero(column.is_null().to_numpy())[0]
            raise DataError(f"{path}: row {row}: column {self.label}: labels are integers, got null; {remedy}")
        labels: NDArray[Any] = column.to_numpy()
        return labels

    def _class_names(self, root: Path) -> tuple[str, ...]:
        if self.class_names is not None:
            return self.class_names
        declared = (self._declared(*opened) for opened in self._files(root, "train"))
        return next((names for names in declared if names), None) or self._numbers(root)

    def _declared(self, path: Path, file: pq.ParquetFile) -> tuple[str, ...]:
        """The class names in a file; none where there are none, or where data.class_names goes before them."""
        if self.class_names is not None:
            return ()
        return check_class_names(_declared_names(file.schema_arrow, self.label), f"{path}: its Hugging Face metadata")

    def _numbers(self, root: Path) -> tuple[str, ...]:
        """The labels of train as class names. Raises DataError unless they are 0, 1, 2, ... without a gap.

        Memory follows the number of rows, never the size of a label.
        """
        files = [(path, self._labels(path, file)) for path, file in self._files(root, "train")]
        rows = sum(len(labels) for _, labels in files)
        small = [labels[(labels >= 0) & (labels < rows)].astype(np.int64) for _, labels in files]
        absent = int(np.bincount(np.concatenate(small), minlength=rows + 1).argmin())  # the first with a count of 0
        for path, labels in files:
            beyond = np.flatnonzero((labels < 0) | (labels > absent))
            if len(beyond):
                raise DataError(
                    f"{path}: row {beyond[0]}: label {labels[beyond[0]]}, but no training image has label {absent}; "
                    "number the classes 0, 1, 2, ... without a gap, or name all of them with data.class_names=[...]"
                )
        return tuple(str(number) for number in range(absent))

    def _first(self, root: Path) -> tuple[tuple[int, int, int], bytes]:
        """Shape and bytes of the first training image, which all others must follow."""
        for encoded, where in self._encoded(root, "train", np.zeros(1, dtype=np.int64)):
            channels, height, width = decode(encoded, where, self.size).shape
            return (channels, height, width), encoded
        raise DataError(f"{root / self.folder}: the training files have no rows")

    def _encoded(self, root: Path, split: str, ids: Ids) -> Iterator[tuple[bytes, str]]:
        """Bytes of these rows and where they are from; row groups without any of them are not read."""
        start = 0
        for path, file in self._files(root, split):
            name, first_row = self._image_column(path, file), start
            for group in range(file.num_row_groups):
                end = start + file.metadata.row_group(group).num_rows
                wanted = ids[(ids >= start) & (ids < end)]
                if len(wanted):
                    with _readable(path):
                        column = _bytes_column(file.read_row_group(group, columns=[name]).column(0))
                    for row, encoded in zip(wanted, column.take(wanted - start).to_pylist(), strict=True):
                        where = f"{path}: row {row - first_row}"
                        if encoded is None:
                            raise DataError(f"{where}: no bytes in column {name}; embed the images in the file")
                        yield encoded, where
                start = end

    def _image_column(self, path: Path, file: pq.ParquetFile) -> str:
        """The name of the column with encoded images."""
        name = _require(path, file, (self.image,) if self.image else IMAGE_COLUMNS, "image")
        found = kind = file.schema_arrow.field(name).type
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            kind = kind.field("bytes").type
        if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
            raise DataError(f"{path}: column {name}: encoded images (struct<bytes, path> or binary), got {found}")
        return name


def _check_parts(paths: list[Path], split: str) -> None:
    """Raise DataError unless these are one file, or parts numbered from 0 or 1 on, each once and none absent."""
    found = {path.name: PART.fullmatch(path.name.removeprefix(split)) for path in paths}
    strange = [name for name, match in found.items() if match is None]
    strange += [f"{path.name} (no regular file)" for path in paths if not path.is_file()]
    numbers = sorted(int(match["number"] or 0) for match in found.values() if match)
    totals = {match["total"] and int(match["total"]) for match in found.values() if match}
    if strange:
        problem = f"{listed(strange)} would be read as {split} too"
    elif len(totals) > 1 or len(set(numbers)) < len(numbers) or (len(found) > 1 and f"{split}.parquet" in found):
        problem = f"{listed(list(found))} overlap"
    elif numbers not in ([*range(total := totals.pop() or len(numbers))], [*range(1, total + 1)]):
        problem = f"{len(numbers)} of {max(total, numbers[-1])} parts are there: {listed(list(found))}"
    else:
        return
    raise DataError(
        f"{paths[0].parent}: {problem}; {split} is {split}.parquet, or all of its parts and no more, "
        f"{split}-00000-of-0000N.parquet, ...: rename, copy or move away"
    )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: no readable Parquet file ({excerpt(str(error), LONGEST)}); copy it again") from error


def _require(path: Path, file: pq.ParquetFile, names: tuple[str, ...], option: str) -> str:
    """The first of these columns that the file has."""
    there = file.schema_arrow.names
    for name in names:
        if name in there:
            return name
    raise DataError(
        f"{path}: column {' or '.join(names)} not found among {', '.join(there)}; name it with data.{option}=COLUMN"
    )


def _bytes_column(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    return array.field("bytes") if pa.types.is_struct(array.type) else array


def _declared_names(schema: pa.Schema, label: str) -> list[object]:
    """Class names from the schema metadata that the `datasets` library writes, unchecked; none where there are none."""
    try:
        declared = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][label]["names"]
        if isinstance(declared, dict):  # by number, as text
            return [declared[str(number)] for number in range(len(declared))]
        return declared if isinstance(declared, list) else []
    except (KeyError, TypeError, ValueError):
        return []
