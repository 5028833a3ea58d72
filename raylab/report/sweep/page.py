"""The page of a sweep."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from raylab.config import to_yaml
from raylab.core.statistics import Estimate
from raylab.identity import short
from raylab.report.estimates import BySeed, difference, exceeds, interval, negated
from raylab.report.frame import render
from raylab.report.sweep import figures, patience
from raylab.sweep import words
from raylab.sweep.config import Objective
from raylab.sweep.importance import importances
from raylab.sweep.records import Record
from raylab.sweep.results import BEFORE, WINNER, Final, Results

LISTED = 60  # trials of a table
TOLD = 10  # causes of failures
ENDINGS = {
    "fifo": "each to its end",
    "asha": "of which asha stopped those that were behind after some epochs",
    "median": "of which median stopping ended those below the median of the others",
    "pbt": "whose weights and recipes pbt replaced on their way by those of better ones",
}


def page(results: Results) -> str:
    """The HTML of one sweep."""
    sweep, ranked = results.sweep, results.ranked
    drawn = [figures.by_field(results, one) for one in sweep.objectives]
    drawn += [figures.front(results), figures.curves(results)]
    drawn += [figures.importance(importances(results, one), one) for one in sweep.objectives]
    ordered = [*ranked, *(record for record in results.records if record not in ranked)]
    risen = {rise.record.number: rise for rise in patience.rises(results)}
    failed = [(record, words.cause(record.error)) for record in results.records if record.error]
    return render(
        "sweep/page.html",
        title=f"Sweep {sweep.study}",
        results=results,
        sweep=sweep,
        ending=ENDINGS[sweep.scheduler.name],
        compared=list(_compared(results)),
        names=[measure.name for measure in sweep.measures],
        listed=ordered[:LISTED],
        hidden=max(0, len(ordered) - LISTED),
        failed=failed[:TOLD],
        unsaid=max(0, len(failed) - TOLD),
        counts=_counts(results),
        rises=[risen[record.number] for record in ordered if record.number in risen][:LISTED],
        rungs=patience.rungs(results),
        wait=None if sweep.scheduler.name != "fifo" else patience.waits(results, 3),
        schedule=results.best.schedule if results.best else (),
        pictures=[picture for picture in drawn if picture is not None],
        on_test=sweep.selection.split == "test",
        config=to_yaml(sweep),
        short=short,
        estimate=_estimate,
        point=words.point,
        value=words.value,
        number=words.number,
        state=words.state,
    )


def _compared(results: Results) -> Iterator[str]:
    """The winner beside the config before the sweep, on what reports; and whether either may count."""
    finals = {final.name: final for final in results.finals}
    if WINNER not in finals or BEFORE not in finals:
        return
    ours, before = finals[WINNER], finals[BEFORE]
    where = "the held-out half" if ours.held_out else "the test set"
    for one in results.sweep.objectives:
        a, b = _reported(ours, one), _reported(before, one)
        yield (
            f"With fresh seeds, on {where}: {one.name} {_estimate(a)}, against {_estimate(b)} before the sweep "
            f"({a.seeds} seed{'s' * (a.seeds != 1)}, n = {a.n})."
            + (f" {_verdict(one, ours.by_seed, before.by_seed)}" if not results.broken(ours) else "")
        )
    for final in (ours, before):
        if broken := results.broken(final):
            named = "The winner" if final is ours else "The config before the sweep"
            yield f"{named} does not meet the constraint on {', '.join(broken)} there, so its number does not count."


def _reported(final: Final, one: Objective) -> Estimate:
    return (final.held_out or final.whole)[one.name]


def _verdict(objective: Objective, ours: Mapping[str, BySeed], before: Mapping[str, BySeed]) -> str:
    """By the house's rule: both have the same seeds and images, so the difference is paired by both."""
    gain = difference(ours[objective.name], before[objective.name])
    if objective.direction == "min":
        gain = negated(gain)
    low, high = interval(gain)
    if math.isnan(low):
        few = "One seed has" if gain.seeds < 2 else "Seeds that agree in a number of no images have"
        return f"{few} no interval, so nothing is said of the difference."
    said = f"The difference, seed by seed, is {gain.mean:+.4f} (95 %: {low:+.4f} to {high:+.4f})"
    if exceeds(gain):
        return f"{said}: a gain."
    if exceeds(negated(gain)):
        return f"{said}: a loss: what was better on the half that chose is worse here."
    return f"{said}: no gain is shown."


def _counts(results: Results) -> list[tuple[str, int, int, float]]:
    """State, trials, epochs and seconds: what was spent on what."""
    by_state: dict[str, list[Record]] = {}
    for record in results.records:
        by_state.setdefault(record.state, []).append(record)
    rows = [(s, len(own), sum(r.epochs for r in own), sum(r.seconds for r in own)) for s, own in by_state.items()]
    if len(rows) > 1:
        rows.append(("all", *(sum(column) for column in zip(*(row[1:] for row in rows), strict=True))))  # type: ignore[arg-type]
    return rows


def _estimate(one: Estimate) -> str:
    return words.number(one.mean) if math.isnan(one.se) else f"{words.number(one.mean)} ± {one.se:.4f}"
