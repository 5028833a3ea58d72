"""Labelled images in Parquet, in the Hugging Face layout: struct<bytes, path> images, integer labels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raylab.data.decode import JPEG_MAGIC, decode, decode_all
from raylab.data.reader import (
    SPLITS,
    DataError,
    Description,
    Ids,
    Labels,
    Pixels,
    RawFile,
    check_labels,
    check_size,
    missing,
    per_channel,
)

IMAGE_COLUMNS = ("image", "img")


@dataclass(frozen=True)
class Parquet:
    """`<root>/<folder>/train*.parquet` and `test*.parquet`; ids run through the files by name."""

    folder: str = ""
    image: str | None = None  # None: the column called image or img
    label: str = "label"
    class_names: tuple[str, ...] | None = None  # None: from the files' Hugging Face metadata, else numbers
    mean: float | tuple[float, ...] = 0.5
    std: float | tuple[float, ...] = 0.25
    size: int | None = None  # scale the shorter side to this and cut out the centre
    jpeg_note: str = ""  # the description's note where the images are JPEG

    def __post_init__(self) -> None:
        check_size(self.size)

    def describe(self, root: Path) -> Description:
        rows = {split: sum(file.metadata.num_rows for _, file in self._files(root, split)) for split in SPLITS}
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
        labels, num_classes = [], len(self._class_names(root))
        for path, file in self._files(root, split):
            labels.append(self._labels(path, file))
            check_labels(labels[-1], num_classes, str(path))
        joined = np.concatenate(labels)
        return Labels(np.arange(len(joined)), joined)

    def images(self, root: Path, split: str, ids: Ids) -> Pixels:
        shape, _ = self._first(root)
        return decode_all(self._encoded(root, split, ids), len(ids), shape, self.size)

    def content(self, root: Path, split: str) -> list[RawFile]:
        return [RawFile(path, "rows") for path in self._paths(root, split)]

    def _paths(self, root: Path, split: str) -> list[Path]:
        paths = sorted((root / self.folder).glob(f"{split}*.parquet"))
        if not paths:
            raise missing(root / self.folder, f"{Path(self.folder) / split}*.parquet")
        return paths

    def _files(self, root: Path, split: str) -> Iterator[tuple[Path, pq.ParquetFile]]:
        for path in self._paths(root, split):
            try:
                file = pq.ParquetFile(path)
            except (pa.ArrowInvalid, OSError) as error:
                raise DataError(f"{path}: no readable Parquet file ({error}); copy it again") from error
            with file:
                yield path, file

    def _labels(self, path: Path, file: pq.ParquetFile) -> Ids:
        _require(path, file, (self.label,), "label")
        column = file.read(columns=[self.label]).column(0)
        if not pa.types.is_integer(column.type) or column.null_count:
            raise DataError(
                f"{path}: column {self.label}: integers without gaps are labels, got {column.type} with "
                f"{column.null_count} nulls; write class numbers, or name another column with data.label"
            )
        labels: Ids = column.cast(pa.int64()).to_numpy()
        return labels

    def _class_names(self, root: Path) -> tuple[str, ...]:
        if self.class_names is not None:
            return self.class_names
        _, first = next(self._files(root, "train"))
        names = _declared_names(first.schema_arrow, self.label)
        if names:
            return names
        highest = max(int(self._labels(*opened).max(initial=-1)) for opened in self._files(root, "train"))
        return tuple(str(number) for number in range(highest + 1))

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
            name = _require(path, file, (self.image,) if self.image else IMAGE_COLUMNS, "image")
            first_row = start
            for group in range(file.num_row_groups):
                end = start + file.metadata.row_group(group).num_rows
                wanted = ids[(ids >= start) & (ids < end)]
                if len(wanted):
                    column = _bytes_column(file.read_row_group(group, columns=[name]).column(0), path, name)
                    for row, encoded in zip(wanted, column.take(wanted - start).to_pylist(), strict=True):
                        where = f"{path}: row {row - first_row}"
                        if encoded is None:
                            raise DataError(f"{where}: no bytes in column {name}; embed the images in the file")
                        yield encoded, where
                start = end


def _require(path: Path, file: pq.ParquetFile, names: tuple[str, ...], option: str) -> str:
    """The first of these columns that the file has."""
    there = file.schema_arrow.names
    for name in names:
        if name in there:
            return name
    raise DataError(
        f"{path}: column {' or '.join(names)} not found among {', '.join(there)}; name it with data.{option}=COLUMN"
    )


def _bytes_column(column: pa.ChunkedArray, path: Path, name: str) -> pa.Array:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    if pa.types.is_struct(array.type) and array.type.get_field_index("bytes") >= 0:
        array = array.field("bytes")
    if not (pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type)):
        raise DataError(f"{path}: column {name}: encoded images (struct<bytes, path> or binary), got {array.type}")
    return array


def _declared_names(schema: pa.Schema, label: str) -> tuple[str, ...]:
    """Class names from the schema metadata that the `datasets` library writes; none where there are none."""
    try:
        declared = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError):
        return ()
    return tuple(declared) if isinstance(declared, list) else tuple(declared.values())
