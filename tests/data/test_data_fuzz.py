"""Whatever files say, a reader gives rows that can be trusted, or one line that names the file and the remedy.

Hypothesis damages sets that are right: cut, with other bytes, other columns, other types, images that are none or claim
to be huge, labels and ids that nobody could mean, pipes and links. RAYLAB_FUZZ as in `tests/test_config_fuzz.py`;
with it memory is measured too, which is slow.
"""

from __future__ import annotations

import io
import os
import struct
import tempfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sets_of_images import encoded, random_images
from test_config_fuzz import MORE, few

from raylab import data
from raylab.data.decode import decode
from raylab.engine import columns

PIXELS = random_images(6)
PNG = encoded(PIXELS[0])
MOST_MEMORY = 300 * 2**20  # of a set of six images of 30 pixels


def claiming(width: int, height: int) -> bytes:
    """A PNG whose header says so, with a right checksum."""
    header = b"IHDR" + struct.pack(">II", width, height) + PNG[24:29]
    return PNG[:12] + header + struct.pack(">I", zlib.crc32(header)) + PNG[33:]


def bomb() -> bytes:
    """10 kB that are 81 million pixels."""
    stream = io.BytesIO()
    Image.new("1", (9000, 9000)).save(stream, "PNG")
    return stream.getvalue()


def as_mode(mode: str, ending: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PIXELS[0]).convert("L" if mode == "I;16" else "RGB").convert(mode).save(stream, ending)
    return stream.getvalue()


sides = st.sampled_from([0, 1, 5, 7, 8193, 65_535, 100_000, 2**31 - 1, 2**31, 2**32 - 1])
images = st.one_of(
    st.just(PNG),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"no image", PNG + PNG, bomb()]),
    st.builds(claiming, sides, sides),
    st.integers(0, len(PNG)).map(lambda end: PNG[:end]),
    st.tuples(st.integers(0, len(PNG) - 1), st.integers(1, 255)).map(
        lambda at: PNG[: at[0]] + bytes([PNG[at[0]] ^ at[1]]) + PNG[at[0] + 1 :]
    ),
    st.sampled_from(
        [("P", "PNG"), ("1", "PNG"), ("RGBA", "PNG"), ("CMYK", "JPEG"), ("I;16", "PNG"), ("F", "TIFF")]
    ).map(lambda of: as_mode(*of)),
    st.binary(max_size=60),
)
numbers = st.integers(-1, 3) | st.sampled_from([-(2**63), 2**31, 2**40, 2**53 + 1, 2**63 - 1])
labels = st.one_of(
    st.lists(numbers, min_size=6, max_size=6),
    st.lists(st.none() | numbers, min_size=6, max_size=6),
    st.lists(st.floats() | st.just(float("nan")), min_size=6, max_size=6),
    st.lists(st.text(max_size=3), min_size=6, max_size=6),
    st.just([0, 1, 2, 0, 1, 2]),
)
odd = st.sampled_from(["", "", "", "", "cut", "flip", "pipe", "loop", "link to nothing", "folder", "empty"])


def made_odd(path: Path, how: str, draw: st.DrawFn) -> None:
    """What else may lie where a file should."""
    whole = path.read_bytes() or b"x"
    if how in ("cut", "flip", "empty"):
        at = draw(st.integers(0, len(whole) - 1))
        cut, flipped = whole[:at], whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]
        path.write_bytes({"cut": cut, "flip": flipped, "empty": b""}[how])
    elif how:
        path.unlink()
        make: Mapping[str, Callable[[], object]] = {
            "pipe": lambda: os.mkfifo(path),
            "loop": lambda: path.symlink_to(path),
            "link to nothing": lambda: path.symlink_to(path.with_name("nothing")),
            "folder": path.mkdir,
        }
        make[how]()


@st.composite
def parquet_sets(draw: st.DrawFn, root: Path) -> None:
    for split in ("train", "test"):
        rows = draw(st.lists(images, min_size=6, max_size=6)) if draw(st.booleans()) else [PNG] * 6
        name = draw(st.sampled_from(["image", "image", "img", "picture", "label"]))
        told: Any = draw(labels)
        with_images = pa.array([{"bytes": one, "path": None} for one in rows])
        if draw(st.integers(0, 9)) == 0:
            with_images = pa.array(draw(st.lists(st.text(max_size=4) | st.none(), min_size=6, max_size=6)), pa.string())
        try:
            table = pa.table([with_images, pa.array(told)], names=[name, "label"])
        except (pa.ArrowException, OverflowError):
            continue  # no table holds these
        path = root / f"{split}{draw(st.sampled_from(['', '', '-0', '-00000-of-00002']))}.parquet"
        pq.write_table(table, path, row_group_size=draw(st.integers(1, 6)))
        made_odd(path, draw(odd), draw)


