from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from raylab import mlflow_connection, mlflow_tracker
from raylab.mlflow_content import NOTE, content
from raylab.mlflow_tracker import CONTENT, ERROR, KEY, PARENT, SHA256, MlflowTracker
from raylab.tracking import DataRef, Publication, Record, Tracker, TrackerError

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


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Making one takes a second of migrations: made once, copied for every test."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowTracker(f"sqlite:///{path}", None).check()
    return path


@pytest.fixture
def tracker(empty_database: Path, tmp_path: Path) -> MlflowTracker:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return MlflowTracker(f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path / "files"))


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


def test_a_study_becomes_a_parent_and_a_run_per_cell(tracker: MlflowTracker) -> None:
    publish(tracker, study())
    parent, children = opened(tracker), cells(tracker)
    assert parent.info.run_name == "digits l2 eps 1"
    assert parent.data.params == {"eps": "1.0", "sources": "mlp"}
    assert parent.data.metrics == {"mean_accuracy": 0.6}
    assert parent.data.tags[NOTE] == "**What it says**"
    assert children.keys() == {"cell-0", "cell-1", "cell-2"}
    assert {run.data.tags[PARENT] for run in children.values()} == {parent.info.run_id}
    assert {run.info.status for run in [parent, *children.values()]} == {"FINISHED"}
    assert children["cell-2"].info.run_name == "det mlp -> cnn seed 2"
    assert children["cell-2"].data.params == {"source": "mlp", "target": "cnn", "seed": "2"}
    assert children["cell-2"].data.metrics == {"accuracy": 0.52, "p1": 0.1, "train_loss": 0.5}


def test_the_runs_are_listed_in_the_order_of_the_publication(tracker: MlflowTracker) -> None:
    publish(tracker, study(8))
    listed = [run.data.tags[KEY] for run in runs(tracker) if PARENT in run.data.tags]  # as the UI asks: newest first
    assert listed == [f"cell-{index}" for index in range(8)]


def test_a_curve_has_a_step_per_epoch(tracker: MlflowTracker) -> None:
    publish(tracker, study())
    run_id = cells(tracker)["cell-0"].info.run_id
    history = MlflowClient(tracker.uri).get_metric_history(run_id, "train_loss")
    assert [(point.step, point.value) for point in history] == [(1, 2.0), (2, 1.0), (3, 0.5)]


def test_an_input_shows_the_beginning_of_its_digest_and_keeps_all_of_it(tracker: MlflowTracker) -> None:
    publish(tracker, study())
    (used,) = cells(tracker)["cell-0"].inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("construct det", SHA[:32])
    assert {tag.key: tag.value for tag in used.tags} == {SHA256: SHA}
    assert "/store/set/abc" in used.dataset.source


def test_files_can_be_read_back_from_below_the_artifact_root(tracker: MlflowTracker, tmp_path: Path) -> None:
    run_id = publish(tracker, study())
    client = MlflowClient(tracker.uri)
    assert {file.path for file in client.list_artifacts(run_id)} == {"page.html", "figures"}
    assert Path(client.download_artifacts(run_id, "figures/matrix.png")).read_bytes() == b"\x89PNG"
    assert (tmp_path / "files" / "study" / run_id / "artifacts" / "page.html").read_bytes() == b"<h1>matrix</h1>"


def test_publishing_again_writes_nothing(tracker: MlflowTracker) -> None:
    publish(tracker, study())
    before = database(tracker)
    publish(tracker, study())
    publish(MlflowTracker(tracker.uri, None), study())
    assert database(tracker) == before


def test_opening_the_same_key_again_finds_the_same_run(tracker: MlflowTracker) -> None:
    with tracker.job("study", PARENT_RECORD) as first:
        assert opened(tracker).info.status == "RUNNING"
        assert opened(tracker).data.params["eps"] == "1.0"  # to be seen while it runs
    with tracker.job("study", PARENT_RECORD) as second:
        assert opened(tracker).info.status == "RUNNING"
    assert first.run_id == second.run_id == opened(tracker).info.run_id


