"""Publications for tests of the tracker, and what MLflow has of them."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import replace
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from raylab.tracking import DataRef, Publication, Record
from raylab.tracking.mlflow.run import KEY, PARENT
from raylab.tracking.mlflow.tracker import MlflowTracker

SHA = "0123456789abcdef" * 4
PARENT_RECORD = Record("parent", "digits l2 eps 1", {"eps": 1.0, "sources": "mlp"}, tags={"raylab.stage": "matrix"})


def child(index: int, **changes: Any) -> Record:
    record = Record(
        key=f"cell-{index}",
        name=f"det mlp -> cnn seed {index}",
        params={"source": "mlp", "target": "cnn", "seed": index},
        metrics={"accuracy": 0.5 + index / 100, "p1": 0.1},
        curves={"train_loss": (2.0, 1.0, 0.5)},
        inputs=(DataRef("construct det", SHA, "/store/set/abc"),),
        tags={"raylab.stage": "cell"},
    )
    return replace(record, **changes)


def study(children: int = 3, **changes: Any) -> Publication:
    parent = replace(PARENT_RECORD, metrics={"mean_accuracy": 0.6}, note="**What it says**", **changes)
    files = {"page.html": b"<h1>matrix</h1>", "figures/matrix.png": b"\x89PNG"}
    return Publication(parent, tuple(child(i) for i in range(children)), files)


def publish(tracker: MlflowTracker, publication: Publication, experiment: str = "study") -> str:
    with tracker.job(experiment, PARENT_RECORD) as run:
        run.publish(publication)
    return run.run_id


def runs(tracker: MlflowTracker, experiment: str = "study", view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
    client = MlflowClient(tracker.uri)
    found = client.get_experiment_by_name(experiment)
    return list(client.search_runs([found.experiment_id], run_view_type=view)) if found else []


def cells(tracker: MlflowTracker, experiment: str = "study") -> dict[str, Run]:
    found = [run for run in runs(tracker, experiment) if PARENT in run.data.tags]
    by_key = {run.data.tags[KEY]: run for run in found}
    assert len(by_key) == len(found), "a cell has two runs"
    return by_key


def opened(tracker: MlflowTracker, experiment: str = "study") -> Run:
    (parent,) = [run for run in runs(tracker, experiment) if PARENT not in run.data.tags]
    return parent


def database(tracker: MlflowTracker) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table: what 'writes nothing' means."""
    with contextlib.closing(sqlite3.connect(tracker.uri.removeprefix("sqlite:///"))) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: sorted(connection.execute(f"SELECT * FROM {table}"), key=repr) for table in tables}
