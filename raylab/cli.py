"""From argv to studies and a site, and from exceptions to exit codes: the only module that knows clusters and trackers.

    def main() -> None:
        cli.run(EXPERIMENT, __doc__)

Exit codes: 0 done; 1 something could not be built (all else is kept); 2 bad input, nothing was computed; 130 stopped.
"""

from __future__ import annotations

import atexit
import codecs
import gc
import io
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from raylab.commands import options
from raylab.config import ConfigError
from raylab.config.objections import reason
from raylab.core.later import torch
from raylab.engine import kept_runs, plans, provenance, runner
from raylab.engine.artifact import Artifact, StoreError
from raylab.engine.backend import Backend, BackendAbsent, Listener
from raylab.engine.progress import Progress
from raylab.engine.redaction import redacted
from raylab.engine.remote import check_reachable
from raylab.engine.runner import BuildFailed, InlineBackend
from raylab.engine.stage import Stage, closure
from raylab.engine.store import Store
from raylab.engine.study import AnyBuilt, AnyStudy, Cell, Given, Study, merge_plans
from raylab.report import kept
from raylab.report.experiment import AnyExperiment
from raylab.report.terminal import preview, wrapped
from raylab.site import Site, SiteFile, home
from raylab.stages.own_object import modules_of
from raylab.stop import STOPPED, interruptible
from raylab.tracking import NullTracker, Publication, Run, Tracker, TrackerError
from raylab.tracking.live import Live

FAILED, BAD_INPUT = 1, 2
LIKE = {
    "±": "+-",
    "−": "-",
    "–": "-",
    "→": "->",
    "’": "'",
    "“": '"',
    "”": '"',
    "×": "x",
    "≥": ">=",
    "≤": "<=",
    "…": "...",
    "\u202f": " ",
    "\u00a0": " ",
    "ε": "eps",
    "η": "eta",
    "·": "*",
    "≈": "~",
}
SUBMITTED = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # Ray gives it to the driver of a submitted job
SAID_BEFORE = ("RAYLAB_HOME", "RAYLAB_SITE")  # of the environment: without these a command would go on elsewhere


def run(experiment: AnyExperiment, doc: str | None, argv: Sequence[str] | None = None) -> None:
    """What a job does: plan, preview or build, publish to the tracker, print, and keep the page."""
    with job(experiment.config, experiment.plan, doc, argv) as (studies, site):
        cells = merge_plans(studies)
        if site.dry_run:
            for study in studies:
                for sentence in experiment.detects(study):
                    print(wrapped(f"{getattr(study.config, 'study', experiment.name)}: {sentence}"), end="\n\n")
            print(preview(cells, site.store, 1 if site.file.backend == "inline" else site.file.cpus))
            return
        with ExitStack() as every:
            ends = [every.enter_context(ExitStack()) for _ in studies]  # of each run by itself
            runs = [
                end.enter_context(opened(experiment, study, site)) for end, study in zip(ends, studies, strict=True)
            ]
            # Where nobody looks nothing is measured before the end.
            followed = [] if isinstance(site.tracker, NullTracker) else list(zip(studies, runs, strict=True))
            live = Live(followed, experiment.children, site.store, Progress())
            artifacts, missing, failure = built(cells, site, live)  # what the store lacks; again: resumes
            shown = [study.built(artifacts, missing) for study in studies]
            if failure is None or any(study.has_results for study in shown):
                show(experiment, list(zip(runs, shown, strict=True)), site)
            for end, one in zip(ends, shown, strict=True):
                if not one.missing:
                    end.close()
            if failure is not None:
                raise failure


def built(
    cells: Mapping[tuple[str, Any], Stage], site: Site, listener: Listener
) -> tuple[Mapping[tuple[str, Any], Artifact], Mapping[tuple[str, Any], str], BuildFailed | None]:
    """Artifacts by cell; why the others are missing; and the failure to raise when everything has been shown."""
    try:
        return runner.build(cells, site.store, site.backend, listener, site.retry), {}, None
    except BuildFailed as error:
        return error.built, error.missing, error


