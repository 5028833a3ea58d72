"""What a sweep allows to be said: who won, and whether it gained anything on the config before the sweep."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from raylab.report.blocks import Verdict
from raylab.report.per_seed import PerSeed
from raylab.report.values import Badge, Plain, format_value
from raylab.sweep import words
from raylab.sweep.config import Objective
from raylab.sweep.results import BEFORE, WINNER, FinalResult, SweepResults

ENDINGS = {
    "fifo": "each to its end",
    "asha": "of which asha stopped those that were behind after some epochs",
    "median": "of which median stopping ended those below the median of the others",
    "pbt": "whose weights and recipes pbt replaced on their way by those of better ones",
}


def answer(results: SweepResults) -> Verdict:
    sweep, best, first = results.sweep, results.best, results.sweep.objectives[0]
    fields = f"{len(sweep.space)} field{'s' * (len(sweep.space) != 1)}"
    opening = f"{len(results.records)} trials of a {searched(results)} over {fields}, {ENDINGS[sweep.scheduler.name]}."
    if best is None:
        finished = any(record.state == "finished" for record in results.records)
        why = "No trial met the constraints" if finished else "No trial came to its end"
        return Verdict(sweep.study, Badge("warn", "no winner"), f"{opening} {why}: there is no winner, no best.yaml.")
    among = " of those that meet the constraints" if sweep.constraints else ""
    value = f"{first.name} {words.number(best.value(first.name))}{words.mark(sweep)}"
    winner = f"The winner is trial {best.number}{among}: {value} with {words.point(best.point)}."
    judged = next(verdicts(results), Verdict("", Badge("open", "winner found"), ""))
    return Verdict(sweep.study, judged.badge, f"{opening} {winner} {judged.sentence}".strip())


def verdicts(results: SweepResults) -> Iterator[Verdict]:
    """The winner beside the config before the sweep, on what reports; and whether the final configs may count."""
    finals = {final.name: final for final in results.finals}
    if WINNER not in finals or BEFORE not in finals:
        return
    ours, before = finals[WINNER], finals[BEFORE]
    where = "the test split" if ours.held_out else "the test set"
    for one in results.sweep.objectives:
        a, b = ((final.held_out or final.whole)[one.name] for final in (ours, before))
        numbers = (
            f"With fresh seeds, on {where}: {one.name} {format_value(Plain(a, 4))}, against "
            f"{format_value(Plain(b, 4))} before the sweep ({a.seeds} seed{'s' * (a.seeds != 1)}, n = {a.n})."
        )
        if results.broken(ours):
            yield Verdict(one.name, Badge("warn", "constraint broken"), numbers)
        else:
            badge, sentence = gain(one, ours.by_seed[one.name], before.by_seed[one.name])
            yield Verdict(one.name, badge, f"{numbers} {sentence}")
    where = reporting(results)
    yield from (_broken(final, broken, where) for final in results.finals if (broken := results.broken(final)))


def gain(objective: Objective, ours: PerSeed, before: PerSeed) -> tuple[Badge, str]:
    """By the house's rule: both have the same seeds and images, so the difference is paired by both."""
    difference = ours - before if objective.direction == "max" else before - ours
    mean, (low, high) = difference.mean, difference.interval
    if math.isnan(low):
        few = "One seed has" if mean.seeds < 2 else "Seeds that agree in a number of no images have"
        return Badge("open", "no interval"), f"{few} no interval, so nothing is said of the difference."
    numbers = f"The difference, seed by seed, is {mean.mean:+.4f} (95 %: {low:+.4f} to {high:+.4f})"
    if difference.is_above():
        return Badge("good", "a gain"), f"{numbers}: a gain."
    if (-difference).is_above():
        return Badge("warn", "a loss"), f"{numbers}: a loss: what was better where it was chosen is worse here."
    return Badge("open", "no gain shown"), f"{numbers}: no gain is shown."


def _broken(final: FinalResult, broken: Sequence[str], where: str) -> Verdict:
    sentence = (
        f"On the {where} it does not meet the constraint on {', '.join(broken)}: by the sweep’s own rule "
        "its objective counts for nothing."
    )
    return Verdict(final.name, Badge("warn", "constraint broken"), sentence)


def reporting(results: SweepResults) -> str:
    return "test set" if words.mark(results.sweep) else "test split"


def searched(results: SweepResults) -> str:
    return f"{'TPE' if results.sweep.sampler == 'tpe' else results.sweep.sampler} search"
