"""CIFAR-100 as torchvision downloads it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from test_pickles import python2_batch

from raylab import data
from raylab.stages.data_config import KnownData
from raylab.stages.dataset import open_data

ROWS = {"train": 110, "test": 7}
PIXELS = np.random.default_rng(0).integers(0, 256, (120, 3072), dtype=np.uint8)
FINE = [(7 * row) % 100 for row in range(120)]
Write = Callable[[NDArray[np.uint8], list[int]], bytes]


def python2(pixels: NDArray[np.uint8], fine: list[int]) -> bytes:
    """As its authors wrote it, opcode by opcode."""
    return python2_batch(pixels, fine).replace(b"U\x06labels", b"U\x0bfine_labels")


def python3(pixels: NDArray[np.uint8], fine: list[int]) -> bytes:
    """With all keys of the original files."""
    names = [f"apple_s_{row:06d}.png".encode() for row in range(len(fine))]
    batch = {b"filenames": names, b"batch_label": b"batch 1 of 1", b"coarse_labels": [label // 5 for label in fine]}
    return pickle.dumps({**batch, b"fine_labels": fine, b"data": pixels}, protocol=2)


def write(root: Path, how: Write) -> Path:
    folder = root / "cifar-100-python"
    folder.mkdir()
    for split, rows in ROWS.items():
        (folder / split).write_bytes(how(PIXELS[:rows], FINE[:rows]))
    return folder


@pytest.mark.parametrize("how", [python2, python3])
def test_fine_labels_and_images_are_those_of_the_files(tmp_path: Path, how: Write) -> None:
    write(tmp_path, how)
    about = data.describe("cifar100", tmp_path)
    assert (about.shape, dict(about.rows), about.num_classes) == ((3, 32, 32), ROWS, 100)
    assert (about.class_names[0], about.class_names[39], about.class_names[99]) == ("apple", "keyboard", "worm")
    assert list(about.class_names) == sorted(about.class_names)
    found = data.read("cifar100", tmp_path, "train")
    np.testing.assert_array_equal(found.images, PIXELS[:110].reshape(-1, 3, 32, 32))
    np.testing.assert_array_equal(found.labels, FINE[:110])
    assert open_data(KnownData(name="cifar100", root=str(tmp_path)), 0).images.num_classes == 100


def test_a_batch_of_cifar_10_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, python3)
    (folder / "test").write_bytes(python2_batch(PIXELS[:4], FINE[:4]))
    told = r"a batch has `data` and `fine_labels`, got \['batch.*is it of another CIFAR"
    with pytest.raises(data.DataError, match=told):
        data.describe("cifar100", tmp_path)
    (folder / "test").unlink()
    with pytest.raises(data.DataError, match="cifar-100-python/test not found"):
        data.describe("cifar100", tmp_path)
