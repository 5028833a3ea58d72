"""Tiny files of labelled images for the tests of readers."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image


def encoded(pixels: NDArray[np.uint8], ending: str = "PNG") -> bytes:  # (H, W) or (H, W, C)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, ending)
    return stream.getvalue()


def random_images(count: int, height: int = 6, width: int = 5, seed: int = 0) -> NDArray[np.uint8]:
    """(count, height, width, 3)"""
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def write_parquet(
    path: Path,
    images: Sequence[bytes | None],
    labels: Sequence[Any],
    columns: tuple[str, str] = ("img", "label"),
    metadata: Mapping[bytes, bytes] | None = None,
    rows_in_group: int = 2,
) -> None:
    """The layout of the Hugging Face hub."""
    structs = [{"bytes": image, "path": f"{row}.png"} for row, image in enumerate(images)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({columns[0]: pa.array(structs, kind), columns[1]: pa.array(labels)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata(metadata), path, row_group_size=rows_in_group)
