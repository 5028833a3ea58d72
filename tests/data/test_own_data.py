"""Images that a function of somebody's own gives, as a data source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from own_pieces.data import bars

from raylab import data
from raylab.config import Config, ConfigError, load, to_yaml
from raylab.data.own import _called
from raylab.stages.data_config import DataConfig, OwnData
from raylab.stages.dataset import open_data

BARS = "own_pieces.data:bars"


class Study(Config):
    data: DataConfig


@pytest.fixture
def written(somebodys: Callable[[str], str]) -> Iterator[Callable[[str], str]]:
    """Writes the body of the function, and gives its reference."""

    def write(body: str) -> str:
        _called.cache_clear()
        return somebodys(f"def mine(split, root, rows=4):\n    {body}")

    yield write
    _called.cache_clear()


def test_images_are_what_the_function_gives() -> None:
    options = {"function": BARS, "arguments": '{"rows": 20}', "mean": 0.3, "std": 0.2}
    about = data.describe("own", None, options)
    assert (about.shape, about.class_names, dict(about.rows)) == ((1, 8, 8), ("0", "1"), {"train": 20, "test": 20})
    for split in ("train", "test"):
        found = data.read("own", None, split, options)
        images, labels = bars(split, None, rows=20)
        np.testing.assert_array_equal(found.images, images)
        np.testing.assert_array_equal(found.labels, labels)
        np.testing.assert_array_equal(found.ids, np.arange(20))


def test_a_config_names_it_and_its_arrays_are_the_key(written: Callable[[str], str]) -> None:
    text = f"data: {{name: own, function: '{BARS}', arguments: {{rows: 20}}, per_class: 3, class_names: [v, h]}}"
    given = load(Study, text)
    assert isinstance(given.data, OwnData)
    assert load(Study, to_yaml(given)) == given
    opened = open_data(given.data, 0)
    assert dict(opened.rows) == {"train": 6, "test": 6}
    assert opened.train.key == open_data(given.data, 1).train.key
    keys = []
    for body in ("r = 0.5", "r = 1 / 2", "r = 0.25"):
        own = OwnData(
            name="own",
            function=written(f"{body}; return np.full((rows, 1, 2, 2), r, np.float32), np.arange(rows) % 2"),
        )
        keys.append(open_data(own, 0).train.key)
    assert keys[0] == keys[1] != keys[2]


def test_the_data_root_is_handed_on(written: Callable[[str], str], tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.full((4, 1, 2, 2), 7, np.uint8))
    function = written("return np.load(root / 'x.npy'), np.arange(4) % 2")
    opened = open_data(OwnData(name="own", function=function, root=str(tmp_path)), 0)
    assert dict(opened.rows) == {"train": 4, "test": 4}


ZEROS = "np.zeros((rows, 1, 2, 2), np.float32)"
BAD = {
    "return 3": "TypeError",
    "return 1 / 0": "train: ZeroDivisionError: division by zero; it is called as function",
    f"return {ZEROS}[:, 0], np.arange(4)": r"train: uint8 or float32 of shape \(N, C, H, W\), got float32 \(4, 2, 2\)",
    f"return {ZEROS} + 2, np.arange(4)": r"pixels lie in \[0, 1\], got 2 to 2",
    f"return {ZEROS}, np.arange(3)": r"a whole number for each of 4 images, got int64 \(3,\)",
    f"return {ZEROS}, np.arange(4) / 2": "a whole number for each of 4 images, got float64",
    f"return {ZEROS}, np.arange(4) - 1": r"row 0: labels lie in 0\.\.2, got -1",
    f"return ({ZEROS}, np.arange(4)) if split == 'train' else (np.zeros((2, 1, 3, 3), 'u1'), np.arange(2))": (
        r"test: images of shape \(1, 2, 2\), those of train, got \(1, 3, 3\)"
    ),
    "return np.zeros((0, 1, 2, 2), 'u1'), np.arange(0)": "train has no rows",
}


@pytest.mark.parametrize("body", BAD)
def test_what_is_no_data_set_is_refused_before_anything_runs(written: Callable[[str], str], body: str) -> None:
    with pytest.raises(data.DataError, match=BAD[body]):
        open_data(OwnData(name="own", function=written(body)), 0)


def test_a_function_that_is_not_there_or_takes_other_arguments_is_named() -> None:
    with pytest.raises(data.DataError, match="no module nobody_has_it"):
        open_data(OwnData(name="own", function="nobody_has_it:give"), 0)
    with pytest.raises(data.DataError, match="unexpected keyword argument 'pixels'; it is called as"):
        open_data(OwnData(name="own", function=BARS, arguments={"pixels": 3}), 0)
    with pytest.raises(ConfigError, match=r"data\.function: must be module:object"):
        load(Study, "data: {name: own, function: bars}")
