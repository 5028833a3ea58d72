"""What the suites are made of."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from raylab.config import load
from raylab.report.experiments import EXPERIMENTS
from raylab.suites import SUITES, SuiteFile

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
