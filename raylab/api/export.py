"""Data sets for others: files that the field's tools read without raylab, and a card that says what they are.

    torch         CIFAR_ims, CIFAR_lab: the layout of MadryLab/constructed-datasets, beside ids and source_labels
    npz           set.npz: every column
    huggingface   data/<split>-*.parquet: every column; the images as float32, and as 8 bits to be looked at
    webdataset    <split>-*.tar: <id>.npy (float32), .png (8 bits, to be looked at), .cls, .json

Images are float32 (C, H, W) in [0, 1], as they were made: `read` gives back every bit of them.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from raylab.data.exported import PIXELS, read_huggingface, read_webdataset
from raylab.engine.columns import Batch, Column

Format = Literal["torch", "npz", "huggingface", "webdataset"]
FORMATS: tuple[Format, ...] = get_args(Format)
ROWS = 5000  # of a file
GROUP = 1000  # rows that a reader of Parquet has in memory at once
IMAGES, LABELS, IDS, SOURCE_LABELS = "CIFAR_ims", "CIFAR_lab", "ids", "source_labels"
CARD = "README.md"
# Of a perturbation's length: what rounding to 8 bits may add. At L2 radius 0.5 on CIFAR-10 it adds an eighth.
LARGEST_ROUNDING = 0.1


class Exported(NamedTuple):
    """What is written, whatever the format."""

    columns: Batch  # id, image (float32 in [0, 1]), label, and others of one number a row
    split: str
    class_names: tuple[str, ...]  # (): not known
    card: str


def write(exported: Exported, format: Format, folder: Path) -> list[Path]:
    """The files.  Raises ValueError where the format is none of these, or the folder holds something already."""
    if format not in FORMATS:
        raise ValueError(f"export: one of {', '.join(FORMATS)}, got {format!r}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"export: {folder} is there already; name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    files = list(WRITERS[format](exported, folder))
    (folder / CARD).write_text(exported.card, encoding="utf-8")
    return [*files, folder / CARD]


def read(format: Format, folder: Path) -> Batch:
    """The columns that `write` wrote, to the last bit; webdataset has all but the images as Python's own numbers."""
    return READERS[format](folder)


def rounded(
    images: Column,  # (N, C, H, W) float32, in [0, 1]
) -> NDArray[np.uint8]:
    """To 8 bits, the nearest of 256 levels."""
    return np.asarray(np.rint(images * 255), dtype=np.uint8)


def check_rounding(images: Column, clean: Column) -> None:
    """Raises ValueError where rounding to 8 bits would destroy the perturbation between the two."""
    delta = np.linalg.norm((images - clean).reshape(len(images), -1), axis=1)
    noise = np.linalg.norm((images - rounded(images) / np.float32(255)).reshape(len(images), -1), axis=1)
    moved = delta > 0
    share = float(np.median(noise[moved] / delta[moved])) if moved.any() else 0.0
    if share > LARGEST_ROUNDING:
        raise ValueError(
            f"pixels: 8 bits would move each image by {share:.0%} of its perturbation (median; at most "
            f"{LARGEST_ROUNDING:.0%}), so that the set would be another; export float32"
        )


def _torch(exported: Exported, folder: Path) -> Iterator[Path]:
    import torch

    names = {"image": IMAGES, "label": LABELS, "id": IDS, "source_label": SOURCE_LABELS}
    for column, name in names.items():
        if column in exported.columns:
            # A list of one: their own code joins what it loads, ch.cat(ch.load(path)).
            torch.save([torch.from_numpy(np.array(exported.columns[column]))], folder / name)
            yield folder / name


def _read_torch(folder: Path) -> Batch:
    import torch

    names = {IMAGES: "image", LABELS: "label", IDS: "id", SOURCE_LABELS: "source_label"}
    there = {name: column for name, column in names.items() if (folder / name).is_file()}
    return {column: torch.cat(torch.load(folder / name, weights_only=True)).numpy() for name, column in there.items()}


def _npz(exported: Exported, folder: Path) -> Iterator[Path]:
    columns: dict[str, Any] = exported.columns
    np.savez(folder / "set.npz", **columns)
    yield folder / "set.npz"


