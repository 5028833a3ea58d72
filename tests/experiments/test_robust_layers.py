"""Layer robustness as a table, a sentence by rule, and row 33 of the scoreboard."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import robust_runs

from raylab.engine.study import Built
from raylab.experiments.robust import measure
from raylab.experiments.robust.measure import Layers
from raylab.experiments.robust.plan import ADVERSARIAL, STANDARD
from raylab.experiments.robust.report import report
from raylab.experiments.robust.scoreboard import evidence
from raylab.experiments.robust.verdict import of_layers
from raylab.report.values import Plain, format_value
from raylab.scoreboard.verdict import scored


def measured(by_network: Mapping[str, tuple[float | None, ...]] = robust_runs.LAYERS) -> Layers:
    """Of a study that has nothing else."""
    data = {cell: one for cell, one in robust_runs.study().built.artifacts.items() if cell.role == "data"}
    cells = data | robust_runs.layers(by_network=by_network)
    found = measure(Built(robust_runs.CONFIG, "key", cells)).layers
    assert found is not None
    return found


def test_ratios_are_paired_by_seed_and_statements_are_of_the_layer_that_moves_farthest() -> None:
    found = measured()
    assert found.names == ("hidden 1", "hidden 2", "logits")
    assert found.of[STANDARD][0].mean.mean == pytest.approx(0.30)
    assert found.ratios[0].mean.mean == pytest.approx((0.29 / 0.09 + 0.30 / 0.10 + 0.31 / 0.11) / 3)
    assert found.of["r_image"][2].mean.mean == pytest.approx(0.4)
    assert [one.mean for one in found.worst[STANDARD].values()] == pytest.approx([0.49, 0.50, 0.51])
    assert [one.mean for one in found.worst[ADVERSARIAL].values()] == pytest.approx([0.09, 0.10, 0.11])
    assert found.above.mean.mean == pytest.approx(-0.40)
    assert found.ratio.mean.mean == pytest.approx((0.49 / 0.09 + 5 + 0.51 / 0.11) / 3)
    assert found.ratios[1].mean.mean > 5


@pytest.mark.parametrize(("adversarial", "words"), [
    ((0.10, 0.05, 0.01), "makes the layers more robust:"),
    ((0.50, 0.49, 0.0), "is not shown"),
    ((0.80, 0.90, 0.0), "makes the layers less robust"),
])  # fmt: skip
def test_the_sentence_is_a_rule(adversarial: tuple[float, ...], words: str) -> None:
    assert words in of_layers(measured({**robust_runs.LAYERS, ADVERSARIAL: adversarial}))


def test_a_layer_that_never_changes_has_no_number_and_decides_nothing() -> None:
    found = measured({STANDARD: (None, 0.5, 1.0), ADVERSARIAL: (None, 0.1, 0.1)})
    assert format_value(Plain(found.of[STANDARD][0], 3)) == "–"
    assert found.worst[STANDARD][0].mean == pytest.approx(0.49)


def test_without_both_sources_there_is_nothing_to_compare() -> None:
    assert "was not built" in of_layers(measured({ADVERSARIAL: (0.1, 0.05, 0.01)}))


def test_row_33_is_of_the_layer_that_moves_farthest_and_points_the_published_way() -> None:
    study = robust_runs.study()
    (table,) = (one for one in report(study).tables() if one.name == "layers")
    assert table.header == ("Layer", "Standard", "Adversarial", "Student of D_R", "Standard / adversarial")
    assert report(study).metrics["layers/standard_over_adversarial"] == pytest.approx(5.03, abs=0.05)
    found = [one for one in evidence(study) if one.row == 33]
    by_name = {one.name: one for one in found}
    assert by_name["standard, least robust of four layers"].ours.mean == pytest.approx(0.5)
    assert by_name["robust minus standard"].ours.mean == pytest.approx(-0.4)
    assert all("2 layers" in one.protocol and "mlp_bottleneck16" in one.protocol for one in found)
    assert next(line for line in scored(found) if line.row.row == 33).code == "same_direction"
    holed = {
        cell: one for cell, one in study.built.artifacts.items() if (cell.role, cell.set) != ("layers", "standard")
    }
    assert not [one for one in evidence(measure(Built(study.config, "key", holed))) if one.row == 33]
