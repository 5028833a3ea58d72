"""Trials that change on their way: what they leave for each other, and what is said of the one that wins."""

from __future__ import annotations

import pytest
import sweeps

from raylab.config import load
from raylab.core.statistics import Estimate
from raylab.engine.stage import closure
from raylab.experiments.transfer import TransferMatrix
from raylab.report.per_seed import PerSeed
from raylab.sweep.follow import Lineage
from raylab.sweep.importance import importances
from raylab.sweep.measure import is_test_data
from raylab.sweep.records import Records, TrialRecord
from raylab.sweep.results import BEFORE, LAST_VALUES, WINNER, FinalResult, SweepResults, best_yaml
from raylab.sweep.schedule import under
from raylab.sweep.space import needed

A, B = (
    {"students.det.lr": 0.001, "students.det.weight_decay": 0.0},
    {
        "students.det.lr": 0.0012,
        "students.det.weight_decay": 0.1,
    },
)


@pytest.fixture
def results() -> SweepResults:
    records = tuple(
        TrialRecord(n, B, "finished", {"D_det": 0.5 + n / 10, "violations": []}, epochs=8, schedule=((4, A), (8, B)))
        for n in range(4)
    )
    finals = tuple(
        FinalResult(
            name,
            point,
            {"D_det": Estimate(value, 0.01, 100, 2)},
            {"D_det": Estimate(value, 0.01, 200, 2)},
            10,
            {"D_det": PerSeed({seed: Estimate(value + (seed - 7.5) / 50, 0.05, 50, 1) for seed in (7, 8)})},
        )
        for name, point, value in ((WINNER, B, 0.81), (LAST_VALUES, B, 0.62), (BEFORE, {}, 0.43))
    )
    return SweepResults(sweeps.sweep(**sweeps.PBT), "a" * 64, records, finals)


def test_a_lineage_tells_whose_epochs_it_has() -> None:
    first = Lineage.read(None, A)
    assert first.schedule(8) == ((8, A),)
    first.curve.append((0.1, 0.2, 0.3))
    kept = first.pack(2, b"state\nof bytes")
    same, taken = Lineage.read(kept, dict(A)), Lineage.read(kept, B)
    assert same.schedule(8) == ((8, A),)
    assert taken.schedule(8) == ((2, A), (8, B))
    assert taken.state == b"state\nof bytes"
    assert taken.curve == [(0.1, 0.2, 0.3)]
    assert Lineage.read(taken.pack(6, b""), A).schedule(8) == ((2, A), (6, B), (8, A))


def test_a_schedule_is_measured_by_the_same_cells_on_the_same_half() -> None:
    prepared = sweeps.prepared(**sweeps.PBT)
    plain = needed(prepared.sweep, prepared.base, B)
    (before,), (after,) = (
        plain["D_det"].values(),
        under(prepared.sweep, prepared.base, plain, ((4, A), (8, B)))["D_det"].values(),
    )
    assert after.inputs["data"].key == before.inputs["data"].key
    assert after.inputs["model"].kind == "phased_network"
    assert after.inputs["model"].inputs["data"].key == before.inputs["model"].inputs["data"].key
    assert not any(is_test_data(stage) for stage in closure([after.inputs["model"]]))


def test_a_schedule_comes_back_from_its_record(results: SweepResults, tmp_path: object) -> None:
    from raylab.engine.store import Store

    records = Records(Store(str(tmp_path)), results.key)
    records.write(results.records[2])
    assert records.read(2) == results.records[2]


def test_the_winners_number_is_said_to_be_its_schedules_and_not_that_of_its_config(results: SweepResults) -> None:
    text, html = " ".join(sweeps.text(results).split()), sweeps.page(results)
    for told in (text, html):
        assert "schedule" in told
        assert "0.8100" in told
        assert "0.6200" in told
    assert "The winner was trained by a schedule, which its row replays" in text
    config = sweeps.prepared(**sweeps.PBT).base.config(B)
    out = best_yaml(results, config)
    assert load(TransferMatrix, out) == config
    assert "0.6200 +- 0.0100" in out
    assert "0.8100" not in out
    assert "#   until epoch 4: students.det.lr=0.001" in out


def test_last_values_explain_nothing(results: SweepResults) -> None:
    many = SweepResults(results.sweep, results.key, results.records * 3)
    assert importances(many, results.sweep.objectives[0]) == {}
