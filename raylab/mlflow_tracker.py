"""The tracker that speaks MLflow: one experiment per study, one parent run per job, one child run per cell.

The driver is the only writer. A child is complete when it carries the digest of its content and is FINISHED, which is
written last. One search finds the complete ones; whatever else stands in the place of a cell goes to MLflow's trash and is
written anew. So publishing twice writes nothing, an interrupted publication is completed by the next one, and a changed
cell is replaced whole, for MLflow never lets go of a param, an input or a point of a curve. The parent keeps its id, since
people link to it: its metrics, tags and files are overwritten, and the digest of its content is a tag that is written last.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
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
from urllib.parse import urlsplit

# The first is read while mlflow is imported; the others would mix lines and bars into a job's output.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import sqlalchemy
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag

from raylab.identity import fingerprint
from raylab.mlflow_content import MAX_TAG, Content, Point, content
from raylab.tracking import DataRef, Publication, Record, TrackerError

KEY, CONTENT, ERROR = "raylab.key", "raylab.content", "raylab.error"  # tags of runs
SHA256 = "raylab.sha256"  # tag of an input: MLflow's own field for a digest has room for 36 characters
PARENT = "mlflow.parentRunId"  # the tag by which MLflow nests runs

SERVERS = ("http", "https", "databricks")
DATABASES = {"sqlite": "timeout", "postgresql": "connect_timeout", "mysql": "connect_timeout", "mssql": ""}
QUICK_SECONDS = 5  # for whatever must not keep a person waiting
PAGE = 1000  # runs of one answer to a search

ELSEWHERE = "name another with `tracking:` in the site file or MLFLOW_TRACKING_URI, or do without: `tracking: none`"
AGAIN = "the results are in the store; the same command publishes them again"


class MlflowTracker:
    """Tracks in the database or server at `uri`; nothing is opened before it is used.

    `artifact_root`: folder or URI for the files of new experiments. A server has a place of its own and this is ignored.
    """

    def __init__(self, uri: str, artifact_root: str | None) -> None:
        self.uri = uri
        self.artifact_root = artifact_root
        self._scheme = urlsplit(uri).scheme.split("+")[0] or uri

    def describe(self) -> str:
        """Where to look; for SQLite, the exact command."""
        if self._scheme == "sqlite":
            return f"MLflow; to look: {_mlflow_command()} ui --backend-store-uri {shlex.quote(self.uri)}"
        return f"MLflow at {_public(self.uri)}"

    def check(self) -> None:
        """Creates the database, or reaches the server; TrackerError within seconds where that fails."""
        with _explained(self.uri, "it cannot be used", ELSEWHERE), _quick():
            self._client.search_experiments(max_results=1)
            if self._scheme in DATABASES and self.artifact_root and "://" not in self.artifact_root:
                Path(self.artifact_root).mkdir(parents=True, exist_ok=True)

    @contextmanager
    def job(self, experiment: str, parent: Record) -> Iterator[OpenRun]:
        """The run is FINISHED at the end, KILLED after Ctrl-C, FAILED after another exception; a tag then says which."""
        with _explained(self.uri, "no run can be opened", ELSEWHERE):
            run = OpenRun(self.uri, self._client, self._experiment(experiment), parent)
        try:
            yield run
        except BaseException as error:
            try:
                with _quick():
                    run.fail(error)
            except Exception as second:  # the first error is the one to tell
                error.add_note(f"MLflow at {_public(self.uri)} could not be told of it: {_cause(second)}")
            raise
        with _explained(self.uri, "the run cannot be closed", AGAIN):
            run.finish()

    @cached_property
    def _client(self) -> MlflowClient:
        if self._scheme in SERVERS:
            return MlflowClient(self.uri)
        if self._scheme not in DATABASES:
            raise ValueError(f"a URI here begins with one of {', '.join([*SERVERS, *DATABASES])}; a folder holds no runs")
        # All that it complains of is raised as well, and a database that is made is no news.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        url = sqlalchemy.make_url(self.uri)
        if self._scheme != "sqlite":
            self._connect(url)
            return MlflowClient(self.uri)
        path = Path(url.database or "mlflow.db")
        if not path.is_absolute():
            raise ValueError(f"a relative path is another one in every job's folder; write sqlite:///{path.absolute()}")
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone_in(path.parent):
            self._connect(url)
            return MlflowClient(self.uri)

    def _connect(self, url: sqlalchemy.URL) -> None:
        """One attempt with a short timeout: MLflow itself goes on for most of an hour."""
        timeout = DATABASES[self._scheme]
        engine = sqlalchemy.create_engine(url, connect_args={timeout: QUICK_SECONDS} if timeout else {})
        try:
            with engine.connect() as connection:
                if self._scheme == "sqlite":
                    connection.exec_driver_sql("BEGIN IMMEDIATE")  # what a writer needs
        finally:
            engine.dispose()

    def _experiment(self, name: str) -> str:
        """The id of the experiment of that name; one in the trash is taken out again."""
        found = self._client.get_experiment_by_name(name)
        if found is None:
            root = self.artifact_root if self._scheme in DATABASES else None
            if root and "://" not in root:
                root = Path(root).absolute().as_uri()
            folder = re.sub(r"[^\w.-]+", "-", name)
            return str(self._client.create_experiment(name, f"{root}/{folder}" if root else None))
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
            self.run_id = self._create(wanted, {KEY: parent.key})
            self._log(self.run_id, wanted, ())  # so that one sees what is running
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
            raise ValueError(f"publish: the open run has key {self._key!r}, got one of {publication.parent.key!r}")
        parent = content(publication.parent)
        children = {child.key: content(child) for child in publication.children}
        if len(children) < len(publication.children):
            raise ValueError("publish: two children have one key; a key names one cell")
        with _explained(self._uri, "publishing broke off", AGAIN):
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
        status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        self._client.set_tag(self.run_id, ERROR, f"{type(error).__name__}: {error}"[:MAX_TAG])
        self._client.set_terminated(self.run_id, status)

    def _find(self, wanted: Content) -> Run | None:
        """The oldest parent of this key (two drivers that began together will agree on it), unless its params have other
        values: another version of the recipe wrote that one, and it goes to the trash with its children.
        """
        for run in self._search(f"tags.`{KEY}` = '{self._key}'"):
            known = run.data.params
            if PARENT in run.data.tags:
                continue
            if all(known.get(name, value) == value for name, value in wanted.params.items()):
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
            if key in wanted and key not in complete and digest == wanted[key].digest and _finished(run):
                complete.add(key)
            else:
                self._kept_end = None
                self._client.delete_run(run.info.run_id)
        if len(complete) < len(wanted):
            self._kept_end = None
        return complete

    def _publish_parent(self, wanted: Content, files: Mapping[str, bytes]) -> None:
        shas = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
        digest = fingerprint((wanted, shas))
        run = self._client.get_run(self.run_id)
        if run.data.tags.get(CONTENT) == digest:
            return
        self._kept_end = None
        if CONTENT in run.data.tags:
            self._client.delete_tag(self.run_id, CONTENT)  # from here on the run is neither the old nor the new
        self._log(self.run_id, wanted, self._changed(run, wanted.points))
        self._client.log_batch(self.run_id, tags=_run_tags(wanted.tags))
        with tempfile.TemporaryDirectory() as folder:
            for path, data in files.items():
                target = Path(folder, path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            if files:
                self._client.log_artifacts(self.run_id, folder)
        self._client.set_tag(self.run_id, CONTENT, digest)

    def _changed(self, run: Run, points: Sequence[Point]) -> list[Point]:
        """The points that the run does not have, or has with another value: a later time then wins over the old one."""
        known: dict[tuple[str, int], float] = {}
        for name in {name for name, _, _ in points} & run.data.metrics.keys():
            history = self._client.get_metric_history(run.info.run_id, name)
            known |= {(m.key, m.step): m.value for m in sorted(history, key=lambda metric: metric.timestamp)}
        return [point for point in points if known.get(point[:2]) != point[2]]

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
        token: str | None = ""
        while token is not None:
            page = self._client.search_runs(
                [self._experiment], condition, max_results=PAGE, order_by=["attributes.start_time ASC"], page_token=token
            )
            runs += page
            token = page.token or None
        return runs


def _finished(run: Run) -> bool:
    return bool(run.info.status == "FINISHED")


def _run_tags(tags: Mapping[str, str]) -> list[RunTag]:
    return [RunTag(name, value) for name, value in tags.items()]


def _input(ref: DataRef) -> DatasetInput:
    scheme = urlsplit(ref.uri).scheme
    source = json.dumps({"uri": ref.uri})
    dataset = Dataset(ref.name, ref.digest[:32], scheme or "local", source)
    return DatasetInput(dataset, [InputTag(SHA256, ref.digest)])


def _mlflow_command() -> str:
    """As a person must type it: the one of this environment, whether it is activated or not."""
    here = Path(sys.executable).with_name("mlflow")
    return "mlflow" if shutil.which("mlflow") == str(here) or not here.exists() else str(here)


def _public(uri: str) -> str:
    return re.sub(r"://([^/@:]*):[^/@]*@", r"://\1:***@", uri)


def _cause(error: BaseException) -> str:
    """What is at the bottom of a chain of exceptions, in a line: the connection refused, not the three layers above."""
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"


@contextmanager
def _explained(uri: str, what: str, remedy: str) -> Iterator[None]:
    """Whatever goes wrong inside becomes a TrackerError: databases, HTTP and object stores raise errors of their own."""
    try:
        yield
    except Exception as error:
        raise TrackerError(f"MLflow at {_public(uri)}: {what} ({_cause(error)}); {remedy}") from error


@contextmanager
def _quick() -> Iterator[None]:
    """One attempt, seconds: MLflow's patience is minutes, right for a publication and wrong for a check."""
    patience = {"MLFLOW_HTTP_REQUEST_TIMEOUT": str(QUICK_SECONDS), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    before = {name: os.environ.get(name) for name in patience}
    os.environ.update(patience)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """One driver at a time creates a database: two at once break each other's migrations."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems have no such locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
