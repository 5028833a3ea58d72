"""Layer robustness as a table, a sentence by rule, and row 33 of the scoreboard."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import robust_runs
from accessibility import problems
from pages import Page

from raylab.artifact import Artifact
from raylab.recipes.robust_features import ADVERSARIAL, STANDARD, Cell
from raylab.report.numbers import unbroken
from raylab.report.robust.layers import NETWORKS, Layers, as_csv, figure, layers
from raylab.report.robust.page import page, section
from raylab.report.robust.publication import files, publication
from raylab.report.robust.scoreboard import evidence
from raylab.report.robust.table import Table
from raylab.report.robust.text import as_text
from raylab.report.scoreboard.verdict import scored
from raylab.stage import Stage
from raylab.store import Store

# R(f) by network and layer; the last are the logits, which no statement is about.
R = {STANDARD: (0.30, 0.50, 2.0), ADVERSARIAL: (0.10, 0.05, 0.01), "r_image": (0.2, 0.3, 0.4)}


def measured(store: Store, r: Mapping[str, tuple[float | None, ...]] = R, spread: float = 0.01) -> Layers:
    """Seeds whose numbers differ by `spread`."""
    artifacts: dict[Cell, Artifact] = {}
    config = robust_runs.CONFIG
    for seed in config.seeds:
        for of, values in r.items():
            metrics = {
                "n": 100,
                "eps": 0.8,
                "layers": ("hidden 1", "hidden 2", "logits"),
                "robustness": tuple(None if v is None else v + spread * (seed - 1) for v in values),
                "se": (0.01, 0.01, 0.01),
            }
            stage = Stage("handmade", 1, f"{of} {seed} {metrics}", {}, body=None, name="")  # type: ignore[arg-type]
            artifacts[Cell("layers", seed, of, config.source)] = store.commit(stage, [], metrics, {})
    found = layers(config, artifacts)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    store = Store(str(tmp_path_factory.mktemp("layers")))
    return replace(robust_runs.table(store), layers=measured(store))


def test_ratios_are_paired_by_seed_and_statements_are_of_the_layer_that_moves_farthest(tmp_path: Path) -> None:
    found = measured(Store(str(tmp_path)))
    first, second, logits = found.layers
    assert [one.name for one in found.layers] == ["hidden 1", "hidden 2", "logits"]
    assert first.by_network[STANDARD].mean == pytest.approx(0.30)
    assert first.ratio.mean == pytest.approx((0.29 / 0.09 + 0.30 / 0.10 + 0.31 / 0.11) / 3)
    assert logits.by_network["r_image"].mean == pytest.approx(0.4)
    assert [one.mean for one in found.worst[STANDARD].values()] == pytest.approx([0.49, 0.50, 0.51])
    assert [one.mean for one in found.worst[ADVERSARIAL].values()] == pytest.approx([0.09, 0.10, 0.11])
    assert found.above.mean == pytest.approx(-0.40)
    assert found.ratio.mean == pytest.approx((0.49 / 0.09 + 5 + 0.51 / 0.11) / 3)
    assert second.ratio.mean > 5


@pytest.mark.parametrize(("adversarial", "code"), [
    ((0.10, 0.05, 0.01), "good"), ((0.50, 0.49, 0.0), "open"), ((0.80, 0.90, 0.0), "warn"),
])  # fmt: skip
def test_the_sentence_is_a_rule(adversarial: tuple[float, ...], code: str, tmp_path: Path) -> None:
    found = measured(Store(str(tmp_path)), {**R, ADVERSARIAL: adversarial})
    assert found.code == code
    assert {"good": "makes the layers more robust:", "open": "is not shown", "warn": "makes the layers less robust"}[
        code
    ] in found.sentence


def test_a_layer_that_never_changes_has_no_number_and_decides_nothing(tmp_path: Path) -> None:
    found = measured(Store(str(tmp_path)), {STANDARD: (None, 0.5, 1.0), ADVERSARIAL: (None, 0.1, 0.1)})
    assert figure(found.layers[0].by_network[STANDARD]) == "–"
    assert found.worst[STANDARD][0].mean == pytest.approx(0.49)


def test_without_both_sources_there_is_nothing_to_compare(tmp_path: Path) -> None:
    assert robust_runs.table(Store(str(tmp_path))).layers is None


def test_page_text_csv_and_runs_have_the_layers(table: Table) -> None:
    assert table.layers is not None
    html = page([section(table)])
    parsed, text = Page(html), as_text(table)
    assert parsed.open == []
    assert problems(html) == []
    for layer in table.layers.layers:
        assert layer.name in parsed.text
        for one in (*layer.by_network.values(),):
            assert figure(one) in text
            assert unbroken(figure(one)) in parsed.text
    assert unbroken(table.layers.sentence) in parsed.text
    assert table.layers.sentence in " ".join(text.split())
    lines = list(csv.DictReader(io.StringIO(as_csv(table.layers))))
    assert len(lines) == 3 * len(NETWORKS)
    assert float(lines[0]["R"]) == pytest.approx(0.30)
    told = publication(table, files(table, []))
    assert "layers.csv" in told.files
    assert told.parent.metrics["layers.standard_over_adversarial"] == pytest.approx(table.layers.ratio.mean)


def test_row_33_is_of_the_layer_that_moves_farthest_and_points_the_published_way(table: Table) -> None:
    found = [one for one in evidence(table) if one.row == 33]
    by_name = {one.name: one for one in found}
    assert by_name["standard, least robust of four layers"].ours.mean == pytest.approx(0.5)
    assert by_name["robust minus standard"].ours.mean == pytest.approx(-0.4)
    assert all("2 layers" in one.protocol and "mlp_bottleneck16" in one.protocol for one in found)
    assert next(line for line in scored(found) if line.row.row == 33).code == "same_direction"
