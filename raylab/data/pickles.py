"""Read the pickles of CIFAR-10 and CIFAR-100 without trusting them.

A pickle is a program. This one may build dicts, lists, numbers and text, and byte arrays by the stand-ins
below. No other name is resolved: no code of numpy or of anyone else runs on what the file says.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raylab.data.reader import DataError


class _StandIn:
    """Refuses a state: only arrays and their dtype have one."""

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError(f"a state of type {type(state).__name__} has no place here")


class _Ndarray(_StandIn):
    """`numpy.ndarray`, only ever named."""


class _Dtype(_StandIn):
    """`numpy.dtype` of unsigned bytes."""

    def __init__(self, code: object, *_: object) -> None:
        if code not in ("u1", b"u1"):
            raise pickle.UnpicklingError(f"arrays hold unsigned bytes (u1), got {code!r}")

    def __setstate__(self, state: object) -> None:
        """Byte order and flags, which single bytes do not need."""


class _Array(_StandIn):
    """`numpy._reconstruct`: an empty array, filled by its state."""

    def __init__(self, kind: object, *_: object) -> None:
        if kind is not _Ndarray:
            raise pickle.UnpicklingError("arrays must be plain numpy.ndarray")
        self.values: NDArray[np.uint8] = np.empty(0, dtype=np.uint8)

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _Dtype) or not isinstance(data, bytes):
            raise pickle.UnpicklingError("arrays hold unsigned bytes")
        self.values = np.frombuffer(data, dtype=np.uint8).reshape(shape, order="F" if fortran else "C")


class _Encoded(_StandIn):
    """`_codecs.encode`: how Python 3 writes bytes for Python 2."""

    def __new__(cls, text: str, encoding: str) -> bytes:  # type: ignore[misc]
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"bytes are written as latin1, got {encoding!r}")
        return text.encode("latin1")


_ALLOWED = {
    ("numpy", "ndarray"): _Ndarray,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("_codecs", "encode"): _Encoded,
}


# A damaged pickle fails in any of these ways (pickle's documentation of UnpicklingError).
_DAMAGED = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    OverflowError,
    MemoryError,
)


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no data set needs")
        return _ALLOWED[module, name]


def load(path: Path) -> dict[str, Any]:
    """A pickled dict with text keys; values are lists, numbers, text and uint8 arrays.

    Raises DataError for anything else, without having executed it.
    """
    try:
        with path.open("rb") as stream:
            value = _Restricted(stream, encoding="bytes").load()
        if not isinstance(value, dict):
            raise pickle.UnpicklingError(f"a dict is expected, got {type(value).__name__}")
        names = {key.decode() if isinstance(key, bytes) else str(key): item for key, item in value.items()}
    except _DAMAGED as error:
        raise DataError(f"{path}: refused as a pickle of CIFAR: {error}; copy the original file again") from error
    return {key: item.values if isinstance(item, _Array) else item for key, item in names.items()}
