"""Running a sweep: what trials share, the trials, the final comparison on fresh seeds, and everything that is shown."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from raylab import provenance, runner
from raylab.progress import Progress
from raylab.report.sweep.page import page
from raylab.report.terminal import preview
from raylab.runner import BuildFailed, InlineBackend
from raylab.search import Ended, Search, Searcher
from raylab.site import Site
from raylab.stage import Stage, closure
from raylab.sweep.config import Sweep
from raylab.sweep.final import finals
from raylab.sweep.inline import InlineSearcher, check_inline
from raylab.sweep.publication import parent, publication
from raylab.sweep.records import Record, Records, epochs_of
from raylab.sweep.results import Results, as_csv, best_yaml
from raylab.sweep.space import Needs, Prepared, watched
from raylab.sweep.text import as_text, line
from raylab.sweep.trial import TrialBody, name_of

PASSES = 2  # of a search: a driver that was killed while Tune wrote its state may have lost a trial of Tune's


def run(prepared: Prepared, site: Site) -> Results | None:
    """None of a dry run. Raises BuildFailed where the final configs could not be built."""
    sweep = prepared.sweep
    if site.dry_run:
        print(preview(prepared, site.store))
        return None
    with site.tracker.job(f"sweeps/{sweep.study}", parent(sweep, prepared.key)) as tracked:
        records = search(prepared, site)
        results = Results(sweep, prepared.key, records, commit=str(provenance.collect().get("commit", "unknown")))
        if sweep.final is not None and results.best is not None:
            results = replace(results, finals=tuple(finals(prepared, results, site)))
        files = _files(prepared, results)
        place = _keep(site, sweep, files)
        tracked.publish(publication(results, files))
    print(as_text(results))
    print(f"\nfiles     {place}\ntracking  {site.tracker.describe()}")
    return results


def search(prepared: Prepared, site: Site) -> tuple[Record, ...]:
    """The record of every trial, run or found."""
    sweep, store, count = prepared.sweep, site.store, prepared.sweep.count
    records = Records(store, prepared.key)
    store.put(f"{records.folder}/sweep.json", json.dumps(sweep.model_dump(mode="json"), indent=1).encode())
    searcher = _searcher(prepared, site)
    planned = {name_of(point): needs for point, needs in zip(prepared.points, prepared.needs, strict=False)}
    body = TrialBody(sweep, prepared.base, prepared.key, store, provenance.collect(), planned)
    for attempt in range(PASSES):
        ended = records.all(count)
        done = {number: record for number, record in ended.items() if attempt or record.state != "lost"}
        if len(done) == count:
            break
        if not attempt:
            _share(prepared, set(done), site)
        wanted = _search(prepared, done)
        if attempt or len(done) < len(ended):  # for Tune the lost ones have had their chance
            searcher.forget_trials(wanted, store)
        told: list[int] = sorted(done)

        def on_line(ended: Ended, told: list[int] = told) -> None:
            if ended.number not in told:
                told.append(ended.number)
                print(line(ended, sweep, len(told)), file=sys.stderr, flush=True)

        searcher.run_trials(wanted, body, store, lambda ended: _note(prepared, records, ended), on_line)
    return tuple(records.all(count)[number] for number in sorted(records.all(count)))


def _search(prepared: Prepared, done: Mapping[int, Record]) -> Search:
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
    names = [measure.name for measure in prepared.sweep.measures]
    numbers = {name: ended.numbers.get(name, math.nan) for name in names} | {"violations": []}
    if ended.lost is not None:
        records.write(Record(ended.number, ended.point, "lost", numbers, ended.lost, epochs_of(ended.numbers)))
        return
    curve = tuple((float(a), float(b), float(c)) for a, b, c in ended.numbers.get("curve", ()))
    seconds = round(float(ended.numbers.get("time_total_s", 0.0)), 3)
    records.write(
        Record(ended.number, ended.point, "stopped", numbers, "", epochs_of(ended.numbers), seconds, (), curve)
    )


def _searcher(prepared: Prepared, site: Site) -> Searcher:
    if isinstance(site.backend, Searcher):
        return site.backend
    check_inline(prepared.sweep.scheduler, bool(prepared.points))
    device = site.backend.device if isinstance(site.backend, InlineBackend) else "cpu"
    return InlineSearcher(device)


def _share(prepared: Prepared, done: set[int], site: Site) -> None:
    """Build what several trials need before they start, or each would build it for itself. What fails here fails in
    its trials, which say so."""
    left = [needs for number, needs in enumerate(prepared.needs) if not prepared.points or number not in done]
    closures = [[stage for stage in made_from(needs) if not _watches(prepared, needs, stage)] for needs in left]
    counts = Counter(stage.key for stages in closures for stage in stages)
    # Where a sampler proposes the points, those at hand are only examples: what they all need, every trial will.
    least = 2 if prepared.points else len(closures)
    shared = {s.key: s for stages in closures for s in stages if counts[s.key] >= least}
    if shared and len(closures) > 1:
        try:
            runner.build(shared, site.store, site.backend, Progress())
        except BuildFailed as error:
            print(f"what trials share: {error}", file=sys.stderr, flush=True)


def _watches(prepared: Prepared, needs: Needs, stage: Stage) -> bool:
    """Whether it is, or hangs on, the training that only its own trial can follow."""
    if not prepared.sweep.watched:
        return False
    network, _ = watched(prepared.sweep, needs)
    return network in closure([stage])


def made_from(needs: Needs) -> list[Stage]:
    return closure(stage for cells in needs.values() for stage in cells.values())


def _files(prepared: Prepared, results: Results) -> dict[str, bytes]:
    html = page(results)
    files = {"trials.csv": as_csv(results), "report.html": html.encode()}
    if results.best is not None:
        seeds = {"seeds": prepared.sweep.final.seeds} if prepared.sweep.final else {}
        config = prepared.base.config({**results.best.point, **seeds})
        files["best.yaml"] = best_yaml(results, config).encode()
    return files


def _keep(site: Site, sweep: Sweep, files: Mapping[str, bytes]) -> Path:
    folder = site.reports / "sweeps" / sweep.study
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder
