"""Running a suite: build what the store lacks, show what there is of every experiment, and score the rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial

from raylab import cli
from raylab.config import to_yaml
from raylab.engine import kept_runs
from raylab.engine.artifact import Artifact
from raylab.engine.identity import fingerprint, short
from raylab.engine.progress import Progress, counted
from raylab.engine.runner import BuildFailed
from raylab.engine.store import Store
from raylab.engine.study import AnyBuilt, merge_plans
from raylab.report.experiment import Results
from raylab.report.experiments import EXPERIMENTS, Name
from raylab.report.made import commit_note, newest_provenance
from raylab.report.terminal import preview
from raylab.scoreboard.about import About
from raylab.scoreboard.evidence import Evidence
from raylab.scoreboard.publication import parent, publication
from raylab.scoreboard.site import INDEX, Shown, ShownStudy
from raylab.scoreboard.site import site as pages
from raylab.scoreboard.text import as_text
from raylab.scoreboard.verdict import scored
from raylab.site import Site
from raylab.suites import NOT_ASKED, Reproduce, SuitePart
from raylab.tracking import Record, Run

Studies = Sequence[tuple[SuitePart, AnyBuilt]]


def run(config: Reproduce, parts: Sequence[SuitePart], site: Site) -> None:
    """Raises BuildFailed where something could not be built, and NotShown where something could not be written, after
    everything that is there has been shown."""
    wanted = merge_plans(part.study for part in parts if part.wanted)
    if site.dry_run:
        print(preview(wanted, site.store))
        return
    folder = Store(config.folder) if config.folder else site.store.below(f"results/{config.suite}")
    folder.check_writable()
    opened = parent(config.suite, fingerprint(tuple(part.study.key for part in parts)))
    with site.tracker.job(f"scoreboard/{config.suite}", opened) as board:
        artifacts, missing, failure = cli.built(wanted, site, Progress())
        studies = [(part, part.built(artifacts, missing, site.store)) for part in parts]
        _show(config.suite, studies, folder, site, (board, opened), failure)
        if failure is not None:
            raise failure


def _show(
    suite: str,
    studies: Studies,
    folder: Store,  # of the pages
    site: Site,
    board: tuple[Run, Record],  # of the scoreboard, and what it was opened with
    failure: BuildFailed | None,
) -> None:
    """Pages first, then the tracker, then the terminal, as `cli.show`."""
    shown = _by_experiment(studies)
    results = {name: EXPERIMENTS[name].results(built) for name, built in shown.items()}
    found = [one for name, result in results.items() for one in _evidence(name, shown[name], result)]
    lines = scored(one for one in found if not math.isnan(one.ours.mean))
    missing = (*_missing(studies), *_not_computed(found))
    made = about(suite, _artifacts(one for built in shown.values() for one in built))
    listed = [_shown(name, shown[name], one, suite) for name, one in results.items()]
    files = pages(lines, listed, made._replace(missing=missing))
    tables = {path: data for one in results.values() for path, data in one.tables.items()}
    attempt = cli.Attempts()
    place = attempt("the pages", lambda: _keep(folder, files | tables))
    for name, one in results.items():
        attempt.problems += filter(None, one.broken)
        attempt("the tracker", partial(_track, name, shown[name], one, site, failure))
    run, opened = board
    attempt("the tracker", lambda: run.publish(publication(opened, lines, files, made.commit.split(" ")[0])))
    whole = [text for one in results.values() for text in one.full_texts] if site.full else []
    text = "\n\n".join([*whole, as_text(lines).rstrip()]) + "".join(f"\nNot here: {one}" for one in missing)
    places = f"\n\npages     {place}/{INDEX}\ntracking  {site.tracker.describe()}"
    attempt("the terminal", lambda: print(text + places, flush=True))
    attempt.end()


def _by_experiment(studies: Studies) -> dict[Name, list[AnyBuilt]]:
    """Studies of one experiment share a page. One that was asked for is shown with its holes, any other if it is
    whole."""
    here = [(part, built) for part, built in studies if _is_shown(part, built)]
    return {name: of for name in EXPERIMENTS if (of := [built for part, built in here if part.name == name])}


def _is_shown(part: SuitePart, built: AnyBuilt) -> bool:
    return built.is_measurable if part.wanted else not built.missing


def _missing(studies: Studies) -> Iterator[str]:
    """Studies of the suite that are not here, or not whole."""
    for part, built in studies:
        why = ""
        if not part.wanted and built.missing:
            why = NOT_ASKED
        elif not built.is_measurable:
            why = f"nothing of it could be built: {next(iter(built.missing.values()))}"
        elif built.missing:
            why = f"{len(built.missing)} of {len(built.planned)} results could not be built; its page says why"
        if why:
            yield f"{part.name}, study {part.study.config.study}: {why}"


def _not_computed(found: Sequence[Evidence]) -> Iterator[str]:
    for one in found:
        if math.isnan(one.ours.mean):
            yield f"row {one.row}, {one.name} on {one.on}: could not be computed"


def _evidence(name: Name, built: Sequence[AnyBuilt], results: Results) -> Iterator[Evidence]:
    """With the names of what it came from."""
    for study, found in zip(built, results.evidence, strict=bool(results.evidence)):
        for one in found:
            yield one._replace(experiment=name, study=study.config.study)


def about(suite: str, artifacts: Sequence[Artifact]) -> About:
    """Machine and day are those of the artifact that was finished last; of the code, how many commits made the others,
    and whether any had been changed."""
    made = newest_provenance(artifacts) if artifacts else {}
    of_all = [artifact.manifest["provenance"] for artifact in artifacts]
    commit, others = str(made.get("commit", "unknown")), len({one.get("commit") for one in of_all}) - 1
    return About(
        suite,
        f"python jobs/reproduce.py suite={suite}",
        commit
        + commit_note(made)
        + (f" and {counted(others, 'other')}" if others > 0 else "")
        + (" with uncommitted changes" if any(one.get("dirty") for one in of_all) else ""),
        str(made.get("machine", "unknown")),
        str(made.get("finished", ""))[:10],
    )


def _artifacts(built: Iterable[AnyBuilt]) -> list[Artifact]:
    return [artifact for one in built for artifact in one.artifacts.values()]


def _track(name: Name, built: Sequence[AnyBuilt], results: Results, site: Site, failure: BuildFailed | None) -> None:
    """Into the very runs that the experiment's own job writes; one of a study with holes has failed there too."""
    experiment, page = EXPERIMENTS[name], results.page.encode()
    for one, result, broken in zip(built, results.publications, results.broken, strict=True):
        if broken:  # the run keeps what it has
            continue
        with suppress(BuildFailed), site.tracker.job(experiment.folder(one.config), result.parent) as run:
            kept_runs.keep(site.store, name, one, result)
            cli.publish(run, result, page)
            if one.missing and failure is not None:
                raise failure


def _shown(name: Name, built: Sequence[AnyBuilt], results: Results, suite: str) -> Shown:
    experiment = EXPERIMENTS[name]
    studies = tuple(
        ShownStudy(
            one.config.study,
            one.key,
            to_yaml(one.config),
            {f"{a.manifest['name']} [{short(a.key)}]": a.digest for a in one.artifacts.values()},
            experiment.folder(one.config),
            about(suite, _artifacts([one])),
        )
        for one in built
    )
    return Shown(name, experiment.title, experiment.method, results.page, studies)


def _keep(place: Store, files: Mapping[str, bytes]) -> str:
    """The index goes first and comes last: a folder that has one is whole. Returns where it is."""
    place.delete(f"{place.root}/{INDEX}")
    for path in sorted(files, key=lambda name: name == INDEX):
        place.put(f"{place.root}/{path}", files[path])
    return place.root if place.is_local else place.shown
