"""How one thing of a sweep is said, the same everywhere."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from raylab.engine.redaction import excerpt
from raylab.engine.search import PROGRESS, Ended
from raylab.report.numbers import ABSENT
from raylab.report.values import Value
from raylab.sweep.config import Sweep
from raylab.sweep.records import TrialRecord

Columns = dict[str, Callable[[Any], Value]]

LONGEST = 300  # letters of a cause


def cause(error: str) -> str:
    """Why a trial has no result, in one line: of a stage that could not be built, what it said itself."""
    lines = [line.strip() for line in error.splitlines() if line.strip()] or [error]
    told = lines[1] if len(lines) > 1 and lines[0].startswith("BuildFailed") else lines[0]
    return excerpt(told, LONGEST)


def state(record: TrialRecord) -> str:
    """In a word or three."""
    return "outside the constraints" if record.state == "finished" and not record.feasible else record.state


def point(found: Mapping[str, object]) -> str:
    return ", ".join(f"{path}={value(one)}" for path, one in found.items())


def value(one: object) -> str:
    return f"{one:.4g}" if isinstance(one, float) else one if isinstance(one, str) else json.dumps(one)


def number(one: float) -> str:
    return ABSENT if math.isnan(one) else f"{one:.4f}"


def mark(sweep: Sweep) -> str:
    """Beside every number that chose, where it is of the images that report."""
    return " [chosen on the test set]" if sweep.selection.split == "test" else ""


def line(ended: Ended, sweep: Sweep, done: int) -> str:
    """One trial as it ends."""
    values = {measure.name: ended.numbers.get(measure.name, math.nan) for measure in sweep.measures}
    numbers = ", ".join(f"{name} {found:.4g}" for name, found in values.items() if not math.isnan(found))
    epoch = f" at epoch {ended.numbers[PROGRESS]}" if sweep.watched and PROGRESS in ended.numbers else ""
    error = ended.lost or ended.numbers.get("error")
    ending = cause(str(error)) if error else f"{numbers}{epoch}"
    return f"trial {ended.number} ({done} of {sweep.count}): {point(ended.point)}: {ending}"