def show(experiment: AnyExperiment, studies: Sequence[tuple[Run, AnyBuilt]], site: Site) -> None:
    """Page first, then the tracker, then the terminal: whichever fails, the others are written.

    Raises NotShown with what failed.
    """
    measurable = [(run, one) for run, one in studies if one.is_measurable]
    if not measurable:
        return
    results = kept.results(experiment, [study for _, study in studies], home() / "cache" / "reports")
    attempt = Attempts()
    html = results.page.encode()
    # Once more beside each study's tables, where no run of another study replaces it.
    lasting = {f"{path.partition('/tables/')[0]}/page.html": html for path in results.tables}
    page = attempt("the page", partial(site.keep_report, experiment.name, html, {**results.tables, **lasting}))
    attempt.problems += filter(None, results.broken)
    for (run, of), one, broken in zip(measurable, results.publications, results.broken, strict=True):
        if broken:  # the run keeps what it has
            continue
        attempt("the store's tables", partial(kept_runs.keep, site.store, experiment.name, of, one))
        attempt("the tracker", partial(publish, run, one, html))
    absent = [f"Nothing to show of {one}" for one in results.absent]
    places = f"\npage      {page}\ntracking  {site.tracker.describe()}"
    text = "\n\n".join([*(results.full_texts if site.full else results.texts), *absent])
    attempt("the terminal", lambda: print(text + places, flush=True))
    attempt.end()


class NotShown(Exception):
    """Results are in the store, and could not be written where people look."""


class Attempts:
    """To write where people look: a place that fails stops no other."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def __call__(self, what: str, write: Callable[[], object]) -> object:
        """What it returns; or why it failed, in words."""
        try:
            return write()
        except (OSError, ValueError, StoreError, TrackerError) as error:
            self.problems.append(f"{what}: {error}")
            return f"not written: {error}"

    def end(self) -> None:
        """Raises NotShown with everything that failed."""
        if self.problems:
            listed = "\n  ".join(self.problems)
            raise NotShown(f"All results are in the store, but not all could be written:\n  {listed}")


def opened(experiment: AnyExperiment, study: AnyStudy, site: Site) -> AbstractContextManager[Run]:
    """The study's run in the tracker, from before there are results."""
    folder = experiment.folder(study.config)
    return site.tracker.job(folder, experiment.opened(study.config, study.key))


def publish(run: Run, publication: Publication, page: bytes) -> None:
    """A study into its run, the page beside its files."""
    run.publish(replace(publication, files={**publication.files, "report.html": page}))


@contextmanager
def job(
    config: type[Given],
    plan: Callable[[Given], Mapping[Cell, Stage]],  # its ValueError is bad input
    doc: str | None,
    argv: Sequence[str] | None = None,  # None: the process's own
) -> Iterator[tuple[list[Study[Given, Cell]], Site]]:
    """The studies that the command line asks for, on its site; whatever happens inside ends in an exit code.

    All that can be known to be wrong is found on entering: configs, data, networks, store, tracker, GPUs.
    """
    command, site, uris = _command(argv), None, tuple[str, ...]()
    _write_anywhere()
    atexit.register(gc.freeze)  # a second or two of a processor: Python's last search for cycles among 400,000 objects
    with interruptible():
        try:
            arguments = options.parsed(config, doc, sys.argv[1:] if argv is None else argv)
            site_path = arguments.site or os.environ.get("RAYLAB_SITE")
            configs, file = options.loaded(config, arguments.settings, site_path)
            uris = (file.store_uri, file.tracking_uri)
            studies, site = _ready(configs, plan, file, site_path or "site", arguments.dry_run)
            site = replace(site, full=arguments.full, retry=arguments.retry)
            begun = plans.begun(site.store, Path(sys.argv[0]).stem, [] if arguments.dry_run else studies)
            with begun:
                yield studies, site
        except ConfigError as error:
            _end(BAD_INPUT, redacted(str(error), *uris))
        except (BuildFailed, NotShown, BackendAbsent, StoreError, TrackerError) as error:
            _end(FAILED, redacted(str(error), *uris))
        except (KeyboardInterrupt, SystemExit) as stop:
            # While Ray starts, its own handler of SIGTERM stands in the place of ours: it exits with the signal's
            # number.
            if isinstance(stop, SystemExit) and stop.code != signal.SIGTERM:
                raise
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C ends the clean-up: nothing can be torn
            kept = f" What is finished is kept in {site.store.shown}." if site else ""
            _end(STOPPED, f"Stopped.{kept} To go on:\n  {redacted(command, *uris)}")


def _ready(
    configs: Mapping[str, Given],
    plan: Callable[[Given], Mapping[Cell, Stage]],
    file: SiteFile,
    site_origin: str,
    dry_run: bool,
) -> tuple[list[Study[Given, Cell]], Site]:
    """Plans, and a site that can be used. Raises ConfigError with all that is in the way."""
    studies: list[Study[Given, Cell]] = []
    problems: list[str] = []
    for origin, given in configs.items():
        try:
            studies.append(Study(given, plan(given)))
        except ValueError as error:
            problems.append(f"{origin}: {reason(error)}")
    site: Site | None = None
    try:
        names = [str(getattr(given, "study", "")) for given in configs.values()]
        site = _site(file, dry_run, f"{Path(sys.argv[0]).stem}: {', '.join(names)}")
        if not dry_run:
            _keep_log(site.store)
            where = f"store     {site.store.shown}\ntracking  {site.tracker.describe()}\nreports   {site.reports}"
            known = provenance.collect()
            note = f"\ncommit    {known['commit']}: {known['commit_note']}" if known["commit_note"] else ""
            print(f"{where}{note}", file=sys.stderr, flush=True)
            stages = closure(stage for study in studies for stage in study.cells.values())
            obstacles = _obstacles(site, modules_of(stages), _todo(studies, site.store))
            problems += [f"{site_origin}: {line}" for line in obstacles]
    except (StoreError, ValueError) as error:
        problems.append(f"{site_origin}: {error}")
    if problems or site is None:
        raise ConfigError(problems)
    return studies, site


