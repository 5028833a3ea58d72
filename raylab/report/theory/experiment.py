"""The worlds where the answer is known as an experiment."""

from __future__ import annotations

from collections.abc import Sequence

from raylab.recipes.theory import Cell, Theory, plan
from raylab.report.experiment import HandWritten, Results
from raylab.report.theory.figures import draw
from raylab.report.theory.page import files, page, parent, publication
from raylab.report.theory.scoreboard import evidence
from raylab.report.theory.table import as_text, measured
from raylab.study import Built


def results(built: Sequence[Built[Theory, Cell]]) -> Results:
    """Tables and figures of one or several configs."""
    found = [measured(study.config, study.key, study.artifacts) for study in built]
    drawn = [draw(result) for result in found]
    return Results(
        page(found, drawn),
        tuple(as_text(result) for result in found),
        tuple(publication(one, files(one, pictures)) for one, pictures in zip(found, drawn, strict=True)),
        tuple(tuple(evidence(result)) for result in found),
    )


EXPERIMENT = HandWritten(
    name="theory",
    tracked="theory",
    title="Worlds where the answer is known",
    method=(
        "The Gaussian model of the paper's section 4, wide two-layer networks, the adversarial squares, the plane "
        "of useful and robust directions, and a synthetic world: closed forms, and the same by sampling and "
        "training."
    ),
    config=Theory,
    plan=plan,
    opened=parent,
    results=results,
)
