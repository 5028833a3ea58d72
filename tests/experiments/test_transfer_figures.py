"""Figures of a matrix say what they show; panels show the images that are in the set, with their labels."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from rows import matrix, row, shares

from raylab.core.balls import L2Ball
from raylab.experiments.transfer import Example, Matrix, TransferCell
from raylab.experiments.transfer.figures import COUNT, first_examples, panel, scatter
from raylab.experiments.transfer.report import report
from raylab.report.drawing import magnification
from raylab.report.picture import Picture


def example(perturbation: float) -> Example:
    original = np.full((1, 2, 2), 0.5)
    return Example(0, original, original + perturbation, "a", "b", True)


def test_examples_are_the_first_of_their_classes_whose_label_changes(digits: Matrix) -> None:
    made = digits.built.artifacts[TransferCell("set", 0, "mlp", "", "det")].batch()
    clean = digits.built.artifacts[TransferCell("data", 0)].batch()
    found = first_examples(digits, "mlp", "det", 0)
    assert len(found) == COUNT
    seen: list[int] = []
    for place, label in enumerate(made["source_label"]):  # det changes every label, so these are simply the first
        if label not in [made["source_label"][i] for i in seen]:
            seen.append(place)
    for one, place in zip(found, seen, strict=False):
        assert one.id == made["id"][place]
        assert np.allclose(one.constructed, made["image"][place])
        assert np.allclose(one.original, clean["image"][clean["id"] == one.id][0])
        assert (one.was, one.labelled) == (str(made["source_label"][place]), str(made["label"][place]))
        assert one.fooled == (made["source_prediction"][place] == made["label"][place])


def test_the_perturbation_is_the_difference_and_lies_in_the_ball(digits: Matrix) -> None:
    eps = digits.config.attack.eps
    assert isinstance(digits.config.attack.ball, L2Ball)
    for one in first_examples(digits, "mlp", "rand", 0):
        assert one.was != one.labelled
        assert np.linalg.norm(one.perturbation) <= eps * (1 + 1e-5)
        assert np.allclose(one.original + one.perturbation, one.constructed)


@pytest.mark.parametrize(("size", "factor"), [(0.4, 1), (0.24, 2), (0.016, 30), (1e-9, 100), (0.9, 1)])
def test_the_magnification_keeps_the_perturbations_in_range(size: float, factor: int) -> None:
    assert magnification([example(size).perturbation]) == factor


def test_a_panel_states_its_factor_and_both_labels(digits: Matrix) -> None:
    drawn = panel(digits, "mlp", "det")
    assert drawn is not None
    factor = magnification([one.perturbation for one in first_examples(digits, "mlp", "det", 0)])
    svg = drawn.svg.decode()
    assert f"× {factor}" in svg
    assert f"shown × {factor}" in drawn.caption
    shown = first_examples(digits, "mlp", "det", 0)
    labels = ", ".join(one.labelled if one.fooled else f"✗ {one.labelled}" for one in shown)
    assert f"original: {', '.join(one.was for one in shown)}" in drawn.alt
    assert f"constructed: {labels}" in drawn.alt
    assert svg.count("data:image/png;base64,") == 3 * COUNT
    again = panel(digits, "mlp", "det")
    assert again is not None
    assert again.svg == drawn.svg


def test_a_set_without_changed_labels_has_no_panel(digits: Matrix) -> None:
    clean = digits.built.artifacts[TransferCell("data", 0)].batch()
    where = TransferCell("set", 0, "mlp", "", "det")

    class Unchanged:
        def batch(self, start: int, stop: int) -> dict[str, object]:
            rows = {name: column[start:stop] for name, column in clean.items()}
            return rows | {"source_label": rows["label"], "source_prediction": rows["label"]}

    odd = replace(digits, built=replace(digits.built, artifacts={**digits.built.artifacts, where: Unchanged()}))  # type: ignore[dict-item]
    assert panel(odd, "mlp", "det") is None
    absent = {cell: one for cell, one in digits.built.artifacts.items() if cell != where}
    assert panel(replace(digits, built=replace(digits.built, artifacts=absent)), "mlp", "det") is None


def two_by_two(mean: float = 0.88) -> Matrix:
    changed = row("mlp", "cnn", "det", accuracy=shares(mean))
    return matrix([row("mlp", "mlp", "det"), changed, row("cnn", "mlp", "det"), row("cnn", "cnn", "det")])


def every(made: Matrix) -> dict[str, Picture]:
    return {one.name: one for one in report(made).pictures()}


def texts(drawn: Picture) -> list[str]:
    tree = ElementTree.fromstring(drawn.svg)
    return ["".join(node.itertext()).strip() for node in tree.iter("{http://www.w3.org/2000/svg}text")]


def test_every_figure_has_words_for_those_who_cannot_see_it() -> None:
    found = every(two_by_two())
    assert set(found) == {"heat_map_det", "heat_map_transfer", "scatter_det", "controls_det"}
    for drawn in found.values():
        assert len(drawn.alt) > 40
        assert len(drawn.caption) > 20
    assert "mlp: mlp 88.0 % (± 1.0, p1 2.0), cnn 88.0 % (± 1.0, p1 2.0)" in found["heat_map_det"].alt
    assert "unperturbed images 10.0 ±" in found["controls_det"].alt
    assert re.search(r"Pearson r .* over all 12 points", found["scatter_det"].caption)


def test_a_changed_number_changes_the_drawing_and_its_words() -> None:
    one, other = every(two_by_two(0.88)), every(two_by_two(0.42))
    for name in ("heat_map_det", "controls_det"):
        assert one[name].svg != other[name].svg
        assert one[name].alt != other[name].alt
    assert "42.0" in texts(other["heat_map_det"])
    assert "42.0" not in texts(one["heat_map_det"])


def test_a_heat_map_shows_mean_error_and_p1_where_labels_are_the_next_class() -> None:
    shown = texts(every(two_by_two())["heat_map_det"])
    assert shown.count("± 1.0") == 4
    assert shown.count("p1 2.0") == 4
    assert not any("p1" in text for text in texts(every(matrix([row()]))["heat_map_rand"]))


def test_too_few_networks_are_said_instead_of_a_correlation() -> None:
    assert "at least two sources and two targets" in scatter(matrix([row()]), "rand").caption
    assert "Pearson" not in scatter(matrix([row()]), "rand").caption


def test_a_control_that_was_not_run_is_not_drawn() -> None:
    drawn = every(matrix([row(), row("mlp", "cnn", controls={})]))["controls_rand"]
    assert "mlp → mlp: unperturbed images" in drawn.alt
    assert "mlp → cnn: student" in drawn.alt
