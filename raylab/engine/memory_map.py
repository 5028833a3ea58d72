"""A whole set of images as an array that takes no memory: it is mapped from a file of this machine."""

from __future__ import annotations

import math
import mmap
import os
import tempfile
import threading

import numpy as np
import pyarrow as pa

from raylab.engine import columns
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch, Column
from raylab.engine.files import told


def memory_mapped(artifact: Artifact) -> Batch:
    """All rows, as `Artifact.batch` gives them, to be changed as one likes. Columns of more than one axis are mapped
    from a file below TMPDIR: what is not used of them the system drops and reads again. Parts are read a few at a time.

    Raises StoreError where the disk has no room for the file, before anything is written into it.
    """
    rows, whole, one_begins = artifact.rows, Batch(), threading.Lock()

    def place(first: int, table: pa.Table) -> None:
        batch = columns.to_batch(table)
        with one_begins:
            for name in batch.keys() - whole.keys():
                whole[name] = _room((rows, *batch[name].shape[1:]), batch[name].dtype)
        for name, column in batch.items():
            np.copyto(whole[name][first : first + len(column)], column, casting="no")

    artifact.each_part(place)
    return whole


def _room(shape: tuple[int, ...], kind: np.dtype) -> Column:
    """An array for values to be written into. The file of images has no name, so that no end of the process leaves it;
    its space is reserved, for a page of a mapped file that the disk cannot take would end the process."""
    size = math.prod(shape) * kind.itemsize
    if len(shape) == 1 or size == 0:
        return np.empty(shape, kind)
    what = f"{size:,} bytes cannot be reserved for images that are used again and again; TMPDIR may name another folder"
    with told(tempfile.gettempdir(), what), tempfile.TemporaryFile() as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:  # macOS
            file.truncate(size)
        return np.frombuffer(mmap.mmap(file.fileno(), size), kind).reshape(shape)
