"""From the cells of a plan to a number: which cells are meant, on which half of the test set, and what they say."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from raylab.config.document import did_you_mean
from raylab.core.statistics import Estimate, sampled
from raylab.engine.artifact import Artifact
from raylab.engine.stage import Stage, closure
from raylab.report import hits
from raylab.report.per_seed import PerSeed
from raylab.stages.data_config import DigitsData
from raylab.stages.half import Side, half_of
from raylab.sweep.config import Measure

Cells = Mapping[Any, Stage]
SEED = "seed"  # the field of a cell that a measure is a mean over
METRICS = {"evaluation": ("accuracy", "n", "p1")}  # what is known of a kind before one is built
# Shares of images, by kind and metric: which images are hit. Of a curve the last value counts, as everywhere here.
BY_IMAGE: Mapping[tuple[str, str], Callable[[hits.Columns], Any]] = {
    ("evaluation", "accuracy"): lambda rows: rows["correct"],
    ("evaluation", "p1"): lambda rows: rows["next_class"],
    ("robustness", "robust"): lambda rows: hits.is_robust(rows, -1),
}


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
    return is_test_data(stage) and isinstance(stage.config.data, DigitsData)


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


def estimate(artifacts: Mapping[Hashable, Artifact], metric: str) -> float:
    """Mean over the seeds of the cells; cells of one seed are averaged first."""
    by_seed: dict[object, list[float]] = {}
    for cell, artifact in artifacts.items():
        by_seed.setdefault(getattr(cell, SEED, 0), []).append(value(artifact, metric))
    means = [sum(values) / len(values) for values in by_seed.values()]
    return sum(means) / len(means)


def over(by_seed: PerSeed) -> Estimate:
    """Mean over seeds. The standard error is that over seeds, nan with one: another run would have other networks."""
    found = by_seed.mean
    return replace(found, se=math.nan) if found.seeds == 1 else found


def seed_by_seed(cells: Cells, artifacts: Mapping[Any, Artifact], metric: str) -> PerSeed:
    """The metric by seed, cells of one seed averaged: by image where it is a share of images whose answers are at hand,
    so that seeds and configs which were tested on the same images can be compared on them."""
    by_seed: dict[int, list[Hashable]] = {}
    for cell in cells:
        by_seed.setdefault(getattr(cell, SEED, 0), []).append(cell)
    return PerSeed({s: _of_seed(s, [(cells[c], artifacts[c]) for c in of], metric) for s, of in by_seed.items()})


def _of_seed(seed: int, of: Sequence[tuple[Stage, Artifact]], metric: str) -> Estimate:
    values = [value(artifact, metric) for _, artifact in of]  # raises where there is no such number
    names = {_images(stage, seed) for stage, _ in of if (stage.kind, metric) in BY_IMAGE}
    if len(names) == 1 and all((stage.kind, metric) in BY_IMAGE for stage, _ in of):
        rows = [artifact.without_images() for _, artifact in of]
        ids = rows[0]["id"]
        if all(np.array_equal(one["id"], ids) for one in rows):
            hit = [BY_IMAGE[stage.kind, metric](one) for (stage, _), one in zip(of, rows, strict=True)]
            shares = np.mean(hit, axis=0) if len(hit) > 1 else np.asarray(hit[0], dtype=bool)
            return sampled(shares, ids, names.pop(), (0.0, 1.0))
    n = sum(int(artifact.metrics.get("n", 0)) for _, artifact in of)
    return Estimate(sum(values) / len(values), math.nan, n, 1)


def _images(stage: Stage, seed: int) -> str:
    """What the ids of its data are of: the images of a data set that seeds may share, or data of its own."""
    data = stage.inputs["data"]
    for one in closure([data]):
        if is_test_data(one):
            return str(one.config.data.images_of(seed, "test"))
    return data.key


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
