"""The terminal's view, the preview of a plan, and the files that are kept."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rows
import runs
import toy

from raylab import runner
from raylab.recipes.transfer_matrix import plan
from raylab.report.numbers import number
from raylab.report.terminal import WIDTH, preview, table
from raylab.report.transfer.files import as_csv, files
from raylab.report.transfer.gallery import draw
from raylab.report.transfer.matrix import Matrix
from raylab.report.transfer.text import as_text
from raylab.report.transfer.verdict import verdict
from raylab.stage import closure
from raylab.store import Store


def test_a_table_is_aligned_and_what_does_not_fit_goes_below() -> None:
    assert table(["", "a"], [["x", "1.0"], ["long", "10.0"]]).splitlines() == [
        "         a",
        "x      1.0",
        "long  10.0",
    ]
    wide = table(["row", *(f"column{i}" for i in range(9))], [["x", *("1" * 9)]], width=40)
    assert max(map(len, wide.splitlines())) <= 40
    assert wide.count("row") == 3
    assert all(f"column{i}" in wide for i in range(9))


def test_the_text_fits_a_terminal_and_holds_every_number_and_verdict(digits: Matrix, seefar: Matrix) -> None:
    for matrix in (digits, seefar):
        text = as_text(matrix)
        assert max(map(len, text.splitlines())) <= WIDTH
        joined = " ".join(text.split())
        for row in matrix.rows:
            assert number(row.accuracy) in text
            assert number(row.p1) in text or row.kind != "det"
            assert all(number(control) in text for control in row.controls.values())
            assert verdict(row, matrix.config.data, matrix.neighbours_clean).sentence in joined
    assert as_text(digits).count("random-label source mlp") == 2  # once a kind, and never one for linear
    assert "random-label source linear" not in as_text(digits)
    assert "known truth" in as_text(seefar)


def test_the_note_of_the_data_is_in_the_text(seefar: Matrix) -> None:
    assert "About the data: JPEG CIFAR" in as_text(replace(seefar, note="JPEG CIFAR"))


def counts_by_kind(said: str) -> dict[str, tuple[int, int]]:
    """All and to build, as the preview's table has them."""
    table = said.split("\n\n")[1].splitlines()[1:]
    return {kind: (int(total), int(lacking)) for kind, total, lacking, *_ in (line.split() for line in table)}


def rounds_of(said: str) -> list[str]:
    lines = said.splitlines()
    return lines[lines.index("Rounds, one start of Ray each:") + 1 : -2]


def counts_in_rounds(said: str) -> int:
    return sum(int(part.split()[0]) for line in rounds_of(said) for part in line.split(": ")[1].split(", "))


def test_a_preview_counts_what_is_missing_and_writes_nothing(tmp_path: Path) -> None:
    cells = plan(runs.SEEFAR)
    store = Store(str(tmp_path / "store"))
    said = preview(cells, store)
    stages = closure(cells.values())
    assert f"{len(set(cells.values()))} results from {len(stages)} stages; {len(stages)} to build" in said
    assert store.uri in said
    for kind, (total, lacking) in counts_by_kind(said).items():
        assert total == lacking == sum(stage.kind == kind for stage in stages)
    assert not (tmp_path / "store").exists()


def test_a_preview_after_a_part_of_the_work_tells_only_the_rest(tmp_path: Path) -> None:
    cells, store = plan(runs.SEEFAR), Store(str(tmp_path / "store"))
    some = {cell: stage for cell, stage in cells.items() if cell.role in ("data", "standard")}
    runner.build(some, store, runner.InlineBackend(), toy.Recorder())
    left = runner.missing(cells.values(), store)
    said = preview(cells, store)
    assert f"; {len(left)} to build" in said
    assert counts_in_rounds(said) == len(left)
    for kind, (_, lacking) in counts_by_kind(said).items():
        assert lacking == sum(stage.kind == kind for stage in left.values())
    work = sum(stage.passes for stage in left.values())
    assert f"about {work / 1000:.3g} thousand image passes" in said


def test_a_preview_of_finished_work_says_so(report_store: Store, digits: Matrix) -> None:
    said = preview(plan(digits.config), report_store)
    assert "all are there" in said
    assert "Rounds" not in said


def test_rounds_are_told_in_order(tmp_path: Path) -> None:
    rounds = rounds_of(preview(plan(runs.SEEFAR), Store(str(tmp_path))))
    assert [line.split(":")[0].split()[1] for line in rounds] == ["tasks", "tasks", "maps", "tasks", "maps"]


def test_the_csv_has_a_line_for_every_row_and_leaves_empty_what_was_not_measured(digits: Matrix) -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv(digits))))
    assert len(lines) == len(digits.rows)
    for line, row in zip(lines, digits.rows, strict=True):
        assert (line["source"], line["target"], line["kind"]) == (row.source, row.target, row.kind)
        assert float(line["accuracy"]) == pytest.approx(row.accuracy.mean, rel=1e-5)
        assert float(line["accuracy se"]) == pytest.approx(row.accuracy.se, rel=1e-5)
        assert (line["control untrained"] == "") == (row.source == "linear")
        assert line["verdict"] == verdict(row, digits.config.data, digits.neighbours_clean).code


def test_files_are_the_table_the_text_and_every_figure(seefar: Matrix) -> None:
    kept = files(draw(seefar))
    figures = {name for name in kept if name.startswith("figures/")}
    assert kept.keys() - figures == {"matrix.csv", "matrix.txt"}
    assert {name.rsplit(".", 1)[0] for name in figures} == {
        f"figures/{name}"
        for name in ("heat_map_rand", "heat_map_transfer", "scatter_rand", "controls_rand", "panel_rand_mlp")
    }
    for name in figures:
        assert kept[name].startswith(b"<?xml")


def test_a_value_that_is_unknown_is_an_empty_cell(seefar: Matrix) -> None:
    first = replace(seefar.rows[0], success=rows.estimate(float("nan"), float("nan")))
    (line,) = csv.DictReader(io.StringIO(as_csv(replace(seefar, rows=(first,)))))
    assert line["attack success"] == line["attack success se"] == ""
    assert not np.isnan(float(line["accuracy"]))
