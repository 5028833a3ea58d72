"""Running a suite: build what the store lacks, show every experiment that is complete, and score the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raylab import cli, runner
from raylab.artifact import Artifact
from raylab.config import to_yaml
from raylab.identity import fingerprint, short
from raylab.progress import Progress
from raylab.report.experiment import Results
from raylab.report.experiments import EXPERIMENTS, Name
from raylab.report.made import newest_provenance
from raylab.report.scoreboard.about import About
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
    opened = parent(config.suite, fingerprint(tuple(part.study.key for part in parts)))
    with site.tracker.job(f"scoreboard/{config.suite}", opened) as board:
        failure, artifacts = None, dict[tuple[str, Any], Artifact]()
        try:
            artifacts = runner.build(wanted, site.store, site.backend, Progress())
        except BuildFailed as error:
            failure = error
        complete = _complete(parts, artifacts, site.store)
        results = {name: EXPERIMENTS[name].results(built) for name, built in complete.items()}
        for name, shown in results.items():
            _track(name, complete[name], shown, site)
        lines = scored(one for shown in results.values() for one in shown.evidence)
        about = _about(config, complete)
        files = pages(lines, [_shown(name, complete[name], one) for name, one in results.items()], about)
        place = _keep(config, files, site.store)
        board.publish(publication(opened, lines, files, about.commit))
        print(as_text(lines))
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


def _about(config: Reproduce, complete: Mapping[Name, Sequence[AnyBuilt]]) -> About:
    """Of the artifact that was finished last."""
    artifacts = [artifact for built in complete.values() for one in built for artifact in one.artifacts.values()]
    made = newest_provenance(artifacts) if artifacts else {}
    commit = str(made.get("commit", "unknown"))
    return About(
        config.suite,
        f"python jobs/reproduce.py suite={config.suite}",
        f"{commit} with uncommitted changes" if made.get("dirty") else commit,
        str(made.get("machine", "unknown")),
        str(made.get("finished", ""))[:10],
    )


def _track(name: Name, built: Sequence[AnyBuilt], results: Results, site: Site) -> None:
    """Into the very runs that the experiment's own job writes."""
    experiment = EXPERIMENTS[name]
    for one, result in zip(built, results.publications, strict=True):
        with site.tracker.job(f"{experiment.tracked}/{one.config.study}", result.parent) as run:
            cli.publish(results._replace(publications=(result,)), [run])


def _shown(name: Name, built: Sequence[AnyBuilt], results: Results) -> Shown:
    experiment = EXPERIMENTS[name]
    studies = tuple(
        ShownStudy(
            one.config.study,
            one.key,
            to_yaml(one.config),
            {f"{a.manifest['name']} [{short(a.key)}]": a.digest for a in one.artifacts.values()},
            f"{experiment.tracked}/{one.config.study}",
        )
        for one in built
    )
    return Shown(name, experiment.title, experiment.method, results.page, studies)


def _keep(config: Reproduce, files: Mapping[str, bytes], store: Store) -> str:
    """The index last: a folder that has one is whole. Returns where it is."""
    place = Store(config.folder or f"{store.uri.rstrip('/')}/results/{config.suite}")
    for path in sorted(files, key=lambda name: name == INDEX):
        place.put(f"{place.root}/{path}", files[path])
    return place.root if place.is_local else place.uri