def test_all_pages_of_a_search_are_read(tracker: MlflowTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_tracker, "PAGE", 2)
    publish(tracker, study(5))
    before = database(tracker)
    publish(tracker, study(5))
    assert database(tracker) == before


@pytest.mark.parametrize(
    "broken", ["create_run", "log_inputs", "log_batch", "set_terminated", "log_artifacts", "set_tag"]
)
@pytest.mark.parametrize("after", [True, False])
def test_an_interrupted_publication_is_completed(
    tracker: MlflowTracker, monkeypatch: pytest.MonkeyPatch, broken: str, after: bool
) -> None:
    """Wherever it breaks, before or after the write, and with no chance to clean up: as after `kill -9`."""
    whole = getattr(MlflowClient, broken)
    in_publish = False
    calls = 0

    def breaking(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += in_publish
        result = whole(*args, **kwargs) if after or calls < 2 else None
        if calls == (1 if broken in ("log_artifacts", "set_tag") else 2):
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(MlflowClient, broken, breaking)
    run = mlflow_tracker.OpenRun(tracker.uri, tracker._client, tracker._experiment("study"), PARENT_RECORD)
    in_publish = True
    with pytest.raises(KeyboardInterrupt):
        run.publish(study())
    monkeypatch.undo()
    finished = {run.info.run_id for run in cells(tracker).values() if run.info.status == "FINISHED"}
    publish(tracker, study())
    assert cells(tracker).keys() == {"cell-0", "cell-1", "cell-2"}
    assert finished <= {run.info.run_id for run in cells(tracker).values()}  # what was complete was left alone
    assert {len(run.data.metrics) for run in cells(tracker).values()} == {3}
    assert {len(run.inputs.dataset_inputs) for run in cells(tracker).values()} == {1}
    assert opened(tracker).info.run_id == run.run_id
    assert len(MlflowClient(tracker.uri).list_artifacts(run.run_id)) == 2
    before = database(tracker)
    publish(tracker, study())
    assert database(tracker) == before


def test_a_changed_cell_replaces_the_old_one_and_only_that(tracker: MlflowTracker) -> None:
    publish(tracker, study())
    before = cells(tracker)
    changed = child(1, metrics={"accuracy": 0.01}, params={"source": "linear"}, curves={"train_loss": (3.0,)})
    publish(tracker, replace(study(), children=(child(0), changed, child(2))))
    after = cells(tracker)
    assert after["cell-1"].data.metrics == {"accuracy": 0.01, "train_loss": 3.0}
    assert after["cell-1"].data.params == {"source": "linear"}
    for key in ("cell-0", "cell-2"):
        assert after[key].info.run_id == before[key].info.run_id


@pytest.mark.parametrize("value", [0.2, 0.9])
def test_a_changed_metric_of_the_parent_is_overwritten(tracker: MlflowTracker, value: float) -> None:
    """Lower values too: MLflow would keep the larger of two of the same time."""
    publication = study()
    run_id = publish(tracker, publication)
    changed = replace(publication.parent, metrics={"mean_accuracy": value}, curves={"curve": (1.0, 2.0)}, note="other")
    for _ in range(2):
        assert publish(tracker, replace(publication, parent=changed)) == run_id
    assert opened(tracker).data.metrics == {"mean_accuracy": value, "curve": 2.0}
    assert opened(tracker).data.tags[NOTE] == "other"
    client = MlflowClient(tracker.uri)
    assert len(client.get_metric_history(run_id, "mean_accuracy")) == 2
    publish(tracker, publication)  # and back
    assert opened(tracker).data.metrics["mean_accuracy"] == 0.6
    assert len(client.get_metric_history(run_id, "curve")) == 2


def test_what_did_not_change_in_a_changed_parent_is_not_written_again(tracker: MlflowTracker) -> None:
    run_id = publish(tracker, study(curves={"curve": (1.0, 2.0)}))
    publish(tracker, replace(study(), parent=replace(study(curves={"curve": (1.0, 3.0)}).parent, note="other")))
    client = MlflowClient(tracker.uri)
    assert len(client.get_metric_history(run_id, "mean_accuracy")) == 1
    assert [(m.step, m.value) for m in client.get_metric_history(run_id, "curve")] == [(1, 1.0), (2, 2.0), (2, 3.0)]


def test_changed_files_are_replaced(tracker: MlflowTracker) -> None:
    run_id = publish(tracker, study())
    publish(tracker, replace(study(), files={"page.html": b"new"}))
    assert Path(MlflowClient(tracker.uri).download_artifacts(run_id, "page.html")).read_bytes() == b"new"


def test_after_an_interrupted_change_the_old_publication_is_written_again(
    tracker: MlflowTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, whole = study(), MlflowClient.log_artifacts
    run_id = publish(tracker, old)

    def breaking(*args: Any) -> None:
        whole(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(MlflowClient, "log_artifacts", breaking)
    with pytest.raises(KeyboardInterrupt):
        publish(tracker, replace(old, files={"page.html": b"half"}))
    monkeypatch.undo()
    publish(tracker, old)
    page = Path(MlflowClient(tracker.uri).download_artifacts(run_id, "page.html"))
    assert page.read_bytes() == b"<h1>matrix</h1>"


def test_a_parent_whose_params_changed_goes_to_the_trash_with_its_cells(tracker: MlflowTracker) -> None:
    old = publish(tracker, study())
    changed = replace(PARENT_RECORD, params={"eps": 2.0, "sources": "mlp"})
    with tracker.job("study", changed) as run:
        run.publish(study(params=changed.params))
    assert run.run_id != old
    assert opened(tracker).data.params["eps"] == "2.0"
    assert {cell.data.tags[PARENT] for cell in cells(tracker).values()} == {run.run_id}
    assert len(runs(tracker, view=ViewType.DELETED_ONLY)) == 4


def test_cells_that_are_no_longer_told_go_but_runs_of_others_stay(tracker: MlflowTracker) -> None:
    run_id = publish(tracker, study(3))
    client = MlflowClient(tracker.uri)
    client.create_run(opened(tracker).info.experiment_id, tags={PARENT: run_id}, run_name="a colleague's")
    publish(tracker, study(2))
    names = [run.info.run_name for run in runs(tracker) if PARENT in run.data.tags]
    assert sorted(names) == ["a colleague's", "det mlp -> cnn seed 0", "det mlp -> cnn seed 1"]


def test_two_studies_share_a_database_and_two_parents_a_cell(tracker: MlflowTracker) -> None:
    publish(tracker, study(2), "one")
    publish(tracker, study(3), "two")
    other = replace(PARENT_RECORD, key="cell-0")  # what a cell is to one, another may be as a whole
    with tracker.job("two", other) as run:
        run.publish(replace(study(2), parent=other))
    assert len(runs(tracker, "one")) == 1 + 2
    assert len(runs(tracker, "two")) == 1 + 3 + 1 + 2
    before = database(tracker)
    publish(tracker, study(2), "one")
    publish(tracker, study(3), "two")
    assert database(tracker) == before


def test_an_experiment_in_the_trash_is_taken_out_again(tracker: MlflowTracker) -> None:
    publish(tracker, study())
    MlflowClient(tracker.uri).delete_experiment(opened(tracker).info.experiment_id)
    publish(tracker, study())
    assert len(runs(tracker)) == 4


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (ValueError("eps is 7"), "FAILED", "ValueError: eps is 7"),
        (KeyboardInterrupt(), "KILLED", "KeyboardInterrupt"),
        (SystemExit(15), "KILLED", "SystemExit: 15"),
    ],
)
def test_a_run_says_how_it_ended(tracker: MlflowTracker, error: BaseException, status: str, told: str) -> None:
    with pytest.raises(type(error)), tracker.job("study", PARENT_RECORD):
        raise error
    assert opened(tracker).info.status == status
    assert opened(tracker).data.tags[ERROR] == told
    publish(tracker, study())
    assert opened(tracker).info.status == "FINISHED"
    assert ERROR not in opened(tracker).data.tags


def test_a_failure_to_tell_of_a_failure_does_not_hide_it(
    tracker: MlflowTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ConnectionError("gone")

    job = tracker.job("study", PARENT_RECORD)
    job.__enter__()
    monkeypatch.setattr(MlflowClient, "set_tag", refuse)
    error = ValueError("the first")
    assert not job.__exit__(ValueError, error, None)
    assert "the run could not be closed (ConnectionError: gone)" in error.__notes__[0]


def test_a_publication_that_fails_says_that_nothing_is_lost(
    tracker: MlflowTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(MlflowClient, "log_inputs", refuse)
    with pytest.raises(TrackerError, match=r"gone.*the results are in the store"):
        publish(tracker, study(), "s")
    assert opened(tracker, "s").info.status == "FAILED"


def test_keys_that_do_not_fit_are_refused(tracker: MlflowTracker) -> None:
    with tracker.job("study", PARENT_RECORD) as run:
        with pytest.raises(ValueError, match="the open run has key 'parent', got 'other'"):
            run.publish(study(key="other"))
        with pytest.raises(ValueError, match="two children have one key"):
            run.publish(replace(study(), children=(child(0), child(0))))


def test_names_become_what_mlflow_allows(tracker: MlflowTracker) -> None:
    odd = child(
        0, metrics={"a->b": 1.0, "../up//x": 2.0, "p(y|x), %": 3.0, "": 4.0}, params={"a=b": 1}, tags={"<t>": "v"}
    )
    publish(tracker, replace(study(), children=(odd,)))
    run = cells(tracker)["cell-0"]
    assert {value: name for name, value in run.data.metrics.items() if name != "train_loss"} == {
        1.0: "a-_b",
        2.0: "up/x",
        3.0: "p_y_x__ _",
        4.0: "_",
    }
    assert run.data.params == {"a_b": "1"}
    assert run.data.tags["_t_"] == "v"


def test_two_names_that_become_one_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'a>b' is the second name that becomes 'a_b'"):
        content(child(0, metrics={"a<b": 1.0, "a>b": 2.0}))
    with pytest.raises(ValueError, match="train_loss"):
        content(child(0, metrics={"train_loss": 1.0}))


def test_values_that_are_not_finite_are_left_out(tracker: MlflowTracker) -> None:
    bad = child(0, metrics={"nan": math.nan, "inf": math.inf, "one": 1.0}, curves={"loss": (1.0, math.nan, 3.0)})
    publish(tracker, replace(study(), children=(bad,)))
    run = cells(tracker)["cell-0"]
    assert run.data.metrics == {"one": 1.0, "loss": 3.0}
    history = MlflowClient(tracker.uri).get_metric_history(run.info.run_id, "loss")
    assert [point.step for point in history] == [1, 3]


def test_long_texts_and_long_curves_are_taken(tracker: MlflowTracker) -> None:
    long = child(0, params={"p": "x" * 9000}, note="n" * 9000, curves={"loss": tuple(float(i) for i in range(1500))})
    publish(tracker, replace(study(), children=(long,)))
    run = cells(tracker)["cell-0"]
    assert len(run.data.params["p"]) == 6000
    assert len(run.data.tags[NOTE]) == 8000
    assert run.data.metrics["loss"] == 1499


def test_the_digest_of_a_content_covers_every_field() -> None:
    same = content(child(0)).digest
    assert content(child(0)).digest == same
    for change in (
        {"name": "x"},
        {"params": {}},
        {"metrics": {}},
        {"curves": {}},
        {"inputs": ()},
        {"tags": {}},
        {"note": "x"},
    ):
        assert content(child(0, **change)).digest != same


def test_the_page_of_a_run_is_named_once_there_is_one(tracker: MlflowTracker) -> None:
    assert "#" not in tracker.describe()
    run_id = publish(tracker, study())
    experiment = opened(tracker).info.experiment_id
    assert f"http://127.0.0.1:5000/#/experiments/{experiment}/runs/{run_id}?" in tracker.describe()
    assert opened(tracker).data.tags["mlflow.source.type"] == "LOCAL"


# -- before anything is computed


def test_nothing_is_opened_before_it_is_used(tmp_path: Path) -> None:
    tracker: Tracker = MlflowTracker(f"sqlite:///{tmp_path}/deep/mlflow.db", None)
    assert f"mlflow ui --backend-store-uri sqlite:///{tmp_path}/deep/mlflow.db" in tracker.describe()
    assert list(tmp_path.iterdir()) == []


def test_a_password_is_not_shown() -> None:
    tracker = MlflowTracker("http://me:secret@127.0.0.1:9", None)
    assert tracker.describe() == "MLflow at http://me:***@127.0.0.1:9"
    with pytest.raises(TrackerError) as caught:
        tracker.check()
    assert "secret" not in str(caught.value)


def test_a_server_that_is_down_is_an_error_within_seconds() -> None:
    started = time.monotonic()
    with pytest.raises(TrackerError) as caught:
        MlflowTracker("http://127.0.0.1:9", None).check()
    assert time.monotonic() - started < 4
    text = str(caught.value)
    assert text.startswith("MLflow at http://127.0.0.1:9: it cannot be used (ConnectionRefusedError:")
    assert "`tracking:` in the site file or MLFLOW_TRACKING_URI" in text
    assert "MLFLOW_HTTP_REQUEST_TIMEOUT" not in os.environ


def test_a_server_that_never_answers_is_an_error_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_connection, "QUICK_SECONDS", 1)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        started = time.monotonic()
        with pytest.raises(TrackerError, match="timed out"):
            MlflowTracker(f"http://127.0.0.1:{silent.getsockname()[1]}", None).check()
    assert time.monotonic() - started < 4


@pytest.mark.parametrize("uri", ["htp://host", "runs", "/tmp/runs", "file:///tmp/runs", "mongodb://host/x"])
def test_a_uri_of_another_kind_is_refused_with_those_that_are_taken(uri: str) -> None:
    with pytest.raises(TrackerError, match="begins with one of http, https, databricks, sqlite"):
        MlflowTracker(uri, None).check()


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///runs.db", "sqlite:///:memory:"])
def test_a_database_that_depends_on_the_working_directory_is_refused(uri: str) -> None:
    with pytest.raises(TrackerError, match=f"write sqlite:///{Path.cwd()}/"):
        MlflowTracker(uri, None).check()


def test_a_place_that_cannot_hold_a_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no database")
    with pytest.raises(TrackerError, match="file is not a database"):
        MlflowTracker(f"sqlite:///{tmp_path}/file", None).check()
    with pytest.raises(TrackerError, match=r"NotADirectoryError|FileExistsError"):
        MlflowTracker(f"sqlite:///{tmp_path}/file/mlflow.db", None).check()
    with pytest.raises(TrackerError, match="unable to open database file"):
        MlflowTracker(f"sqlite:///{tmp_path}", None).check()


def test_a_driver_that_is_not_installed_or_a_database_that_is_down_is_an_error() -> None:
    with pytest.raises(TrackerError, match=r"ModuleNotFoundError|refused"):
        MlflowTracker("postgresql://me:secret@127.0.0.1:9/runs", None).check()


def test_a_folder_of_files_that_cannot_be_made_is_an_error(empty_database: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrackerError, match="file"):
        MlflowTracker(f"sqlite:///{empty_database}", str(tmp_path / "file" / "files")).check()


# -- in processes of their own

SCRIPT = """
import os, sys
from raylab.tracking import Publication, Record
from raylab.mlflow_tracker import MlflowTracker
tracker = MlflowTracker(sys.argv[1], sys.argv[2])
parent = Record("parent", "study")
children = tuple(Record(f"cell-{i}", f"cell {i}", metrics={"m": i}) for i in range(6))
publication = Publication(parent, children, {"a.txt": b"a"})
"""


def process(script: str, *args: str, cwd: Path | None = None) -> subprocess.Popen[str]:
    # Without what switches telemetry off by itself, in tests and in CI.
    known = ("PATH", "HOME", "PYTHONPATH", "VIRTUAL_ENV", "LANG")
    clean = {name: os.environ[name] for name in known if name in os.environ}
    command = [sys.executable, "-c", SCRIPT + textwrap.dedent(script), *args]
    pipes = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipes, stderr=pipes, text=True, env=clean, cwd=cwd)


@pytest.mark.slow
def test_a_job_prints_nothing_sends_nothing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "cwd").mkdir()
    quiet = process(
        """
        from mlflow.telemetry import get_telemetry_client
        assert get_telemetry_client() is None  # at once: without a network it would give up, and be None later
        tracker.check()
        with tracker.job("study", parent) as run:
            run.publish(publication)
        """,
        f"sqlite:///{tmp_path}/home/mlflow.db",
        str(tmp_path / "home/files"),
        cwd=tmp_path / "cwd",
    )
    out, err = quiet.communicate(timeout=120)
    assert (out, err, quiet.returncode) == ("", "", 0)
    assert list((tmp_path / "cwd").iterdir()) == []


