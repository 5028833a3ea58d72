"""A sweep for the terminal."""

from __future__ import annotations

import math

from raylab.identity import short
from raylab.report.terminal import table, wrapped
from raylab.search import PROGRESS, Ended
from raylab.sweep import words
from raylab.sweep.config import Sweep
from raylab.sweep.records import Schedule
from raylab.sweep.results import BEFORE, WINNER, Results, figures

SHOWN = 20  # trials of the table: the best, then those that failed
CHOSEN_ON_TEST = "[chosen on the test set]"


def line(ended: Ended, sweep: Sweep, done: int) -> str:
    """One trial as it ends."""
    values = {measure.name: ended.numbers.get(measure.name, math.nan) for measure in sweep.measures}
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in values.items() if not math.isnan(value))
    epoch = f" at epoch {ended.numbers[PROGRESS]}" if sweep.watched and PROGRESS in ended.numbers else ""
    told = ended.lost or ended.numbers.get("error")
    return f"trial {ended.number} ({done} of {sweep.count}): {words.point(ended.point)}: " + (
        words.cause(str(told)) if told else f"{numbers}{epoch}"
    )


def as_text(results: Results) -> str:
    sweep, mark = results.sweep, f" {CHOSEN_ON_TEST}" if results.sweep.selection.split == "test" else ""
    states = [record.state for record in results.records]
    counted = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    epochs, seconds = sum(r.epochs for r in results.records), sum(r.seconds for r in results.records)
    cost = f"{f'{epochs} epochs of the watched trainings, ' if epochs else ''}{seconds:.0f} seconds of trials"
    schedule = results.best.schedule if results.best else ()
    blocks = [
        f"Sweep {sweep.study} [{short(results.key)}]: {sweep.sampler} search, scheduler {sweep.scheduler.name}; "
        f"{len(states)} trials: {counted}; {cost}.",
        _trials(results, mark),
    ]
    if schedule:
        blocks.append(_schedule(schedule))
    if results.front:
        blocks.append(_front(results))
    if results.best is None:
        blocks.append("No trial ended with numbers that meet the constraints: there is no winner, and no best.yaml.")
    if results.finals:
        blocks.append(_finals(results, mark))
    return "\n\n".join(blocks)


def _trials(results: Results, mark: str) -> str:
    ranked = results.ranked
    others = [record for record in results.records if record not in ranked]
    names = [measure.name for measure in results.sweep.measures]
    header = ["trial", *results.sweep.space, *(f"{name}{mark}" for name in names), "state", "epochs", "s"]
    rows = [
        [
            str(record.number),
            *(words.value(record.point.get(path)) for path in results.sweep.space),
            *(words.number(record.value(name)) for name in names),
            words.state(record),
            str(record.epochs),
            f"{record.seconds:.1f}",
        ]
        for record in [*ranked, *others][:SHOWN]
    ]
    hidden = len(results.records) - len(rows)
    more = f"\n... and {hidden} more in trials.csv" if hidden > 0 else ""
    errors = [f"\ntrial {r.number}: {words.cause(r.error)}" for r in others if r.error][:5]
    return table(header, rows) + more + "".join(errors)


def _schedule(schedule: Schedule) -> str:
    rows = [[str(until), *(words.value(value) for value in point.values())] for until, point in schedule]
    return (
        "Values of the trials are their last ones. The winner's schedule, other trials' epochs in it included:\n"
        + table(["until epoch", *schedule[0][1]], rows)
    )


def _front(results: Results) -> str:
    names = [one.name for one in results.sweep.objectives]
    rows = [
        [str(r.number), words.point(r.point), *(words.number(r.value(name)) for name in names)] for r in results.front
    ]
    return "Pareto front: no other trial is better in one of these and as good in the others.\n" + table(
        ["trial", "at", *names], rows
    )


def _finals(results: Results, mark: str) -> str:
    sweep = results.sweep
    assert sweep.final is not None
    tables = [
        table(
            [final.name, "held-out half", "n", f"whole test set{mark}", "n"],
            [
                [
                    measure.name,
                    *(figures(final.held_out[measure.name]) if final.held_out else ("none was kept", "")),
                    *figures(final.whole[measure.name]),
                ]
                for measure in results.measures
            ],
        )
        for final in results.finals
    ]
    passes = {final.passes for final in results.finals}
    budget = (
        "They cost the same number of image passes."
        if len(passes) == 1
        else "They do not cost the same: "
        + ", ".join(f"{final.name} {final.passes:,} image passes" for final in results.finals)
        + "."
    )
    said = [
        f"Fresh seeds {list(sweep.final.seeds)}, which no trial used. {budget} The winner is the best of "
        f"{len(results.records)} trials. {results.tuning}",
    ]
    if results.best is not None and results.best.schedule:
        said.append(
            "The winner was trained by a schedule, which its row replays; the job of this experiment has no schedules, "
            "so best.yaml holds the last values, whose numbers stand in their own row."
        )
    if results.split_note:
        said.append(f"n counts an image once for each seed. {results.split_note}")
    for final in results.finals:
        if broken := results.broken(final):
            said.append(
                f"On these images {_called(final.name)} does not meet the constraint on {', '.join(broken)}: by the "
                "sweep's own rule its objective counts for nothing."
            )
    if mark:
        said.append(
            "The trials were judged on the test set itself (selection: {split: test}): the winner's numbers are too "
            "good by as much as the search could fit to it."
        )
    return "\n\n".join([*tables, *(wrapped(text) for text in said)])


def _called(name: str) -> str:
    return {WINNER: "the winner", BEFORE: "the config before the sweep"}.get(name, f"the config {name}")
