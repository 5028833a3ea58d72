"""Evidence that nobody measured, for tests of the scoreboard."""

from __future__ import annotations

import math

from raylab.core.statistics import Estimate
from raylab.scoreboard.about import About
from raylab.scoreboard.evidence import Evidence
from raylab.scoreboard.rows import all_rows
from raylab.scoreboard.verdict import Line, scored

STUDY = ("theory", "embedded")  # the experiment and its study
SMALL = "Digits, 1 437 training images; mlp"
ABOUT = About(
    "embedded", "python jobs/reproduce.py suite=embedded", "0123456789abcdef" * 2, "two CPU cores", "2026-11-21"
)
MADE = {STUDY: ABOUT}


def evidence(
    row: int,
    name: str,
    mean: float,
    se: float = 0.001,
    *,
    on: str = "Digits, mlp",
    protocol: str = SMALL,
    seeds: int = 3,
    n: int = 900,
    undecided: str = "",
    bounds: tuple[float, float] | None = None,
) -> Evidence:
    return Evidence(row, name, Estimate(mean, se, n, seeds), on, protocol, undecided, bounds, "", *STUDY)


def every_verdict() -> list[Evidence]:
    """Rows that are reproduced, point the same way, say nothing, point the other way, and disagree."""
    published = all_rows()[44].published
    same = {"on": "the world", "protocol": ""}
    return [
        evidence(1, "clean", 0.84),
        evidence(1, "above chance", 0.74),
        evidence(1, "fit of its own set, lowest seed", 0.97, math.nan, bounds=(0.97, 0.97)),
        evidence(2, "clean", 0.3),
        evidence(2, "above chance", 0.2),
        evidence(2, "above relabelled", -0.1, undecided="the attack succeeds on 41 % only"),
        evidence(3, "above clean", -0.2, on="<CIFAR-10>, resnet18 & co"),
        evidence(3, "relabelled", 0.54),
        evidence(3, "above clean", 0.2),
        evidence(4, "det above chance", 0.12),
        evidence(15, "Spearman", 0.7, math.nan, bounds=(-0.1, 0.95)),
        evidence(34, "closed form", 3.3061224, 0.0, n=0, seeds=1, **same),
        *(evidence(45, name, one.value, 1e-4, seeds=5, **same) for name, one in published.items()),
        evidence(46, "rand", 0.5, on="Digits", protocol=""),
    ]


def lines(*found: Evidence) -> list[Line]:
    return scored(found or every_verdict())


def line(*found: Evidence) -> Line:
    """Of the row that the evidence is about."""
    (row,) = {one.row for one in found}
    return scored(found)[row - 1]
