"""The comparison on fresh seeds: the winner, the config before the sweep, and each control's own best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from raylab.core.statistics import Estimate
from raylab.engine import runner
from raylab.engine.progress import Progress
from raylab.engine.stage import closure
from raylab.report.per_seed import PerSeed
from raylab.site import Site
from raylab.sweep.measure import over, seed_by_seed
from raylab.sweep.records import Records
from raylab.sweep.results import BEFORE, LAST_VALUES, WINNER, FinalResult, SweepResults, best_for
from raylab.sweep.schedule import under
from raylab.sweep.space import Needs, Prepared, measured


def finals(prepared: Prepared, results: SweepResults, site: Site) -> Iterator[FinalResult]:
    """Measured on images that judged no trial, and on the whole test set. Raises BuildFailed."""
    sweep, best = prepared.sweep, results.best
    assert sweep.final is not None
    assert best is not None
    rows = {WINNER: best}
    if best.schedule:
        rows[LAST_VALUES] = best
    rows |= {best_for(one): record for one in sweep.controls if (record := results.tuned(one)) is not None}
    points = {**{name: record.point for name, record in rows.items()}, BEFORE: {}}
    needs: dict[tuple[str, str], Needs] = {}
    for name, point in points.items():
        asked = {**point, "seeds": sweep.final.seeds}
        for where in ("whole", "held_out") if sweep.selection.split == "half" else ("whole",):
            found = measured(sweep, prepared.base, asked, results.measures, "held_out" if where == "held_out" else None)
            replay = name == WINNER and best.schedule
            needs[name, where] = under(sweep, prepared.base, found, best.schedule) if replay else found
    cells = {
        (*place, measure, cell): stage
        for place, measures in needs.items()
        for measure, of in measures.items()
        for cell, stage in of.items()
    }
    keys = sorted({stage.key for stage in cells.values()})  # as the records of trials say theirs: this is no garbage
    site.store.put_json(f"{Records(site.store, prepared.key).folder}/final.json", {"stages": keys})
    artifacts = runner.build(cells, site.store, site.backend, Progress(), site.retry)

    def by_seed(name: str, where: str) -> dict[str, PerSeed]:
        found: dict[str, PerSeed] = {}
        for measure in results.measures if (name, where) in needs else ():
            asked = needs[name, where][measure.name]
            made = {cell: artifacts[name, where, measure.name, cell] for cell in asked}
            found[measure.name] = seed_by_seed(asked, made, measure.metric)
        return found

    for name, point in points.items():
        made_from = closure(stage for of in needs[name, "whole"].values() for stage in of.values())
        passes = sum(stage.passes for stage in made_from)
        held_out, whole = by_seed(name, "held_out"), by_seed(name, "whole")
        yield FinalResult(name, point, _means(held_out), _means(whole), passes, held_out or whole)


def _means(by_seed: Mapping[str, PerSeed]) -> dict[str, Estimate]:
    return {measure: over(seeds) for measure, seeds in by_seed.items()}
