"""The rule of verdicts: where a 95 % interval lies beside bounds, and when nothing can be decided at all."""

from __future__ import annotations

import math
from collections.abc import Iterable

from raylab.core.statistics import Range
from raylab.report.blocks import Verdict
from raylab.report.per_seed import PerSeed
from raylab.report.values import Badge

INF = math.inf
NOT_BUILT, ONE_SEED = Badge("open", "not built"), Badge("open", "one seed")
SAYS_NOTHING = "One seed says nothing of other networks."


def within(interval: Range, low: float = -INF, high: float = INF) -> bool | None:
    """Whether an interval lies inside bounds (True), outside (False), or across one of them: None, also of nan, the
    interval of a single seed."""
    if low <= interval[0] and interval[1] <= high:
        return True
    return False if interval[1] < low or interval[0] > high else None


def not_built(subject: str, what: str = "A network") -> Verdict:
    return Verdict(subject, NOT_BUILT, f"{what} that this verdict needs was not built.")


def one_seed(subject: str, numbers: str, differences: Iterable[PerSeed]) -> Verdict | None:
    """The verdict where differences, paired by seed, are not of two seeds or more; None where they are."""
    if min(map(len, differences)) >= 2:
        return None
    return Verdict(subject, ONE_SEED, f"{numbers}. {SAYS_NOTHING}")
