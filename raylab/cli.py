"""From argv to studies and a site, and from exceptions to exit codes: the only module that knows clusters and trackers.

    def main() -> None:
        with cli.job(TransferMatrix, plan, __doc__) as (studies, site):
            ...

Exit codes: 0 done, 1 something failed while building (everything else is kept), 2 bad input, 130 stopped.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Generic, NoReturn, TypeVar

from raylab import config as configs
from raylab.artifact import StoreError
from raylab.backend import Backend
from raylab.config import Config, ConfigError
from raylab.identity import fingerprint
from raylab.runner import BuildFailed, InlineBackend
from raylab.site import Site, SiteFile, home
from raylab.stage import Stage
from raylab.store import Store
from raylab.tracking import NullTracker, Tracker, TrackerError

Given = TypeVar("Given", bound=Config)
Cell = TypeVar("Cell", bound=Hashable)

BAD_INPUT, FAILED, STOPPED = 2, 1, 130


@dataclass(frozen=True)
class Study(Generic[Given, Cell]):
    """One config and its plan."""

    config: Given
    cells: Mapping[Cell, Stage]

    @property
    def key(self) -> str:
        """Of what is measured: two configs with the same cells are the same study."""
        return fingerprint(tuple(sorted({stage.key for stage in self.cells.values()})))


@contextmanager
def job(
    config: type[Given],
    plan: Callable[[Given], Mapping[Cell, Stage]],
    doc: str | None,
    argv: Sequence[str] | None = None,
) -> Iterator[tuple[list[Study[Given, Cell]], Site]]:
    """The studies that the command line asks for, on its site; whatever happens inside ends in an exit code.

    Everything that can be known to be wrong is found here, before compute: configs, data, networks, site, store, tracker.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    command = shlex.join([Path(sys.executable).name, sys.argv[0], *arguments])
    signal.signal(signal.SIGTERM, _interrupt)  # `ray job stop` and Kubernetes ask this way: stop as after Ctrl-C
    site: Site | None = None
    try:
        try:
            parsed = _parser(doc).parse_args(arguments)
            studies = [Study(given, plan(given)) for given in _configs(config, parsed.settings)]
            site = _site(parsed.site, parsed.dry_run)
        except (ConfigError, StoreError, TrackerError, ValueError) as error:
            _end(BAD_INPUT, str(error))
        yield studies, site
    except KeyboardInterrupt:
        kept = "" if site is None else f" What is finished is kept in {site.store.uri}."
        _end(STOPPED, f"Stopped.{kept} To go on: {command}")
    except (BuildFailed, StoreError, TrackerError) as error:
        _end(FAILED, str(error))


def _configs(config: type[Given], settings: Sequence[str]) -> list[Given]:
    """One of each file, all with the same overrides; without files the embedded default."""
    overrides = [text for text in settings if _is_override(text)]
    files = [text for text in settings if not _is_override(text)]
    found, problems = [], []
    for file in files or [None]:
        try:
            source = "{}" if file is None else Path(file)
            found.append(configs.load(config, source, overrides, origin="embedded default" if file is None else None))
        except ConfigError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise ConfigError(problems)
    return found


def _is_override(text: str) -> bool:
    """key.path=value, where a file's name may hold a "=" too."""
    return "=" in text and not text.endswith((".yaml", ".yml"))


def _site(path: str | None, dry_run: bool) -> Site:
    path = path or os.environ.get("RAYLAB_SITE")
    file = configs.load(SiteFile, Path(path)) if path else SiteFile()
    store = Store(file.store or str(home() / "store"))
    backend, tracker = _backend(file), NullTracker() if dry_run else _tracker(file)
    site = Site(file, store, backend, tracker, home() / "reports", dry_run)
    if not dry_run:
        print(f"store     {store.uri}\ntracking  {tracker.describe()}", file=sys.stderr, flush=True)
        store.check_writable()
        tracker.check()
    if hasattr(backend, "check"):
        backend.check()
    return site


def _backend(file: SiteFile) -> Backend:
    if file.backend == "ray":
        from raylab.cluster.backend import RayBackend  # Ray takes a second to import: not for a typing error

        return RayBackend(file)
    device = file.device
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    return InlineBackend(device)


def _tracker(file: SiteFile) -> Tracker:
    uri = file.tracking or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home() / 'mlflow.db'}"
    if uri == "none":
        return NullTracker()
    from raylab.mlflow_tracker import MlflowTracker  # seconds, as above

    return MlflowTracker(uri, str(home() / "mlartifacts"))


def _parser(doc: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="CONFIG.yaml | key.path=value",
        help="experiment configs (several make several studies in one run) and changes to all of them",
    )
    parser.add_argument("--site", metavar="SITE.yaml", help="where and how to run (default: RAYLAB_SITE, or this machine)")
    parser.add_argument("--dry-run", action="store_true", help="show what exists and what would be built; write nothing")
    return parser


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt


def _end(code: int, message: str) -> NoReturn:
    print(message, file=sys.stderr, flush=True)
    raise SystemExit(code)
