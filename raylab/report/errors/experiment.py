"""Learning from errors as an experiment."""

from __future__ import annotations

from collections.abc import Sequence

from raylab.recipes.errors import Cell, LearningFromErrors, plan
from raylab.report.errors.page import files, page, parent, publication, section
from raylab.report.errors.scoreboard import evidence
from raylab.report.errors.table import measured
from raylab.report.errors.text import as_text
from raylab.report.experiment import HandWritten, Results
from raylab.study import Built


def results(built: Sequence[Built[LearningFromErrors, Cell]]) -> Results:
    """Tables and figures of one or several studies."""
    found = [measured(study.config, study.key, study.artifacts) for study in built]
    sections = [section(errors) for errors in found]
    return Results(
        page(sections),
        tuple(as_text(errors) for errors in found),
        tuple(publication(one, files(one)) for one in sections),
        tuple(tuple(evidence(errors)) for errors in found),
    )


EXPERIMENT = HandWritten(
    name="learning_from_errors",
    tracked="errors",
    title="Learning from errors",
    method=(
        "A network that was stopped early labels its own training images, and only those that it gets wrong are "
        "kept, with its wrong labels. A fresh network is trained on them. The same across domains, and with "
        "points of the plane."
    ),
    config=LearningFromErrors,
    plan=plan,
    opened=parent,
    results=results,
)
