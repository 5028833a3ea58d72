"""What a second run of a sweep takes from the first one, and what it does again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sweeps

from raylab.core.fit import TrainingDiverged
from raylab.engine.runner import BuildFailed, InlineBackend
from raylab.engine.search import Body, Ended, Numbers, OnEnded, Search
from raylab.engine.stage import Stage
from raylab.engine.store import Store
from raylab.stages import dataset, training
from raylab.sweep.follow import CurveCache
from raylab.sweep.records import Records, TrialRecord
from raylab.sweep.results import frame
from raylab.sweep.run import run, search
from raylab.sweep.space import recipe_of, watched

ONE_RATE = {"students.det.lr": {"loguniform": [1e-3, 3e-2]}}


class Told(InlineBackend):
    """A searcher whose trials end as a function says: numbers, None for those that it forgets, or a cause."""

    def __init__(self, ends: Callable[[int], Numbers | str | None]) -> None:
        super().__init__()
        self.ends, self.asked, self.forgotten = ends, list[Search](), 0

    def run_trials(self, search: Search, body: Body, store: Store, on_ended: OnEnded, on_line: OnEnded) -> None:
        del body, on_line
        self.asked.append(search)
        for number in search.left:
            point = search.points[number] if search.points else {"students.det.lr": 1e-3 * (1 + number)}
            if isinstance(told := self.ends(number), str):
                on_ended(Ended(number, point, {}, told))
            elif told is not None:
                Records(store, search.key).write(TrialRecord(number, point, "finished", {**told, "violations": []}))

    def forget_trials(self, search: Search, store: Store) -> None:
        del search, store
        self.forgotten += 1


def states(records: tuple[TrialRecord, ...]) -> list[str]:
    return [record.state for record in records]


@pytest.mark.parametrize("kind", ["half", "constructed", "network", "evaluation"])
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), MemoryError(), RuntimeError("CUDA out of memory")]
)
def test_what_is_no_fault_of_a_point_is_lost_and_tried_again(
    kind: str, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared, site = sweeps.prepared(trials=2, final=None, space=ONE_RATE), sweeps.site(tmp_path)
    put = Store.put

    def broken(self: Store, path: str, data: bytes) -> None:
        if f"/{kind}/" in path:
            raise error
        put(self, path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "put", broken)
        first = search(prepared, site)
    assert states(first) == ["lost"] * 2
    assert type(error).__name__ in first[0].error
    assert states(search(prepared, site)) == ["finished"] * 2


def test_a_training_that_diverged_stays_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared, site = sweeps.prepared(trials=2, final=None, space=ONE_RATE), sweeps.site(tmp_path)

    def diverged(*_: object) -> None:
        raise TrainingDiverged("loss is nan")

    with monkeypatch.context() as patch:
        patch.setattr(training.Training, "run", diverged)
        assert states(search(prepared, site)) == ["failed"] * 2
    assert states(search(prepared, site)) == ["failed"] * 2


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_other_raw_bytes_and_other_code_are_another_search(sampler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    key = sweeps.prepared(sampler=sampler).key
    assert sweeps.prepared(sampler=sampler).key == key
    with monkeypatch.context() as patch:
        patch.setattr(dataset.raw, "content", lambda *_: "f" * 64)
        assert sweeps.prepared(sampler=sampler).key != key

    def newer(kind: str, version: int, *rest: Any, **named: Any) -> Stage:
        return Stage(kind, version + 1, *rest, **named)

    monkeypatch.setattr(training, "Stage", newer)
    assert sweeps.prepared(sampler=sampler).key != key


def test_a_population_is_another_search_where_phases_are_other_code(monkeypatch: pytest.MonkeyPatch) -> None:
    from raylab.stages import phases

    key = sweeps.prepared(**sweeps.PBT).key

    def newer(kind: str, version: int, *rest: Any, **named: Any) -> Stage:
        return Stage(kind, version + 1, *rest, **named)

    monkeypatch.setattr(phases, "Stage", newer)
    assert sweeps.prepared(**sweeps.PBT).key != key


def test_a_grid_whose_fields_change_places_is_run_as_its_own_and_takes_no_record_of_the_other(tmp_path: Path) -> None:
    kind = sweeps.KINDS["grid"]
    one = sweeps.prepared(**kind)
    other = sweeps.prepared(**{**kind, "space": dict(reversed(kind["space"].items()))})
    assert one.key != other.key
    records = Records(Store(str(tmp_path / "store")), other.key)
    for number, point in enumerate(one.points):
        records.write(TrialRecord(number, point, "finished", {"D_det": 0.5}))
    assert sorted(records.all(4)) == [0, 1, 2, 3]
    assert sorted(records.all(4, other.points)) == [0, 3]  # the corners that both orders count alike
    points = [record.point for record in search(other, sweeps.site(tmp_path))]
    assert len({json.dumps(point, sort_keys=True) for point in points}) == 4


def test_a_sampler_begins_anew_after_a_kill_from_what_has_ended(tmp_path: Path) -> None:
    prepared = sweeps.prepared(sampler="tpe", trials=4, final=None, space=ONE_RATE)

    def killed(number: int) -> Numbers:
        if number == 2:
            raise KeyboardInterrupt
        return {"D_det": number / 10}

    with pytest.raises(KeyboardInterrupt):
        search(prepared, sweeps.site(tmp_path, Told(killed)))
    backend = Told(lambda number: {"D_det": number / 10})
    records = search(prepared, sweeps.site(tmp_path, backend))
    assert backend.forgotten == 1
    (asked,) = backend.asked
    assert asked.left == [2, 3]
    assert [(number, numbers["D_det"]) for number, _, numbers in asked.done] == [(0, 0.0), (1, 0.1)]
    assert states(records) == ["finished"] * 4


def test_a_list_of_points_goes_on_from_where_tune_was(tmp_path: Path) -> None:
    prepared, backend = sweeps.prepared(trials=2, final=None), Told(lambda _: {"D_det": 0.1})
    search(prepared, sweeps.site(tmp_path, backend))
    assert backend.forgotten == 0


def test_each_record_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared, site = sweeps.prepared(final=None), sweeps.site(tmp_path, Told(lambda _: {"D_det": 0.1}))
    search(prepared, site)
    reads, read = list[int](), Records.read

    def counted(self: Records, number: int, *point: Any) -> TrialRecord | None:
        reads.append(number)
        return read(self, number, *point)

    monkeypatch.setattr(Records, "read", counted)
    assert len(search(prepared, site)) == 6
    assert len(reads) <= 2 * 6


def test_trials_that_the_search_left_out_are_lost_and_not_left_unsaid(tmp_path: Path) -> None:
    prepared = sweeps.prepared(trials=3, final=None, space=ONE_RATE)
    records = search(prepared, sweeps.site(tmp_path, Told(lambda number: {"D_det": 0.1} if number else None)))
    assert states(records) == ["lost", "finished", "finished"]
    assert records[0].point == prepared.points[0]
    assert "ended without it" in records[0].error
    assert states(search(prepared, sweeps.site(tmp_path))) == ["finished"] * 3
    proposing = sweeps.prepared(sampler="tpe", trials=3, final=None, space=ONE_RATE)
    with pytest.raises(BuildFailed, match="trial 2"):
        search(proposing, sweeps.site(tmp_path, Told(lambda number: {"D_det": 0.1} if number < 2 else None)))


@pytest.mark.parametrize(("scheduler", "state"), [("fifo", "lost"), ("median", "stopped")])
def test_who_leaves_no_record_was_stopped_only_where_a_scheduler_stops(
    scheduler: str, state: str, tmp_path: Path
) -> None:
    class Leaving(Told):
        def run_trials(self, search: Search, body: Body, store: Store, on_ended: OnEnded, on_line: OnEnded) -> None:
            del body, store, on_line
            for number in search.left:
                on_ended(Ended(number, search.points[number], {"D_det": 0.2, "epoch": 1}))

    prepared = sweeps.prepared(trials=2, final=None, space=ONE_RATE, scheduler={"name": scheduler})
    records = search(prepared, sweeps.site(tmp_path, Leaving(lambda _: None)))
    assert states(records) == [state] * 2


def test_curves_of_another_metric_are_not_taken_for_its_own(tmp_path: Path) -> None:
    site, asked = sweeps.site(tmp_path), {"trials": 1, "final": None, "curves": True, "space": ONE_RATE}
    p1 = {"name": "p1", "cell": sweeps.STUDENT, "metric": "p1"}
    (one,) = search(sweeps.prepared(**asked), site)
    (other,) = search(sweeps.prepared(**asked, objectives=[p1]), site)
    assert one.curve[-1][0] == pytest.approx(one.value("D_det"))
    assert one.value("D_det") != pytest.approx(other.value("p1"))
    assert not other.curve  # the network was there, and nobody judged its epochs by this


def test_the_beginning_of_a_curve_is_not_taken_for_all_of_it(tmp_path: Path) -> None:
    site, asked = sweeps.site(tmp_path), {"trials": 1, "final": None, "space": ONE_RATE}
    prepared = sweeps.prepared(**asked, curves=True)
    network, evaluation = watched(prepared.sweep, prepared.needs[0])
    book = CurveCache(site.store, network, evaluation, "accuracy")
    book.write([(0.1, 0.1, 2.0), (0.2, 0.1, 2.0)])  # as one that was stopped after two epochs leaves it
    search(sweeps.prepared(**asked), site)
    (record,) = search(prepared, site)
    assert record.epochs == recipe_of(network).epochs > 2
    assert not record.curve


def test_a_file_half_written_is_no_trial_of_the_frame(tmp_path: Path) -> None:
    prepared, site = sweeps.prepared(final=None), sweeps.site(tmp_path, Told(lambda _: {"D_det": 0.1}))
    search(prepared, site)
    folder = tmp_path / "store" / "sweeps" / prepared.key[:12] / "trials"
    (folder / "00003.json.tmp-deadbeef").write_text("{")
    assert list(frame(str(tmp_path / "store"), prepared.key)["trial"]) == list(range(6))


def test_a_sweep_without_a_winner_leaves_no_best_of_an_earlier_one(tmp_path: Path) -> None:
    site, best = sweeps.site(tmp_path), tmp_path / "reports" / "sweeps" / "tiny" / "best.yaml"
    run(sweeps.prepared(trials=1, final=None, space=ONE_RATE), site)
    assert best.is_file()
    never = {"name": "never", "cell": sweeps.STUDENT, "at_least": 2.0}
    run(sweeps.prepared(trials=1, final=None, space=ONE_RATE, constraints=[never]), site)
    assert not best.exists()
