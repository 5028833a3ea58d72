"""What curves say of patience, against curves whose answers are known."""

from __future__ import annotations

import math

import pytest
import sweeps

from raylab.sweep.patience import rises, rungs, waits
from raylab.sweep.records import State, TrialRecord
from raylab.sweep.results import SweepResults

LATE = (0.1, 0.1, 0.1, 0.5, 0.7)  # at chance for three epochs, and the best in the end
EARLY = (0.3, 0.4, 0.45, 0.45, 0.4)
MIDDLE = (0.2, 0.3, 0.3, 0.3, 0.3)


def record(number: int, values: tuple[float, ...], state: State = "finished") -> TrialRecord:
    curve = tuple((value, value, 1.0) for value in values)
    return TrialRecord(number, {"students.det.lr": 10.0**-number, "students.det.epochs": 4}, state,
                  {"D_det": values[-1], "violations": []}, epochs=len(values), curve=curve)  # fmt: skip


def of(*records: TrialRecord, direction: str = "max", **changes: object) -> SweepResults:
    sweep = sweeps.sweep(objectives=[{**sweeps.OBJECTIVE, "direction": direction}], curves=True, final=None, **changes)
    return SweepResults(sweep, "a" * 64, records)


def test_the_winner_that_starts_late_is_waited_for_until_it_leads() -> None:
    others = [record(number, values) for number, values in enumerate((EARLY, EARLY, MIDDLE, MIDDLE, MIDDLE))]
    results = of(*others, record(5, LATE))
    assert results.best is not None
    assert results.best.number == 5
    assert waits(results, 3) == 4  # at epoch 3 the two EARLY ones are the best third
    assert waits(results, 2) == 4  # and every other one is ahead, too
    assert "Only from epoch 4 on was the winner always among the best third" in sweeps.page(results)


def test_a_winner_from_the_start_need_not_be_waited_for() -> None:
    ahead = tuple(value + 0.5 for value in EARLY)
    results = of(record(0, ahead), *(record(number, MIDDLE) for number in range(1, 6)))
    assert waits(results, 3) == 1
    assert "from the first epoch on" in sweeps.page(results)


def test_nothing_is_said_where_trials_are_few_or_not_every_one_was_followed_to_its_end() -> None:
    whole = [record(number, EARLY) for number in range(5)]
    assert waits(of(*whole, record(5, LATE)), 3) == 4
    assert waits(of(*whole), 3) is None
    assert waits(of(*whole, record(5, LATE), record(6, MIDDLE[:2], "stopped")), 3) is None


def test_a_rise_is_half_way_between_the_first_value_and_the_best() -> None:
    rise, early = rises(of(record(0, LATE), record(1, EARLY)))
    assert (rise.half, rise.best, rise.at, rise.last) == (4, 0.7, 5, 0.7)
    assert (early.half, early.best, early.at, early.last) == (2, 0.45, 3, 0.4)


def test_where_less_is_better_a_rise_is_a_fall() -> None:
    falling = tuple(1 - value for value in LATE)
    (rise,) = rises(of(record(0, falling), direction="min"))
    assert (rise.half, rise.at) == (4, 5)
    assert rise.best == pytest.approx(0.3)


def test_a_rung_tells_who_was_stopped_below_which_bar_and_who_was_stopped_although_better() -> None:
    asha = {"name": "asha", "grace": 2, "reduction": 2}
    ahead = tuple(value + 0.2 for value in EARLY)
    stopped = record(1, LATE[:2], "stopped"), record(2, EARLY[:2], "stopped")
    results = of(record(0, MIDDLE), *stopped, record(3, ahead), scheduler=asha)
    (rung,) = rungs(results)
    assert (rung.epoch, rung.reached, len(rung.stopped), rung.better) == (2, 4, 2, 1)
    assert rung.bar == 0.3
    assert "0.1000 (trial 1), 0.4000 (trial 2)" in sweeps.page(results)
    everyone = of(record(0, LATE[:2], "stopped"), scheduler=asha)
    assert math.isnan(rungs(everyone)[0].bar)
