"""A batch is a dict of numpy arrays, one entry an example; on disk it is Parquet that any Arrow reader opens.

Columns of more than one axis become Arrow's own fixed-shape tensors, so neither Ray nor raylab is needed to read them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

Column = NDArray[Any]
Batch = dict[str, Column]


def to_table(batch: Mapping[str, Column]) -> pa.Table:
    """Arrow table of a batch; every column must have the same number of rows.

    Raises ValueError where they differ.
    """
    lengths = {name: len(column) for name, column in batch.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns of one batch must have the same number of rows, got {lengths}")
    arrays = {}
    for name, column in batch.items():
        # Its strides too: those of axes of length 1 (x[:, None] has 0) mean nothing to numpy, and an order to Arrow.
        values = np.ascontiguousarray(column).ravel().reshape(np.shape(column))
        if values.ndim == 1:
            arrays[name] = pa.array(values)
        elif len(values):
            arrays[name] = pa.FixedShapeTensorArray.from_numpy_ndarray(values)
        else:  # from_numpy_ndarray refuses zero rows
            kind = pa.fixed_shape_tensor(pa.from_numpy_dtype(values.dtype), values.shape[1:])
            arrays[name] = pa.ExtensionArray.from_storage(kind, pa.array([], kind.storage_type))
    return pa.table(arrays)


def to_batch(table: pa.Table) -> Batch:
    """The inverse of `to_table`. Arrays may be read-only views of Arrow's memory."""
    batch: Batch = {}
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # a table without any chunk stays chunked
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        if isinstance(column.type, pa.FixedShapeTensorType):
            if len(column):
                batch[name] = column.to_numpy_ndarray()
            else:
                batch[name] = np.empty((0, *column.type.shape), column.type.value_type.to_pandas_dtype())
        else:
            batch[name] = column.to_numpy(zero_copy_only=False)
    return batch


def to_parquet(table: pa.Table) -> bytes:
    """Parquet bytes; the same table gives the same bytes with the same version of Arrow."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def from_parquet(data: bytes, without: Collection[str] = ()) -> pa.Table:
    """The table of these bytes; columns that are left out are not even decoded."""
    file = pq.ParquetFile(pa.BufferReader(data))
    return file.read([name for name in file.schema_arrow.names if name not in without] if without else None)
