"""Trials that fail, diverge or are killed: what each leaves behind, and that the others go on."""

from __future__ import annotations

import json
from pathlib import Path

import sweeps

from raylab.engine.runner import InlineBackend
from raylab.engine.search import Body, Ended, Numbers, OnEnded, Search, TrialReporter
from raylab.engine.space import Point
from raylab.engine.store import Store
from raylab.sweep.inline import InlineSearcher
from raylab.sweep.run import run, search


class Losing(InlineBackend):
    """Its worker of trial 1 is killed each time, as Tune tells of it."""

    def run_trials(self, search: Search, body: Body, store: Store, on_ended: OnEnded, on_line: OnEnded) -> None:
        def without_1(number: int, point: Point, device: str, reporter: TrialReporter) -> Numbers:
            return {} if number == 1 else body(number, point, device, reporter)

        def told(ended: Ended) -> None:
            lost = "the worker died" if ended.number == 1 else None
            on_ended(Ended(ended.number, ended.point, {"epoch": 1}, lost))

        InlineSearcher(self.device).run_trials(search, without_1, store, told, on_line)

    def forget_trials(self, search: Search, store: Store) -> None: ...


def test_a_trial_whose_process_is_killed_leaves_no_artifact_and_is_tried_again_by_the_next_run(tmp_path: Path) -> None:
    prepared = sweeps.prepared(trials=3)
    results = run(prepared, sweeps.site(tmp_path, Losing()))
    assert results is not None
    assert [record.state for record in results.records] == ["finished", "lost", "finished"]
    assert "the worker died" in sweeps.text(results)
    assert results.best is not None
    (evaluation,) = prepared.needs[1]["D_det"].values()
    assert Store(str(tmp_path / "store")).find(evaluation.inputs["model"]) is None
    again = search(prepared, sweeps.site(tmp_path))
    assert [record.state for record in again] == ["finished"] * 3
    assert (again[0], again[2]) == (results.records[0], results.records[2])


def test_a_trial_that_diverges_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    diverging = {"students.det.lr": {"grid": [1e-3, 100.0]}, "students.det.weight_decay": {"grid": [1.0]}}
    config = {**sweeps.BASE, "students": {"det": {"optimizer": "sgd", "epochs": 2, "schedule": "constant"}}}
    prepared = sweeps.prepared(config=config, space=diverging, sampler="grid", trials=None)
    results = run(prepared, sweeps.site(tmp_path))
    assert results is not None
    assert [record.state for record in results.records] == ["finished", "failed"]
    assert "TrainingDiverged" in results.records[1].error
    assert "TrainingDiverged" in sweeps.text(results)
    assert results.best is not None
    assert results.best.number == 0
    text = json.loads((tmp_path / "store" / "sweeps" / prepared.key[:12] / "trials" / "00001.json").read_text())
    assert text["numbers"]["D_det"] is None