@pytest.mark.slow
def test_a_driver_killed_while_it_publishes_is_completed_by_the_next(tracker: MlflowTracker, tmp_path: Path) -> None:
    killed = process(
        """
        from mlflow import MlflowClient
        log_batch, calls = MlflowClient.log_batch, []
        def dying(self, *args, **kwargs):
            calls.append(None)
            if len(calls) == 5:
                os.kill(os.getpid(), 9)
            return log_batch(self, *args, **kwargs)
        MlflowClient.log_batch = dying
        with tracker.job("study", parent) as run:
            run.publish(publication)
        """,
        tracker.uri,
        str(tmp_path / "files"),
    )
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert [run.info.status for run in cells(tracker).values()].count("RUNNING") == 1
    assert len(cells(tracker)) == 4
    parent = Record("parent", "study")
    publication = Publication(parent, tuple(Record(f"cell-{i}", f"cell {i}", metrics={"m": i}) for i in range(6)), {})
    with tracker.job("study", parent) as run:
        run.publish(publication)
    assert {run.data.tags[KEY]: run.data.metrics["m"] for run in cells(tracker).values()} == {
        f"cell-{i}": i for i in range(6)
    }
    assert {run.info.status for run in runs(tracker)} == {"FINISHED"}


@pytest.mark.slow
def test_drivers_that_make_the_database_together_both_succeed(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/new/mlflow.db"
    together = [process("tracker.check()", uri, str(tmp_path / "files")) for _ in range(3)]
    ends = [(*one.communicate(timeout=200), one.returncode) for one in together]
    assert ends == [("", "", 0)] * 3


@pytest.fixture
def server(empty_database: Path, tmp_path: Path) -> Iterator[str]:
    shutil.copy(empty_database, tmp_path / "server.db")
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path}/server.db"]
    command += ["--artifacts-destination", str(tmp_path / "server-files")]
    env = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=env, cwd=tmp_path, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail((tmp_path / "server.log").read_text())
                time.sleep(0.3)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


@pytest.mark.slow
def test_a_server_is_told_the_same_as_a_database(server: str, capfd: pytest.CaptureFixture[str]) -> None:
    tracker = MlflowTracker(server, "/not/for/servers")
    tracker.check()
    run_id = publish(tracker, study())
    ids = {key: run.info.run_id for key, run in cells(tracker).items()}
    assert publish(tracker, study()) == run_id
    assert {key: run.info.run_id for key, run in cells(tracker).items()} == ids
    assert ids.keys() == {"cell-0", "cell-1", "cell-2"}
    assert cells(tracker)["cell-1"].data.metrics["accuracy"] == 0.51
    assert CONTENT in opened(tracker).data.tags
    local = MlflowClient(server).download_artifacts(run_id, "page.html")
    assert Path(local).read_bytes() == b"<h1>matrix</h1>"
    assert "View run" not in capfd.readouterr().out
