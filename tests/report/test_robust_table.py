"""The table of robust and non-robust sets from metrics that were written by hand."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import robust_runs

from raylab.core import masking
from raylab.report.robust.page import page, section
from raylab.report.robust.table import Table
from raylab.report.robust.text import as_text
from raylab.stages.inversion import Inversion
from raylab.store import Store


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return robust_runs.table(Store(str(tmp_path_factory.mktemp("table"))))


def test_means_are_over_seeds(table: Table) -> None:
    row = table.row("r_image", "cnn")
    assert row.clean.mean == pytest.approx(0.86)
    assert row.at[0.8].worst.mean == pytest.approx(0.36)
    assert row.at[0.8].worst.se == pytest.approx(0.01 / math.sqrt(3))
    assert (row.at[0.8].worst.n, row.at[0.8].worst.seeds) == (3 * robust_runs.N, 3)


def test_pgd_and_the_ensemble_stand_side_by_side_where_both_were_asked(table: Table) -> None:
    at = table.row("clean", "cnn").at
    assert at[0.4].ensemble is None
    assert at[0.8].ensemble is not None
    assert at[0.8].pgd.mean == pytest.approx(at[0.8].ensemble.mean + 0.02)


def test_differences_are_paired_by_seed_and_keep_the_error_of_the_examples(table: Table) -> None:
    """All seeds differ by the same amount, so nothing is left between them; the images were still a sample."""
    found = table.differences["cnn"]
    assert {of: round(value.mean, 6) for of, value in found.items()} == {
        "clean": 0.33,
        "nr_image": 0.34,
        "filtered": 0.27,
        "blurred": 0.25,
    }
    p, q = [0.35, 0.36, 0.37], [0.02, 0.03, 0.04]
    sampled = math.sqrt(sum((v * (1 - v)) for v in p + q) / robust_runs.N) / 3
    assert found["clean"].se == pytest.approx(sampled, rel=0.1)  # paired by image: what both have right is no error


def test_the_shift_compares_pgd_with_pgd(table: Table) -> None:
    shift = next(one for one in table.shifts if one.student == "cnn")
    assert [shift.own.mean, shift.constructed.mean, shift.test.mean] == pytest.approx([0.6, 0.45, 0.38])


def test_usage_is_counted_from_the_answers(table: Table) -> None:
    assert table.row("r_image", "cnn").usage["follow_r"].mean == pytest.approx(0.9)
    assert table.row("clean", "cnn").usage["follow_n"].mean == pytest.approx(0.6)


def test_every_set_that_was_inverted_tells_how_well(table: Table) -> None:
    assert [made.set for made in table.made] == ["r_image", "r_noise", "nr_image", "nr_noise"]
    assert table.made[0].median == pytest.approx(0.05)
    assert table.warnings == []


def test_a_table_tells_which_iterate_an_inversion_kept(tmp_path: Path) -> None:
    config = robust_runs.CONFIG.model_copy(update={"from_noise": Inversion(start="noise", iterate="last")})
    found = robust_runs.table(Store(str(tmp_path)), config)
    assert [made.iterate for made in found.made] == ["best", "last", "best", "last"]
    lines = [line.split() for line in as_text(found).splitlines() if "0.050" in line]
    assert [line[-1] for line in lines] == ["best", "last", "best", "last"]
    rows = re.findall(r'<tr><th scope="row">D_N?R.*?</tr>', page([section(found)]), re.DOTALL)
    assert ["<td>last</td>" in row for row in rows[:4]] == [False, True, False, True]


def test_doubts_collapses_and_masking_are_warnings_with_their_place(tmp_path: Path) -> None:
    said = {
        ("set", "nr_noise"): {"doubts": ("not converged",)},
        ("network", "adversarial"): {"collapse": "collapsed"},
        ("network", "standard"): {"collapse": "collapsed too"},
        ("robust", "filtered"): {"warnings": ("zero gradients",)},
    }
    found = robust_runs.table(Store(str(tmp_path)), metrics=said).warnings
    assert [one.text for one in found[:6]] == ["collapsed too"] * 3 + ["collapsed"] * 3
    places = {(one.where, one.text) for one in found[6:]}
    assert places == {
        ("D_R from noise".replace("D_R", "D_NR"), "not converged"),
        ("D, spectrum of D_R, mlp_bottleneck16", "zero gradients"),
        ("D, spectrum of D_R, cnn", "zero gradients"),
    }
    assert {one.seed for one in found} == {0, 1, 2}


def test_that_pgd_is_too_kind_is_no_doubt_of_the_worst_case(tmp_path: Path) -> None:
    sentence = masking.ensemble_below(0.9, 0.5)
    assert sentence is not None
    numbers = {"pgd": (0.9, 0.9), "ensemble": (None, 0.5), "robust": (0.9, 0.5)}
    said = (f"{sentence} (eps 0.8)", "zero gradients")
    found = robust_runs.table(Store(str(tmp_path)), metrics={("robust", "r_image"): {**numbers, "warnings": said}})
    row = found.row("r_image", "cnn")
    assert [one.text for one in row.warnings] == ["zero gradients"] * 3
    assert [one.text for one in row.overestimates] == [said[0]] * 3
    assert found.overestimate == (pytest.approx(0.4), 6)  # both architectures, three seeds
    elsewhere = {**numbers, "pgd": (0.9, 0.6), "warnings": said}
    other = robust_runs.table(Store(str(tmp_path)), metrics={("robust", "r_image"): elsewhere})
    assert len(other.row("r_image", "cnn").warnings) == 6  # a sentence about other numbers is not that one


def test_a_set_that_was_not_made_has_no_row(tmp_path: Path) -> None:
    config = robust_runs.CONFIG.model_copy(update={"sets": ("r_image", "filtered")})
    table = robust_runs.table(Store(str(tmp_path)), config)
    assert [row.set for row in table.of_student("cnn")] == ["clean", "r_image", "filtered"]
    assert list(table.differences["cnn"]) == ["clean", "filtered"]
