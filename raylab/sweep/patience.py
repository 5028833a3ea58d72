"""What the curves of a sweep say of patience: when each trial rose, who was stopped where, and how long the winner
looked like a loser."""

from __future__ import annotations

from dataclasses import dataclass

from raylab.sweep.records import TrialRecord
from raylab.sweep.results import SweepResults


@dataclass(frozen=True)
class Rise:
    """The objective of one trial by epoch, in three numbers; epochs count from 1."""

    record: TrialRecord
    half: int  # the first epoch at least half-way from the value after the first epoch to the best one
    best: float
    at: int  # the first epoch with the best value
    last: float


@dataclass(frozen=True)
class Rung:
    """An epoch after which a scheduler ended trials."""

    epoch: int
    reached: int  # trials that were trained so far
    stopped: tuple[TrialRecord, ...]
    better: int  # of the stopped ones, those that were better there than some trial that went on
    bar: float  # the worst value there of a trial that went on; nan where none did


def rises(results: SweepResults) -> list[Rise]:
    """Of the trials with a curve, in the order of their numbers."""
    sign = results.sweep.objectives[0].sign
    return [_rise(record, sign) for record in results.records if record.curve]


def _rise(record: TrialRecord, sign: float) -> Rise:
    values = [sign * row[0] for row in record.curve]
    best = max(values)
    half = (values[0] + best) / 2
    first = next(place for place, value in enumerate(values, 1) if value >= half)
    return Rise(record, first, sign * best, values.index(best) + 1, sign * values[-1])


def rungs(results: SweepResults) -> list[Rung]:
    """Where a scheduler ended trials. It compared each with those that had come so far by then, so a trial that came
    later may have been let through with less, or stopped with more."""
    sign, found = results.sweep.objectives[0].sign, []
    stopped = [record for record in results.records if record.state == "stopped" and record.curve]
    for epoch in sorted({len(record.curve) for record in stopped}):
        here = tuple(record for record in stopped if len(record.curve) == epoch)
        on = [record.curve[epoch - 1][0] for record in results.records if len(record.curve) > epoch]
        bar = sign * min(sign * value for value in on) if on else float("nan")
        better = sum(sign * record.curve[epoch - 1][0] > sign * bar for record in here)
        found.append(Rung(epoch, len(here) + len(on), here, better, bar))
    return found


def waits(results: SweepResults, share: int) -> int | None:
    """The first epoch from which on the winner was always among the best one of `share` trials: a scheduler that keeps
    that many and looks one epoch earlier would have ended it. None where not every trial was followed to its end, or
    there are too few of them to keep two."""
    best, sign = results.best, results.sweep.objectives[0].sign
    followed = [record for record in results.records if record.curve]
    if best is None or not best.curve or len(followed) < max(2 * share, len(results.records)):
        return None
    if any(len(record.curve) != len(best.curve) for record in followed):
        return None
    kept, needed = len(followed) // share, 1
    for epoch in range(1, len(best.curve) + 1):
        ahead = sum(sign * record.curve[epoch - 1][0] > sign * best.curve[epoch - 1][0] for record in followed)
        if ahead >= kept:
            needed = epoch + 1
    return needed if needed <= len(best.curve) else None
