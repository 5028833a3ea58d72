"""The controls as an experiment."""

from __future__ import annotations

from collections.abc import Sequence

from raylab.recipes.controls import Cell, ControlStudy, plan
from raylab.report.controls.page import files, page, parent, publication, section
from raylab.report.controls.rows import measured
from raylab.report.controls.scoreboard import evidence
from raylab.report.controls.text import as_text
from raylab.report.experiment import HandWritten, Results
from raylab.study import Built


def results(built: Sequence[Built[ControlStudy, Cell]]) -> Results:
    """Tables and figures of one or several studies."""
    sections = [section(measured(study.config, study.key, study.artifacts)) for study in built]
    return Results(
        page(sections),
        tuple(as_text(one.controls) for one in sections),
        tuple(publication(one.controls, files(one)) for one in sections),
        tuple(tuple(evidence(one.controls)) for one in sections),
    )


EXPERIMENT = HandWritten(
    name="controls",
    tracked="controls",
    title="What an accuracy is worth",
    method=(
        "What else could explain that constructed sets teach: meaningless class-wise patterns, universal "
        "perturbations, robust linear features, perturbations that no other network obeys, robust sources. Each "
        "with the sign that it should have."
    ),
    config=ControlStudy,
    plan=plan,
    opened=parent,
    results=results,
)
