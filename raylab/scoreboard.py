"""Running a suite: build what the store lacks, show every experiment that is complete, and score the rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from raylab import cli, kept_runs, runner
from raylab.artifact import Artifact
from raylab.config import to_yaml
from raylab.identity import fingerprint, short
from raylab.progress import Progress, counted
from raylab.report.experiment import Results
from raylab.report.experiments import EXPERIMENTS, Name
from raylab.report.made import commit_note, newest_provenance
from raylab.report.scoreboard.about import About
from raylab.report.scoreboard.evidence import Evidence
from raylab.report.scoreboard.publication import parent, publication
from raylab.report.scoreboard.site import INDEX, Shown, ShownStudy
from raylab.report.scoreboard.site import site as pages
from raylab.report.scoreboard.text import as_text
from raylab.report.scoreboard.verdict import scored
from raylab.report.terminal import preview
from raylab.runner import BuildFailed
from raylab.site import Site
from raylab.store import Store
from raylab.study import AnyBuilt, together
from raylab.suites import Part, Reproduce


def run(config: Reproduce, parts: Sequence[Part], site: Site) -> None:
    """Raises BuildFailed where something could not be built, after everything that is complete has been shown."""
    wanted = together(part.study for part in parts if part.wanted)
    if site.dry_run:
        print(preview(wanted, site.store))
        return
    folder = Store(config.folder) if config.folder else site.store.below(f"results/{config.suite}")
    folder.check_writable()
    opened = parent(config.suite, fingerprint(tuple(part.study.key for part in parts)))
    with site.tracker.job(f"scoreboard/{config.suite}", opened) as board:
        failure, artifacts = None, dict[tuple[str, Any], Artifact]()
        try:
            artifacts = runner.build(wanted, site.store, site.backend, Progress(), site.retry)
        except BuildFailed as error:
            failure = error
        complete = _complete(parts, artifacts, site.store)
        results = {name: EXPERIMENTS[name].results(built) for name, built in complete.items()}
        for name, result in results.items():
            _track(name, complete[name], result, site)
        found = [one for name, result in results.items() for one in _evidence(name, complete[name], result)]
        lines = scored(one for one in found if not math.isnan(one.ours.mean))
        missing = (*_missing(parts, artifacts, site.store), *_not_computed(found))
        made = about(config.suite, _artifacts(one for built in complete.values() for one in built))
        shown = [_shown(name, complete[name], one, config.suite) for name, one in results.items()]
        files = pages(lines, shown, made._replace(missing=missing))
        place = _keep(folder, files)
        board.publish(publication(opened, lines, files, made.commit.split(" ")[0]))
        print(as_text(lines))
        print(*(f"Not here: {one}" for one in missing), sep="\n")
        print(f"\npages     {place}/{INDEX}\ntracking  {site.tracker.describe()}")
        if failure is not None:
            raise failure


def _complete(
    parts: Sequence[Part], artifacts: Mapping[tuple[str, Any], Artifact], store: Store
) -> dict[Name, list[AnyBuilt]]:
    """Studies of one experiment share a page. What is not complete is not shown at all."""
    found = [(part, part.built(artifacts, store)) for part in parts]
    by_name = {
        name: [built for part, built in found if part.name == name and built is not None] for name in EXPERIMENTS
    }
    return {name: built for name, built in by_name.items() if built}


def _missing(parts: Sequence[Part], artifacts: Mapping[tuple[str, Any], Artifact], store: Store) -> Iterator[str]:
    """Studies of the suite that are not complete: none of their numbers is shown."""
    for part in parts:
        if part.built(artifacts, store) is None:
            why = "could not be built as a whole" if part.wanted else "was not asked for, and is not in the store"
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


def _track(name: Name, built: Sequence[AnyBuilt], results: Results, site: Site) -> None:
    """Into the very runs that the experiment's own job writes."""
    experiment = EXPERIMENTS[name]
    for one, result in zip(built, results.publications, strict=True):
        with site.tracker.job(experiment.folder(one.config), result.parent) as run:
            kept_runs.keep(site.store, name, one.config.study, result)
            cli.publish(results._replace(publications=(result,)), [run])


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
