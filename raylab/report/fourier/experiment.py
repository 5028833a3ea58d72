"""Fourier analysis as an experiment."""

from __future__ import annotations

from collections.abc import Sequence

from raylab.recipes.fourier import Cell, Fourier, plan
from raylab.report.experiment import HandWritten, Results
from raylab.report.fourier.page import files, page, parent, publication, section
from raylab.report.fourier.scoreboard import evidence
from raylab.report.fourier.table import measured
from raylab.report.fourier.text import as_text
from raylab.study import Built


def results(built: Sequence[Built[Fourier, Cell]]) -> Results:
    """Tables, figures and verdicts of one or several studies."""
    sections = [section(measured(study.config, study.key, study.artifacts)) for study in built]
    return Results(
        page(sections),
        tuple(as_text(one.result) for one in sections),
        tuple(publication(one, files(one)) for one in sections),
        tuple(tuple(evidence(one.result)) for one in sections),
    )


EXPERIMENT = HandWritten(
    name="fourier",
    tracked="fourier",
    title="Robustness by frequency",
    method=(
        "A standard network, one trained with Gaussian noise and one trained adversarially are asked about test images "
        "with single Fourier waves added, about the corruptions of CIFAR-10-C at its published constants, and about "
        "noise of a band of frequencies. Fresh networks are trained and tested on one band alone."
    ),
    config=Fourier,
    plan=plan,
    opened=parent,
    results=results,
)
