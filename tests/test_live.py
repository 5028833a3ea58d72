"""Results as they come: what the tracker shows while a job runs, and that it ends with each run once."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import mlflow_runs as mlflow
import pytest
import toy
from mlflow import MlflowClient
from mlflow.entities import ViewType

from raylab.engine import runner
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Stage
from raylab.engine.store import Store
from raylab.engine.study import Built, Study
from raylab.tracking import Record, live
from raylab.tracking.live import Live
from raylab.tracking.mlflow.run import CONTENT
from raylab.tracking.mlflow.tracker import MlflowTracker


def begun(index: int) -> Record:
    """A child before all of it was measured."""
    whole = mlflow.child(index)
    return replace(whole, metrics={"p1": 0.1}, curves={}, inputs=())


def test_a_child_grows_until_it_is_published_and_is_one_run(tracker: MlflowTracker) -> None:
    with tracker.job("study", mlflow.PARENT_RECORD) as run:
        run.follow([begun(0)])
        (early,) = mlflow.cells(tracker).values()
        assert (early.info.status, early.data.metrics) == ("RUNNING", {"p1": 0.1})
        run.follow([mlflow.child(0), begun(1)])
        grown = mlflow.cells(tracker)["cell-0"]
        assert grown.data.metrics["accuracy"] == 0.5
        assert CONTENT not in grown.data.tags
        run.publish(mlflow.study(2))
    cells = mlflow.cells(tracker)
    assert {one.info.status for one in cells.values()} == {"FINISHED"}
    assert cells["cell-0"].info.run_id == early.info.run_id
    assert len(mlflow.runs(tracker, view=ViewType.ALL)) == 3  # nothing went to the trash
    assert [len(one.inputs.dataset_inputs) for one in cells.values()] == [1, 1]
    before = {key: one.data.metrics for key, one in cells.items()}
    mlflow.publish(tracker, mlflow.study(2))
    assert {key: one.data.metrics for key, one in mlflow.cells(tracker).items()} == before


def test_what_a_killed_job_began_is_completed_by_the_next(tracker: MlflowTracker) -> None:
    def killed() -> None:
        with tracker.job("study", mlflow.PARENT_RECORD) as run:
            run.follow([begun(0), begun(1)])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()
    ids = {key: one.info.run_id for key, one in mlflow.cells(tracker).items()}
    with tracker.job("study", mlflow.PARENT_RECORD) as run:
        run.follow([mlflow.child(0)])
        run.publish(mlflow.study(2))
    assert {key: one.info.run_id for key, one in mlflow.cells(tracker).items()} == ids
    assert len(mlflow.runs(tracker, view=ViewType.ALL)) == 3


def test_a_child_that_began_as_another_is_replaced(tracker: MlflowTracker) -> None:
    with tracker.job("study", mlflow.PARENT_RECORD) as run:
        run.follow([replace(begun(0), metrics={"renamed since": 0.3})])
        run.publish(mlflow.study(1))
    assert "renamed since" not in mlflow.cells(tracker)["cell-0"].data.metrics
    assert len(mlflow.runs(tracker, view=ViewType.ALL)) == 3


def test_finished_children_are_left_alone(tracker: MlflowTracker) -> None:
    mlflow.publish(tracker, mlflow.study(1))
    finished = mlflow.cells(tracker)["cell-0"]
    with tracker.job("study", mlflow.PARENT_RECORD) as run:
        run.follow([replace(mlflow.child(0), metrics={"accuracy": 0.9})])
        assert mlflow.cells(tracker)["cell-0"].data.metrics == finished.data.metrics
        run.publish(mlflow.study(1))
    assert mlflow.cells(tracker)["cell-0"].info.run_id == finished.info.run_id


def test_what_another_driver_finished_meanwhile_is_left_alone_and_is_one_run(tracker: MlflowTracker) -> None:
    with tracker.job("study", mlflow.PARENT_RECORD) as one:
        one.follow([begun(0)])
        with tracker.job("study", mlflow.PARENT_RECORD) as other:
            other.publish(mlflow.study(1))
        finished = mlflow.cells(tracker)["cell-0"].data.metrics
        one.follow([replace(mlflow.child(0), metrics={"accuracy": 0.9, "p1": 0.2, "more": 1.0})])
        assert mlflow.cells(tracker)["cell-0"].data.metrics == finished
        one.publish(mlflow.study(1))
    assert {run.info.status for run in mlflow.cells(tracker).values()} == {"FINISHED"}


def test_a_child_in_the_trash_is_restored_and_the_one_that_was_begun_for_it_goes(tracker: MlflowTracker) -> None:
    mlflow.publish(tracker, mlflow.study(1))
    old = mlflow.cells(tracker)["cell-0"].info.run_id
    MlflowClient(tracker.uri).delete_run(old)
    with tracker.job("study", mlflow.PARENT_RECORD) as run:
        run.follow([begun(0)])
        run.publish(mlflow.study(1))
    assert [one.info.run_id for one in mlflow.cells(tracker).values()] == [old]


def test_a_job_that_is_followed_has_the_metrics_of_its_machine(
    tracker: MlflowTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short one, and one without psutil, has none; the next job of the study goes on from the last step."""
    monkeypatch.setattr("raylab.tracking.mlflow.monitor.SECONDS", 0.05)
    for steps in (1, 2):
        with tracker.job("study", mlflow.PARENT_RECORD) as run:
            if steps == 1:
                assert not [name for name in mlflow.opened(tracker).data.metrics if name.startswith("system/")]
            run.follow(())
            run.follow(())
            client, end = MlflowClient(tracker.uri), time.monotonic() + 60
            while len(client.get_metric_history(run.run_id, "system/cpu_utilization_percentage")) < steps:
                assert time.monotonic() < end
                time.sleep(0.05)
            run.publish(mlflow.study(1))
    history = client.get_metric_history(run.run_id, "system/cpu_utilization_percentage")
    assert [point.step for point in history] == list(range(len(history)))
    assert not [thread for thread in threading.enumerate() if thread.name == "SystemMetricsMonitor"]


