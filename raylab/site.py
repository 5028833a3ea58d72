"""The site: where and how things run. Nothing here can enter the identity of a result."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from raylab.backend import Backend
from raylab.config import Config
from raylab.store import Store
from raylab.tracking import Tracker

PositiveInt = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, le=64)]


def _whole_above_one(gpus: float | None, where: str) -> None:
    if gpus is not None and gpus > 1 and gpus != int(gpus):
        raise ValueError(
            f"{where}: more than one GPU must be a whole number, got {gpus}; use 1, 2, ... or a fraction below 1"
        )


class Actors(Config):
    """The pool of actors that Ray Data maps shards with."""

    min: PositiveInt = 1
    max: PositiveInt | None = None  # None: as many as the cluster has room for
    cpus: Share = 1.0
    gpus: Annotated[float, Field(ge=0, le=64)] | None = None  # a fraction shares a GPU; None: 1 where there are GPUs
    memory_gb: Share | None = None
    shards_per_task: PositiveInt = 8  # handed over together: 20-120 s of work pays for a hand-over

    @model_validator(mode="after")
    def _check(self) -> Actors:
        _whole_above_one(self.gpus, "actors.gpus")
        if self.max is not None and self.max < self.min:
            raise ValueError(f"actors.max must be at least actors.min, got {self.max} < {self.min}")
        return self


class Trials(Config):
    """The trials that Ray Tune trains networks in."""

    cpus: Share = 1.0
    gpus: Annotated[float, Field(ge=0, le=64)] | None = None
    memory_gb: Share | None = None
    max_concurrent: PositiveInt | None = None
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 30.0

    @model_validator(mode="after")
    def _check(self) -> Trials:
        _whole_above_one(self.gpus, "trials.gpus")
        return self


class SiteFile(Config):
    """A site file (`--site`): every field has a default that suits one machine."""

    backend: Literal["ray", "inline"] = "ray"
    store: str | None = None  # a path or a pyarrow.fs URI; None: <home>/store
    tracking: str | None = None  # an MLflow URI, or "none"; None: MLFLOW_TRACKING_URI, or SQLite at <home>/mlflow.db
    device: Literal["auto", "cpu", "cuda"] = "auto"  # of the inline backend; Ray's workers follow what Ray assigns
    cpus: PositiveInt | None = None  # of a cluster that is started here; None: all
    no_progress_seconds: PositiveInt = 300  # Ray Data gives up after so long without any shard
    actors: Actors = Actors()
    trials: Trials = Trials()


@dataclass(frozen=True)
class Site:
    """A site file come alive: opened by `cli`, handed to a job."""

    file: SiteFile
    store: Store
    backend: Backend
    tracker: Tracker
    reports: Path  # folder for HTML pages
    dry_run: bool = False


def home() -> Path:
    """Where results live unless a site says otherwise: RAYLAB_HOME, or ~/.raylab. Absolute, outside any working
    directory: that of a submitted job is thrown away."""
    return Path(os.environ.get("RAYLAB_HOME") or Path.home() / ".raylab").expanduser().absolute()
