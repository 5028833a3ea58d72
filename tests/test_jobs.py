"""The job as people run it: a process, a config, exit codes, a page, runs; and nothing twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from raylab.config import load
from raylab.engine.store import Store
from raylab.engine.study import Built
from raylab.experiments.transfer import TransferMatrix, examples, measure, plan

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "configs" / "transfer_matrix").rglob("*.yaml"))
SMALL = [
    "sources=[mlp]",
    "targets=[mlp, linear]",
    "seeds=[0, 1]",
    "data.per_class=20",
    "train.epochs=2",
    "attack.steps=3",
]


def job(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "jobs/transfer_matrix.py", "--site", "configs/site/inline.yaml", *arguments]
    environment = {**os.environ, "RAYLAB_HOME": str(home)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200, check=False)


def runs(home: Path) -> list[Run]:
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    return list(client.search_runs([e.experiment_id for e in client.search_experiments()]))


def test_a_run_leaves_a_table_a_page_and_runs_and_a_second_one_adds_nothing(tmp_path: Path) -> None:
    first = job(tmp_path, *SMALL)
    assert first.returncode == 0, first.stderr
    assert "Accuracy of students" in first.stdout
    page = tmp_path / "reports" / "transfer_matrix.html"
    written, tracked = page.read_bytes(), {run.info.run_id for run in runs(tmp_path)}
    assert len(tracked) == 1 + 2 * 2 * 2  # the matrix; targets x kinds x seeds
    again = job(tmp_path, *SMALL)
    assert again.stdout == first.stdout
    assert "nothing to build" in again.stderr
    assert page.read_bytes() == written
    assert {run.info.run_id for run in runs(tmp_path)} == tracked


def test_several_configs_make_one_page_and_share_what_is_the_same(tmp_path: Path) -> None:
    for name, eps in (("weak", 0.5), ("strong", 1.0)):
        (tmp_path / f"{name}.yaml").write_text(
            f"study: {name}\nattack: {{eps: {eps}}}\ncontrols: {{untrained: false, robust: null, leakage: null}}\n"
        )
    done = job(tmp_path, str(tmp_path / "weak.yaml"), str(tmp_path / "strong.yaml"), *SMALL, "kinds=[det]")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "reports" / "transfer_matrix.html").read_text()
    assert page.count("L2 radius 0.5") > 0 < page.count("L2 radius 1")
    parents = [run for run in runs(tmp_path) if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 2
    networks = list((tmp_path / "store" / "network").iterdir())
    # A seed: 2 independent ones, 1 source, 2 unperturbed and 1 random-label source for both; 2 x (2 + 2) students.
    assert len(networks) == 2 * (6 + 8)


def test_everything_can_be_told_again_from_the_store(tmp_path: Path) -> None:
    done = job(tmp_path, *SMALL)
    assert done.returncode == 0, done.stderr
    config = load(TransferMatrix, "{}", SMALL)
    store = Store(str(tmp_path / "store"))
    artifacts = {cell: store.require(stage) for cell, stage in plan(config).items()}
    result = measure(Built(config, "key", artifacts))
    table = examples(result).to_pandas()
    mine = table[(table.control == "") & (table.source == "mlp") & (table.target == "linear") & (table.kind == "rand")]
    by_hand = mine.groupby("seed").correct.mean().mean()
    assert result.row("mlp", "linear", "rand").accuracy.mean.mean == pytest.approx(by_hand)
    assert set(mine.seed) == {0, 1}
    assert len(mine) == result.row("mlp", "linear", "rand").accuracy.mean.n


def test_a_run_that_failed_is_told_to_have_and_shows_what_there_is(tmp_path: Path) -> None:
    failed = job(tmp_path, *SMALL, "train.lr=90", "train.optimizer=sgd", "train.schedule=constant")
    assert failed.returncode == 1
    assert "TrainingDiverged" in failed.stderr
    assert "epoch" in failed.stderr
    assert "Traceback" not in failed.stderr
    statuses = [run.info.status for run in runs(tmp_path)]
    assert statuses.count("FAILED") == 1  # the parent's
    assert "results are missing" in (tmp_path / "reports" / "transfer_matrix.html").read_text()
