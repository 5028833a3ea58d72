"""A sweep as runs of a tracker: a parent, a child for each trial, and one for each of the final configs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping

from raylab.identity import canonical_json, fingerprint, short
from raylab.sweep.config import Sweep
from raylab.sweep.records import Record as Trial
from raylab.sweep.results import Results, said
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
    return Record(
        key,
        f"{sweep.study} {sweep.sampler} [{short(key)}]",
        params,
        tags={"raylab.stage": "sweep", "raylab.config": canonical_json(sweep)},
    )


def publication(results: Results, files: Mapping[str, bytes]) -> Publication:
    opened = parent(results.sweep, results.key)
    best = results.best
    metrics = {f"best {one.name}": best.value(one.name) for one in results.sweep.measures} if best else {}
    metrics["epochs"] = float(sum(record.epochs for record in results.records))
    for state in ("finished", "stopped", "failed", "lost"):
        metrics[f"trials {state}"] = float(sum(record.state == state for record in results.records))
    for final in results.finals:
        metrics |= {f"{final.name}, held out: {name}": one.mean for name, one in final.held_out.items()}
    tags = {**opened.tags, "mlflow.source.git.commit": results.commit}
    if best is not None:
        tags["raylab.best"] = f"trial {best.number}"
    children = (*_trials(results), *_finals(results))
    return Publication(Record(opened.key, opened.name, opened.params, metrics, tags=tags), children, files)


def _trials(results: Results) -> Iterator[Record]:
    best, front = results.best, {record.number for record in results.front}
    for trial in results.records:
        marks = {"raylab.best": "true"} if best is not None and trial.number == best.number else {}
        if trial.number in front:
            marks["raylab.front"] = "true"
        yield Record(
            fingerprint((results.key, trial.number)),
            f"trial {trial.number}",
            {path: _param(value) for path, value in trial.point.items()},
            dict(_metrics(results, trial)),
            dict(_curves(results, trial)),
            tags={"raylab.stage": "trial", "raylab.state": trial.state, "raylab.trial": str(trial.number), **marks},
            note=trial.error or "; ".join(f"until epoch {until}: {said(point)}" for until, point in trial.schedule),
        )


def _metrics(results: Results, trial: Trial) -> Iterator[tuple[str, float]]:
    """Those of a finished trial: an early stop is no result."""
    if trial.state == "finished":
        yield from ((one.name, trial.value(one.name)) for one in results.sweep.measures)
    yield "epochs", float(trial.epochs)
    yield "seconds", trial.seconds


def _curves(results: Results, trial: Trial) -> Iterator[tuple[str, tuple[float, ...]]]:
    if trial.curve:
        names = (f"{results.sweep.objectives[0].name} by epoch", "training accuracy", "training loss")
        for name, values in zip(names, zip(*trial.curve, strict=True), strict=True):
            yield name, tuple(values)


def _finals(results: Results) -> Iterator[Record]:
    for final in results.finals:
        metrics = {f"{name}, held out": one.mean for name, one in final.held_out.items()}
        metrics |= {f"{name}, whole test set": one.mean for name, one in final.whole.items()}
        metrics |= {f"{name}, held out, se": e.se for name, e in final.held_out.items() if not math.isnan(e.se)}
        seeds = results.sweep.final.seeds if results.sweep.final else ()
        yield Record(
            fingerprint((results.key, f"final {final.name}")),
            f"final: {final.name}",
            {**{path: _param(value) for path, value in final.point.items()}, "seeds": ", ".join(map(str, seeds))},
            metrics,
            tags={"raylab.stage": "final"},
        )


def _param(value: object) -> Param:
    return value if isinstance(value, str | int | float | bool) else json.dumps(value)
