"""Sets that `raylab store export` wrote as Parquet or WebDataset, with every bit of their float32 images."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from raylab.data.arrays import LoadedArrays
from raylab.data.reader import (
    DataError,
    Images,
    Pixels,
    RawFile,
    check_image_array,
    check_pixels,
    check_whole_numbers,
    missing,
)

PIXELS = "image_float32"  # the column beside `image`, which people and the hub's viewer look at
FILES = {"huggingface": "data/*.parquet", "webdataset": "*.tar"}


def read_huggingface(folder: Path) -> dict[str, NDArray[Any]]:
    """Every column of the files, `image` as float32."""
    table = pa.concat_tables(pq.read_table(path) for path in sorted(folder.glob(FILES["huggingface"])))
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    names = [name for name in table.column_names if name not in ("image", PIXELS)]
    columns = {name: table.column(name).to_numpy() for name in names}
    pixels = pa.concat_arrays(table.column(PIXELS).chunks).flatten().flatten().flatten()
    return {**columns, "image": pixels.to_numpy().reshape(-1, *features[PIXELS]["shape"])}


def read_webdataset(folder: Path) -> dict[str, NDArray[Any]]:
    """The columns of the `.json` members, `image` from the `.npy`."""
    images, numbers = list[Pixels](), list[dict[str, Any]]()
    for path in sorted(folder.glob(FILES["webdataset"])):
        with tarfile.open(path) as tar:
            for entry in tar:
                data = io.BytesIO(tar.extractfile(entry).read())  # type: ignore[union-attr]
                if entry.name.endswith(".npy"):
                    images.append(np.load(data, allow_pickle=False))
                elif entry.name.endswith(".json"):
                    numbers.append(json.loads(data.read()))
    return {name: np.array([said[name] for said in numbers]) for name in numbers[0]} | {"image": np.stack(images)}


READERS: Mapping[str, Callable[[Path], dict[str, NDArray[Any]]]] = {
    "huggingface": read_huggingface,
    "webdataset": read_webdataset,
}


@dataclass(frozen=True)
class ExportedSet(LoadedArrays):
    """`<root>/<folder>/train` and `test`, each as `raylab store export` wrote it; ids are those of the set."""

    format: str = "huggingface"
    folder: str = ""
    test_only: bool = False  # the test images stand for train too: there are no others

    def content(self, root: Path, split: str) -> list[RawFile]:
        return [RawFile(path, "rows") for path in self._files(root, split)]

    def _where(self, root: Path, split: str) -> str:
        return str(self._files(root, split)[0])

    def _files(self, root: Path, split: str) -> list[Path]:
        folder = root / self.folder / ("test" if self.test_only else split)
        files = sorted(folder.glob(FILES[self.format]))
        if not files:
            raise missing(root, f"{Path(self.folder) / split / FILES[self.format]} of `raylab store export`")
        return files

    def _rows(self, root: Path, split: str) -> Images:
        files = self._files(root, split)
        return _read(
            self.format,
            files[0].parent.parent if self.format == "huggingface" else files[0].parent,
            tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files),
        )


@lru_cache(maxsize=4)
def _read(format: str, folder: Path, files: tuple[tuple[str, int, int], ...]) -> Images:
    """In the order of the ids. Raises DataError where the files are something else."""
    del files  # another file of that name is another set
    try:
        columns = READERS[format](folder)
        image, label, number = (columns[name] for name in ("image", "label", "id"))
    except (KeyError, ValueError, TypeError, OSError, IndexError, tarfile.TarError, pa.ArrowException) as error:
        raise DataError(
            f"{folder}: no set that `raylab store export --format {format}` wrote: {type(error).__name__}: {error}; "
            "export it again, or read other files as data.name=parquet"
        ) from error
    check_image_array(image.shape, image.dtype, str(folder))
    check_pixels(image, str(folder))
    ids, labels = (check_whole_numbers(of, len(image), str(folder)).astype(np.int64) for of in (number, label))
    if len(order := np.unique(ids, return_index=True)[1]) < len(ids):
        raise DataError(f"{folder}: id: each once, got some twice; export the set again")
    return Images(ids[order], image[order], labels[order])
