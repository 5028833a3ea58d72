"""The studies of a store, planned again from the configs that it keeps: to compute some of it, and to show it again."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from raylab import cli
from raylab.config import ConfigError, load
from raylab.engine import kept_runs, provenance
from raylab.engine.artifact import Artifact, StoreError
from raylab.engine.identity import short
from raylab.engine.kept_runs import KeptRun
from raylab.engine.stage import Stage, closure, is_task
from raylab.engine.store import Store
from raylab.engine.study import AnyStudy, Study
from raylab.engine.worker import Worker, shard_count, source_of
from raylab.report.experiment import AnyExperiment
from raylab.report.experiments import EXPERIMENTS
from raylab.site import Site


class Replanned(NamedTuple):
    """A reported study, or why it cannot be planned here."""

    run: KeptRun
    experiment: AnyExperiment | None = None
    study: AnyStudy | None = None
    problem: str = ""


class Recomputed(NamedTuple):
    """A shard that was computed again."""

    where: str
    same: bool
    made_on: str  # the device that computed it first


def replanned(store: Store, named: Sequence[str] = ()) -> Iterator[Replanned]:
    """The reported studies, or those of these names, experiments or keys.  Raises StoreError where there is none."""
    kept = kept_runs.kept(store)
    known = {name for run in kept for name in (run.study, run.experiment, short(run.key))}
    if strange := [name for name in named if name not in known]:
        raise StoreError(
            f"{', '.join(strange)}: no study in {store.shown}; it has {', '.join(sorted(known)) or 'none'}"
        )
    for run in kept:
        if not named or {run.study, run.experiment, short(run.key)} & set(named):
            yield _planned(run)


def _planned(run: KeptRun) -> Replanned:
    try:
        experiment: AnyExperiment = EXPERIMENTS[run.experiment]
        config = load(experiment.config, json.dumps(run.config), (), f"{run.experiment} {run.study}")
        study = Study(config, experiment.plan(config))
    except KeyError:
        return Replanned(run, problem="this raylab has no such experiment")
    except (ConfigError, ValueError) as error:  # its data lie elsewhere, or the config is of another raylab
        return Replanned(run, problem=str(error).splitlines()[0])
    if study.key != run.key:
        return Replanned(run, problem="its code or its data have changed since: they make another study of its config")
    return Replanned(run, experiment, study)


def recompute(store: Store, count: int, device: str, named: Sequence[str] = ()) -> Iterator[Recomputed | str]:
    """So many shards, drawn at random from those of the reported studies, computed again and compared with what is
    stored; of a study that cannot be planned here, why.  Nothing is written.  Raises CorruptArtifact."""
    stages: dict[str, Stage] = {}
    for one in replanned(store, named):
        if one.study is None:
            yield f"{one.run.experiment}, study {one.run.study}: cannot be computed again: {one.problem}"
        else:
            stages |= {stage.key: stage for stage in closure(one.study.cells.values()) if not is_task(stage)}
    found = zip(stages.values(), store.map_parallel(store.find, list(stages.values())), strict=True)
    sources = {stage: artifact for stage, artifact in found if artifact is not None}
    shards = [(stage, index) for stage, made in sources.items() for index in range(_shards(store, stage, made))]
    worker = Worker(store, device, provenance.collect())
    for stage, index in sorted(random.sample(shards, min(count, len(shards))), key=lambda one: (one[0].label, one[1])):
        part = sources[stage].parts[index]
        data, _ = worker.compute(stage, index)
        yield Recomputed(f"{stage.label} {part.path}", data == sources[stage].read(part.name), part.device)


def _shards(store: Store, stage: Stage, made: Artifact) -> int:
    """None where its source was removed: nothing can be computed of it."""
    source = store.find(source_of(stage))
    return 0 if source is None else min(shard_count(stage, source.rows), len(made.parts))


def republish(one: Replanned, site: Site) -> None:
    """The study's page, tables and tracker records, from the store alone.  Raises StoreError where it lacks one of its
    artifacts, NotShown where something could not be written."""
    assert one.study is not None
    assert one.experiment is not None
    cells = one.study.cells
    found = dict(zip(cells, site.store.map_parallel(site.store.find, list(cells.values())), strict=True))
    missing = {(one.study.key, cell): "the store has it not" for cell, artifact in found.items() if artifact is None}
    artifacts = {(one.study.key, cell): artifact for cell, artifact in found.items() if artifact is not None}
    if not artifacts:
        raise StoreError(f"{one.run.experiment}, study {one.run.study}: the store has none of its artifacts")
    with cli.opened(one.experiment, one.study, site) as run:
        cli.show(one.experiment, [(run, one.study.built(artifacts, missing))], site)
