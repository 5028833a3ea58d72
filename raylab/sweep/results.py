"""What a sweep has found: trials in order of merit, the front of several objectives, and the final comparison."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raylab.config import Config, to_yaml
from raylab.core.statistics import Estimate
from raylab.engine.identity import short
from raylab.engine.progress import counted
from raylab.engine.search import PROGRESS
from raylab.engine.space import Point
from raylab.engine.store import Store
from raylab.report.experiments import EXPERIMENTS
from raylab.report.numbers import ABSENT
from raylab.report.per_seed import PerSeed
from raylab.sweep.config import Measure, Objective, Sweep
from raylab.sweep.records import Records, TrialRecord

WINNER, BEFORE = "winner", "before the sweep"
LAST_VALUES = "winner's last values"  # of a winner with a schedule: its config, held from the first epoch


def best_for(control: Objective) -> str:
    return f"best for {control.name}"


@dataclass(frozen=True)
class FinalResult:
    """One config over fresh seeds."""

    name: str
    point: Point
    held_out: Mapping[str, Estimate]  # by measure, on the half that judged no trial; empty where there is none
    whole: Mapping[str, Estimate]  # on the whole test set, as the experiment's own job reports
    passes: int  # image passes of all that its measures are made from, over all seeds
    by_seed: Mapping[str, PerSeed]  # by measure, on what reports: held out, else whole


@dataclass(frozen=True)
class SweepResults:
    """Everything that is shown."""

    sweep: Sweep
    key: str
    records: tuple[TrialRecord, ...]  # by number
    finals: tuple[FinalResult, ...] = ()
    best_config: str = ""  # YAML
    commit: str = "unknown"
    drawn_by_seed: bool = False  # each seed draws a split of its own into training and test images

    @property
    def ranked(self) -> list[TrialRecord]:
        """Trials that ended with numbers and meet the constraints, the best first; of equals the earlier."""
        return _ranked([record for record in self.records if record.feasible], self.sweep.objectives[0])

    @property
    def best(self) -> TrialRecord | None:
        return next(iter(self.ranked), None)

    def tuned(self, control: Objective) -> TrialRecord | None:
        """The finished trial that is best for a control, whatever it is for the objective and the constraints."""
        return next(iter(_ranked([r for r in self.records if r.state == "finished"], control)), None)

    @property
    def front(self) -> list[TrialRecord]:
        """Trials that no other one beats in an objective without losing in another: only with several."""
        if len(self.sweep.objectives) < 2:
            return []
        merits = {record.number: self._merits(record) for record in self.ranked}
        return [r for r in self.ranked if not any(dominates(m, merits[r.number]) for m in merits.values())]

    def broken(self, final: FinalResult) -> list[str]:
        """The constraints that a final config violates, on the images that report."""
        seen = final.held_out or final.whole
        return [one.name for one in self.sweep.constraints if one.violation(seen[one.name].mean) > 0]

    @property
    def measures(self) -> tuple[Measure, ...]:
        """All that the final runs are measured by."""
        return (*self.sweep.measures, *(self.sweep.final.beside if self.sweep.final else ()))

    @property
    def split_note(self) -> str:
        """What fresh seeds do not promise where a seed also draws the split, or nothing."""
        if not self.drawn_by_seed:
            return ""
        return (
            "Each seed draws its own split, so trials of other seeds trained on some of these images; a network that "
            "is reported was trained on the training images of its own split alone."
        )

    @property
    def tuning(self) -> str:
        """What was tuned beside the winner, for every table that compares it."""
        final = self.sweep.final
        tuned = ", ".join(one.name for one in self.sweep.controls)
        untouched = ["the config before the sweep", *(one.name for one in final.beside)] if final else []
        said = f"Tuned at the same budget, each at the best of the same trials for it: {tuned}. " if tuned else ""
        controls = "" if tuned else "; no control was tuned"
        return f"{said}Not tuned: {', '.join(untouched)}{controls}."

    def _merits(self, record: TrialRecord) -> tuple[float, ...]:
        return tuple(one.sign * record.value(one.name) for one in self.sweep.objectives)


def _ranked(records: list[TrialRecord], objective: Objective) -> list[TrialRecord]:
    def merit(record: TrialRecord) -> tuple[bool, float, int]:
        value = record.value(objective.name)
        return math.isnan(value), -objective.sign * value, record.number

    return sorted(records, key=merit)


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """At least as large everywhere, and larger somewhere."""
    return all(a >= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)


def frame(store: Store | str, key: str) -> Any:
    """The trials of a sweep as a pandas frame, one row each, also while it runs; `key` as a page or best.yaml names it.

    `store` is the one that the job names as it starts.
    """
    import pandas  # seconds to import

    store = Store(store) if isinstance(store, str) else store
    folder = Records(store, key)
    names = store.names(f"{folder.folder}/trials")
    numbers = [int(name.removesuffix(".json")) for name in names if name.endswith(".json")]  # not one half written
    records = [record for record in store.map_parallel(folder.read, sorted(numbers)) if record is not None]
    written = store.get_json(f"{folder.folder}/sweep.json", "run the sweep again, which writes it anew") or {}
    judged_on = written.get("selection", {}).get("split", "half")
    return pandas.DataFrame([row(record, judged_on) for record in records])


def row(record: TrialRecord, judged_on: str) -> dict[str, Any]:
    """A trial as one flat line; `judged_on`: "half" of the test images, or all of the "test" set."""
    named = {name: value for name, value in record.numbers.items() if isinstance(value, int | float)}
    return {
        "trial": record.number,
        "state": record.state,
        "feasible": record.feasible,
        "judged_on": judged_on,
        **{
            path: value if isinstance(value, int | float | str) else json.dumps(value)
            for path, value in record.point.items()
        },
        **{name: value for name, value in named.items() if name != PROGRESS},
        "epochs": record.epochs,
        "seconds": record.seconds,
        "error": record.error,
    }


def best_yaml(results: SweepResults, config: Config) -> str:
    """A config that the experiment's own job takes, with what it should give in its comment."""
    best, sweep = results.best, results.sweep
    assert best is not None
    lines = [
        f"Trial {best.number} of the sweep {sweep.study} [{short(results.key)}]: {format_point(best.point)}",
        f"Run it with: python jobs/{EXPERIMENTS[sweep.experiment].name}.py best.yaml",
    ]
    if best.schedule:
        lines += [
            "THE TRIAL WAS TRAINED BY A SCHEDULE, which a config of that job cannot say: this one holds its last",
            "values from the first epoch on, and the numbers below are this config's. The schedule:",
            *(f"  until epoch {until}: {format_point(point)}" for until, point in best.schedule),
        ]
    named = LAST_VALUES if best.schedule else WINNER
    for final in results.finals:
        if final.name == named:
            for measure in results.measures:
                held = final.held_out.get(measure.name)
                there = f"; on the half of it that judged no trial {format_estimate(held)}" if held else ""
                lines.append(
                    f"{measure.name}: {format_estimate(final.whole[measure.name])} on the whole test set{there}."
                )
    if results.finals and results.split_note:
        lines.append(results.split_note)
    if sweep.selection.split == "test":
        lines.append("CHOSEN ON THE TEST SET: its numbers are too good by as much as the search could fit to them.")
    return "".join(f"# {line}\n" for line in lines) + to_yaml(config)


def format_point(point: Point) -> str:
    return ", ".join(f"{path}={json.dumps(value)}" for path, value in point.items())


def format_estimate(estimate: Estimate) -> str:
    """Mean with its standard error, seeds and n."""
    if math.isnan(estimate.mean):
        return ABSENT
    error = "" if math.isnan(estimate.se) else f" +- {estimate.se:.4f}"
    return f"{estimate.mean:.4f}{error} ({counted(estimate.seeds, 'seed')}, n = {estimate.n})"
