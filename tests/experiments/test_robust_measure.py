"""What is read from the results of robust and non-robust sets, from metrics that were written by hand."""

from __future__ import annotations

import math

import pytest
import robust_runs

from raylab.core import masking
from raylab.experiments.robust import RobustSets
from raylab.experiments.robust.report import report
from raylab.stages.inversion import Inversion


@pytest.fixture(scope="module")
def found() -> RobustSets:
    return robust_runs.study()


def test_means_are_over_seeds(found: RobustSets) -> None:
    student = found.network("r_image", "cnn")
    worst = student.at[0.8].worst.mean
    assert student.accuracy.mean.mean == pytest.approx(0.86)
    assert worst.mean == pytest.approx(0.36)
    assert worst.se == pytest.approx(0.01 / math.sqrt(3))
    assert (worst.n, worst.seeds) == (3 * robust_runs.N, 3)


def test_pgd_and_the_ensemble_stand_side_by_side_where_both_were_asked(found: RobustSets) -> None:
    at = found.network("clean", "cnn").at
    assert not at[0.4].ensemble
    assert at[0.8].pgd.mean.mean == pytest.approx(at[0.8].ensemble.mean.mean + 0.02)


def test_differences_are_paired_by_seed_and_keep_the_error_of_the_examples(found: RobustSets) -> None:
    """All seeds differ by the same amount, so nothing is left between them; the images were still a sample."""
    above = found.above("cnn")
    assert {of: round(value.mean.mean, 6) for of, value in above.items()} == {
        "clean": 0.33,
        "nr_image": 0.34,
        "filtered": 0.27,
        "blurred": 0.25,
    }
    p, q = [0.35, 0.36, 0.37], [0.02, 0.03, 0.04]
    sampled = math.sqrt(sum((v * (1 - v)) for v in p + q) / robust_runs.N) / 3
    assert above["clean"].mean.se == pytest.approx(sampled, rel=0.1)  # by image: what both have right is no error


def test_the_shift_compares_pgd_with_pgd(found: RobustSets) -> None:
    student = found.network("r_image", "cnn")
    shift = (student.own, student.moved, student.at[0.8].pgd)
    assert [one.mean.mean for one in shift] == pytest.approx([0.6, 0.45, 0.38])
    assert not found.network("nr_image", "cnn").own


def test_feature_reliance_is_counted_from_the_answers(found: RobustSets) -> None:
    assert found.network("r_image", "cnn").reliance["robust feature"].mean.mean == pytest.approx(0.9)
    assert found.network("clean", "cnn").reliance["non-robust feature"].mean.mean == pytest.approx(0.6)


def test_every_set_that_was_inverted_tells_how_well(found: RobustSets) -> None:
    assert [one.set for one in found.inverted] == ["r_image", "r_noise", "nr_image", "nr_noise"]
    assert found.inverted[0].median == pytest.approx(0.05)
    assert found.warnings == ()


def test_a_table_tells_which_iterate_an_inversion_kept() -> None:
    config = robust_runs.CONFIG.model_copy(update={"from_noise": Inversion(start="noise", iterate="last")})
    found = robust_runs.study(config)
    assert [one.iterate for one in found.inverted] == ["best", "last", "best", "last"]
    (table,) = (one for one in report(found).tables() if one.name == "inversions")
    assert [row[-1] for row in table.rows] == ["best", "last", "best", "last"]


def test_doubts_collapses_and_masking_are_warnings_with_their_place() -> None:
    said = {
        ("set", "nr_noise"): {"doubts": ("not converged",)},
        ("network", "adversarial"): {"collapse": "collapsed"},
        ("network", "standard"): {"collapse": "collapsed too"},
        ("robust", "filtered"): {"warnings": ("zero gradients",)},
    }
    found = robust_runs.study(metrics=said).warnings
    assert [one.text for one in found[:6]] == ["collapsed too"] * 3 + ["collapsed"] * 3
    places = {(one.where, one.text) for one in found[6:]}
    assert places == {
        ("D_NR from noise", "not converged"),
        ("D, spectrum of D_R, mlp_bottleneck16", "zero gradients"),
        ("D, spectrum of D_R, cnn", "zero gradients"),
    }
    assert {one.seed for one in found} == {0, 1, 2}


def test_that_pgd_is_too_kind_is_no_doubt_of_the_worst_case() -> None:
    sentence = masking.ensemble_below(0.9, 0.5)
    assert sentence is not None
    numbers = {"pgd": (0.9, 0.9), "ensemble": (None, 0.5), "robust": (0.9, 0.5)}
    said = (f"{sentence} (eps 0.8)", "zero gradients")
    found = robust_runs.study(metrics={("robust", "r_image"): {**numbers, "warnings": said}})
    student = found.network("r_image", "cnn")
    assert [one.text for one in student.warnings] == ["zero gradients"] * 3
    assert [one.text for one in student.overestimates] == [said[0]] * 3
    assert found.overestimate == (pytest.approx(0.4), 6)  # both architectures, three seeds
    elsewhere = {**numbers, "pgd": (0.9, 0.6), "warnings": said}
    other = robust_runs.study(metrics={("robust", "r_image"): elsewhere})
    assert len(other.network("r_image", "cnn").warnings) == 6  # a sentence about other numbers is not that one


def test_a_set_that_was_not_made_has_no_row() -> None:
    config = robust_runs.CONFIG.model_copy(update={"sets": ("r_image", "filtered")})
    found = robust_runs.study(config)
    assert [one.set for one in found.networks if one.architecture == "cnn"] == ["clean", "r_image", "filtered"]
    assert list(found.above("cnn")) == ["clean", "filtered"]
