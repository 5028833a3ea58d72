"""The controls of a study as rows: what was measured, what it is compared with, and whether its sign is as expected."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from raylab.artifact import Artifact
from raylab.core.statistics import Estimate
from raylab.recipes.controls import Cell, ControlStudy
from raylab.report.estimates import interval, spanned
from raylab.report.numbers import percent

Artifacts = Mapping[Cell, Artifact]
Code = Literal["expected", "unexpected", "undecided"]
BADGES: dict[Code, str] = {
    "expected": "as expected",
    "unexpected": "not as expected",
    "undecided": "cannot decide",
}
SUCCESS, TRANSFER = 0.95, 0.05  # bugs: at least, at most (Nakkiran: 98.6 and 0.8 %)


class Check(NamedTuple):
    """One thing that is expected of a row: that a paired difference is above zero, or that it is not."""

    words: str
    difference: Estimate
    strictly: bool = True  # above zero beyond its interval; else: not below zero beyond it, by its mean

    @property
    def holds(self) -> bool | None:
        """None: it cannot be decided."""
        if self.difference.seeds < 2 or math.isnan(self.difference.mean):
            return None
        low, high = interval(self.difference)
        if high < 0:
            return False
        return True if (low > 0 if self.strictly else self.difference.mean >= 0) else None


@dataclass(frozen=True)
class Row:
    """One control."""

    control: str
    kind: str
    title: str
    expected: str
    measured: tuple[str, Estimate]
    beside: tuple[str, Estimate]
    difference: Estimate  # measured less beside, paired by seed
    others: tuple[tuple[str, Estimate], ...]
    checks: tuple[Check, ...]
    why: str = ""  # what is known of a sign that is not the expected

    @property
    def code(self) -> Code:
        found = [check.holds for check in self.checks]
        if False in found:
            return "unexpected"
        return "undecided" if None in found else "expected"

    @property
    def sentence(self) -> str:
        """The numbers, and where the sign is not as expected which check says so."""
        open_checks = [check for check in self.checks if check.holds is not True]
        said = f"{self.measured[0]} {percent(self.measured[1])}, {self.beside[0]} {percent(self.beside[1])}."
        if not open_checks:
            return said
        if self.measured[1].seeds < 2:
            return f"{said} One seed says nothing of other networks."
        parts = [
            f"{check.words}: {'no' if check.holds is False else 'open'}, {spanned(check.difference)}"
            for check in open_checks
        ]
        return f"{said} Checked: {'; '.join(parts)}.{f' {self.why}' if self.why else ''}"


@dataclass(frozen=True)
class Curve:
    """The next-class sets of the standard and of the robust source over the radius."""

    eps: tuple[float, ...]
    accuracy: Mapping[str, tuple[Estimate, ...]]  # by source, "standard" and "robust": of the students
    p1: Mapping[str, tuple[Estimate, ...]]
    success: Mapping[str, tuple[Estimate, ...]]
    admissible: float | None  # the largest radius up to which the robust source teaches no more than chance


@dataclass(frozen=True)
class Controls:
    """One config's result."""

    config: ControlStudy
    key: str
    note: str
    classes: int
    rows: tuple[Row, ...]
    curve: Curve | None
    sources: Mapping[str, Estimate]  # test accuracy
    warnings: tuple[str, ...]  # of adversarial trainings that collapsed
    artifacts: Artifacts
    provenance: Mapping[str, Any]

    @property
    def chance(self) -> float:
        return 1 / self.classes
