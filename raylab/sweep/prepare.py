"""A sweep before anything runs: everything that can be known to be wrong with it, told at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from raylab.config import Config, ConfigError
from raylab.config.document import COMMAND_LINE, text_of
from raylab.engine import space
from raylab.engine.identity import fingerprint
from raylab.engine.space import Point
from raylab.sweep.config import Sweep
from raylab.sweep.schedule import check, under
from raylab.sweep.space import Base, Needs, Prepared, measured, needed, recipe_of, side_of, watched

MAX_LISTED = 20  # problems that are told


def prepare(sweep: Sweep, folder: Path) -> Prepared:
    """Raises ConfigError with everything that can be known to be wrong."""
    base = base_of(sweep, folder)
    unswept = base.config({})
    problems = [line for path, one in sweep.space.items() for line in _refused(base, path, one.anchors)]
    known, tried, needs = tuple[Point, ...](), tuple[Point, ...](), tuple[Needs, ...]()
    if problems:  # no point can be planned; the config as it is can
        problems += _measure_problems(sweep, base)
    else:
        known = _points(sweep)
        tried = known or tuple(space.corners(sweep.space))
        needs, problems = _planned(sweep, base, tried)
        problems = problems or _final_problems(sweep, base, unswept, tried)
    if len(problems) > MAX_LISTED:
        problems = [*problems[:MAX_LISTED], f"... and {len(problems) - MAX_LISTED} more"]
    if problems:
        raise ConfigError(problems)
    return Prepared(sweep, base, key_of(sweep, base, unswept, tried[0], needs), known, needs)


def base_of(sweep: Sweep, folder: Path) -> Base:
    """Raises ConfigError where the file cannot be read."""
    if not isinstance(sweep.config, str):
        return Base(sweep.experiment, json.dumps(sweep.config), sweep.changes, "config")
    return Base(sweep.experiment, text_of(folder / sweep.config), sweep.changes, sweep.config)


def key_of(sweep: Sweep, base: Base, unswept: Config, first: Point, needs: Sequence[Needs]) -> str:
    """Of the search: the same file over another config is another one, and so is one over other raw bytes or by other
    code, which the stages' keys tell; comments and the final seeds change nothing."""
    made = list(needs)
    if sweep.scheduler.changes:
        epochs = recipe_of(watched(sweep, needs[0])[0]).epochs
        made.append(under(sweep, base, needs[0], ((1, first), (epochs, first))))
    stages = tuple(sorted({stage.key for one in made for cells in one.values() for stage in cells.values()}))
    asked = {name: one for name, one in sweep if name not in ("study", "config", "changes", "final", "tensorboard")}
    # A grid's numbers go by the order of its fields, which is none of the canonical form.
    return fingerprint({**asked, "base": unswept, "fields": tuple(sweep.space), "stages": stages})


def _points(sweep: Sweep) -> tuple[Point, ...]:
    if sweep.sampler == "tpe":
        return ()
    if sweep.sampler == "grid":
        return tuple(space.grid(sweep.space))
    return tuple(space.random(sweep.space, sweep.count, sweep.seed))


def _planned(sweep: Sweep, base: Base, points: Sequence[Point]) -> tuple[tuple[Needs, ...], list[str]]:
    """What is measured at every point, and why that is not known."""
    needs, problems, of_all = list[Needs](), list[str](), dict[str, None]()
    for point in points:
        try:
            needs.append(needed(sweep, base, point))
        except ConfigError as error:
            problems += [f"space: {_shown(point)}: {_bare(line)}" for line in error.problems]
        except ValueError as error:  # the same for every point, where the measure itself is wrong
            of_all |= dict.fromkeys(str(error).splitlines())
    problems += list(of_all)
    if sweep.scheduler.changes and not problems:
        try:
            check(sweep, needs)
        except ValueError as error:
            problems.append(str(error))
    return tuple(needs), problems


def _measure_problems(sweep: Sweep, base: Base) -> list[str]:
    try:
        measured(sweep, base, {}, sweep.measures, side_of(sweep))
    except (ConfigError, ValueError) as error:
        return str(error).splitlines()
    return []


def _refused(base: Base, path: str, anchors: tuple[Any, ...]) -> Iterator[str]:
    """Why a field does not take values of its distribution: its type, its range, or no such field."""
    told: set[str] = set()
    for value in anchors:
        try:
            base.config({path: value})
        except ConfigError as error:
            for line in error.problems:
                if not line.startswith(f"{COMMAND_LINE}: {path}"):
                    continue  # a rule between fields, which another field of the space may satisfy
                if (text := _bare(line)) not in told:
                    told.add(text)
                    yield f"space.{text}"


def _final_problems(sweep: Sweep, base: Base, unswept: Config, tried: Sequence[Point]) -> list[str]:
    if sweep.final is None:
        return []
    if not isinstance(getattr(unswept, "seeds", None), tuple):
        return [f"final: {sweep.experiment} has no seeds to make fresh; set final: null"]
    # Of a sampler that learns, the points are not known: it may take any value of the list.
    listed = sweep.space["seeds"].values if "seeds" in sweep.space else ()
    points = (*tried, *({"seeds": value} for value in listed))
    used = {seed for point in points for seed in getattr(base.config(point), "seeds", ())}
    again = sorted(used & set(sweep.final.seeds))
    if again:
        return [f"final.seeds: fresh ones, but trials use {again}; choose others"]
    try:
        measured(sweep, base, {"seeds": sweep.final.seeds}, (*sweep.measures, *sweep.final.beside), side_of(sweep))
    except (ConfigError, ValueError) as error:
        return [f"final: {line}" for line in str(error).splitlines()]
    return []


def _bare(line: str) -> str:
    return line.removeprefix(f"{COMMAND_LINE}: ")


def _shown(point: Point) -> str:
    return ", ".join(f"{path}={json.dumps(value)}" for path, value in point.items())