def _site(file: SiteFile, dry_run: bool, work: str) -> Site:
    """Opens, but does not start or write. Of a store that is far away it asks whether it answers. `work`: what a
    cluster's list of jobs calls this one."""
    check_reachable(file.store_uri)
    store, reports = Store(file.store_uri), home() / "reports"
    if dry_run:  # shows and does nothing: neither Ray nor MLflow is worth its seconds of importing
        return Site(file, store, InlineBackend(), NullTracker(), reports, dry_run)
    return Site(file, store, _backend(file, work), _tracker(file), reports)


def site_of_store(site_path: str | None, store: str | None) -> Site:
    """Where the results of a store are shown again. Raises ConfigError, StoreError, TrackerError."""
    _, file = options.loaded(SiteFile, [], site_path)
    site = _site(file if store is None else file.model_copy(update={"store": store, "backend": "inline"}), False, "")
    site.tracker.check()
    return site


def _todo(studies: Sequence[AnyStudy], store: Store) -> Collection[Stage]:
    """The stages to build; where there is none, no backend will be asked for anything. A store that is far away is not
    looked through twice; and a sweep, whose plan is no plain dict, asks for more than its stages: all count."""
    plans = [study.cells for study in studies]
    planned = [stage for plan in plans for stage in plan.values()]
    if store.is_local and all(isinstance(plan, dict) for plan in plans):
        with suppress(StoreError):  # of which its own check tells
            return runner.missing(planned, store).values()
    return closure(planned)


def _obstacles(site: Site, modules: Mapping[str, str], todo: Collection[Stage]) -> Iterator[str]:
    """What would fail hours later. `modules`: those that every worker must have, with their sha256."""
    check, room = getattr(site.backend, "check", None), max((stage.room for stage in todo), default=0)
    here = check is None or "RAY_ADDRESS" not in os.environ  # where networks are trained
    checks: list[Callable[[], object]] = [
        site.store.check_writable,
        site.check_reports,
        partial(site.check_space, room if here else 0),
        site.tracker.check,
    ]
    checks += [partial(check, modules, room)] if check and todo else []
    for check in checks:
        try:
            check()
        except (StoreError, TrackerError, ValueError, OSError) as error:
            yield from str(error).splitlines()


def _backend(file: SiteFile, work: str) -> Backend:
    if file.backend == "ray":
        from raylab.cluster.backend import RayBackend  # Ray takes a second to import: not for a misspelt key

        return RayBackend(file, work=work)
    if file.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: cuda, but PyTorch finds no CUDA here; use auto or cpu")
    return InlineBackend(file.device)


def _tracker(file: SiteFile) -> Tracker:
    uri = file.tracking_uri
    if uri == "none":
        return NullTracker()
    from raylab.tracking.mlflow.tracker import MlflowTracker  # seconds, as above

    return MlflowTracker(uri, str(home() / "mlartifacts"))


def _write_anywhere() -> None:
    """A terminal that knows no ± gets +-, and ? for what has no likeness, not the end of the job."""
    codecs.register_error("raylab", _likeness)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="raylab")


def _likeness(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(LIKE.get(one, "?") for one in error.object[error.start : error.end]), error.end


def _command(argv: Sequence[str] | None) -> str:
    """What to type to go on."""
    said = [f"{name}={shlex.quote(os.environ[name])} " for name in SAID_BEFORE if name in os.environ]
    words = sys.orig_argv if argv is None else [Path(sys.executable).name, sys.argv[0], *argv]
    return "".join(said) + shlex.join(words)


def _keep_log(store: Store) -> None:
    if SUBMITTED in os.environ:
        from raylab.cluster import submitted

        submitted.keep_log(store)


def _end(code: int, message: str) -> NoReturn:
    with suppress(OSError):  # nobody reads it, or nothing more can be written
        print(message, file=sys.stderr, flush=True)
    if code == BAD_INPUT and SUBMITTED in os.environ:
        from raylab.cluster import submitted

        submitted.end_without_retry(code)
    raise SystemExit(code)