class Followed:
    """A run that notes what it is shown."""

    def __init__(self) -> None:
        self.shown: list[int] = []

    def follow(self, children: Sequence[Record]) -> None:
        self.shown.append(len(children))

    def publish(self, publication: object) -> None:
        del publication


def study(count: int) -> Study[toy.Settings, str]:
    return Study(toy.Settings(), {f"cell {i}": toy.numbers(3, f"numbers {i}") for i in range(count)})


def children(built: Built[toy.Settings, str]) -> Sequence[Record]:
    return [Record(cell, cell) for cell in built.artifacts]


def built_while_followed(store: Store, run: Followed, of: Study[toy.Settings, str], ask: object = children) -> None:
    now = iter(range(0, 100_000, 20))  # seconds: a look takes 20 too
    listener = Live([(of, run)], ask, store, toy.Recorder(), lambda: float(next(now)))  # type: ignore[arg-type]
    cells: Mapping[str, Stage] = of.cells
    runner.build(cells, store, InlineBackend(), listener)


def test_a_run_is_shown_what_there_is_now_and_then(tmp_path_factory: pytest.TempPathFactory) -> None:
    store, run = Store(str(tmp_path_factory.mktemp("store"))), Followed()
    built_while_followed(store, run, study(3))
    of_before = len(run.shown)
    assert run.shown == sorted(run.shown)
    assert of_before >= 1
    assert of_before <= 2  # not after each artifact: a look may take a twentieth of the time
    built_while_followed(store, run, study(9))
    assert run.shown[of_before] > 3  # what the store had before, too


def test_a_fault_of_a_look_ends_the_looks_and_not_the_job(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(built: Built[toy.Settings, str]) -> Sequence[Record]:
        del built
        raise KeyError("a bug")

    store, run = Store(str(tmp_path_factory.mktemp("store"))), Followed()
    built_while_followed(store, run, study(20), broken)
    assert run.shown == []
    assert capsys.readouterr().err.count("not followed in the tracker: KeyError: 'a bug'") == 1
    assert all(store.find(stage) for stage in study(20).cells.values())


def test_looks_are_rare() -> None:
    assert live.PERIOD >= 10
    assert live.SHARE >= 20
