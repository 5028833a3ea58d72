"""The report on a sweep: who won and by how much, every trial, what was stopped and why, cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from types import SimpleNamespace

from raylab.config import to_yaml
from raylab.engine.identity import short
from raylab.report import html
from raylab.report.blocks import Block, Figures, Fold, Report, Table, Text, Verdicts, each
from raylab.report.made import Made
from raylab.report.values import Fixed, Plain, Significant, Value
from raylab.sweep import figures, patience, words
from raylab.sweep.importance import importances
from raylab.sweep.records import TrialRecord
from raylab.sweep.results import SweepResults
from raylab.sweep.verdict import answer, reporting, searched, verdicts

LISTED = 60  # rows of a table of trials that a page shows
CAUSES = 10  # of failures, in a note


def page(results: SweepResults, of: Report) -> str:
    """The HTML of one sweep."""
    sweep = results.sweep
    bounds = [
        f"A trial counts only where {one.name} is "
        f"{f'at most {one.at_most:g}' if one.at_most is not None else f'at least {one.at_least:g}'}. "
        for one in sweep.constraints
    ]
    how_to_read = (
        f"The winner is the best of all trials that came to their end. {''.join(bounds)}That it gains on the config "
        "before the sweep is said where the 95 % interval of their difference, paired by seed and image, is above zero."
    )
    about = SimpleNamespace(
        name=f"sweep of {sweep.experiment}",
        title=f"Sweep {sweep.study}",
        lead=_selection(results),
        how_to_read=how_to_read,
        source="",
    )
    made = Made(to_yaml(sweep), (results.commit,), (), {}, "", "", "", (), ())
    return html.of_sections(about, [html.Section(f"sweep-{short(results.key)}", results.key, of, made)])


def report(results: SweepResults) -> Report:
    name = results.sweep.scheduler.name
    return Report(
        f"A {searched(results)}{'' if name == 'fifo' else f' with {name}'}",
        answer(results),
        tuple(_blocks(results)),
        figures.by_field(results, results.sweep.objectives[0]),
        "final" if results.finals else "trials",
        dict(_metrics(results)),
    )


def _choosing(results: SweepResults) -> str:
    return "test set" if words.mark(results.sweep) else "validation split"


def _selection(results: SweepResults) -> str:
    """Which images chose, and which report."""
    if results.sweep.selection.split == "test":
        return "The trials were judged on the test set itself, as this sweep asked by name (selection: {split: test})."
    reports = "reports it, with fresh seeds" if results.finals else "is kept for a report"
    return (
        "Constructed sets have no validation split, for their labels are wrong. So the clean test set is cut in two by "
        f"example: the validation split chose the winner; the test split, on which no trial was judged, {reports}."
    )


def _blocks(results: SweepResults) -> Iterator[Block]:
    yield from _notes(results)
    if later := tuple(verdicts(results))[1:]:  # the first is the answer
        yield Verdicts(f"On the {reporting(results)}.", later, "Of")
    if results.finals:
        yield Text(
            f"The winner, on what {'chose it' if words.mark(results.sweep) else 'judged no trial'}", look="heading"
        )
        yield _final_table(results)
        yield Text("What the configs cost", tuple(_costs(results)))
    yield Text("What the trials show", look="heading")
    yield from _figures(results)
    if results.front:
        yield _front(results)
    if rises := {rise.record.number: rise for rise in patience.rises(results)}:
        yield Text("When it shows", look="heading")
        yield from _patience(results, [rises[record.number] for record in _ordered(results) if record.number in rises])
    if not results.records:
        return
    yield Text("Trials", look="heading")
    yield _trials(results)
    if failed := [record for record in results.records if record.error]:
        columns = {"Trial": lambda r: r.number, "State": lambda r: r.state, "Why": lambda r: words.cause(r.error)}
        yield Fold(
            "Trials that failed", (Table.of("failed", "Why they have no numbers.", failed, columns, limit=LISTED),)
        )
    yield Text("Cost", look="heading")
    yield _cost(results)


def _notes(results: SweepResults) -> Iterator[Text]:
    if words.mark(results.sweep):
        chosen = (
            "The trials were judged on the test set itself: the winner’s numbers are too good by as much as the search"
        )
        yield Text(f"{chosen} could fit to it.", look="note")
    elif not results.finals:
        what = "What follows is of the validation split, which chose: the best of several numbers there is too good."
        yield Text(what, look="note")
    if results.finals and results.split_note:
        yield Text(results.split_note)
    causes: dict[str, list[str]] = {}
    for record in results.records:
        if record.error:
            causes.setdefault(f"{record.state}: {words.cause(record.error)}", []).append(str(record.number))
    items = [f"Trial{'s' * (len(those) > 1)} {', '.join(those)} {cause}" for cause, those in causes.items()]
    if len(items) > CAUSES:
        left = sum(map(len, list(causes.values())[CAUSES:]))
        items = [*items[:CAUSES], f"{left} more failed; why is in tables/failed.csv."]
    if items:
        yield Text("Trials without numbers", tuple(items), "note")


def _final_table(results: SweepResults) -> Table:
    sweep, mark = results.sweep, words.mark(results.sweep)
    assert sweep.final is not None
    return Table.of(
        "final",
        f"Mean ± standard error over the seeds {', '.join(map(str, sweep.final.seeds))}, which no trial used; n "
        f"counts an image once for each seed. The winner is the best of {len(results.records)} trials. "
        f"{results.tuning}",
        [(final, measure.name) for final in results.finals for measure in results.measures],
        {
            "Config": lambda row: row[0].name,
            "Measure": lambda row: row[1],
            "Test split": lambda row: Plain(row[0].held_out[row[1]], 4) if row[0].held_out else None,
            "n of the split": lambda row: row[0].held_out[row[1]].n if row[0].held_out else None,
            f"Whole test set{mark}": lambda row: Plain(row[0].whole[row[1]], 4),
            "n of the set": lambda row: row[0].whole[row[1]].n,
        },
        keys=2,
    )


def _costs(results: SweepResults) -> Iterator[str]:
    for final in results.finals:
        at = f"{words.point(final.point)}; " if final.point else ""
        yield f"{final.name}: {at}{final.passes:,} image passes."
    if len({final.passes for final in results.finals}) == 1:
        yield "They cost the same number of image passes."
    if results.best is not None and results.best.schedule:
        yield (
            "The winner was trained by a schedule, which its row replays; the job of this experiment has no schedules, "
            "so best.yaml holds the last values, whose numbers stand in their own row."
        )


def _figures(results: SweepResults) -> Iterator[Block]:
    objectives = results.sweep.objectives
    drawn = [figures.by_field(results, one) for one in objectives[1:]]
    drawn += [figures.front(results), figures.curves(results)]
    drawn += [figures.importance(importances(results, one), one) for one in objectives]
    if pictures := tuple(picture for picture in drawn if picture is not None):
        yield Figures(pictures)
    elif figures.by_field(results, objectives[0]) is None:
        yield Text("No trial has numbers to draw.")


def _front(results: SweepResults) -> Table:
    caption = "Pareto front: no other trial is better in one of these and as good in the others."
    return Table.of("front", caption, results.front, {**_at(results), **_numbers(results)}, limit=LISTED)


def _patience(results: SweepResults, rises: Sequence[patience.Rise]) -> Iterator[Block]:
    sweep, name = results.sweep, f"{results.sweep.objectives[0].name}{words.mark(results.sweep)}"
    wait = patience.waits(results, 3) if sweep.scheduler.name == "fifo" else None
    if wait == 1:
        yield Text("The winner was among the best third of the trials from the first epoch on.")
    elif wait is not None:
        yield Text(
            f"Only from epoch {wait} on was the winner always among the best third of the trials. At epoch {wait - 1} "
            "a scheduler that keeps a third would have ended it."
        )
    at = _at(results)

    def column(head: str, rise: patience.Rise) -> Value:
        return at[head](rise.record)

    if rungs := patience.rungs(results):
        yield _rungs(rungs, sweep.scheduler.name, name)
    yield Table.of(
        "rises",
        f"{name} by epoch, on the {_choosing(results)}, the best first. Half-way: the first epoch at least half-way "
        "from the value after the first epoch to the best one. A recipe with a late half-way epoch looks like one "
        "that fails to whoever stops before it.",
        rises,
        {
            **each(at, "{}", column),
            "Half-way, epoch": lambda rise: rise.half,
            "Best": lambda rise: _fixed(rise.best),
            "at epoch": lambda rise: rise.at,
            "Last": lambda rise: _fixed(rise.last),
            "of epoch": lambda rise: len(rise.record.curve),
            "State": lambda rise: words.state(rise.record),
        },
        limit=LISTED,
    )
    if results.best is not None and results.best.schedule:
        yield _schedule(results.best)


def _rungs(rungs: Sequence[patience.Rung], scheduler: str, name: str) -> Table:
    return Table.of(
        "rungs",
        f"What {scheduler} stopped, and why: at these epochs it compared each trial’s {name} with that of those that "
        "had come so far by then. It does not wait for the others, so one that came early could go on with less than "
        "one that came late. Nothing of a stopped training was committed.",
        rungs,
        {
            "After epoch": lambda rung: rung.epoch,
            "Came so far": lambda rung: rung.reached,
            "Stopped": lambda rung: len(rung.stopped),
            f"Their {name}": lambda rung: ", ".join(
                f"{words.number(record.curve[-1][0])} (trial {record.number})" for record in rung.stopped
            ),
            "Worst that went on": lambda rung: _fixed(rung.bar),
            "Stopped, though better than that": lambda rung: rung.better,
        },
    )


def _schedule(best: TrialRecord) -> Table:
    return Table.of(
        "schedule",
        "Population based training changed trials on their way; the values of a trial in the tables are its last "
        "ones. This is how the winner’s weights were made, epochs in other trials included. best.yaml holds the last "
        "values from the first epoch on, for a config of that job has no schedule.",
        best.schedule,
        {
            "Until epoch": lambda row: row[0],
            **each(best.schedule[0][1], "{}", lambda path, row: _value(row[1][path])),
        },
    )


def _trials(results: SweepResults) -> Table:
    split = _choosing(results)
    return Table.of(
        "trials",
        f"The best first, then those that cannot win. Numbers are of the {split}; of a stopped trial, at its last "
        "epoch.",
        _ordered(results),
        {
            **_at(results),
            **_numbers(results),
            "State": words.state,
            "Epochs": lambda record: record.epochs or None,
            "Seconds": lambda record: Fixed(record.seconds, 1),
        },
        limit=LISTED,
    )


def _cost(results: SweepResults) -> Table:
    """What was spent on what."""
    by_state: dict[str, list[TrialRecord]] = {}
    for record in results.records:
        by_state.setdefault(record.state, []).append(record)
    if len(by_state) > 1:
        by_state["all"] = list(results.records)
    return Table.of(
        "cost",
        "What was spent on what. Seconds are those of the process that ended a trial; what it found in the store "
        "cost it nothing, and what trials share was built before them.",
        by_state.items(),
        {
            "State": lambda row: row[0],
            "Trials": lambda row: len(row[1]),
            "Epochs followed": lambda row: sum(record.epochs for record in row[1]) or None,
            "Seconds": lambda row: Fixed(sum(record.seconds for record in row[1]), 1),
        },
    )


def _metrics(results: SweepResults) -> Iterator[tuple[str, float]]:
    if results.best is not None:
        for one in results.sweep.measures:
            yield f"best/{one.name}", results.best.value(one.name)
    yield "cost/epochs", float(sum(record.epochs for record in results.records))
    for state in ("finished", "stopped", "failed", "lost"):
        yield f"trials/{state}", float(sum(record.state == state for record in results.records))
    for final in results.finals:
        for name, mean in final.held_out.items():
            yield f"{final.name}/{name}", mean.mean


def _ordered(results: SweepResults) -> list[TrialRecord]:
    ranked = results.ranked
    return [*ranked, *(record for record in results.records if record not in ranked)]


def _at(results: SweepResults) -> words.Columns:
    """The columns of a trial's number and point."""

    def value(path: str, record: TrialRecord) -> Value:
        return _value(record.point.get(path))

    return {"Trial": lambda record: record.number, **each(results.sweep.space, "{}", value)}


def _numbers(results: SweepResults) -> words.Columns:
    names = [one.name for one in results.sweep.measures]
    return each(names, f"{{}}{words.mark(results.sweep)}", lambda name, record: _fixed(record.value(name)))


def _fixed(value: float) -> Fixed | None:
    return None if math.isnan(value) else Fixed(value, 4)


def _value(value: object) -> Value:
    """A swept field's."""
    if isinstance(value, float):
        return Significant(value, 4)
    return value if type(value) is int else words.value(value)
