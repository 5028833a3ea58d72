"""Figures say what they show, change with the numbers, and are the same bytes for the same numbers."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
import rows
from rows import estimate, row

import raylab.report
from raylab.core.statistics import Coefficient, Correlation
from raylab.report import picture
from raylab.report.picture import Picture
from raylab.report.transfer import figures
from raylab.report.transfer.matrix import Matrix


def two_by_two(mean: float = 0.88) -> Matrix:
    changed = row("mlp", "cnn", "det", accuracy=estimate(mean))
    return rows.matrix([row("mlp", "mlp", "det"), changed, row("cnn", "mlp", "det"), row("cnn", "cnn", "det")])


def every(matrix: Matrix) -> dict[str, Picture]:
    drawn = [figures.transfer_map(matrix)]
    for kind in matrix.config.kinds:
        drawn += [figures.heat_map(matrix, kind), figures.scatter(matrix, kind)]
        drawn += [figures.controls(matrix, kind)] if figures.has_controls(matrix, kind) else []
    return {one.name: one for one in drawn}


def texts(drawn: Picture) -> list[str]:
    tree = ElementTree.fromstring(drawn.svg)
    return ["".join(node.itertext()).strip() for node in tree.iter("{http://www.w3.org/2000/svg}text")]


def test_every_figure_has_words_for_those_who_cannot_see_it() -> None:
    found = every(two_by_two())
    assert set(found) == {"heat_map_det", "heat_map_transfer", "scatter_det", "controls_det"}
    for drawn in found.values():
        assert len(drawn.alt) > 40
        assert len(drawn.caption) > 20
    assert "mlp to cnn 88.0 ± 1.0" in found["heat_map_det"].alt
    assert "unperturbed images 10.0 ± 1.0 %" in found["controls_det"].alt
    assert "r 0.50 [0.10, 0.90] over all 12 points" in found["scatter_det"].caption


def test_a_changed_number_changes_the_drawing_and_its_words() -> None:
    one, other = every(two_by_two(0.88)), every(two_by_two(0.42))
    for name in ("heat_map_det", "controls_det"):
        assert one[name].svg != other[name].svg
        assert one[name].alt != other[name].alt
    assert "42.0" in texts(other["heat_map_det"])
    assert "42.0" not in texts(one["heat_map_det"])


def test_the_same_numbers_give_the_same_bytes() -> None:
    one, other = every(two_by_two()), every(two_by_two())
    for name, drawn in one.items():
        assert drawn.svg == other[name].svg == replace(drawn).svg


def test_a_heat_map_shows_mean_error_and_p1_where_labels_are_the_next_class() -> None:
    shown = texts(figures.heat_map(two_by_two(), "det"))
    assert shown.count("± 1.0") == 4
    assert shown.count("p1 2.0") == 4
    assert not any("p1" in text for text in texts(figures.heat_map(rows.matrix([row()]), "rand")))


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
    for path in Path(raylab.report.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                assert not any("pyplot" in name for name in names), path


def test_a_drawing_loads_nothing() -> None:
    for drawn in every(two_by_two()).values():
        loaded = re.findall(r'(?:href|src)="([^"]*)"', drawn.svg.decode())
        assert all(link.startswith("#") for link in loaded)


def test_too_few_networks_are_said_instead_of_a_correlation() -> None:
    matrix = two_by_two()
    none = Coefficient(0.9, float("nan"), float("nan"))
    views = {"det": {view: Correlation(none, none, 3) for view in ("pooled", "within_source")}}
    lonely = Matrix(**{**vars(matrix), "correlations": views})
    assert "at least two sources and two targets" in figures.scatter(lonely, "det").caption
    assert "0.90" not in figures.scatter(lonely, "det").caption


def test_rows_without_controls_are_not_drawn_among_the_controls() -> None:
    bare = {"controls": {}, "above": {}}
    assert "controls_rand" not in every(rows.matrix([row(**bare)]))
    drawn = figures.controls(rows.matrix([row(), row("mlp", "cnn", **bare)]), "rand")
    assert "mlp → mlp" in texts(drawn)
    assert "mlp → cnn" not in texts(drawn)
