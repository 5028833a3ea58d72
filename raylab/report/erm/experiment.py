"""The planet Erm as an experiment."""

from __future__ import annotations

from collections.abc import Sequence

from raylab.recipes import worlds
from raylab.recipes.erm import Cell, Erm, plan
from raylab.report.erm.page import files, page, parent, publication, section
from raylab.report.erm.table import measured
from raylab.report.erm.text import as_text
from raylab.report.experiment import HandWritten, Results
from raylab.study import Built


def results(built: Sequence[Built[Erm, Cell | worlds.Cell]]) -> Results:
    """Tables, figures and statements of one or several studies."""
    sections = [section(measured(study.config, study.key, study.artifacts)) for study in built]
    return Results(
        page(sections),
        tuple(as_text(one.planet) for one in sections),
        tuple(publication(one, files(one)) for one in sections),
    )


EXPERIMENT = HandWritten(
    name="erm",
    tracked="erm",
    title="The planet Erm",
    method=(
        "A world whose images show a shape, which survives an attack, and a toogit, which does not. Probes with one of "
        "them, or with two that disagree, tell what networks use that were trained in the standard way, adversarially, "
        "and on D_rand, D_det, D_R and D_NR; matched filters tell what images really show."
    ),
    config=Erm,
    plan=plan,
    opened=parent,
    results=results,
)