def _read_npz(folder: Path) -> Batch:
    with np.load(folder / "set.npz", allow_pickle=False) as found:
        return dict(found)


def _huggingface(exported: Exported, folder: Path) -> Iterator[Path]:
    (folder / "data").mkdir()
    columns = exported.columns
    schema = _schema(exported)
    for number, of, rows in _files(len(columns["id"])):
        path = folder / "data" / f"{exported.split}-{number:05d}-of-{of:05d}.parquet"
        arrays = [_array(name, columns, rows) for name in schema.names]
        pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path, compression="zstd", row_group_size=GROUP)
        yield path


def _schema(exported: Exported) -> pa.Schema:
    """With the features that the `datasets` library reads from a file's metadata."""
    shape = list(exported.columns["image"].shape[1:])
    number = {name: column.dtype for name, column in exported.columns.items() if name != "image"}
    fields = [pa.field(name, pa.from_numpy_dtype(dtype)) for name, dtype in number.items()]
    fields.append(pa.field("image", pa.struct({"bytes": pa.binary(), "path": pa.string()})))
    fields.append(pa.field(PIXELS, pa.list_(pa.list_(pa.list_(pa.float32())))))
    features: dict[str, Any] = {name: {"dtype": str(dtype), "_type": "Value"} for name, dtype in number.items()}
    for name in ("label", "source_label"):
        if name in features and exported.class_names:
            features[name] = {"names": list(exported.class_names), "_type": "ClassLabel"}
    features |= {"image": {"_type": "Image"}, PIXELS: {"shape": shape, "dtype": "float32", "_type": "Array3D"}}
    return pa.schema(fields, {"huggingface": json.dumps({"info": {"features": features}})})


def _array(name: str, columns: Batch, rows: slice) -> pa.Array:
    if name == PIXELS:
        return _nested(columns["image"][rows])
    if name == "image":
        encoded = [{"bytes": data, "path": None} for data in map(_png, rounded(columns["image"][rows]))]
        return pa.array(encoded, pa.struct({"bytes": pa.binary(), "path": pa.string()}))
    return pa.array(columns[name][rows])


def _nested(images: Column) -> pa.Array:
    array = pa.array(np.ascontiguousarray(images).reshape(-1))
    for size in reversed(images.shape[1:]):
        array = pa.ListArray.from_arrays(pa.array(np.arange(0, len(array) + 1, size), pa.int32()), array)
    return array


def _webdataset(exported: Exported, folder: Path) -> Iterator[Path]:
    columns = exported.columns
    numbers = [name for name in columns if name != "image"]
    for number, _, rows in _files(len(columns["id"])):
        path = folder / f"{exported.split}-{number:05d}.tar"
        with tarfile.open(path, "w") as tar:
            for row in range(rows.start, rows.stop):
                image, said = columns["image"][row], {name: columns[name][row].item() for name in numbers}
                pixels = io.BytesIO()
                np.save(pixels, image)
                _add(tar, f"{said['id']:09d}.npy", pixels.getvalue())
                _add(tar, f"{said['id']:09d}.png", _png(rounded(image)))
                _add(tar, f"{said['id']:09d}.cls", str(said["label"]).encode())
                _add(tar, f"{said['id']:09d}.json", json.dumps(said).encode())
        yield path


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """Without the day and the user: the same set is the same file."""
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


def _files(rows: int) -> Iterator[tuple[int, int, slice]]:
    """Number, of how many, and the rows of each file."""
    count = -(-rows // ROWS)
    for number in range(count):
        yield number, count, slice(number * ROWS, min((number + 1) * ROWS, rows))


def _png(image: NDArray[np.uint8]) -> bytes:
    """Of (C, H, W), grey or RGB."""
    stream = io.BytesIO()
    Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(stream, "png")
    return stream.getvalue()


WRITERS: Mapping[Format, Callable[[Exported, Path], Iterator[Path]]] = {
    "torch": _torch,
    "npz": _npz,
    "huggingface": _huggingface,
    "webdataset": _webdataset,
}
READERS: Mapping[Format, Callable[[Path], Batch]] = {
    "torch": _read_torch,
    "npz": _read_npz,
    "huggingface": read_huggingface,
    "webdataset": read_webdataset,
}
