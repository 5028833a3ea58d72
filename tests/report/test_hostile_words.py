"""What data, files and people are called is text on a page, and never a part of it."""

from __future__ import annotations

import io
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import runs
from PIL import Image

from raylab.engine import provenance
from raylab.engine.store import Store
from raylab.engine.study import Built
from raylab.experiments.transfer import EXPERIMENT, Controls, TransferCell, TransferMatrix
from raylab.stages.data_config import FolderData

WILD = """<script src=x onload="alert('1')">"&amp;{{ 7 * 7 }}<!-- files -->"""
TAME = "a" * len(WILD)  # as long, and first among the classes too: the page has the same shape


class Elements(HTMLParser):
    """How often a page has each element with each set of attributes, and what it says."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found, self.words = Counter[tuple[str, ...]](), list[str]()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag, *(name for name, _ in attrs)] += 1

    def handle_comment(self, data: str) -> None:
        self.found["comment", data.strip()] += 1

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def images(root: Path, name: str) -> FolderData:
    """Two classes, one of which has a name of our choice, in a folder of that name."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 4, 4), dtype=np.uint8)
    for split, rows in (("train", range(16)), ("test", range(16, 24))):
        for row in rows:
            stream = io.BytesIO()
            Image.fromarray(pixels[row]).save(stream, "PNG")
            folder = root / name / split / ("other", name)[row % 2]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{row}.png").write_bytes(stream.getvalue())
    return FolderData(name="image_folder", root=str(root / name))


def page(root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a matrix, one cell of which could not be built, by a job that was called with that name."""
    monkeypatch.setattr(sys, "argv", ["job", f"data.root={name}"])
    provenance.collect.cache_clear()
    config = TransferMatrix(
        data=images(root, name), sources=("linear",), targets=("linear",), kinds=("det",), seeds=(0,),
        controls=Controls(untrained=False, random_labels=False, robust=None, leakage=None), **runs.SMALL,
    )  # fmt: skip
    built = runs.built(config, Store(str(root / "store")))
    lost = next(cell for cell in built.artifacts if cell.role == "evaluation" or cell.role == "student")
    kept = {cell: artifact for cell, artifact in built.artifacts.items() if cell != lost}
    assert isinstance(lost, TransferCell)
    return EXPERIMENT.results([Built(config, "0" * 64, kept, {lost: f"class {name}: lost"})]).page


def test_hostile_names_of_classes_folders_and_words_add_no_element_to_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tame = Elements(page(tmp_path / "a", TAME, monkeypatch))
    wild = Elements(html := page(tmp_path / "b", WILD, monkeypatch))
    provenance.collect.cache_clear()
    assert wild.found == tame.found
    assert WILD not in html
    said = "".join(wild.words)
    assert f"class {WILD}: lost" in said.replace("\u202f", " ").replace("\u00a0", " ")
    assert said.count("onload=") == "".join(tame.words).count(TAME) > 1
