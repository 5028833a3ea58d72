"""A parent run of MLflow and its children: written once, completed, restored, replaced where they changed.

The driver is the only writer. While a job runs, children show what there is of them, without a digest; they are
completed where they stand, by the next job too where this one was ended. A child is complete when it carries the
digest of its content and is FINISHED, which is written last. One search finds the complete ones, also in MLflow's
trash, from which they are taken out again; whatever else stands in the place of a cell goes there, and the cell is
written anew. So publishing twice writes nothing, an interrupted publication is completed by the next one, and a
changed cell is replaced whole, for MLflow never lets go of a param, an input or a point of a curve. The parent keeps
its id, since people link to it: its metrics, tags and files are overwritten, and the digest of its content is a tag
that is written last.

What people added stays: names, notes, tags, metrics, files. Only a cell that changed takes no more than their tags, and
their note where it has none of its own, to the run that replaces it; the rest is in the trash.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from raylab.tracking.mlflow.connection import explained, quick

# isort: split
# The connection comes first: it sets what mlflow reads while it is imported.
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType

from raylab.engine.redaction import redacted
from raylab.tracking import DataRef, Publication, Record
from raylab.tracking.mlflow.content import MAX_TAG, NOTE, Content, Point, content
from raylab.tracking.mlflow.files import missing, write
from raylab.tracking.mlflow.monitor import Monitor

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

KEY, CONTENT, ERROR = "raylab.key", "raylab.content", "raylab.error"  # tags of runs
NOTED = "raylab.note.sha256"  # of the note that was written here: another one is a person's
SHA256 = "raylab.sha256"  # tag of an input: MLflow's own field for a digest has room for 36 characters
PARENT = "mlflow.parentRunId"  # the tag by which MLflow nests runs
PAGE = 1000  # runs of one answer to a search

AGAIN = "the results are in the store; the same command publishes them again"


class OpenRun:
    """The parent run of a job, found again or created."""

    def __init__(self, uri: str, client: MlflowClient, experiment: str, parent: Record) -> None:
        self._uri, self._key = uri, parent.key
        self._client, self._experiment = client, experiment
        self._kept_end: int | None = None  # when it ended, as long as nothing was written since
        self._followed: dict[str, Run] | None = None  # children by key, as they were when last written to
        self._monitor = Monitor(uri)
        wanted = content(parent)
        found = self._find(wanted)
        if found is None:
            self.run_id = self._create(
                {**wanted.tags, KEY: parent.key, NOTED: _noted(wanted), **_opener()}, wanted.name
            )
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
            complete, added, begun = self._complete(children)
            for key, wanted in reversed(children.items()):  # MLflow lists the newest first
                if key in complete:
                    continue
                self._kept_end = None
                tags = {CONTENT: wanted.digest(), NOTED: _noted(wanted)}
                if key in begun:
                    run_id = self._grow(begun[key], wanted)
                    self._tag(run_id, wanted.tags | wanted.places | tags)
                else:
                    run_id = self._begin(key, wanted, added.get(key, {}), tags)
                self._client.set_terminated(run_id)
            self._publish_parent(parent, publication.files)

    def follow(self, children: Sequence[Record]) -> None:
        """Show what there is of these so far: new ones are begun, begun ones get what they lack.

        Raises TrackerError where writing fails.
        """
        with explained(self._uri, "a result cannot be shown yet", "it is published when the job is done"), quick():
            self._monitor.start(self.run_id)
            if self._followed is None:
                there = [run for run in self._children(self.run_id) if _active(run)]
                self._followed = {run.data.tags[KEY]: run for run in there if KEY in run.data.tags}
            for child in children:
                wanted, run = content(child), self._followed.get(child.key)
                if run is None:
                    run_id = self._begin(child.key, wanted)
                elif {name for name, _, _ in wanted.points} <= run.data.metrics.keys():
                    continue
                else:  # as it is now: another driver may have finished it
                    run_id, run = run.info.run_id, self._client.get_run(run.info.run_id)
                    if _can_become(run, wanted):
                        self._grow(run, wanted)
                self._followed[child.key] = self._client.get_run(run_id)

    def finish(self) -> None:
        """A job that found everything published keeps the time at which that was done."""
        self._monitor.end()
        self._client.set_terminated(self.run_id, "FINISHED", self._kept_end)

    def fail(self, error: BaseException) -> None:
        self._monitor.end()
        told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        self._client.set_tag(self.run_id, ERROR, redacted(told, self._uri)[:MAX_TAG])
        for run in (self._followed or {}).values():
            if CONTENT not in run.data.tags and run.info.status == "RUNNING":
                self._client.set_terminated(run.info.run_id, "KILLED")  # the next job goes on with it
        # What is no Exception is a wish to stop: Ctrl-C, or SIGTERM, for which Ray's handler raises SystemExit.
        self._client.set_terminated(self.run_id, "FAILED" if isinstance(error, Exception) else "KILLED")

    def _find(self, wanted: Content) -> Run | None:
        """The oldest parent of this key, from the trash where there is no other.

        One whose params have other values was written by another version of the code, and no param can be changed: it
        goes to the trash with its children. So do doubles, as of a parent that was deleted, written again by an
        earlier raylab, and restored; but not one that another driver may be writing.
        """
        parents = [run for run in self._search(f"tags.`{KEY}` = '{self._key}'") if PARENT not in run.data.tags]
        same = [run for run in parents if _agree(run, wanted)]
        found = next(iter(same), None)
        for run in parents:
            if run is not found and not (run in same and _active(run) and run.info.status == "RUNNING"):
                cells = [cell for cell in self._children(run.info.run_id) if KEY in cell.data.tags]
                for old in filter(_active, [*cells, run]):
                    self._client.delete_run(old.info.run_id)
        if found is not None and not _active(found):
            self._client.restore_run(found.info.run_id)
        return found

    def _complete(self, wanted: Mapping[str, Content]) -> tuple[set[str], dict[str, dict[str, str]], dict[str, Run]]:
        """The keys of the children that need no writing, the tags that people gave to those that are replaced, and
        those that were begun and need the rest.

        Children of ours that are none of these are moved out of the way.
        """
        complete: set[str] = set()
        added: dict[str, dict[str, str]] = {}
        begun: dict[str, Run] = {}
        for run in self._children(self.run_id):
            key = run.data.tags.get(KEY)
            if key is None:
                continue  # somebody else's
            if key in wanted and key not in complete and run.info.status == "FINISHED" and _is(run, wanted[key]):
                if not _active(run):
                    self._client.restore_run(run.info.run_id)
                    self._kept_end = None
                self._complete_tags(run, wanted[key], wanted[key].digest())
                complete.add(key)
            elif (
                key in wanted
                and key not in complete
                and key not in begun
                and _active(run)
                and _can_become(run, wanted[key])
            ):
                begun[key] = run
            elif _active(run):
                self._kept_end = None
                self._client.delete_run(run.info.run_id)
                added.setdefault(key, _of_people(run))
        for key in complete & begun.keys():  # begun before the finished one was seen
            self._client.delete_run(begun.pop(key).info.run_id)
        return complete, added, begun

    def _publish_parent(self, wanted: Content, files: Mapping[str, bytes]) -> None:
        sums = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
        run = self._client.get_run(self.run_id)
        if _is(run, wanted, sums):
            if lost := missing(self._client, self.run_id, files):
                self._kept_end = None
                write(self._client, self.run_id, lost)
            self._complete_tags(run, wanted, wanted.digest(sums))
            return
        self._kept_end = None
        if CONTENT in run.data.tags:
            self._client.delete_tag(self.run_id, CONTENT)  # from here on it is neither the old nor the new
        self._log(self.run_id, wanted, self._changed(run, wanted.points))
        tags = wanted.tags | wanted.places | {NOTED: _noted(wanted)}
        if _has_note_of_people(run):
            tags.pop(NOTE, None)
        self._tag(self.run_id, tags)
        write(self._client, self.run_id, files)
        self._client.set_tag(self.run_id, CONTENT, wanted.digest(sums))

    def _changed(self, run: Run, points: Sequence[Point]) -> list[Point]:
        """The points that the run lacks or has with another value, which a later time then overrules.

        No point can be taken back: a metric that is no longer told becomes nan. It is ours, and no person's, where its
        time is also one of ours: a batch has one time.
        """
        told = {name for name, _, _ in points}
        histories: dict[str, list[Metric]] = {}
        for name, value in run.data.metrics.items():
            if name in told or not math.isnan(value):
                history = self._client.get_metric_history(run.info.run_id, name)
                histories[name] = sorted(history, key=lambda metric: metric.timestamp)
        known = {(m.key, m.step): m.value for history in histories.values() for m in history}
        times = {m.timestamp for name in told & histories.keys() for m in histories[name]}
        last = [history[-1] for name, history in histories.items() if name not in told]
        dropped = [(m.key, m.step, math.nan) for m in last if m.timestamp in times]
        return [(name, step, value) for name, step, value in points if known.get((name, step)) != value] + dropped

    def _complete_tags(self, run: Run, wanted: Content, digest: str) -> None:
        """Write tags that are gone, places that changed, a digest of another form; what people changed stays."""
        there, ours = run.data.tags, wanted.places | {CONTENT: digest, NOTED: _noted(wanted)}
        tags = {name: value for name, value in (wanted.tags | ours).items() if name not in there}
        tags |= {name: value for name, value in ours.items() if there.get(name) != value}
        if tags:
            self._tag(run.info.run_id, tags)

    def _tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        self._client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])

    def _begin(
        self, key: str, wanted: Content, added: Mapping[str, str] | None = None, tags: Mapping[str, str] | None = None
    ) -> str:
        """A child with all that there is of it."""
        ours = wanted.tags | wanted.places | {KEY: key, PARENT: self.run_id}
        run_id = self._create({**(added or {}), **ours, **(tags or {})}, wanted.name)
        self._log(run_id, wanted, wanted.points)
        return run_id

    def _grow(self, run: Run, wanted: Content) -> str:
        """What a child that was begun lacks."""
        known = _inputs(run)
        lacking = replace(wanted, inputs=tuple(ref for ref in wanted.inputs if ref.digest not in known))
        self._log(run.info.run_id, lacking, self._changed(run, wanted.points))
        return str(run.info.run_id)

    def _create(self, tags: Mapping[str, str], name: str) -> str:
        return str(self._client.create_run(self._experiment, tags=dict(tags), run_name=name).info.run_id)

    def _log(self, run_id: str, wanted: Content, points: Sequence[Point]) -> None:
        now = int(time.time() * 1000)
        if wanted.inputs:
            self._client.log_inputs(run_id, [_input(ref) for ref in wanted.inputs])
        self._client.log_batch(
            run_id,
            metrics=[Metric(name, value, now, step) for name, step, value in points],
            params=[Param(name, value) for name, value in wanted.params.items()],
        )

    def _children(self, run_id: str) -> list[Run]:
        return self._search(f"tags.`{PARENT}` = '{run_id}'")

    def _search(self, condition: str) -> list[Run]:
        """All runs that meet the condition, those outside the trash first, the oldest first."""
        runs: list[Run] = []
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [self._experiment],
                condition,
                run_view_type=ViewType.ALL,
                max_results=PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            runs += page
            token = page.token
            if not token:
                return sorted(runs, key=lambda run: not _active(run))


def _active(run: Run) -> bool:
    return bool(run.info.lifecycle_stage == "active")


def _agree(run: Run, wanted: Content) -> bool:
    """Whether no param of the run has another value."""
    return all(run.data.params.get(name, value) == value for name, value in wanted.params.items())


def _can_become(run: Run, wanted: Content) -> bool:
    """Whether a run that was begun, and has no digest yet, holds nothing that the wanted one will not."""
    names = {name for name, _, _ in wanted.points}
    ours = {name for name in run.data.metrics if not name.startswith("system/")}
    same = run.info.run_name == wanted.name and ours <= names and run.data.params.keys() <= wanted.params.keys()
    return (
        same
        and CONTENT not in run.data.tags
        and _agree(run, wanted)
        and _inputs(run) <= {r.digest for r in wanted.inputs}
    )


def _inputs(run: Run) -> set[str]:
    """The digests of the data sets that a run names."""
    return {tag.value for used in run.inputs.dataset_inputs for tag in used.tags if tag.key == SHA256}


def _is(run: Run, wanted: Content, files: Mapping[str, str] | None = None) -> bool:
    """Whether the run was written with this content, now or by an earlier raylab."""
    digest = run.data.tags.get(CONTENT, "")
    if ":" in digest or not digest:
        return bool(digest == wanted.digest(files))
    ours = [used.dataset for used in run.inputs.dataset_inputs if any(tag.key == SHA256 for tag in used.tags)]
    paths = [json.loads(dataset.source)["uri"] for dataset in ours]
    paths += [run.data.tags[name] for name in wanted.places if name in run.data.tags]
    return digest in wanted.old_digests(paths, files)


def _noted(wanted: Content) -> str:
    return hashlib.sha256(wanted.tags.get(NOTE, "").encode()).hexdigest()


def _has_note_of_people(run: Run) -> bool:
    note, noted = run.data.tags.get(NOTE, ""), run.data.tags.get(NOTED)
    return bool(note) and noted is not None and hashlib.sha256(note.encode()).hexdigest() != noted


def _of_people(run: Run) -> dict[str, str]:
    """The tags that people gave to a run."""
    tags = {name: value for name, value in run.data.tags.items() if not name.startswith(("mlflow.", "raylab."))}
    return tags | ({NOTE: run.data.tags[NOTE]} if _has_note_of_people(run) else {})


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
