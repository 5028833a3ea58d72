"""Every experiment by its job and its smallest config: in this process, twice; and what all their configs are."""

from __future__ import annotations

import runpy
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from children import assert_told_apart, study

from raylab.config import load
from raylab.data import DataError
from raylab.engine.stage import closure
from raylab.report.experiments import EXPERIMENTS

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"
NOT_RUN = {"worlds"}  # the smallest of its cases takes a minute; its parts are tested
JOBS = [name for name in EXPERIMENTS if name not in NOT_RUN | {"transfer_matrix"}]  # which test_jobs.py runs


@pytest.fixture(autouse=True)
def _here(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, from the checkout, without the data of this machine."""
    del site
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("RAYLAB_DATA", raising=False)


def job(name: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Its exit code."""
    monkeypatch.setattr(sys, "argv", [f"jobs/{name}.py", *arguments])
    try:
        runpy.run_path(f"jobs/{name}.py", run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.parametrize("name", JOBS)
def test_a_run_leaves_a_table_and_a_page_and_a_second_one_computes_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny, home = f"configs/{name}/tiny.yaml", tmp_path / "home"
    assert job(name, monkeypatch, tiny) == 0
    first = capsys.readouterr().out
    page = (home / "reports" / f"{name}.html").read_bytes()
    (lasting,) = (home / "reports" / name).glob("*")
    assert (lasting / "page.html").read_bytes() == page
    assert EXPERIMENTS[name].title in page.decode()
    tables = [path.read_text().splitlines() for path in lasting.rglob("*.csv")]
    assert tables
    assert all(len(lines) > 1 for lines in tables)  # a row under the header
    assert job(name, monkeypatch, tiny) == 0
    again = capsys.readouterr()
    assert "nothing to build" in again.err
    assert again.out == first
    assert (home / "reports" / f"{name}.html").read_bytes() == page
    assert_told_apart(study(name, tiny, home), name)


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONFIGS)))
def test_every_config_is_valid_and_says_what_it_is(path: Path) -> None:
    assert path.read_text().startswith("# ")
    experiment = EXPERIMENTS.get(path.relative_to(CONFIGS).parts[0])
    if experiment is not None:  # the files of suites, sweeps and sites have tests of their own
        config = load(experiment.config, path)
        if getattr(config, "worlds", None):
            return  # thousands of cells: seconds
        with suppress(DataError):  # it need not be on this machine
            assert closure(experiment.plan(config).values())


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("controls", "base=100000", "base: at most"),
        ("erm", "dimension={sizes: [16, 24]}", "multiples of 16"),
        ("fourier", "filtered={low: [4]}", "cannot be symmetric"),
        ("learning_from_errors", "across.images.size=9", "images of one shape"),
        ("poison", "base=100000", "base: at most"),
        ("robust_features", "robustness.others={l2: 500}", "others.l2: below"),
        ("worlds", "seeds=1", "seeds"),
    ],
)
def test_bad_input_ends_before_compute(
    name: str,
    change: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert job(name, monkeypatch, change) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not list(tmp_path.rglob("MANIFEST.json"))
