"""The poisons as an experiment."""

from __future__ import annotations

from collections.abc import Sequence

from raylab.recipes.poison import Cell, PoisonStudy, plan
from raylab.report.experiment import Experiment, Results
from raylab.report.poison.page import files, page, parent, publication, section
from raylab.report.poison.scoreboard import evidence
from raylab.report.poison.table import measured
from raylab.report.poison.text import as_text
from raylab.study import Built


def results(built: Sequence[Built[PoisonStudy, Cell]]) -> Results:
    """Tables, figures and verdicts of one or several studies."""
    sections = [section(measured(study.config, study.key, study.artifacts)) for study in built]
    return Results(
        page(sections),
        tuple(as_text(one.found) for one in sections),
        tuple(publication(one, files(one)) for one in sections),
        tuple(tuple(evidence(one.found)) for one in sections),
    )


EXPERIMENT = Experiment(
    name="poison",
    title="Poisons that change no label",
    tracked="poison",
    method=(
        "The images of D_det under the labels that they had, and four more poisons that change no label. Victims are "
        "trained on each in the standard way and adversarially, and tested on clean images; a planted trigger shows "
        "who obeys it."
    ),
    config=PoisonStudy,
    plan=plan,
    opened=parent,
    results=results,
)
