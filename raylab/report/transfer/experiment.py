"""The transfer matrix as an experiment."""

from __future__ import annotations

from collections.abc import Sequence

from raylab.recipes.transfer_matrix import Cell, TransferMatrix, plan
from raylab.report.experiment import HandWritten, Results
from raylab.report.transfer.files import files
from raylab.report.transfer.gallery import draw
from raylab.report.transfer.matrix import measured
from raylab.report.transfer.page import page
from raylab.report.transfer.publication import parent, publication
from raylab.report.transfer.scoreboard import evidence
from raylab.report.transfer.text import as_text
from raylab.study import Built


def results(built: Sequence[Built[TransferMatrix, Cell]]) -> Results:
    """Tables, figures and verdicts of one or several matrices."""
    galleries = [draw(measured(study.config, study.key, study.artifacts)) for study in built]
    return Results(
        page(galleries),
        tuple(as_text(gallery.matrix) for gallery in galleries),
        tuple(publication(gallery.matrix, files(gallery)) for gallery in galleries),
        tuple(tuple(evidence(gallery.matrix)) for gallery in galleries),
    )


EXPERIMENT = HandWritten(
    name="transfer_matrix",
    tracked="transfer",
    title="Transfer of learned perturbations",
    method=(
        "A source network is attacked to push every training image towards another class, which becomes its "
        "label. Fresh networks are trained on nothing else and tested on untouched images, beside controls that "
        "lack what the claim is about."
    ),
    config=TransferMatrix,
    plan=plan,
    opened=parent,
    results=results,
)
