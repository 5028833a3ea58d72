"""Names, values and texts of a run as MLflow takes them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from mlflow import MlflowClient
from mlflow_runs import PARENT_RECORD, cells, child, opened, publish, study

from raylab.tracking.mlflow.content import NOTE, content
from raylab.tracking.mlflow.tracker import MlflowTracker


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
    same = content(child(0)).digest()
    assert content(child(0)).digest() == same
    for change in (
        {"name": "x"},
        {"params": {}},
        {"metrics": {}},
        {"curves": {}},
        {"inputs": ()},
        {"tags": {}},
        {"note": "x"},
    ):
        assert content(child(0, **change)).digest() != same


def test_the_page_of_a_run_is_named_once_there_is_one(tracker: MlflowTracker) -> None:
    assert "#" not in tracker.describe()
    run_id = publish(tracker, study())
    experiment = opened(tracker).info.experiment_id
    assert f"http://127.0.0.1:5000/#/experiments/{experiment}/runs/{run_id}?" in tracker.describe()
    assert opened(tracker).data.tags["mlflow.source.type"] == "LOCAL"
