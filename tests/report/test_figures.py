"""Figures are the same bytes for the same numbers, load nothing, and can be read."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import rows
from rows import row

import raylab
from raylab.experiments.transfer import Matrix
from raylab.experiments.transfer.report import report
from raylab.report import picture
from raylab.report.picture import Picture


def two_by_two() -> Matrix:
    names = ("mlp", "cnn")
    return rows.matrix([row(source, target, "det") for source in names for target in names])


def every(matrix: Matrix) -> dict[str, Picture]:
    return {one.name: one for one in report(matrix).pictures()}


def test_the_same_numbers_give_the_same_bytes() -> None:
    one, other = every(two_by_two()), every(two_by_two())
    for name, drawn in one.items():
        assert drawn.svg == other[name].svg == replace(drawn).svg


def test_text_can_be_read_on_every_colour_of_the_heat_maps() -> None:
    for name in ("Blues", "Oranges"):
        scale = mpl.colormaps[name]
        for value in np.linspace(0, 1, 201):
            colour = scale(value)[:3]
            ink = {"#000000": (0.0, 0.0, 0.0), "#ffffff": (1.0, 1.0, 1.0)}[picture.contrast_ink(colour)]
            assert picture.contrast(ink, colour) >= 4.5


def test_contrast_is_that_of_wcag() -> None:
    assert picture.contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)
    assert picture.contrast((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)) == pytest.approx(1)
    # #767676 is the well-known lightest grey that passes on white.
    assert picture.contrast((0x76 / 255,) * 3, (1, 1, 1)) == pytest.approx(4.54, abs=0.01)


def test_nothing_of_matplotlib_is_changed_for_others_and_pyplot_is_never_imported() -> None:
    before = dict(mpl.rcParams)
    for drawn in every(two_by_two()).values():
        assert drawn.svg
    assert dict(mpl.rcParams) == before
    for path in Path(raylab.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                assert not any("pyplot" in name for name in names), path


def test_a_drawing_loads_nothing() -> None:
    for drawn in every(two_by_two()).values():
        loaded = re.findall(r'(?:href|src)="([^"]*)"', drawn.svg.decode())
        assert all(link.startswith("#") for link in loaded)
