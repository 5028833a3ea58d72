"""How numbers are written."""

from __future__ import annotations

import math

import pytest

from raylab.core.statistics import Coefficient, Estimate
from raylab.report.numbers import coefficient, number, percent, share, span, unbroken


def test_a_share_is_a_percentage_with_a_true_minus() -> None:
    assert share(0.7349) == "73.5"
    assert share(-0.05) == "−5.0"
    assert share(math.nan) == "–"


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0.734, 0.012, 100, 3), "73.4 ± 1.2"),
        (Estimate(0.734, math.nan, 100, 1), "73.4"),
        (Estimate(math.nan, math.nan, 0, 0), "–"),
    ],
)
def test_an_error_is_only_written_where_there_is_one(estimate: Estimate, text: str) -> None:
    assert number(estimate) == text
    assert percent(estimate) == (text if text == "–" else f"{text} %")


def test_a_span_runs_from_the_lowest_to_the_highest_mean_that_exists() -> None:
    found = [Estimate(0.31, 0.1, 10, 3), Estimate(math.nan, math.nan, 0, 0), Estimate(0.07, 0.1, 10, 3)]
    assert span(found) == "7–31 %"
    assert span(found[:1]) == "31 %"
    assert span(found[1:2]) == "–"


def test_a_coefficient_comes_with_its_interval_or_says_that_there_is_none() -> None:
    assert coefficient(Coefficient(-0.5, -0.91, 0.2)) == "−0.50 [−0.91, 0.20]"
    assert coefficient(Coefficient(0.5, math.nan, math.nan)) == "0.50 [no interval]"
    assert coefficient(Coefficient(math.nan, math.nan, math.nan)) == "–"


def test_no_line_ends_between_a_number_and_its_sign() -> None:
    assert " " not in unbroken("73.4 ± 1.2 %")
    assert unbroken("two words") == "two words"
