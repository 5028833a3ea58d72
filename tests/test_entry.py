"""`raylab COMMAND`, as people type it: in a checkout and from an installed package."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import runs as small

from raylab import entry
from raylab.commands.options import CONFIGS
from raylab.core.architectures import NETWORKS
from raylab.engine import kept_runs
from raylab.engine.store import Store
from raylab.experiments.transfer import EXPERIMENT
from raylab.report.experiments import EXPERIMENTS

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """With one matrix, and its run."""
    store = Store(str(tmp_path_factory.mktemp("store")))
    built = small.built(small.SEEFAR, store)
    (publication,) = EXPERIMENT.results([built]).publications
    kept_runs.keep(store, "transfer_matrix", built, publication)
    return store


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    entry.main(words)
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        entry.main(words)
    return end.value.code, capsys.readouterr().err


def test_a_store_is_listed_shown_and_tabled(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--store", store.uri)
    header, line = said(capsys, "store", "ls", *where).splitlines()
    assert header.split() == ["run", "experiment", "study", "finished", "verdict"]
    assert line.split()[1:3] == ["transfer_matrix", "seefar"]
    header, *lines = said(capsys, "store", "ls", "constructed", *where).splitlines()
    assert header.split() == ["key", "kind", "name", "rows", "bytes", "finished", "studies"]
    assert lines
    assert len(said(capsys, "store", "ls", "all", *where).splitlines()) > len(lines) + 1
    key = lines[0].split()[0]
    shown = said(capsys, "store", "show", key, *where)
    assert f"\nkey: {key}" in shown
    assert "\n  aim: " in shown
    assert re.search(r"\ninputs: \{data: [0-9a-f]{64}, model: [0-9a-f]{64}\}\n", shown)
    table = said(capsys, "store", "table", "transfer_matrix", *where).splitlines()
    assert table[0].startswith("run,study,")
    assert all(row.split(",")[1] == "seefar" for row in table[1:])


def test_networks_and_experiments_are_listed_with_their_configs(capsys: pytest.CaptureFixture[str]) -> None:
    assert [line.split()[0] for line in said(capsys, "networks").splitlines()[1:]] == list(NETWORKS)
    experiments = said(capsys, "experiments")
    assert all(f"{name}\n" in experiments for name in (*EXPERIMENTS, "sweep", "reproduce"))
    assert "configs: cifar10, cifar10_small, demo/digits," in experiments


def test_what_is_not_there_ends_with_a_message_and_a_code(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--store", store.uri)
    assert refused(capsys, "store", "show", "0123456789ab", *where) == (
        1,
        f"key 0123456789ab: one artifact, got none in {store.uri}; see `raylab store ls all`\n",
    )
    code, text = refused(capsys, "store", "table", "transfer", *where)
    assert (code, "did you mean transfer_matrix?" in text) == (2, True)
    code, text = refused(capsys, "run", "transfer_matrx")
    assert (code, text) == (2, "run transfer_matrx: no such experiment; did you mean transfer_matrix?\n")
    code, text = refused(capsys, "run")
    assert (code, "an experiment is needed: transfer_matrix, " in text) == (2, True)
    assert said(capsys, "store", "ls", "--store", str(tmp_path)) == f"no runs in {tmp_path}\n"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["tiny"], ["transfer_matrix/tiny.yaml"]),
        (["tiny.yaml", "attack.eps=1.5"], ["transfer_matrix/tiny.yaml", "attack.eps=1.5"]),
        (["demo/digits", "--dry-run"], ["transfer_matrix/demo/digits.yaml", "--dry-run"]),
        (["configs/transfer_matrix/tiny.yaml"], ["transfer_matrix/tiny.yaml"]),
        (["--site", "inline"], ["--site", "site/inline.yaml"]),
        (["--site", "configs/site/laptop.yaml"], ["--site", "site/laptop.yaml"]),
        (["--help", "attack.eps"], ["--help", "attack.eps"]),
        (["own.yaml", "nothing"], ["own.yaml", "nothing"]),
    ],
)
def test_configs_are_found_by_name_wherever_one_is(
    words: list[str], found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text("{}")
    whole = [str(CONFIGS / word) if (CONFIGS / word).is_file() else word for word in found]
    assert entry.located("transfer_matrix", words) == whole


def test_a_file_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text("{}")
    assert entry.located("transfer_matrix", ["tiny.yaml"]) == ["tiny.yaml"]


def test_a_run_is_planned_as_its_job_plans_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAYLAB_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["raylab"])
    by_entry = said(capsys, "run", "transfer_matrix", "tiny", "--site", "inline", "--dry-run")
    job = [sys.executable, str(ROOT / "jobs/transfer_matrix.py"), str(CONFIGS / "transfer_matrix/tiny.yaml")]
    options: dict[str, Any] = {"capture_output": True, "text": True, "check": True}
    assert subprocess.run([*job, "--site", "inline", "--dry-run"], **options).stdout == by_entry
    monkeypatch.setattr(sys, "argv", ["raylab"])
    swept = said(capsys, "run", "sweep", "det_digits", "--dry-run")
    job = [sys.executable, str(ROOT / "jobs/sweep.py"), str(CONFIGS / "sweep/det_digits.yaml"), "--dry-run"]
    assert subprocess.run(job, **options).stdout == swept


def test_the_wheel_has_the_configs_and_the_command() -> None:
    """Whether the patterns of pyproject.toml meet every config; `tests/test_wheel.py` runs one of them from a wheel."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["scripts"] == {"raylab": "raylab.__main__:main"}
    package = ROOT / "raylab"
    assert (package / "configs").is_symlink()
    patterns = project["tool"]["setuptools"]["package-data"]["raylab"]
    packed = {path.resolve() for pattern in patterns for path in package.glob(pattern)}
    assert set((ROOT / "configs").resolve().rglob("*.yaml")) <= packed
