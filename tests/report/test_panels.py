"""Panels show the images that are in the set, with their labels, and say how much they magnify."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from raylab.core.balls import L2Ball
from raylab.recipes.transfer_matrix import Cell
from raylab.report.transfer import panels
from raylab.report.transfer.matrix import Matrix
from raylab.report.transfer.panels import Example


def example(perturbation: float) -> Example:
    original = np.full((1, 2, 2), 0.5)
    return Example(0, original, original + perturbation, "a", "b", True)


def test_examples_are_the_first_of_their_classes_whose_label_changes(digits: Matrix) -> None:
    made = digits.artifacts[Cell("set", 0, "mlp", "", "det")].batch()
    clean = digits.artifacts[Cell("data", 0)].batch()
    found = panels.examples(digits, "mlp", "det", 0)
    assert len(found) == panels.COUNT
    seen: list[int] = []
    for row, label in enumerate(made["source_label"]):  # det changes every label, so these are simply the first
        if label not in [made["source_label"][i] for i in seen]:
            seen.append(row)
    for one, row in zip(found, seen, strict=False):
        assert one.id == made["id"][row]
        assert np.allclose(one.constructed, made["image"][row])
        assert np.allclose(one.original, clean["image"][clean["id"] == one.id][0])
        assert (one.was, one.labelled) == (str(made["source_label"][row]), str(made["label"][row]))
        assert one.fooled == (made["source_prediction"][row] == made["label"][row])


def test_the_perturbation_is_the_difference_and_lies_in_the_ball(digits: Matrix) -> None:
    eps = digits.config.attack.eps
    assert isinstance(digits.config.attack.ball, L2Ball)
    for one in panels.examples(digits, "mlp", "rand", 0):
        assert one.was != one.labelled
        assert np.linalg.norm(one.perturbation) <= eps * (1 + 1e-5)
        assert np.allclose(one.original + one.perturbation, one.constructed)


@pytest.mark.parametrize(("size", "factor"), [(0.4, 1), (0.24, 2), (0.016, 30), (1e-9, 100), (0.9, 1)])
def test_the_magnification_keeps_the_perturbations_in_range(size: float, factor: int) -> None:
    assert panels.magnification([example(size)]) == factor


def test_a_panel_states_its_factor_and_both_labels(digits: Matrix) -> None:
    drawn = panels.panel(digits, "mlp", "det", 0)
    assert drawn is not None
    factor = panels.magnification(panels.examples(digits, "mlp", "det", 0))
    svg = drawn.svg.decode()
    assert f"perturbation × {factor}" in svg
    assert f"shown × {factor}" in drawn.caption
    assert f"magnified {factor} times" in drawn.alt
    assert "relabelled" in drawn.alt
    assert svg.count("data:image/png;base64,") == 3 * panels.COUNT
    again = panels.panel(digits, "mlp", "det", 0)
    assert again is not None
    assert again.svg == drawn.svg


def test_a_set_without_changed_labels_has_no_panel(digits: Matrix) -> None:
    clean = digits.artifacts[Cell("data", 0)].batch()
    where = Cell("set", 0, "mlp", "", "det")

    class Unchanged:
        def batch(self, start: int, stop: int) -> dict[str, object]:
            rows = {name: column[start:stop] for name, column in clean.items()}
            return rows | {"source_label": rows["label"], "source_prediction": rows["label"]}

    odd = replace(digits, artifacts={**digits.artifacts, where: Unchanged()})  # type: ignore[dict-item]
    assert panels.panel(odd, "mlp", "det", 0) is None
