"""The pickles of CIFAR-10, and pickles that want something else."""

from __future__ import annotations

import os
import pickle
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from raylab import data
from raylab.data import pickles

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 3072), dtype=np.uint8)


def python2_batch(pixels: NDArray[np.uint8], labels: list[int]) -> bytes:
    """What Python 2 wrote: protocol 2, byte strings, numpy.core; opcode by opcode as in the original files."""
    dtype = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"(" + b"".join(b"J" + struct.pack("<i", size) for size in pixels.shape) + b"t"
    raw = b"T" + struct.pack("<i", pixels.nbytes) + pixels.tobytes()
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
        b"(K\x01" + shape + dtype + b"\x89" + raw + b"tb"
    )
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(U\x04data" + array + b"U\x06labels" + numbers + b"U\x0bbatch_labelU\x05batchu."


def python3_batch(pixels: NDArray[np.uint8], labels: list[int]) -> bytes:
    return pickle.dumps({"data": pixels, "labels": labels}, protocol=2)


@pytest.mark.parametrize("write", [python2_batch, python3_batch])
def test_a_batch_comes_back_as_it_was_written(
    tmp_path: Path, write: Callable[[NDArray[np.uint8], list[int]], bytes]
) -> None:
    path = tmp_path / "batch"
    path.write_bytes(write(PIXELS, [3, 1, 4, 1]))
    batch = pickles.load(path)
    np.testing.assert_array_equal(batch["data"], PIXELS)
    assert batch["data"].dtype == np.uint8
    assert batch["labels"] == [3, 1, 4, 1]


def test_what_python_2_wrote_is_what_numpy_reads() -> None:
    # The fixture itself, through the unrestricted reader: else the test above could agree with its own mistake.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some releases of numpy warn of the old name numpy.core
        batch = pickle.loads(python2_batch(PIXELS, [3, 1, 4, 1]), encoding="bytes")
    np.testing.assert_array_equal(batch[b"data"], PIXELS)
    assert batch[b"labels"] == [3, 1, 4, 1]


def test_fortran_order_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps({"data": np.asfortranarray(PIXELS)}, protocol=2))
    np.testing.assert_array_equal(pickles.load(path)["data"], PIXELS)


class Calls:
    """Pickles to a call of `function`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


HOSTILE: dict[str, Callable[[Path], object]] = {
    "a shell command": lambda marker: Calls(os.system, f"touch {marker}"),
    "code": lambda marker: Calls(eval, f"open({str(marker)!r}, 'w')"),
    "inside a list": lambda marker: {"data": PIXELS, "labels": [1, Calls(os.mkdir, str(marker))]},
    "as a key": lambda marker: {Calls(os.mkdir, str(marker)): 1},
    "numpy's file reader": lambda marker: {"data": Calls(np.fromfile, str(marker))},
    "an attribute of an allowed module": lambda _: {"data": Calls(np.zeros, 3)},
    "a path": lambda marker: {"data": marker},
}


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("attack", HOSTILE)
def test_a_pickle_that_wants_more_is_refused_before_it_acts(tmp_path: Path, attack: str, protocol: int) -> None:
    path, marker = tmp_path / "data_batch_1", tmp_path / "marker"
    path.write_bytes(pickle.dumps(HOSTILE[attack](marker), protocol=protocol))
    with pytest.raises(data.DataError, match=r"data_batch_1: refused as a pickle of CIFAR: it asks for "):
        pickles.load(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "batch",
    [
        {"data": np.array([{"an": "object"}], dtype=object)},
        {"data": PIXELS.astype(np.float64)},
        {"data": np.ma.masked_array(PIXELS)},
        ["no dict"],
        np.float64(3.0),
    ],
)
def test_other_arrays_and_values_are_refused(tmp_path: Path, batch: object) -> None:
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps(batch, protocol=2))
    with pytest.raises(data.DataError, match="refused as a pickle"):
        pickles.load(path)


@pytest.mark.parametrize(
    "program",
    [
        b"",
        b"\x80\x02}",  # no end
        python2_batch(PIXELS, [1, 2])[:-200],
        b"cnumpy\ndtype\n}U\x01xK\x01sb.",  # a state for a class itself
        b"cnumpy\nndarray\n)\x81}U\x01xK\x01sb.",  # a state for an array that was only named
        b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x03\x00\x00\x00hextR.",
        b"\x80\x02\x82\x01.",  # an extension code
        b"P1\n.",  # a persistent id
    ],
)
def test_damaged_and_crafted_pickles_are_refused(tmp_path: Path, program: bytes) -> None:
    path = tmp_path / "batch"
    path.write_bytes(program)
    with pytest.raises(data.DataError, match="batch: refused as a pickle of CIFAR"):
        pickles.load(path)
