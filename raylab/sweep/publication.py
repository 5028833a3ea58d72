"""A sweep as runs of a tracker: a parent, a child for each trial, and one for each of the final configs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace

from raylab.engine.identity import canonical_json, fingerprint, short
from raylab.engine.space import Point
from raylab.report import tracker
from raylab.report.blocks import Report
from raylab.sweep.config import Sweep
from raylab.sweep.records import TrialRecord as Trial
from raylab.sweep.results import SweepResults, format_point
from raylab.tracking import Param, Publication, Record


def parent(sweep: Sweep, key: str) -> Record:
    """The parent run before there are results."""
    params: dict[str, Param] = {
        "experiment": sweep.experiment,
        "sampler": sweep.sampler,
        "scheduler": sweep.scheduler.name,
        "trials": sweep.count,
        "selection": sweep.selection.split,
        "swept": ", ".join(sweep.space),
    }
    tags = {"raylab.stage": "sweep", "raylab.config": canonical_json(sweep)}
    return Record(key, f"{sweep.study} {sweep.sampler} [{short(key)}]", params, tags=tags)


def publication(results: SweepResults, report: Report) -> Publication:
    opened, best = parent(results.sweep, results.key), results.best
    tags = {**opened.tags, "mlflow.source.git.commit": results.commit}
    if best is not None:
        tags["raylab.best"] = f"trial {best.number}"
    return tracker.published(replace(opened, tags=tags), report, (*_trials(results), *_finals(results)))


def _trials(results: SweepResults) -> Iterator[Record]:
    best, front = results.best, {record.number for record in results.front}
    for trial in results.records:
        marks = {"raylab.best": "true"} if best is not None and trial.number == best.number else {}
        if trial.number in front:
            marks["raylab.front"] = "true"
        yield Record(
            fingerprint((results.key, trial.number)),
            f"trial {trial.number}",
            {**_params(results, trial.point), "trial": trial.number},
            dict(_metrics(results, trial)),
            dict(_curves(results, trial)),
            tags={"raylab.stage": "trial", "raylab.state": trial.state, "raylab.trial": str(trial.number), **marks},
            note=trial.error
            or "; ".join(f"until epoch {until}: {format_point(point)}" for until, point in trial.schedule),
        )


def _metrics(results: SweepResults, trial: Trial) -> Iterator[tuple[str, float]]:
    """Those of a finished trial: an early stop is no result."""
    if trial.state == "finished":
        group = "test" if results.sweep.selection.split == "test" else "validation"
        yield from ((f"{group}/{one.name}", trial.value(one.name)) for one in results.sweep.measures)
    yield "cost/epochs", float(trial.epochs)
    yield "cost/seconds", trial.seconds


def _curves(results: SweepResults, trial: Trial) -> Iterator[tuple[str, tuple[float, ...]]]:
    if trial.curve:
        names = (f"by_epoch/{results.sweep.objectives[0].name}", "train/accuracy", "train/loss")
        for name, values in zip(names, zip(*trial.curve, strict=True), strict=True):
            yield name, tuple(values)


def _finals(results: SweepResults) -> Iterator[Record]:
    seeds = results.sweep.final.seeds if results.sweep.final else ()
    for final in results.finals:
        metrics = {f"test_split/{name}": one.mean for name, one in final.held_out.items()}
        metrics |= {f"whole_test_set/{name}": one.mean for name, one in final.whole.items()}
        metrics |= {f"test_split_se/{name}": e.se for name, e in final.held_out.items() if not math.isnan(e.se)}
        yield Record(
            fingerprint((results.key, f"final {final.name}")),
            f"final: {final.name}",
            {**_params(results, final.point), "config": final.name, "seeds": ", ".join(map(str, seeds))},
            metrics,
            tags={"raylab.stage": "final"},
        )


def _params(results: SweepResults, point: Point) -> dict[str, Param]:
    """With the sweep: another one of this name may have a trial of the same number and point."""
    return {"sweep": short(results.key), **{path: _param(value) for path, value in point.items()}}


def _param(value: object) -> Param:
    return value if isinstance(value, str | int | float | bool) else json.dumps(value)
