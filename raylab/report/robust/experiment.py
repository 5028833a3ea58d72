"""Robust and non-robust sets as an experiment."""

from __future__ import annotations

from collections.abc import Sequence

from raylab.recipes.robust_features import Cell, RobustFeatures, plan
from raylab.report.experiment import HandWritten, Results
from raylab.report.robust.page import page, section
from raylab.report.robust.publication import files, parent, publication
from raylab.report.robust.scoreboard import evidence
from raylab.report.robust.table import measured
from raylab.report.robust.text import as_text
from raylab.study import Built


def results(built: Sequence[Built[RobustFeatures, Cell]]) -> Results:
    """Tables, figures and verdicts of one or several studies."""
    sections = [section(measured(study.config, study.key, study.artifacts)) for study in built]
    return Results(
        page(sections),
        tuple(as_text(one.table) for one in sections),
        tuple(publication(one.table, files(one.table, list(one.pictures.values()))) for one in sections),
        tuple(tuple(evidence(one.table)) for one in sections),
    )


EXPERIMENT = HandWritten(
    name="robust_features",
    tracked="robust_features",
    title="Robust and non-robust data sets",
    method=(
        "D_R keeps of every image what an adversarially trained network sees in it, by inverting its features "
        "from another image; D_NR the same with a standard network. Fresh networks are trained on each in the "
        "standard way, and attacked."
    ),
    config=RobustFeatures,
    plan=plan,
    opened=parent,
    results=results,
)
