"""What the suites are made of."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import counting_study
import pytest
from pages import Page

from raylab import cli
from raylab.config import load
from raylab.report.experiments import EXPERIMENTS
from raylab.scoreboard import run as scoreboard
from raylab.scoreboard.run import about
from raylab.suites import SUITES, Reproduce, SuiteFile, parts, plan

CONFIGS = Path(__file__).parents[1] / "configs"


def test_studies_of_one_experiment_have_names_of_their_own() -> None:
    """Results, files and provenance are told apart by them."""
    names = Counter[tuple[str, str]]()
    for suite in SUITES:
        for entry in load(SuiteFile, CONFIGS / "reproduce" / f"{suite}.yaml").entries:
            config = EXPERIMENTS[entry.experiment].config
            source = CONFIGS / entry.config if entry.config else "{}"
            names[entry.experiment, load(config, source, entry.changes).study] += 1
    assert sum(names.values()) > 20
    assert [name for name, count in names.items() if count > 1] == []


def test_a_suite_with_two_studies_of_one_name_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    (tmp_path / "reproduce").mkdir()
    twice = "entries:\n- {experiment: fourier}\n- {experiment: fourier, changes: [network=cnn]}\n"
    (tmp_path / "reproduce" / "embedded.yaml").write_text(twice)
    with pytest.raises(ValueError, match="fourier: study 'seefar' is there 2 times; give each its own name"):
        parts(Reproduce(), tmp_path)


def made(commit: str, finished: str, dirty: bool = False) -> Any:
    return SimpleNamespace(
        manifest={"provenance": {"commit": commit, "finished": finished, "dirty": dirty, "machine": "two CPU cores"}}
    )


def test_what_is_said_of_the_code_covers_every_artifact() -> None:
    """Not the newest alone: a part from a changed tree must show."""
    old, new = made("a" * 40, "2026-11-20T10:00"), made("b" * 40, "2026-11-21T10:00")
    assert about("small", [new, new]).short_commit == "b" * 12
    assert about("small", [new, old]).short_commit == f"{'b' * 12} and 1 other"
    assert about("small", [new, old, made("c" * 40, "2026-11-19")]).short_commit == f"{'b' * 12} and 2 others"
    dirty = made("b" * 40, "2026-11-19", dirty=True)
    assert about("small", [dirty, new]).short_commit == f"{'b' * 12} with uncommitted changes"
    assert about("small", [old, new]).date == "2026-11-21"
    assert about("small", []).commit == "unknown"


def two_studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A suite of two experiments, of the first of which one cell always fails."""
    for name in ("theory", "poison"):
        monkeypatch.setitem(EXPERIMENTS, name, replace(counting_study.EXPERIMENT, name=name))
    (tmp_path / "reproduce").mkdir()
    listed = [
        {"experiment": "theory", "changes": [f"folder={tmp_path}"]},
        {"experiment": "poison", "changes": ["count=5"]},
    ]
    (tmp_path / "reproduce" / "embedded.yaml").write_text(json.dumps({"entries": listed}))
    return tmp_path


def ended(folder: Path, *argv: str) -> int:
    try:
        with cli.job(Reproduce, partial(plan, folder=folder), "Suites.", argv) as (studies, site):
            for study in studies:
                scoreboard.run(study.config, parts(study.config, folder), site)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.mark.usefixtures("site")
def test_a_study_with_holes_is_shown_with_them_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = two_studies(tmp_path, monkeypatch)
    assert ended(folder, f"folder={tmp_path}/pages") == 1
    said = capsys.readouterr().out
    named = "theory, study counted: 1 of 3 results could not be built; its page says why"
    assert f"Not here: {named}" in said
    page = Page((tmp_path / "pages" / "theory.html").read_text()).text
    assert "Not everything could be built: 1 of 3 results are missing" in page
    assert "1 result: ValueError: this task always fails" in page
    assert "Not everything" not in (tmp_path / "pages" / "poison.html").read_text()
    assert named in Page((tmp_path / "pages" / "index.html").read_text()).text
    assert len(list((tmp_path / "pages").rglob("counts.csv"))) == 2


@pytest.mark.usefixtures("site")
def test_what_was_not_asked_for_is_shown_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, pages = two_studies(tmp_path, monkeypatch), tmp_path / "pages"
    assert ended(folder, "only=[poison]", f"folder={pages}") == 0
    assert "Not here: theory, study counted: it was not asked for, and is not in the store" in capsys.readouterr().out
    assert (pages / "poison.html").exists()
    assert not (pages / "theory.html").exists()
    assert ended(folder, "only=[theory]", f"folder={pages}") == 1
    assert (pages / "poison.html").exists()


@pytest.mark.usefixtures("site")
def test_everything_is_printed_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = two_studies(tmp_path, monkeypatch)
    ended(folder)
    assert "50.0 ± " not in capsys.readouterr().out
    ended(folder, "--full")
    assert capsys.readouterr().out.count("50.0 ± ") == 2
