"""The tracker that speaks MLflow: one experiment per study, one parent run per job, one child run per cell."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from raylab.engine.redaction import public
from raylab.tracking import Record, TrackerError
from raylab.tracking.mlflow.connection import DATABASES, connect, explained, quick, scheme
from raylab.tracking.mlflow.files import follow, writable
from raylab.tracking.mlflow.run import AGAIN, OpenRun

if TYPE_CHECKING:
    from mlflow import MlflowClient

ELSEWHERE = "name another with `tracking:` in the site file or MLFLOW_TRACKING_URI; `tracking: none` does without"


class MlflowTracker:
    """Tracks in the database or server at `uri`; nothing is opened before it is used.

    `artifact_root`: folder or URI for the files of new experiments; a server has a place of its own and ignores it.
    """

    def __init__(self, uri: str, artifact_root: str | None) -> None:
        self.uri = uri
        self._artifact_root = artifact_root if scheme(uri) in DATABASES else None
        self._page = ""  # of the run that was opened last

    def describe(self) -> str:
        """Where to look, for SQLite with the exact command; once a run was opened, its page."""
        if scheme(self.uri) == "sqlite":
            command = f"{_mlflow_command()} ui --backend-store-uri {shlex.quote(public(self.uri))}"
            return f"MLflow; to look: {command}" + (self._page and f"  then http://127.0.0.1:5000{self._page}")
        server = public(self.uri).rstrip("/") if scheme(self.uri).startswith("http") else ""
        return f"MLflow at {server}{self._page}" if server else f"MLflow in {public(self.uri)}"

    def check(self) -> None:
        """Creates the database, or reaches the server; TrackerError within seconds where that fails."""
        with explained(self.uri, "it cannot be used", ELSEWHERE), quick():
            self._client.search_experiments(max_results=1)
            if self._artifact_root and "://" not in self._artifact_root:
                Path(self._artifact_root).mkdir(parents=True, exist_ok=True)

    @contextmanager
    def job(self, experiment: str, parent: Record) -> Iterator[OpenRun]:
        """The run ends FINISHED, KILLED by a signal, or FAILED by an exception, which a tag then tells."""
        with explained(self.uri, "no run can be opened", ELSEWHERE):
            experiment_id = self._experiment(experiment)
            run = OpenRun(self.uri, self._client, experiment_id, parent)
        # Without the last part, MLflow's page shows a new visitor what it has for chat agents.
        self._page = f"/#/experiments/{experiment_id}/runs/{run.run_id}?workflowType=machine_learning"
        try:
            yield run
        except BaseException as error:
            try:
                with explained(self.uri, "the run could not be closed", "it will look as if it went on"), quick():
                    run.fail(error)
            except TrackerError as second:  # the first error is the one to tell
                error.add_note(str(second))
            raise
        with explained(self.uri, "the run cannot be closed", AGAIN):
            run.finish()

    @cached_property
    def _client(self) -> MlflowClient:
        return connect(self.uri)

    def _experiment(self, name: str) -> str:
        """The id of the experiment of that name, whose files can be written; one in the trash is taken out again."""
        place = self._artifact_root and f"{self._artifact_root}/{re.sub(r'[^A-Za-z0-9_.-]+', '-', name)}"
        if place and "://" not in place:
            place = Path(place).absolute().as_uri()
        found = self._client.get_experiment_by_name(name)
        if found is None:
            experiment_id, location = self._client.create_experiment(name, place), place
        else:
            experiment_id, location = found.experiment_id, found.artifact_location
            if found.lifecycle_stage == "deleted":
                self._client.restore_experiment(experiment_id)
            if place and location:
                location = follow(self.uri, location, place)
        if place and location:
            writable(location)
        return str(experiment_id)


def _mlflow_command() -> str:
    """As a person must type it: the command of this environment, whether that is activated or not."""
    here = Path(sys.executable).with_name("mlflow")
    return "mlflow" if shutil.which("mlflow") == str(here) or not here.exists() else shlex.quote(str(here))
