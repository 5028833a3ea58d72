"""Running a sweep: what trials share, the trials, the final comparison on fresh seeds, and everything that is shown."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from raylab.engine import provenance, runner
from raylab.engine.files import replace_file, told
from raylab.engine.progress import Progress
from raylab.engine.runner import BuildFailed, InlineBackend
from raylab.engine.search import Ended, Numbers, Search, Searcher
from raylab.engine.space import Point
from raylab.engine.stage import Stage, closure
from raylab.report.files import files
from raylab.report.terminal import as_text, preview
from raylab.site import Site
from raylab.sweep.config import Sweep
from raylab.sweep.final import finals
from raylab.sweep.inline import InlineSearcher, check_inline
from raylab.sweep.measure import drawn_by_seed
from raylab.sweep.publication import parent, publication
from raylab.sweep.records import Records, TrialRecord, epochs_of
from raylab.sweep.report import page, report
from raylab.sweep.results import SweepResults, best_yaml
from raylab.sweep.space import Needs, Prepared, watched
from raylab.sweep.trial import TrialBody, name_of
from raylab.sweep.words import line

UNWRITTEN = "it ended, and nothing in this sweep ends a trial early, but it left no record"
LEFT_OUT = "the search ended without it"
PASSES = 2  # of a search, which may end without one of its trials


def run(prepared: Prepared, site: Site) -> SweepResults | None:
    """None of a dry run. `check` comes before. Raises BuildFailed where the final configs could not be built."""
    sweep = prepared.sweep
    if site.dry_run:
        print(preview(prepared, site.store))
        return None
    with site.tracker.job(f"sweeps/{sweep.study}", parent(sweep, prepared.key)) as tracked:
        records = search(prepared, site)
        results = SweepResults(sweep, prepared.key, records, commit=str(provenance.collect().get("commit", "unknown")))
        results = replace(results, drawn_by_seed=any(drawn_by_seed(stage) for stage in closure(prepared.values())))
        if sweep.final is not None and results.best is not None:
            results = replace(results, finals=tuple(finals(prepared, results, site)))
        one = report(results)
        published = publication(results, one)
        shown = {"report.html": page(results, one).encode(), **_best(prepared, results)}
        place = _keep(site, sweep, {**shown, **files(one)})
        tracked.publish(replace(published, files={**published.files, **shown}))
    print(as_text(one, site.full))
    print(f"\nfiles     {place}\ntracking  {site.tracker.describe()}")
    return results


def check(prepared: Prepared, site: Site) -> None:
    """Raises ConfigError where the search needs Tune and the site has none."""
    if site.file.backend == "inline":
        check_inline(prepared.sweep.scheduler, bool(prepared.points))


def search(prepared: Prepared, site: Site) -> tuple[TrialRecord, ...]:
    """The record of every trial, run or found. Raises BuildFailed where trials that a sampler should have proposed are
    not there."""
    sweep, store, count = prepared.sweep, site.store, prepared.sweep.count
    records = Records(store, prepared.key)
    fixed = () if sweep.scheduler.changes else prepared.points  # a trial that changes ends at another point
    store.put_json(f"{records.folder}/sweep.json", sweep.model_dump(mode="json"), indent=1)
    searcher = _searcher(site)
    planned = {name_of(point): needs for point, needs in zip(prepared.points, prepared.needs, strict=False)}
    body = TrialBody(sweep, prepared.base, prepared.key, store, provenance.collect(), planned)
    for attempt in range(PASSES):
        ended = records.all(count, fixed)
        done = {number: record for number, record in ended.items() if attempt or record.state != "lost"}
        if len(done) == count:
            break
        if not attempt:
            share(prepared, set(done), site)
        wanted = _search(prepared, done)
        # The lost ones start afresh; and so do those whose points a sampler will propose, for they will be others.
        if attempt or len(done) < len(ended) or not prepared.points:
            searcher.forget_trials(wanted, store)
        told: list[int] = sorted(done)

        def on_line(ended: Ended, told: list[int] = told) -> None:
            if ended.number not in told:
                told.append(ended.number)
                print(line(ended, sweep, len(told)), file=sys.stderr, flush=True)

        searcher.run_trials(wanted, body, store, lambda ended: _note(prepared, records, ended), on_line)
    ended = records.all(count, fixed)
    absent = [number for number in range(count) if number not in ended]
    if absent and not prepared.points:
        raise BuildFailed({f"trial {number}": LEFT_OUT for number in absent}, skipped=0)
    for number in absent:
        ended[number] = _lost(sweep, number, prepared.points[number], LEFT_OUT)
        records.write(ended[number])
    return tuple(ended[number] for number in range(count))


def _search(prepared: Prepared, done: Mapping[int, TrialRecord]) -> Search:
    sweep = prepared.sweep
    return Search(
        key=prepared.key,
        count=sweep.count,
        points=prepared.points,
        space=sweep.space,
        seed=sweep.seed,
        aims=sweep.aims,
        constraints=tuple(one.name for one in sweep.constraints),
        scheduler=sweep.scheduler,
        tensorboard=sweep.tensorboard,
        # What a stopped trial said last is no example of its point: it would teach a sampler that the point is bad.
        done=tuple((r.number, r.point, r.numbers if r.state == "finished" else {}) for r in done.values()),
    )


def _note(prepared: Prepared, records: Records, ended: Ended) -> None:
    """Of a trial whose body did not live to write its record."""
    known = records.read(ended.number, None if prepared.sweep.scheduler.changes else ended.point)
    if known is not None and known.state != "lost":
        return
    sweep = prepared.sweep
    cause = ended.lost if ended.lost is not None or sweep.scheduler.stops else UNWRITTEN
    if cause is not None:
        records.write(_lost(sweep, ended.number, ended.point, cause, ended.numbers))
        return
    curve = tuple((float(a), float(b), float(c)) for a, b, c in ended.numbers.get("curve", ()))
    seconds = round(float(ended.numbers.get("time_total_s", 0.0)), 3)
    epochs = epochs_of(ended.numbers)
    numbers = _told(sweep, ended.numbers)
    records.write(TrialRecord(ended.number, ended.point, "stopped", numbers, "", epochs, seconds, (), curve))


def _lost(sweep: Sweep, number: int, point: Point, cause: str, told: Numbers | None = None) -> TrialRecord:
    return TrialRecord(number, point, "lost", _told(sweep, told or {}), cause, epochs_of(told or {}))


def _told(sweep: Sweep, numbers: Numbers) -> Numbers:
    return {one.name: numbers.get(one.name, math.nan) for one in sweep.measures} | {"violations": []}


def _searcher(site: Site) -> Searcher:
    if isinstance(site.backend, Searcher):
        return site.backend
    device = site.backend.device if isinstance(site.backend, InlineBackend) else "cpu"
    return InlineSearcher(device)


def share(prepared: Prepared, done: set[int], site: Site) -> None:
    """Build what several trials need before they start, or each would build it for itself. What fails here fails in
    its trials, which say so."""
    left = [needs for number, needs in enumerate(prepared.needs) if not prepared.points or number not in done]
    closures = [_unwatched(prepared.sweep, needs) for needs in left]
    counts = Counter(stage.key for stages in closures for stage in stages)
    # Where a sampler proposes the points, those at hand are only examples: what they all need, every trial will.
    least = 2 if prepared.points else len(closures)
    shared = {s.key: s for stages in closures for s in stages if counts[s.key] >= least}
    if shared and len(closures) > 1:
        try:
            runner.build(shared, site.store, site.backend, Progress(), site.retry)
        except BuildFailed as error:
            print(f"what trials share: {error}", file=sys.stderr, flush=True)


def _unwatched(sweep: Sweep, needs: Needs) -> list[Stage]:
    """All but the training that only its own trial can follow, and what hangs on it."""
    stages = made_from(needs)
    if not sweep.watched:
        return stages
    hanging = {watched(sweep, needs)[0].key}
    for stage in stages:  # in an order in which inputs come first
        if any(one.key in hanging for one in stage.inputs.values()):
            hanging.add(stage.key)
    return [stage for stage in stages if stage.key not in hanging]


def made_from(needs: Needs) -> list[Stage]:
    return closure(stage for cells in needs.values() for stage in cells.values())


def _best(prepared: Prepared, results: SweepResults) -> dict[str, bytes]:
    if results.best is None:
        return {}
    seeds = {"seeds": prepared.sweep.final.seeds} if prepared.sweep.final else {}
    config = prepared.base.config({**results.best.point, **seeds})
    return {"best.yaml": best_yaml(results, config).encode()}


def _keep(site: Site, sweep: Sweep, files: Mapping[str, bytes]) -> Path:
    folder = site.reports / "sweeps" / sweep.study
    for name, data in files.items():
        with told(str(folder / name), f"{len(data):,} bytes cannot be written"):
            replace_file(str(folder / name), data)
    for name in ("best.yaml", *(f"tables/{path.name}" for path in (folder / "tables").glob("*.csv"))):
        if name not in files:  # of an earlier sweep of this name, which had a winner, or more to show
            (folder / name).unlink(missing_ok=True)
    return folder