@st.composite
def folders(draw: st.DrawFn, root: Path) -> None:
    for split in ("train", "test"):
        names = st.sampled_from(["ant", "bee", "<b>", "a b", ".x", "ä"])
        for name in draw(st.lists(names, min_size=1, max_size=3, unique=True)):
            (root / split / name).mkdir(parents=True)
            for number, image in enumerate(draw(st.lists(images, min_size=1, max_size=3))):
                ending = draw(st.sampled_from([".png", ".png", ".PNG", ".jpg", ".txt", ".heic"]))
                path = root / split / name / f"{number}{ending}"
                path.write_bytes(image)
                made_odd(path, draw(odd), draw)


@st.composite
def arrays(draw: st.DrawFn, root: Path) -> None:
    for split in ("train", "test"):
        kind = draw(st.sampled_from(["uint8", "float32", "float32", "float64", "object", "U3"]))
        pixels: Any = np.asarray(PIXELS.transpose(0, 3, 1, 2) / 255)
        pixels = (pixels * 255 if kind == "uint8" else pixels).astype(kind)
        if kind == "float32" and draw(st.booleans()):
            pixels[draw(st.integers(0, 5)), 0, 0, 0] = draw(st.floats(width=32))
        told: dict[str, Any] = {"image": pixels[: draw(st.sampled_from([6, 6, 5, 0]))], "label": np.array(draw(labels))}
        if draw(st.booleans()):
            told["id"] = np.array(draw(st.lists(numbers, min_size=6, max_size=6)))
        if draw(st.integers(0, 5)) == 0:
            told.pop(draw(st.sampled_from(sorted(told))))
        path = root / f"{split}.npz"
        draw(st.sampled_from([np.savez, np.savez_compressed]))(path, **told)
        if draw(st.integers(0, 4)) == 0:
            claim(path, draw(st.sampled_from([(10**13, 3, 6, 5), (2**62, 2**62, 6, 5), (6, 3, 10**6, 10**6)])))
        made_odd(path, draw(odd), draw)


def claim(path: Path, shape: tuple[int, ...]) -> None:
    """An array that says that it is large."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("image.npy", stream.getvalue() + b"x" * 540)
        labels = io.BytesIO()
        np.save(labels, np.arange(6) % 3)
        archive.writestr("label.npy", labels.getvalue())


@contextmanager
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


SETS: dict[str, Callable[[Path], st.SearchStrategy[None]]] = {
    "parquet": parquet_sets,
    "image_folder": folders,
    "npz": arrays,
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", SETS)
def test_a_set_is_read_whole_or_refused_in_one_line_that_says_where(name: str) -> None:
    @few(20)
    @given(st.data())
    def holds(drawn: st.DataObject) -> None:
        with tempfile.TemporaryDirectory() as folder, little_memory() if MORE else nullcontext():
            root = Path(folder)
            drawn.draw(SETS[name](root))
            try:
                described = data.describe(name, root)
                read = {split: data.read(name, root, split) for split in ("train", "test")}
            except data.DataError as error:
                refused(str(error), root)
            else:
                for split, rows in read.items():
                    trusted(rows, described, described.rows[split])

    holds()


def refused(line: str, root: Path) -> None:
    assert line.isprintable(), line
    assert str(root) in line or line.startswith("data."), line
    assert len(line) < 1500, line
    assert "Traceback" not in line, line


def trusted(rows: data.Images, described: Any, count: int) -> None:
    assert len(np.unique(rows.ids)) == len(rows.ids) == count
    assert rows.images.shape == (count, *described.shape)
    assert rows.images.dtype in (np.uint8, np.float32)
    if count and rows.images.dtype == np.float32:
        assert 0.0 <= rows.images.min() <= rows.images.max() <= 1.0
    assert ((rows.labels >= 0) & (rows.labels < described.num_classes)).all()
    assert columns.to_table(rows.columns()).num_rows == count


def test_an_image_of_more_pixels_than_anybody_means_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    rule = r"x\.png: no readable image \([0-9,]+ pixels, 67,108,864 at most\)"
    for image in (bomb(), claiming(8193, 8192)):
        (tmp_path / "x.png").write_bytes(image)
        with little_memory(), pytest.raises(data.DataError, match=rule):
            decode(tmp_path / "x.png", str(tmp_path / "x.png"))
