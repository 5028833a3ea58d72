"""What may be said of a row: every branch of the rule, and what must hold whatever the numbers are."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scoreboard_lines import evidence, line

from raylab.core.statistics import Estimate
from raylab.scoreboard.evidence import Evidence
from raylab.scoreboard.rows import Criterion, Published, all_rows
from raylab.scoreboard.verdict import MEANINGS, WORDS, Measured, MeasuredRun, scored

# Row 46: "rand" within .80 to .92, "det" within .51 to .71, and the criterion "det above relabelled" at least 0.
PUBLISHED = {"on": "the published world", "protocol": ""}


def code(*found: Evidence) -> str:
    return line(*found).code


def test_nothing_measured_is_not_run() -> None:
    assert {one.code for one in scored([])} == {"not_run"}
    assert len(scored([])) == len(all_rows())


def test_reproduced_is_every_interval_inside_its_tolerance_at_the_published_protocol() -> None:
    assert code(evidence(3, "relabelled", 0.162, 0.01, **PUBLISHED)) == "reproduced"
    all_three = [evidence(46, *one, 0.01, **PUBLISHED) for one in (("rand", 0.86), ("det", 0.6), ("relabelled", 0.13))]
    assert code(*all_three) == "reproduced"
    assert code(*all_three[:2]) == "same_direction"  # a part of a row reproduces no row


def test_two_runs_may_reproduce_a_row_together() -> None:
    """Row 20: normalisation is a run of its own."""
    teacher, raw = evidence(20, "teacher", 0.991, 0.0001, **PUBLISHED), evidence(20, "raw", 0.91, 0.001, **PUBLISHED)
    gained = evidence(20, "normalised minus raw", 0.03, 0.001, on="normalised", protocol="")
    assert code(teacher, raw, gained) == "reproduced"
    assert code(teacher, raw) == "same_direction"
    assert code(teacher, raw._replace(ours=Estimate(0.95, 0.01, 900, 3)), gained) == "same_direction"


@pytest.mark.parametrize(
    ("mean", "se", "expected"),
    [
        (0.162, 0.0139, "reproduced"),  # 4.303 × 0.0139 = 0.0598: the t of three seeds, within 0.06
        (0.162, 0.0141, "inconclusive"),
        (0.25, 0.01, "inconclusive"),
        (0.272, 0.01, "contradicted"),  # from 0.229
        (0.052, 0.01, "contradicted"),  # to 0.095
    ],
)
def test_an_interval_decides_not_a_mean(mean: float, se: float, expected: str) -> None:
    assert code(evidence(3, "relabelled", mean, se, **PUBLISHED)) == expected


def test_one_number_outside_its_tolerance_contradicts_whatever_the_others_say() -> None:
    wrong = evidence(46, "det", 0.3, **PUBLISHED)
    assert code(evidence(46, "rand", 0.86, **PUBLISHED), wrong) == "contradicted"
    assert code(evidence(46, "rand", 0.91, 0.01, **PUBLISHED), wrong) == "contradicted"


def test_another_protocol_can_point_the_same_way_by_its_criteria_alone() -> None:
    clean, criterion = evidence(43, "universal", 0.9), evidence(43, "per image minus universal", 0.2)
    assert code(criterion) == "same_direction"
    assert code(clean, criterion) == "same_direction"  # far outside the tolerance, which does not bind here
    assert code(clean) == "inconclusive"  # no criterion
    assert code(clean, evidence(43, "per image minus universal", 0.003)) == "inconclusive"  # to −0.0013
    assert code(clean, evidence(43, "per image minus universal", -0.2)) == "contradicted"


def test_a_criterion_may_ask_for_more_than_the_interval() -> None:
    """Row 1: chance by five standard errors; of 30 seeds the 95 % interval is two of them."""
    fit = evidence(1, "fit of its own set, lowest seed", 0.95)

    def above(mean: float) -> str:
        return code(evidence(1, "above chance", mean, 0.01, seeds=30), fit)

    assert above(0.03) == "inconclusive"
    assert above(0.06) == "same_direction"
    assert above(-0.03) == "inconclusive"
    assert above(-0.06) == "contradicted"


def test_a_student_that_did_not_fit_its_set_is_not_judged() -> None:
    """Row 1: "> chance + 5σ after train acc > 90 %"."""
    high, fitted = evidence(1, "above chance", 0.5), "fit of its own set, lowest seed"
    unfitted = evidence(1, fitted, 0.6, math.nan, bounds=(0.6, 0.6), undecided="a student fits 60 % of its set only")
    assert code(high) == "inconclusive"
    assert code(high, unfitted) == "inconclusive"
    assert code(high, evidence(1, fitted, 0.95, math.nan, bounds=(0.95, 0.95))) == "same_direction"


@pytest.mark.parametrize(("left", "expected"), [(0.3, "contradicted"), (0.5, "same_direction"), (0.7, "contradicted")])
def test_about_a_half_has_two_sides(left: float, expected: str) -> None:
    """Row 38: a network that sees perturbations of .028 knows nothing, which is neither right nor wrong throughout."""
    taught = evidence(38, "perturbations only, .14", 0.95)
    assert code(taught, evidence(38, "perturbations only, .028", left)) == expected


def test_much_greater_than_the_bugs_is_more_than_greater() -> None:
    """Row 31: half of what was published."""
    transfer = evidence(31, "transfer, PGD minus bugs", 0.5)
    assert code(transfer, evidence(31, "student, PGD minus bugs", 0.2)) == "same_direction"
    assert code(transfer, evidence(31, "student, PGD minus bugs", 0.05)) == "contradicted"
    assert (
        code(evidence(31, "transfer, PGD minus bugs", 0.1), evidence(31, "student, PGD minus bugs", 0.2))
        == "contradicted"
    )


def test_a_criterion_that_fails_where_the_size_cannot_decide_says_nothing() -> None:
    excused = evidence(2, "above relabelled", -0.2, undecided="the attack succeeds on 41 % only")
    other = evidence(2, "above chance", 0.2)
    assert code(excused) == "inconclusive"
    assert code(other, excused) == "inconclusive"
    assert code(excused._replace(undecided="")) == "contradicted"
    assert code(other, excused._replace(ours=Estimate(0.2, 0.01, 900, 3))) == "same_direction"  # and a met one counts


def test_an_excuse_covers_its_own_criterion_alone() -> None:
    """Row 28: a radius beyond the admissible one excuses D_det, not a D_rand at chance."""
    excused = evidence(28, "det above chance", 0.1, undecided="the radius is too large")
    assert code(excused, evidence(28, "rand above chance", 0.1)) == "inconclusive"
    assert code(excused, evidence(28, "rand above chance", -0.1)) == "contradicted"


def test_an_excuse_does_not_cover_a_number_at_the_published_protocol() -> None:
    assert code(evidence(46, "rand", 0.5, undecided="any", **PUBLISHED)) == "contradicted"


def test_one_seed_of_another_protocol_decides_nothing() -> None:
    assert code(evidence(2, "above chance", 0.9, seeds=1)) == "inconclusive"


def test_one_seed_at_the_published_protocol_decides_nothing_but_with_an_interval_of_its_own() -> None:
    one = {"seeds": 1, **PUBLISHED}
    assert code(evidence(3, "relabelled", 0.162, 0.001, **one)) == "inconclusive"
    replica = evidence(3, "relabelled", 0.162, math.nan, **one)
    assert code(replica) == "inconclusive"
    assert code(replica._replace(bounds=(0.162, 0.162))) == "reproduced"


def test_a_criterion_that_was_not_measured_is_not_met() -> None:
    """Row 4 asks for two things; one of them alone points nowhere."""
    below, relabelled = evidence(4, "det above chance", -0.1), evidence(4, "relabelled above clean", 0.5)
    assert code(below) == "inconclusive"
    assert code(below, relabelled) == "same_direction"
    assert code(below._replace(ours=Estimate(0.1, 0.01, 900, 3))) == "contradicted"


def test_runs_of_two_experiments_are_two_runs() -> None:
    below, relabelled = evidence(4, "det above chance", -0.1), evidence(4, "relabelled above clean", 0.5)
    assert len(line(below, relabelled).runs) == 1
    apart = line(below._replace(experiment="controls"), relabelled._replace(experiment="transfer_matrix"))
    assert len(apart.runs) == 2
    assert apart.code == "inconclusive"


def test_what_is_computed_is_a_point() -> None:
    computed = {"n": 0, "seeds": 1, **PUBLISHED}
    name = "largest deviation from the table"
    assert code(evidence(35, name, 0.0000099, math.nan, **computed)) == "reproduced"
    assert code(evidence(35, name, 0.0000101, math.nan, **computed)) == "contradicted"


def test_a_run_that_differs_in_one_number_reproduces_no_row() -> None:
    same, other = evidence(3, "relabelled", 0.162, on="it", protocol=""), evidence(3, "above clean", -0.3, on="it")
    assert code(same, other) == "same_direction"
    assert code(same) == "reproduced"


def test_a_row_of_which_nothing_was_published_cannot_be_reproduced() -> None:
    found = line(evidence(46, "det above relabelled", 0.3))
    ours = replace(found, row=found.row.model_copy(update={"published": {}}))
    assert ours.code == "same_direction"


def test_an_interval_of_its_own_comes_before_that_over_seeds() -> None:
    assert code(evidence(15, "Spearman", 0.7, math.nan, bounds=(0.1, 0.9))) == "same_direction"
    assert code(evidence(15, "Spearman", 0.7, math.nan, bounds=(-0.1, 0.9))) == "inconclusive"
    assert code(evidence(15, "Spearman", 0.7, math.nan, bounds=(math.nan, math.nan))) == "inconclusive"
    assert code(evidence(15, "Spearman", -0.7, math.nan, bounds=(-0.9, -0.1))) == "contradicted"


def test_an_interval_of_a_share_ends_where_shares_end() -> None:
    """Row 45: published 99.93 %, within 97.93 to 100 %. No interval around 99.93 % of a few seeds ends below 100 %."""
    (near_one,) = line(evidence(45, "standard, clean", 0.9993, 0.0005, **PUBLISHED)).runs[0].measured
    assert near_one.reproduces
    assert near_one.bounds[1] == 1.0
    (near_zero,) = line(evidence(45, "standard, 2η", 0.0023, 0.001, **PUBLISHED)).runs[0].measured
    assert near_zero.reproduces
    difference = line(evidence(2, "above chance", -0.001, 0.01)).runs[0].measured[0]
    assert difference.bounds[0] < 0  # of a difference it does not


def test_runs_at_the_published_protocol_come_before_all_others() -> None:
    small, away = (evidence(3, "above clean", x, on="small") for x in (-0.2, 0.2))
    right = [
        evidence(3, "relabelled", 0.162, on="full", protocol=""),
        evidence(3, "above clean", -0.3, on="full", protocol=""),
    ]
    wrong = evidence(3, "relabelled", 0.5, on="full", protocol="")
    assert code(away, *right) == "reproduced"
    assert code(small, wrong) == "contradicted"


def test_runs_that_point_both_ways_disagree() -> None:
    right, wrong = (
        evidence(43, "per image minus universal", 0.2, on="one"),
        evidence(43, "per image minus universal", -0.2, on="other"),
    )
    nothing = evidence(43, "per image minus universal", 0.0, on="third")
    assert code(right, wrong) == "disagree"
    assert code(right, wrong, nothing) == "disagree"
    assert code(right, nothing) == "same_direction"
    assert code(wrong, nothing) == "contradicted"
    assert code(nothing) == "inconclusive"


def test_numbers_of_one_run_are_judged_together() -> None:
    (run,) = line(evidence(2, "clean", 0.2), evidence(2, "above chance", 0.2)).runs
    assert [one.evidence.name for one in run.measured] == ["clean", "above chance"]
    assert run.protocol.startswith("Digits")


def test_a_name_that_the_row_does_not_have_and_a_number_that_is_none_are_refused() -> None:
    with pytest.raises(ValueError, match=r"row 2: one of \['clean', 'above chance', 'above relabelled'\], got 'cleen'"):
        scored([evidence(2, "cleen", 0.2)])
    with pytest.raises(ValueError, match="row 2, clean: a number, got nan"):
        scored([evidence(2, "clean", math.nan)])


def test_every_verdict_has_words_and_a_meaning() -> None:
    assert set(WORDS) == set(MEANINGS)
    assert all(WORDS.values())
    assert all(MEANINGS.values())


def drawn(seed: int) -> MeasuredRun:
    """A run of up to four numbers, each with a tolerance, a criterion, or both; any protocol, any width."""
    rng = np.random.default_rng(seed)
    found = []
    for place in range(rng.integers(1, 5)):
        kind = rng.integers(3)
        low, high = np.sort(rng.uniform(-1, 1, 2))
        published = Published(value=(low + high) / 2, low=low, high=high, unit="points") if kind < 2 else None
        side = "at_least" if rng.integers(2) else "at_most"
        criterion = Criterion(**{side: float(rng.uniform(-1, 1))}, unit="points") if kind > 0 else None
        ours = Estimate(float(rng.uniform(-1, 1)), float(rng.uniform(0, 0.2)), 100, int(rng.integers(1, 6)))
        other = "smaller" if rng.integers(2) else ""
        excuse = "too small" if rng.integers(4) == 0 else ""
        found.append(Measured(Evidence(1, str(place), ours, "it", other, excuse), published, criterion))
    return MeasuredRun("it", tuple(found))


RUNS = [drawn(seed) for seed in range(600)]


def wider(run: MeasuredRun, by: float) -> MeasuredRun:
    measured = []
    for one in run.measured:
        low, high = one.bounds
        measured.append(replace(one, evidence=one.evidence._replace(bounds=(low - by, high + by))))
    return MeasuredRun(run.on, tuple(measured))


def flipped(run: MeasuredRun) -> MeasuredRun:
    """The same run under criteria that ask for the opposite."""
    measured = [
        replace(
            one,
            criterion=one.criterion
            and Criterion(at_least=one.criterion.at_most, at_most=one.criterion.at_least, unit=one.criterion.unit),
        )
        for one in run.measured
    ]
    return MeasuredRun(run.on, tuple(measured))


def test_the_draws_reach_every_verdict() -> None:
    assert {run.code for run in RUNS} == {"reproduced", "same_direction", "inconclusive", "contradicted"}


@pytest.mark.parametrize("by", [0.01, 0.1, 1.0])
def test_a_wider_interval_never_decides_what_was_undecided(by: float) -> None:
    undecided = [run for run in RUNS if run.code == "inconclusive"]
    assert len(undecided) > 100
    assert {wider(run, by).code for run in undecided} == {"inconclusive"}


def test_a_wider_interval_never_turns_a_verdict_round() -> None:
    for run in RUNS:
        after = wider(run, 0.3).code
        assert after in (run.code, "inconclusive"), (run.code, after)


def test_criteria_of_the_opposite_sign_turn_the_same_direction_into_a_contradiction() -> None:
    agreeing = [
        run
        for run in RUNS
        if run.code == "same_direction" and not run.undecided and any(one.criterion for one in run.measured)
    ]
    assert len(agreeing) > 10
    assert {flipped(run).code for run in agreeing} == {"contradicted"}


def test_no_order_of_evidence_changes_a_verdict() -> None:
    for run in RUNS[:200]:
        assert MeasuredRun(run.on, run.measured[::-1]).code == run.code
