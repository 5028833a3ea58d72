"""How one thing of a sweep is said, the same on the terminal and on the page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from raylab.redaction import excerpt
from raylab.report.numbers import ABSENT
from raylab.sweep.records import Record

LONGEST = 300  # letters of a cause


def cause(error: str) -> str:
    """Why a trial has no result, in one line: of a stage that could not be built, what it said itself."""
    lines = [line.strip() for line in error.splitlines() if line.strip()] or [error]
    told = lines[1] if len(lines) > 1 and lines[0].startswith("BuildFailed") else lines[0]
    return excerpt(told, LONGEST)


def state(record: Record) -> str:
    """In a word or three."""
    return "outside the constraints" if record.state == "finished" and not record.feasible else record.state


def point(found: Mapping[str, object]) -> str:
    return ", ".join(f"{path}={value(one)}" for path, one in found.items())


def value(one: object) -> str:
    return f"{one:.4g}" if isinstance(one, float) else one if isinstance(one, str) else json.dumps(one)


def number(one: float) -> str:
    return ABSENT if math.isnan(one) else f"{one:.4f}"
