"""The site: where and how things run. Nothing here can enter the identity of a result."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from raylab.config import Config, ConfigError
from raylab.engine.backend import Backend
from raylab.engine.files import replace_file, told
from raylab.engine.store import Store
from raylab.tracking import Tracker


def _whole_above_one(gpus: float) -> float:
    if gpus > 1 and gpus != int(gpus):
        raise ValueError(f"more than one GPU must be a whole number, got {gpus}; use 1, 2, ... or a fraction below 1")
    return gpus


PositiveInt = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, le=64)]
Gpus = Annotated[float, Field(ge=0, le=64), AfterValidator(_whole_above_one)]  # a fraction shares a GPU


class Actors(Config):
    """The pool of actors that Ray Data maps shards with."""

    min: PositiveInt = 1  # least number of actors
    max: PositiveInt | None = None  # most actors; None: as many as the cluster has room for
    cpus: Share = 1.0  # CPU cores of an actor
    gpus: Gpus | None = None  # GPUs of an actor, a share of one too; None: 1 where there are GPUs
    memory_gb: Share | None = None  # memory of an actor; None: not asked for
    shards_per_task: PositiveInt = 8  # shards handed over together: 20-120 s of work pays for a hand-over

    @model_validator(mode="after")
    def _check(self) -> Actors:
        if self.max is not None and self.max < self.min:
            raise ValueError(f"max must be at least min, got {self.max} < {self.min}; raise max or lower min")
        return self


class Trials(Config):
    """The trials that Ray Tune trains networks in."""

    cpus: Share = 1.0  # CPU cores of a trial
    gpus: Gpus | None = None  # GPUs of a trial, a share of one too; None: 1 where there are GPUs
    memory_gb: Share | None = None  # memory of a trial; None: not asked for
    max_concurrent: PositiveInt | None = None  # trials at a time; None: as many as there is room for
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 30.0  # seconds between two checkpoints of a training


class SiteFile(Config):
    """A site file (`--site`): every field has a default that suits one machine."""

    backend: Literal["ray", "inline"] = "ray"  # how tasks are run; inline: in this process, without Ray
    store: str | None = None  # a path or a pyarrow.fs URI; None: <home>/store
    tracking: str | None = None  # an MLflow URI, or "none"; None: MLFLOW_TRACKING_URI, or SQLite at <home>/mlflow.db
    # Device of the inline backend; Ray's workers follow what Ray assigns.
    device: Literal["auto", "cpu", "cuda"] = "auto"
    cpus: PositiveInt | None = None  # CPU cores of a cluster that is started here; None: all
    autoscaling: bool = False  # of a cluster whose nodes come when they are asked for: do not judge it by those it has
    no_progress_seconds: PositiveInt = 1800  # Ray Data gives up when no hand-over of shards has ended for so long
    free_gb: Annotated[float, Field(ge=0)] = 1.0  # least free space: a store in a folder, temporary files, reports
    actors: Actors = Actors()
    trials: Trials = Trials()

    @model_validator(mode="after")
    def _check(self) -> SiteFile:
        if self.autoscaling and None in (self.actors.max, self.actors.gpus, self.trials.gpus):
            raise ValueError(
                "autoscaling: nodes that will come cannot be counted; name actors.max, actors.gpus and trials.gpus"
            )
        return self

    @property
    def store_uri(self) -> str:
        return self.store or str(home() / "store")

    @property
    def tracking_uri(self) -> str:
        uri = self.tracking or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{_database()}"
        return re.sub(r"(?<=^sqlite:///)~[^/]*", lambda user: os.path.expanduser(user[0]), uri)


def _database() -> Path:
    """Raises ConfigError where an address of a database would end within its path."""
    path = home() / "mlflow.db"
    if "?" in str(path):
        raise ConfigError(
            [
                f"RAYLAB_HOME={home()}: MLflow's database cannot lie there, for `?` ends a path in its address; choose "
                "a folder without one, or set `tracking:` in the site file"
            ]
        )
    return path


@dataclass(frozen=True)
class Site:
    """A site file come alive: opened by `cli`, handed to a job."""

    file: SiteFile
    store: Store
    backend: Backend
    tracker: Tracker
    reports: Path  # folder for HTML pages
    dry_run: bool = False
    full: bool = False  # whether a terminal is shown everything
    retry: bool = False  # whether to try again what failed for good

    def check_reports(self) -> None:
        """Raises ValueError where no page can be written."""
        try:
            self.reports.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.reports):
                pass
        except OSError as error:
            raise ValueError(f"reports {self.reports}: cannot be written ({error}); set RAYLAB_HOME") from error

    def check_space(self, room: int = 0) -> None:
        """Raises ValueError where a full disk would end the work, which takes `room` bytes of temporary files."""
        folders = [self.reports, Path(tempfile.gettempdir()), *([Path(self.store.root)] if self.store.is_local else [])]
        problems: dict[int, str] = {}  # one of a disk
        for folder in folders:
            there = next(path for path in (folder, *folder.parents) if os.path.isdir(path))  # is_dir may raise
            free, own = shutil.disk_usage(there).free, folder == Path(tempfile.gettempdir())
            if problem := too_full(str(folder), free, self.file.free_gb, room if own else 0):
                problems.setdefault(there.stat().st_dev, problem)
        if problems:
            raise ValueError("\n".join(problems.values()))

    def keep_report(self, name: str, html: bytes, beside: Mapping[str, bytes] | None = None) -> Path:
        """Write a page into the folder of reports, then the files beside it, and return its path. Raises StoreError
        where it cannot."""
        page = self.reports / f"{name}.html"
        for path, data in {page: html, **{self.reports / path: data for path, data in (beside or {}).items()}}.items():
            with told(str(path), f"{len(data):,} bytes cannot be written"):
                replace_file(str(path), data)
        return page


def too_full(folder: str, free: float, wanted_gb: float, room: int = 0) -> str:
    """What is wrong with so many free bytes; "" where nothing is."""
    has = f"free space: {folder} has {free / 2**30:.1f} GB"
    if free < room:
        needs = f"a training maps its images from a file there, of at least {room / 2**30:.1f} GB"
        return f"{has}, {needs}; make space, or set TMPDIR to a folder of a larger disk"
    return f"{has}, free_gb asks for {wanted_gb:g}; remove something, or lower it" if free < wanted_gb * 2**30 else ""


def home() -> Path:
    """Where results live unless a site says otherwise: RAYLAB_HOME, or ~/.raylab. Absolute, outside any working
    directory: that of a submitted job is thrown away. Raises ConfigError where it names a user that there is not."""
    path = os.environ.get("RAYLAB_HOME") or "~/.raylab"
    expanded = os.path.expanduser(path)
    if expanded.startswith("~"):
        raise ConfigError(
            [f"RAYLAB_HOME={path}: no such user's folder; set it to a folder, as RAYLAB_HOME=/data/raylab"]
        )
    return Path(expanded).absolute()
