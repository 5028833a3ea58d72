"""A whole sweep without Ray: honest about its images, the same when it is run again, and a config comes out of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import sweeps

from raylab.config import ConfigError, load
from raylab.engine import runner
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import closure
from raylab.engine.store import Store
from raylab.experiments.transfer import TransferCell, TransferMatrix, plan
from raylab.stages.half import Half, cut, half_of
from raylab.sweep.measure import is_test_data
from raylab.sweep.records import Records
from raylab.sweep.results import SweepResults, dominates, frame
from raylab.sweep.run import check, run, search
from raylab.tracking.mlflow.tracker import MlflowTracker


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SweepResults]:
    folder = tmp_path_factory.mktemp("sweep")
    results = run(sweeps.prepared(), sweeps.site(folder))
    assert results is not None
    return folder, results


def test_no_trial_reads_the_half_that_reports_nor_any_test_image_but_through_its_own_half() -> None:
    for stage in closure(sweeps.prepared().values()):
        readers = [role for role, needed in stage.inputs.items() if is_test_data(needed)]
        assert not readers or (stage.kind == "half" and stage.config == Half("selection", 0))


def test_what_is_made_from_training_images_alone_is_the_jobs_own_artifact() -> None:
    prepared = sweeps.prepared(trials=1)
    point = prepared.points[0]
    own = {stage.key for stage in closure(plan(prepared.base.config(point)).values())}  # type: ignore[arg-type]
    kinds = {stage.kind for stage in closure(prepared.values()) if stage.key not in own}
    assert kinds == {"half", "evaluation"}


def test_the_halves_of_a_set_share_no_example_and_lose_none(done: tuple[Path, SweepResults]) -> None:
    folder, _ = done
    data = next(stage for stage in closure(sweeps.prepared().values()) if is_test_data(stage))
    sides = {side: half_of(data, side, 0) for side in ("selection", "held_out")}  # type: ignore[arg-type]
    built = runner.build(sides, Store(str(folder / "store")), InlineBackend(), _Silent())
    ids = {side: set(artifact.without_images()["id"].tolist()) for side, artifact in built.items()}
    whole = set(Store(str(folder / "store")).require(data).without_images()["id"].tolist())
    assert not ids["selection"] & ids["held_out"]
    assert ids["selection"] | ids["held_out"] == whole
    assert len(ids["selection"]) == pytest.approx(len(whole) / 2, abs=4 * (len(whole) / 4) ** 0.5)


def test_an_example_is_on_the_same_side_in_every_order_and_company() -> None:
    import numpy as np

    ids = np.arange(100)
    half = Half("selection", 5)
    assert set(cut({"id": ids[::-1][:40]}, half)["id"]) == {i for i in cut({"id": ids}, half)["id"] if i >= 60}


def test_every_trial_has_the_value_of_its_cell_on_the_half(done: tuple[Path, SweepResults]) -> None:
    folder, results = done
    store = Store(str(folder / "store"))
    assert [record.number for record in results.records] == list(range(6))
    for record, needs in zip(results.records, sweeps.prepared().needs, strict=True):
        (stage,) = needs["D_det"].values()
        table = store.require(stage).table()
        assert record.value("D_det") == pytest.approx(table.column("correct").to_numpy().mean())


def test_the_config_that_comes_out_runs_with_its_job_and_gives_the_reported_number(
    done: tuple[Path, SweepResults],
) -> None:
    folder, results = done
    path = folder / "reports" / "sweeps" / "tiny" / "best.yaml"
    config = load(TransferMatrix, path)
    cells = {c: s for c, s in plan(config).items() if isinstance(c, TransferCell) and c.role == "student"}
    built = runner.build(cells, Store(str(folder / "store")), InlineBackend(), _Silent())
    accuracy = sum(artifact.metrics["accuracy"] for artifact in built.values()) / len(built)
    winner = next(final for final in results.finals if final.name == "winner")
    assert accuracy == pytest.approx(winner.whole["D_det"].mean)
    assert f"{accuracy:.4f}" in path.read_text()
    assert results.key[:12] in path.read_text()


def test_the_winner_is_reported_on_the_other_half_with_seeds_that_no_trial_used(
    done: tuple[Path, SweepResults],
) -> None:
    folder, results = done
    store = Store(str(folder / "store"))
    winner = next(final for final in results.finals if final.name == "winner")
    correct = [store.find(stage) for stage in _held_out(results)]
    accuracies = [artifact.metrics["accuracy"] for artifact in correct if artifact is not None]
    assert len(accuracies) == 2
    assert winner.held_out["D_det"].mean == pytest.approx(sum(accuracies) / 2)
    assert winner.held_out["D_det"].seeds == 2
    assert [final.name for final in results.finals] == ["winner", "before the sweep"]


def test_finals_are_compared_on_the_same_images_of_the_same_seeds(done: tuple[Path, SweepResults]) -> None:
    _, results = done
    winner, before = results.finals
    for seed in (7, 8):
        one, other = winner.by_seed["D_det"][seed], before.by_seed["D_det"][seed]
        assert one.examples is not None
        assert other.examples is not None
        assert one.examples.images == other.examples.images == "test"
        assert one.examples.ids.tolist() == other.examples.ids.tolist()
        assert one.n == len(one.examples.ids)
    assert winner.held_out["D_det"].mean == pytest.approx(sum(winner.by_seed["D_det"][s].mean for s in (7, 8)) / 2)


def test_a_second_run_computes_nothing_and_says_the_same(
    done: tuple[Path, SweepResults], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, results = done
    before = {path: path.stat().st_mtime_ns for path in (folder / "store").rglob("*") if path.name == "MANIFEST.json"}
    again = run(sweeps.prepared(), sweeps.site(folder))
    assert again is not None
    after = {path: path.stat().st_mtime_ns for path in (folder / "store").rglob("*") if path.name == "MANIFEST.json"}
    assert after == before
    assert sweeps.text(again) == sweeps.text(results)
    assert "trial 0" not in capsys.readouterr().err


def test_a_search_that_lost_some_trials_runs_those_alone(tmp_path: Path) -> None:
    prepared, site = sweeps.prepared(final=None), sweeps.site(tmp_path)
    first = search(prepared, site)
    folder = tmp_path / "store" / "sweeps" / prepared.key[:12] / "trials"
    kept = {
        path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.name not in ("00001.json", "00004.json")
    }
    for name in ("00001.json", "00004.json"):
        (folder / name).unlink()
    second = search(prepared, site)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.name in kept} == kept
    assert [r.numbers for r in second] == [r.numbers for r in first]


def test_another_space_takes_from_the_store_what_it_shares(tmp_path: Path) -> None:
    site = sweeps.site(tmp_path)
    search(sweeps.prepared(**sweeps.KINDS["grid"]), site)
    manifests = {path.parent.name for path in (tmp_path / "store" / "network").rglob("MANIFEST.json")}
    wider = {"students.det.lr": {"grid": [1e-3, 1e-2]}, "students.det.batch_size": {"grid": [32, 64, 128]}}
    search(sweeps.prepared(**{**sweeps.KINDS["grid"], "space": wider}), site)
    now = {path.parent.name for path in (tmp_path / "store" / "network").rglob("MANIFEST.json")}
    assert manifests < now
    assert len(now - manifests) == 2  # two learning rates at the new batch size; the teacher is shared


def test_a_control_is_tuned_by_the_same_trials_and_reported_where_it_is_best(tmp_path: Path) -> None:
    config = {**sweeps.BASE, "controls": {**sweeps.BASE["controls"], "random_labels": True}}
    control = {"name": "random labels", "cell": {"role": "student", "kind": "det", "control": "random_labels"}}
    results = run(sweeps.prepared(config=config, trials=4, controls=[control]), sweeps.site(tmp_path))
    assert results is not None
    best = max(results.records, key=lambda record: (record.value("random labels"), -record.number))
    assert [final.name for final in results.finals] == ["winner", "best for random labels", "before the sweep"]
    assert results.finals[1].point == best.point
    assert results.finals[1].held_out["random labels"].seeds == 2
    assert "each at the best of the same trials for it: random labels." in " ".join(sweeps.text(results).split())


def test_a_table_without_tuned_controls_says_so(done: tuple[Path, SweepResults]) -> None:
    _, results = done
    assert "Not tuned: the config before the sweep; no control was tuned." in " ".join(sweeps.text(results).split())


def test_a_constraint_decides_who_may_win(done: tuple[Path, SweepResults], tmp_path: Path) -> None:
    _, free = done
    bound = sorted(record.value("D_det") for record in free.records)[2]
    limit = {"name": "not too good", "cell": sweeps.STUDENT, "at_most": bound}
    results = run(sweeps.prepared(constraints=[limit], final=None), sweeps.site(tmp_path))
    assert results is not None
    assert results.best is not None
    assert results.best.value("D_det") == bound
    assert sum(record.feasible for record in results.records) == sum(r.value("D_det") <= bound for r in free.records)


def test_selection_on_the_test_set_is_marked_in_every_table(tmp_path: Path) -> None:
    results = run(sweeps.prepared(trials=2, selection={"split": "test"}), sweeps.site(tmp_path))
    assert results is not None
    text = sweeps.text(results)
    assert text.count("[chosen on the test set]") == 3  # of the answer, the final configs and the trials
    assert "The trials were judged on the test set itself" in text
    assert "Test split" not in text
    assert "CHOSEN ON THE TEST SET" in results_file(tmp_path)
    assert set(frame(str(tmp_path / "store"), results.key)["judged_on"]) == {"test"}
    assert sweeps.sweep().selection.split == "half"  # unless it is asked for by name


def test_what_fresh_seeds_do_not_promise_is_said_where_a_seed_draws_the_split(done: tuple[Path, SweepResults]) -> None:
    folder, results = done
    for told in (sweeps.text(results), results_file(folder), sweeps.page(results)):
        flat = " ".join(told.replace("\n# ", " ").split())
        assert "trials of other seeds trained on some of these images" in flat
        assert "no trial saw" not in flat
        assert "no trial read" not in flat
    fixed = dataclasses.replace(results, drawn_by_seed=False)
    assert "trials of other seeds" not in sweeps.text(fixed) + sweeps.page(fixed)


def test_the_front_holds_exactly_those_that_nobody_dominates(done: tuple[Path, SweepResults]) -> None:
    _, results = done
    both = [sweeps.OBJECTIVE, {"name": "p1", "cell": sweeps.STUDENT, "metric": "p1", "direction": "min"}]
    records = tuple(
        dataclasses.replace(r, numbers={"D_det": a, "p1": b, "violations": []})
        for r, (a, b) in zip(
            results.records, [(0.5, 0.5), (0.6, 0.6), (0.4, 0.6), (0.6, 0.5), (0.1, 0.1), (0.1, 0.2)], strict=True
        )
    )
    several = SweepResults(sweeps.sweep(objectives=both), results.key, records)
    assert {record.number for record in several.front} == {3, 4}
    assert dominates((1.0, 1.0), (1.0, 0.0))
    assert not dominates((1.0, 1.0), (1.0, 1.0))


def test_one_call_gives_a_frame(done: tuple[Path, SweepResults]) -> None:
    folder, results = done
    found = frame(str(folder / "store"), results.key[:12])
    assert list(found["trial"]) == list(range(6))
    assert list(found["D_det"]) == [record.value("D_det") for record in results.records]
    assert "students.det.lr" in found.columns
    assert list(found["feasible"]) == [True] * 6
    assert set(found["judged_on"]) == {"half"}


@pytest.mark.filterwarnings("ignore")  # MLflow's own, while it makes its database
def test_the_tracker_has_a_parent_and_each_trial_and_final_once_however_often_it_is_told(tmp_path: Path) -> None:
    tracker = MlflowTracker(f"sqlite:///{tmp_path / 'mlflow.db'}", str(tmp_path / "files"))
    for _ in range(2):
        run(sweeps.prepared(trials=3), sweeps.site(tmp_path, tracker=tracker))
    experiment = tracker._client.get_experiment_by_name("sweeps/tiny")
    runs = tracker._client.search_runs([experiment.experiment_id])
    named = sorted(one.info.run_name for one in runs)
    assert [name for name in named if not name.startswith("tiny random [")] == [
        "final: before the sweep",
        "final: winner",
        "trial 0",
        "trial 1",
        "trial 2",
    ]
    assert len(named) == 6
    children = [one for one in runs if "mlflow.parentRunId" in one.data.tags]
    assert len(children) == 5
    assert sum(one.data.tags.get("raylab.best") == "true" for one in children) == 1
    trial = next(one for one in children if one.info.run_name == "trial 1")
    assert set(trial.data.params) == {"sweep", "trial", "students.det.lr", "students.det.epochs"}
    assert "validation/D_det" in trial.data.metrics
    assert len({tuple(sorted(one.data.params.items())) for one in children}) == 5


def test_what_needs_tune_is_refused_without_it(tmp_path: Path) -> None:
    site = sweeps.site(tmp_path)
    with pytest.raises(ConfigError, match="take backend: ray"):
        check(sweeps.prepared(sampler="tpe"), site)
    assert not Path(site.store.root).exists()


def results_file(folder: Path) -> str:
    return (folder / "reports" / "sweeps" / "tiny" / "best.yaml").read_text()


def _held_out(results: SweepResults) -> list:  # type: ignore[type-arg]
    from raylab.sweep.space import measured

    assert results.best is not None
    base = sweeps.prepared().base
    needs = measured(results.sweep, base, {**results.best.point, "seeds": (7, 8)}, results.sweep.measures, "held_out")
    return list(needs["D_det"].values())


class _Silent:
    def begin(self, *_: object) -> None: ...
    def start(self, *_: object) -> None: ...
    def outcome(self, *_: object) -> None: ...
    def built(self, *_: object) -> None: ...
    def end(self) -> None: ...


def test_records_of_another_point_are_not_taken_for_this_one(done: tuple[Path, SweepResults]) -> None:
    folder, results = done
    records = Records(Store(str(folder / "store")), results.key)
    assert records.read(0, results.records[0].point) == results.records[0]
    assert records.read(0, results.records[1].point) is None
