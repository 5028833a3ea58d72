"""What the suites are made of."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from raylab.config import load
from raylab.report.experiments import EXPERIMENTS
from raylab.scoreboard import about
from raylab.suites import SUITES, Reproduce, SuiteFile, parts

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
