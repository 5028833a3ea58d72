"""The tracker that speaks MLflow: one experiment per study, one parent run per job, one child run per cell.

The driver is the only writer. A child is complete when it carries the digest of its content and is FINISHED,
which is written last. One search finds the complete ones; whatever else stands in the place of a cell goes to
MLflow's trash and is written anew. So publishing twice writes nothing, an interrupted publication is completed
by the next one, and a changed cell is replaced whole, for MLflow never lets go of a param, an input or a point
of a curve. The parent keeps its id, since people link to it: its metrics, tags and files are overwritten, and
the digest of its content is a tag that is written last.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from raylab.mlflow_connection import DATABASES, connect, explained, public, quick, scheme

# isort: split
# The connection comes first: it sets what mlflow reads while it is imported.
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from raylab.identity import fingerprint
from raylab.mlflow_content import MAX_TAG, Content, Point, content
from raylab.tracking import DataRef, Publication, Record, TrackerError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

KEY, CONTENT, ERROR = "raylab.key", "raylab.content", "raylab.error"  # tags of runs
SHA256 = "raylab.sha256"  # tag of an input: MLflow's own field for a digest has room for 36 characters
PARENT = "mlflow.parentRunId"  # the tag by which MLflow nests runs
PAGE = 1000  # runs of one answer to a search

ELSEWHERE = "name another with `tracking:` in the site file or MLFLOW_TRACKING_URI; `tracking: none` does without"
AGAIN = "the results are in the store; the same command publishes them again"


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
            command = f"{_mlflow_command()} ui --backend-store-uri {shlex.quote(self.uri)}"
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
        """The id of the experiment of that name; one in the trash is taken out again."""
        found = self._client.get_experiment_by_name(name)
        if found is None:
            place = self._artifact_root and f"{self._artifact_root}/{re.sub(r'[^A-Za-z0-9_.-]+', '-', name)}"
            if place and "://" not in place:
                place = Path(place).absolute().as_uri()
            return str(self._client.create_experiment(name, place))
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)


class OpenRun:
    """The parent run of a job, found again or created."""

    def __init__(self, uri: str, client: MlflowClient, experiment: str, parent: Record) -> None:
        self._uri, self._key = uri, parent.key
        self._client, self._experiment = client, experiment
        self._kept_end: int | None = None  # when it ended, as long as nothing was written since
        wanted = content(parent)
        found = self._find(wanted)
        if found is None:
            self.run_id = self._create(wanted, {KEY: parent.key, **_opener()})
            self._log(self.run_id, wanted, ())  # so that people see what is running
            return
        self.run_id = str(found.info.run_id)
        if found.info.status == "FINISHED":
            self._kept_end = found.info.end_time
        client.update_run(self.run_id, status="RUNNING")
        if ERROR in found.data.tags:
            client.delete_tag(self.run_id, ERROR)

    def publish(self, publication: Publication) -> None:
        """Write what is not yet written: afterwards the children are exactly these.

        Raises ValueError where keys or names do not fit, TrackerError where writing fails.
        """
        if publication.parent.key != self._key:
            raise ValueError(f"publish: the open run has key {self._key!r}, got {publication.parent.key!r}")
        parent = content(publication.parent)
        children = {child.key: content(child) for child in publication.children}
        if len(children) < len(publication.children):
            raise ValueError("publish: two children have one key; a key names one cell")
        with explained(self._uri, "publishing broke off", AGAIN):
            complete = self._complete(children)
            for key, wanted in reversed(children.items()):  # MLflow lists the newest first
                if key not in complete:
                    run_id = self._create(wanted, {KEY: key, PARENT: self.run_id, CONTENT: wanted.digest})
                    self._log(run_id, wanted, wanted.points)
                    self._client.set_terminated(run_id)
            self._publish_parent(parent, publication.files)

    def finish(self) -> None:
        """A job that found everything published keeps the time at which that was done."""
        self._client.set_terminated(self.run_id, "FINISHED", self._kept_end)

    def fail(self, error: BaseException) -> None:
        told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        self._client.set_tag(self.run_id, ERROR, told[:MAX_TAG])
        # What is no Exception is a wish to stop: Ctrl-C, or SIGTERM, for which Ray's handler raises SystemExit.
        self._client.set_terminated(self.run_id, "FAILED" if isinstance(error, Exception) else "KILLED")

    def _find(self, wanted: Content) -> Run | None:
        """The oldest parent of this key: two drivers that began together will agree on it.

        One whose params have other values was written by another version of the code, and no param can be changed:
        it goes to the trash with its children.
        """
        for run in self._search(f"tags.`{KEY}` = '{self._key}'"):
            if PARENT in run.data.tags:
                continue
            if all(run.data.params.get(name, value) == value for name, value in wanted.params.items()):
                return run
            for old in [*self._search(f"tags.`{PARENT}` = '{run.info.run_id}'"), run]:
                self._client.delete_run(old.info.run_id)
        return None

    def _complete(self, wanted: Mapping[str, Content]) -> set[str]:
        """The keys of the children that need no writing; other children of ours are moved out of the way."""
        complete: set[str] = set()
        for run in self._search(f"tags.`{PARENT}` = '{self.run_id}'"):
            key, digest = run.data.tags.get(KEY), run.data.tags.get(CONTENT)
            if key is None:
                continue  # somebody else's
            same = key in wanted and digest == wanted[key].digest and run.info.status == "FINISHED"
            if same and key not in complete:
                complete.add(key)
            else:
                self._kept_end = None
                self._client.delete_run(run.info.run_id)
        if len(complete) < len(wanted):
            self._kept_end = None
        return complete

    def _publish_parent(self, wanted: Content, files: Mapping[str, bytes]) -> None:
        sums = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
        digest = fingerprint((wanted, sums))
        run = self._client.get_run(self.run_id)
        if run.data.tags.get(CONTENT) == digest:
            return
        self._kept_end = None
        if CONTENT in run.data.tags:
            self._client.delete_tag(self.run_id, CONTENT)  # from here on it is neither the old nor the new
        self._log(self.run_id, wanted, self._changed(run, wanted.points))
        tags = [RunTag(name, value) for name, value in wanted.tags.items()]
        self._client.log_batch(self.run_id, tags=tags)
        self._client.update_run(self.run_id, name=wanted.name)
        if files:
            with tempfile.TemporaryDirectory() as folder:
                for path, data in files.items():
                    target = Path(folder, path)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(data)
                self._client.log_artifacts(self.run_id, folder)
        self._client.set_tag(self.run_id, CONTENT, digest)

    def _changed(self, run: Run, points: Sequence[Point]) -> list[Point]:
        """The points that the run lacks or has with another value, which a later time then overrules."""
        known: dict[tuple[str, int], float] = {}
        for name in {name for name, _, _ in points} & run.data.metrics.keys():
            history = self._client.get_metric_history(run.info.run_id, name)
            known |= {(m.key, m.step): m.value for m in sorted(history, key=lambda metric: metric.timestamp)}
        return [(name, step, value) for name, step, value in points if known.get((name, step)) != value]

    def _create(self, wanted: Content, tags: Mapping[str, str]) -> str:
        run = self._client.create_run(self._experiment, tags={**wanted.tags, **tags}, run_name=wanted.name)
        return str(run.info.run_id)

    def _log(self, run_id: str, wanted: Content, points: Sequence[Point]) -> None:
        now = int(time.time() * 1000)
        if wanted.inputs:
            self._client.log_inputs(run_id, [_input(ref) for ref in wanted.inputs])
        self._client.log_batch(
            run_id,
            metrics=[Metric(name, value, now, step) for name, step, value in points],
            params=[Param(name, value) for name, value in wanted.params.items()],
        )

    def _search(self, condition: str) -> list[Run]:
        """All runs outside the trash that meet the condition, the oldest first."""
        runs: list[Run] = []
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [self._experiment],
                condition,
                max_results=PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            runs += page
            token = page.token
            if not token:
                return runs


def _opener() -> dict[str, str]:
    """Who opened a run, and with what, as MLflow's columns "Created by" and "Source" want it."""
    tags = {"mlflow.source.name": Path(sys.argv[0]).name, "mlflow.source.type": "LOCAL"}
    with suppress(ImportError, KeyError, OSError):  # a container may have no name for its user
        tags["mlflow.user"] = getpass.getuser()
    return tags


def _input(ref: DataRef) -> DatasetInput:
    source = urlsplit(ref.uri).scheme or "local"
    dataset = Dataset(ref.name, ref.digest[:32], source, json.dumps({"uri": ref.uri}))
    return DatasetInput(dataset, [InputTag(SHA256, ref.digest)])


def _mlflow_command() -> str:
    """As a person must type it: the command of this environment, whether that is activated or not."""
    here = Path(sys.executable).with_name("mlflow")
    return "mlflow" if shutil.which("mlflow") == str(here) or not here.exists() else shlex.quote(str(here))
