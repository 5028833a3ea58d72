"""Alternative texts say what is drawn: the numbers, what their bars are, their unit, and marks that were published."""

from __future__ import annotations

import rows
from rows import row

from raylab.experiments.transfer.figures import scatter
from raylab.report.charts import Mark, dots, heat_map, lines
from raylab.report.per_seed import PerSeed

MARKS = {"ours": Mark("#0072b2"), "theirs": Mark("#d55e00")}
MEASURED = rows.shares(0.5)
ONE = {"row": {"ours": MEASURED}}


def test_a_bar_is_told_as_what_it_is() -> None:
    low, high = (f"{100 * end:.1f}" for end in MEASURED.interval)
    told = dots("name", "Title", "test images, %", ONE, MARKS, "", intervals=True).alt
    assert told == f"Title. row: ours 50.0 [{low}, {high}] %."
    assert dots("name", "Title", "test images, %", ONE, MARKS, "").alt == "Title. row: ours 50.0 ± 1.0 %."
    curve = {"ours": {1.0: MEASURED}}
    assert f"ours: 1 50.0 [{low}, {high}] %" in lines("name", "T", "x", "y, %", curve, MARKS, "", intervals=True).alt
    alone = {"row": {"ours": PerSeed({0: MEASURED[0]})}}
    assert "[" not in dots("name", "Title", "%", alone, MARKS, "", intervals=True).alt


def test_differences_are_told_in_points_and_the_line_with_its_number() -> None:
    told = dots("name", "Title", "points of accuracy", ONE, MARKS, "", at=0.1).alt
    assert told == "Title. row: ours 50.0 ± 1.0 points. A line is at 10.0 points."


def test_published_marks_are_told() -> None:
    drawn = lines("name", "T", "x", "y, %", {"ours": {8.0: MEASURED}}, MARKS, "", published={"theirs": {8: 0.943}})
    assert "theirs, published: 8 94.3 %" in drawn.alt


def test_small_lines_of_a_heat_map_are_told() -> None:
    drawn = heat_map(
        "name", "T", {"mlp": {"cnn": MEASURED, "vit": PerSeed({})}}, "", below=lambda *_: ["± 1.0", "p1 7.0"]
    )
    assert drawn.alt == "T. mlp: cnn 50.0 % (± 1.0, p1 7.0), vit –."
    assert heat_map("name", "T", {"mlp": {"cnn": MEASURED}}, "").alt == "T. mlp: cnn 50.0 %."


def test_a_scatter_has_the_numbers_of_every_pair() -> None:
    told = scatter(rows.matrix([row("mlp", "cnn", "det"), row("cnn", "mlp", "det")]), "det").alt
    assert told.count("transfer 40.0 ± 1.0 %") == told.count("student 88.0 ± 1.0 %") == 2
    assert "mlp → cnn: transfer" in told
