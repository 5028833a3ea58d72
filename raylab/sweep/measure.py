"""From the cells of a plan to a number: which cells are meant, on which half of the test set, and what they say."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import Any

from raylab.artifact import Artifact
from raylab.core.statistics import Estimate, over_seeds
from raylab.document import did_you_mean
from raylab.stage import Stage
from raylab.stages.data_config import DigitsData
from raylab.stages.half import Side, half_of
from raylab.sweep.config import Measure

Cells = Mapping[Any, Stage]
SEED = "seed"  # the field of a cell that a measure is a mean over
METRICS = {"evaluation": ("accuracy", "n", "p1")}  # what is known of a kind before one is built


def chosen(measure: Measure, cells: Cells) -> dict[Hashable, Stage]:
    """The cells that a measure means, one a seed. Raises ValueError where that is none or not clear, or the kind of
    artifact has no such metric."""
    fields = next(iter(cells))._fields
    for name in measure.cell:
        if name not in fields:
            hint = did_you_mean(name, fields) or f"choose from {', '.join(fields)}"
            raise ValueError(f"{measure.name}: cell.{name}: cells have no such field; {hint}")
    found = {cell: stage for cell, stage in cells.items() if _meant(measure.cell, cell)}
    if not found:
        raise ValueError(f"{measure.name}: no cell has {dict(measure.cell)}; {_nearest(measure.cell, cells)}")
    for name in fields:
        values = dict.fromkeys(getattr(cell, name) for cell in found)
        if name not in (SEED, *measure.cell) and len(values) > 1:
            raise ValueError(
                f"{measure.name}: cells with {dict(measure.cell)} differ in {name}: {list(values)}; name the one that "
                f"is meant, or {name}: {list(values)} for the mean of all"
            )
    kind, (head, _, _) = next(iter(found.values())).kind, measure.metric.partition(".")
    if kind in METRICS and head not in METRICS[kind]:
        hint = did_you_mean(head, METRICS[kind]) or f"choose from {', '.join(METRICS[kind])}"
        raise ValueError(f"{measure.name}: metric: artifacts of kind {kind} have no {head!r}; {hint}")
    return found


def on_side(stage: Stage, side: Side, seed: int) -> Stage:
    """The same measurement with half of the test images in the place of all: every stage that reads them, directly or
    not, becomes another one; what only reads training images is the very same stage."""
    said = f"({side.replace('_', ' ')} half)"
    return replaced(stage, lambda one: half_of(one, side, seed) if is_test_data(one) else None, said)


def replaced(stage: Stage, by: Callable[[Stage], Stage | None], said: str) -> Stage:
    """A stage with others in the place of some that it is made from; `said` is added to the names of what changes."""
    done: dict[str, Stage] = {}

    def moved(one: Stage) -> Stage:
        if one.key not in done:
            inputs = {role: moved(needed) for role, needed in one.inputs.items()}
            if (other := by(one)) is not None:
                done[one.key] = other
            elif all(inputs[role].key == needed.key for role, needed in one.inputs.items()):
                done[one.key] = one
            else:
                done[one.key] = replace(one, inputs=inputs, name=f"{one.name} {said}")
        return done[one.key]

    return moved(stage)


def is_test_data(stage: Stage) -> bool:
    return stage.kind == "data" and getattr(stage.config, "split", None) == "test"


def drawn_by_seed(stage: Stage) -> bool:
    """Whether it is test data whose seed chooses which images those are: a network of another seed may know them. (A
    seed of See-Far is a world of its own.)"""
    return is_test_data(stage) and isinstance(stage.config.data, DigitsData)  # type: ignore[attr-defined]


def value(artifact: Artifact, metric: str) -> float:
    """The metric of an artifact; the last value of a curve. Raises ValueError where it has no such number."""
    found: Any = artifact.metrics
    for key in metric.split("."):
        if not isinstance(found, Mapping) or key not in found:
            known = list(found) if isinstance(found, Mapping) else []
            hint = did_you_mean(key, known) or f"it has {', '.join(map(str, known)) or 'no more keys'}"
            raise ValueError(f"{artifact.label}: no metric {metric!r}; {hint}")
        found = found[key]
    if isinstance(found, list | tuple) and found:
        found = found[-1]
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise ValueError(f"{artifact.label}: metric {metric!r} is no finite number, got {found!r}")
    return float(found)


def estimate(artifacts: Mapping[Hashable, Artifact], metric: str) -> Estimate:
    """Mean over the seeds of the cells; cells of one seed are averaged first. The standard error is that over seeds,
    nan with one."""
    by_seed: dict[object, list[float]] = {}
    n = 0
    for cell, artifact in artifacts.items():
        by_seed.setdefault(getattr(cell, SEED, 0), []).append(value(artifact, metric))
        n += int(artifact.metrics.get("n", 0))
    means = [sum(values) / len(values) for values in by_seed.values()]
    return Estimate(means[0], math.nan, n, 1) if len(means) == 1 else over_seeds(means, n)


def _meant(selector: Mapping[str, Any], cell: Any) -> bool:
    return all(
        getattr(cell, name) in (wanted if isinstance(wanted, tuple) else (wanted,)) for name, wanted in selector.items()
    )


def _nearest(selector: Mapping[str, Any], cells: Cells) -> str:
    """The field whose value none of the cells that fit so far has."""
    fitting = list(cells)
    for name, wanted in selector.items():
        left = [cell for cell in fitting if _meant({name: wanted}, cell)]
        if not left:
            values = list(dict.fromkeys(getattr(cell, name) for cell in fitting))
            hint = did_you_mean(wanted, [str(value) for value in values])
            return f"{name}: {hint or f'choose from {values}'}"
        fitting = left
    return "their fields do not occur together"
