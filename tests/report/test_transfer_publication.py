"""A tracker is told of a matrix what its page shows."""

from __future__ import annotations

import math
from dataclasses import replace

from raylab.core.statistics import Coefficient, Correlation
from raylab.report.numbers import coefficient
from raylab.report.transfer.gallery import draw
from raylab.report.transfer.matrix import Matrix
from raylab.report.transfer.page import page
from raylab.report.transfer.publication import publication
from raylab.report.transfer.text import as_text
from raylab.report.transfer.words import VIEWS


def correlations(matrix: Matrix) -> dict[str, float]:
    told = publication(matrix, {}).parent.metrics
    return {name: value for name, value in told.items() if name.startswith(("pearson", "spearman"))}


def with_interval(matrix: Matrix, *wide: str) -> Matrix:
    """Every coefficient -0.957; with an interval, as of networks enough, for these kinds alone."""

    def views(kind: str) -> dict[str, Correlation]:
        low, high = (-0.991, -0.123) if kind in wide else (math.nan, math.nan)
        one = Coefficient(-0.957, low, high)
        return dict.fromkeys(VIEWS, Correlation(one, one, 3))

    return replace(matrix, correlations={kind: views(kind) for kind in matrix.config.kinds})


def test_a_correlation_that_the_page_refuses_is_told_to_no_tracker(digits: Matrix) -> None:
    """Three seeds of one pair are three points."""
    lonely = with_interval(digits)
    assert correlations(lonely) == {}
    for shown in (page([draw(lonely)]), as_text(lonely)):
        assert "0.96" not in shown


def test_the_correlations_of_the_page_are_those_of_the_tracker(digits: Matrix) -> None:
    """Of each kind by itself."""
    first, *others = digits.config.kinds
    assert others
    some = with_interval(digits, first)
    assert correlations(some) == {
        f"{what}.{first}.{view}": -0.957 for what in ("pearson", "spearman") for view in VIEWS
    }
    words = coefficient(some.correlations[first]["pooled"].pearson)
    cell = f'<td class="n">{words}</td>'
    assert page([draw(some)]).count(cell) == as_text(some).count(words) == 2 * len(VIEWS)
