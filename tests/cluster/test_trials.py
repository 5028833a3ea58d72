"""A sweep on Ray Tune: what the same sweep finds without Ray, whoever ends whichever process."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sweeps
from ray import cloudpickle
from ray.tune.experiment import Trial
from test_kills import wait_for
from thorough import whole

from raylab.cluster.optuna_search import Proposed
from raylab.cluster.trials import TrialStates, _scheduler, folder_of
from raylab.engine import runner
from raylab.engine.progress import Progress
from raylab.engine.runner import InlineBackend
from raylab.engine.search import Aim, Ended, Scheduler, Search
from raylab.engine.space import Distribution
from raylab.engine.store import Store
from raylab.sweep.records import Records
from raylab.sweep.run import run, search
from raylab.sweep.schedule import under
from raylab.sweep.space import needed

TESTS = Path(__file__).parent.parent


@pytest.mark.usefixtures("ray_cluster")
def test_a_grid_finds_on_tune_what_it_finds_without_ray(tmp_path: Path) -> None:
    prepared = sweeps.prepared(**sweeps.KINDS["grid"])
    here = search(prepared, sweeps.site(tmp_path / "inline"))
    there = sweeps.searched_on_ray(prepared, tmp_path / "ray")
    assert len(here) == 4
    assert [(r.number, r.point, r.numbers, r.state) for r in there] == [
        (r.number, r.point, r.numbers, r.state) for r in here
    ]


@pytest.mark.usefixtures("ray_cluster")
def test_a_stopped_trial_leaves_a_curve_and_no_network(tmp_path: Path) -> None:
    prepared, site = sweeps.prepared(**sweeps.ASHA), sweeps.site(tmp_path)
    records = sweeps.searched_on_ray(prepared, tmp_path)
    states = {record.state for record in records}
    assert states == {"finished", "stopped"}
    for record, needs in zip(records, prepared.needs, strict=True):
        (evaluation,) = needs["D_det"].values()
        network = evaluation.inputs["model"]
        if record.state == "stopped":
            assert 2 <= record.epochs < 12
            assert len(record.curve) == record.epochs
            assert site.store.find(network) is None
        else:
            assert site.store.find(network) is not None
            assert record.curve[-1][0] == pytest.approx(record.value("D_det"))
    best = max(records, key=lambda r: r.curve[-1][0] if r.curve else 0.0)
    assert best.point == {"students.det.lr": 1e-2}  # the one rate at which anything is learnt in twelve epochs


@pytest.mark.usefixtures("ray_cluster")
def test_a_population_ends_in_schedules_that_can_be_replayed_and_in_no_network_of_one_recipe(tmp_path: Path) -> None:
    prepared, site = sweeps.prepared(**sweeps.PBT), sweeps.site(tmp_path)
    sweeps.searched_on_ray(prepared, tmp_path)
    results = run(prepared, sweeps.after_ray(tmp_path))
    assert results is not None
    assert [record.state for record in results.records] == ["finished"] * 4
    changed = [record for record in results.records if len(record.schedule) > 1]
    assert changed  # a quarter of four is exploited after epoch 4
    replays = Store(str(tmp_path / "replays"))
    for record in results.records:
        ends = [until for until, _ in record.schedule]
        assert ends == sorted(set(ends))
        assert ends[-1] == 8
        assert record.schedule[-1][1] == record.point
        assert all(1e-5 <= point["students.det.lr"] <= 1e-2 for _, point in record.schedule)
        assert len(record.curve) == 8
        assert record.curve[-1][0] == pytest.approx(record.value("D_det"))
        own = needed(prepared.sweep, prepared.base, record.point)
        (evaluation,) = own["D_det"].values()
        assert site.store.find(evaluation.inputs["model"]) is None
    record = changed[0]
    found = under(prepared.sweep, prepared.base, needed(prepared.sweep, prepared.base, record.point), record.schedule)
    (replay,) = found["D_det"].values()
    (trained,) = (site.store.require(one) for one in [replay.inputs["model"]])
    (again,) = runner.build({"": replay.inputs["model"]}, replays, InlineBackend(), Progress()).values()
    assert again.digest == trained.digest
    assert [final.name for final in results.finals] == ["winner", "winner's last values", "before the sweep"]
    text = (tmp_path / "reports" / "sweeps" / "tiny" / "best.yaml").read_text()
    assert "THE TRIAL WAS TRAINED BY A SCHEDULE" in text
    assert f"{results.finals[1].whole['D_det'].mean:.4f}" in text
    assert "Until epoch" in sweeps.text(results)


@pytest.mark.usefixtures("ray_cluster")
def test_optuna_searches_under_a_constraint_for_two_objectives(tmp_path: Path) -> None:
    both = [sweeps.OBJECTIVE, {"name": "p1", "cell": sweeps.STUDENT, "metric": "p1", "direction": "min"}]
    limit = {"name": "source", "cell": {"role": "source", "control": ""}, "at_least": 0.3}
    prepared = sweeps.prepared(
        sampler="tpe",
        trials=4,
        objectives=both,
        constraints=[limit],
        space={"train.lr": {"loguniform": [1e-5, 1e-2]}, "students.det.optimizer": {"choice": ["adamw", "sgd"]}},
    )
    sweeps.searched_on_ray(prepared, tmp_path)
    results = run(prepared, sweeps.after_ray(tmp_path))
    assert results is not None
    assert [record.number for record in results.records] == list(range(4))
    assert {record.point["students.det.optimizer"] for record in results.records} <= {"adamw", "sgd"}
    assert results.front
    assert all(record.value("source") >= 0.3 for record in results.front)
    assert "Pareto front" in sweeps.text(results)


def nothing(told: object) -> None:
    """A listener that does not listen, and a trainable that does not train."""


def toys(count: int, **changes: Any) -> Search:
    return Search(
        **{
            "key": "f" * 64,
            "count": count,
            "points": tuple({"x": float(n)} for n in range(count)),
            "space": {"x": Distribution(uniform=(0.0, 9.0))},
            "seed": 0,
            "aims": (Aim("y", "max"),),
            "constraints": (),
            "scheduler": Scheduler(),
            **changes,
        }
    )


@pytest.mark.usefixtures("ray_cluster")
def test_trials_that_raise_are_killed_or_have_nan_end_no_other(tmp_path: Path) -> None:
    store, ended, lines = Store(str(tmp_path / "store")), dict[int, Ended](), list[int]()
    one = toys(6, tensorboard=True)
    sweeps.ray().run_trials(
        one,
        sweeps.ToyBody(str(tmp_path)),
        store,
        lambda told: ended.__setitem__(told.number, told),
        lambda told: lines.append(told.number),
    )
    assert sorted(ended) == [0, 1, 2, 3, 4, 5]
    starts = {number: len((tmp_path / f"starts-{number}").read_text()) for number in ended}
    assert starts == {0: 1, 1: 3, 2: 2, 3: 1, 4: 1, 5: 1}
    assert sorted(number for number, told in ended.items() if told.lost) == [1, 5]  # in whatever order they end
    assert "nobody expected this" in str(ended[5].lost)
    assert ended[3].numbers["error"] == "it went wrong"
    assert {number: ended[number].numbers["y"] for number in (0, 2, 4)} == {0: 0.0, 2: 2.0, 4: 4.0}
    assert sorted(lines) == [0, 2, 3, 4, 5]

    assert list(Path(folder_of(one, store), "trial-00004").glob("events.out.tfevents.*"))
    assert not list(Path(store.root, "sweeps").rglob("states/*"))


@pytest.mark.usefixtures("ray_cluster")
def test_median_stopping_makes_no_trial_begin_again_for_those_that_wait(tmp_path: Path) -> None:
    one = toys(5, key="d" * 64, scheduler=Scheduler(name="median", grace=1, min_samples=4))
    told: list[Ended] = []
    body = sweeps.CountingBody(str(tmp_path))
    # One at a time: beside others the first, which is the worst, might be overtaken by four that it is compared with.
    sweeps.ray(max_concurrent=1).run_trials(one, body, Store(str(tmp_path / "store")), told.append, nothing)
    assert sorted(ended.number for ended in told) == [0, 1, 2, 3, 4]
    epochs = [(tmp_path / f"epochs-{number}").read_text().split() for number in range(5)]
    assert all(list(map(int, seen)) == [*range(1, len(seen) + 1)] for seen in epochs)  # none from the first epoch again
    assert len(epochs[0]) == 4


def test_a_rule_with_too_few_to_compare_with_lets_a_trial_go_on() -> None:
    rule = _scheduler(toys(3, scheduler=Scheduler(name="median", grace=2)), 1)
    rule.set_search_properties("y", "max")
    running, waiting = Trial("toy", stub=True), Trial("toy", stub=True)
    running.status = Trial.RUNNING
    controller = SimpleNamespace(get_live_trials=lambda: [running, waiting])
    for epoch in range(1, 6):
        assert rule.on_trial_result(controller, running, {"y": 0.1, "epoch": epoch}) == rule.CONTINUE


def test_a_sampler_that_begins_anew_does_not_draw_again_what_is_done() -> None:
    asked = {"points": (), "space": {"x": Distribution(uniform=(0.0, 9.0))}}
    first = Proposed(toys(9, **asked)).suggest("a")["x"]
    done = ((0, {"x": first}, {"y": 1.0}),)
    again = Proposed(toys(9, **asked, done=done))
    assert again.suggest("a")["x"] != first
    assert again.suggest("b")["trial"] == 2


def population(seed: int = 0) -> Search:
    points = tuple({"x": x} for x in (1.0, 2.0, 9.0))
    return toys(3, key="c" * 64, points=points, seed=seed, scheduler=Scheduler(name="pbt", interval=3))


@whole
@pytest.mark.usefixtures("ray_cluster")
def test_two_runs_of_a_population_draw_the_same_and_another_seed_draws_otherwise(tmp_path: Path) -> None:
    def histories(seed: int, name: str) -> dict[int, list[float]]:
        told: list[Ended] = []
        random.seed(name)  # as different as the generators of two processes
        store = Store(str(tmp_path / name))
        sweeps.ray().run_trials(population(seed), sweeps.PopulationBody(), store, told.append, nothing)
        return {ended.number: ended.numbers["history"] for ended in told}

    first = histories(0, "first")
    assert histories(0, "again") == first
    assert histories(1, "other") != first


@pytest.mark.usefixtures("ray_cluster")
def test_in_a_population_the_weak_go_on_from_the_strong_at_the_same_epoch(tmp_path: Path) -> None:
    told: list[Ended] = []
    one, store = population(), Store(str(tmp_path / "store"))
    sweeps.ray().run_trials(one, sweeps.PopulationBody(), store, told.append, nothing)
    assert sorted(ended.number for ended in told) == [0, 1, 2]
    histories = [ended.numbers["history"] for ended in sorted(told, key=lambda ended: ended.number)]
    assert [len(history) for history in histories] == [8] * 3
    assert all(ended.numbers["history"][-1] == ended.point["x"] for ended in told)
    for history in histories:  # changes come after epochs 3 and 6, and nowhere else
        assert [len(set(part)) for part in (history[:3], history[3:6], history[6:])] == [1, 1, 1]
    assert histories[0][:3] == [9.0] * 3  # one in three is exploited: the weakest takes the epochs of the strongest
    assert all(0.0 <= x <= 9.0 for history in histories for x in history)
    assert not list(Path(folder_of(one, store)).rglob("checkpoint_*"))


@pytest.mark.usefixtures("ray_cluster")
def test_the_site_says_what_a_trial_is_given_and_so_how_many_run_at_once(tmp_path: Path) -> None:
    backend = sweeps.ray(cpus=2, gpus=0.5, memory_gb=0.25, max_concurrent=None)
    numbers = (0, 4, 6, 7)
    done = tuple((number, {"x": float(number)}, {}) for number in range(8) if number not in numbers)
    told: list[int] = []
    body = sweeps.ToyBody(str(tmp_path), seconds=1.5)
    store = Store(str(tmp_path / "store"))
    backend.run_trials(toys(8, key="e" * 64, done=done), body, store, lambda e: told.append(e.number), nothing)
    assert sorted(told) == list(numbers)
    spans = [json.loads((tmp_path / f"span-{number}").read_text()) for number in numbers]
    for _, _, assigned in spans:
        assert assigned["CPU"] == 2
        assert assigned["GPU"] == 0.5
        assert assigned["memory"] == 2**28
    most = max(sum(start <= moment < end for start, end, _ in spans) for moment, _, _ in spans)
    assert most <= 2  # of the four CPUs of the cluster; its two GPUs would do for four


class Poison:
    """A pickle that says when somebody reads it."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.trace,)


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("scheduler", ["fifo", "pbt"])
def test_a_search_goes_on_from_states_and_reads_no_pickle_of_the_store(tmp_path: Path, scheduler: str) -> None:
    """As after a kill: two trials are on their way, and every file of Tune's is one that runs code."""
    store, told, trace = Store(str(tmp_path / "store")), list[Ended](), tmp_path / "poisoned"
    points = tuple({"x": x} for x in (1.0, 2.0, 9.0))
    asked = Scheduler(name="pbt", interval=8) if scheduler == "pbt" else Scheduler()
    one = toys(3, key="b" * 64, points=points, scheduler=asked)
    states = TrialStates.of(one, store)
    changed = {"x": 7.0} if scheduler == "pbt" else points[0]
    states.write(0, changed, json.dumps([5.0] * 6).encode())
    states.write(1, points[1], json.dumps([4.0] * 3).encode())
    damaged = Path(states.path(1))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    folder = Path(folder_of(one, store))
    poison = cloudpickle.dumps(Poison(trace))
    for name in ("tuner.pkl", "trainable.pkl", "experiment_state-2026-12-01_00-00-00.json", "searcher-state-x.pkl"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(poison)
    sweeps.ray(checkpoint_seconds=0).run_trials(one, sweeps.PopulationBody(), store, told.append, nothing)
    histories = {ended.number: ended.numbers["history"] for ended in told}
    assert sorted(ended.number for ended in told) == [0, 1, 2]
    assert histories[0] == [5.0] * 6 + [changed["x"]] * 2
    assert histories[1] == [2.0] * 8  # its state was cut: it began again
    assert histories[2] == [9.0] * 8
    assert not trace.exists()
    assert not list(Path(states.folder).glob("*"))


def start(folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}"}
    with (folder / "driver.log").open("ab") as log:
        command = [sys.executable, str(TESTS / "sweeps.py"), str(folder), "slow"]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


@whole
def test_a_killed_driver_goes_on_with_the_trials_it_lacks_and_ends_as_one_that_was_never_killed(tmp_path: Path) -> None:
    prepared = sweeps.prepared(**sweeps.KINDS["slow"])
    records = Records(Store(str(tmp_path / "store")), prepared.key)
    folder = tmp_path / "store" / "sweeps" / prepared.key[:12] / "trials"
    driver = start(tmp_path)
    wait_for(lambda: len(records.all(8)) >= 3 or driver.poll() is not None)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.json")}
    assert 3 <= len(before) < 8
    assert start(tmp_path).wait(timeout=250) == 0, (tmp_path / "driver.log").read_text()
    after = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.json")}
    assert after.items() >= before.items()  # no trial that had ended was run again
    here = search(prepared, sweeps.site(tmp_path / "inline"))
    found = records.all(8)
    assert [(r.number, r.numbers) for r in here] == [(number, found[number].numbers) for number in sorted(found)]
