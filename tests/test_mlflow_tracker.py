"""A study becomes runs of MLflow: written once, completed after an interruption, replaced where it changed."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow_runs import PARENT_RECORD, SHA, cells, child, database, opened, publish, runs, study

from raylab.tracking import TrackerError
from raylab.tracking.mlflow import run as mlflow_run
from raylab.tracking.mlflow.content import NOTE
from raylab.tracking.mlflow.run import ERROR, KEY, PARENT, SHA256
from raylab.tracking.mlflow.tracker import MlflowTracker


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
    monkeypatch.setattr(mlflow_run, "PAGE", 2)
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
    run = mlflow_run.OpenRun(tracker.uri, tracker._client, tracker._experiment("study"), PARENT_RECORD)
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
    metrics = opened(tracker).data.metrics
    assert metrics["mean_accuracy"] == 0.6
    assert math.isnan(metrics["curve"])  # no point can be taken back
    publish(tracker, replace(publication, parent=changed))
    assert opened(tracker).data.metrics == {"mean_accuracy": value, "curve": 2.0}


def test_a_metric_that_is_no_longer_told_becomes_nan_and_one_of_a_person_stays(tracker: MlflowTracker) -> None:
    publication = study()
    refused = replace(publication.parent, metrics={"mean_accuracy": 0.6, "pearson.rand.pooled": -0.957})
    run_id = publish(tracker, replace(publication, parent=refused))
    client = MlflowClient(tracker.uri)
    client.log_metric(run_id, "my rating", 5.0)
    for _ in range(2):
        publish(tracker, publication)
        metrics = opened(tracker).data.metrics
        assert math.isnan(metrics.pop("pearson.rand.pooled"))
        assert metrics == {"mean_accuracy": 0.6, "my rating": 5.0}
    assert len(client.get_metric_history(run_id, "pearson.rand.pooled")) == 2


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
