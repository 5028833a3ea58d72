"""Numbers as people read them: one decimal of a percentage, the standard error beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from raylab.core.statistics import Coefficient, Estimate

ABSENT = "–"


def share(value: float, decimals: int = 1) -> str:
    """A share in percent, without the sign: 73.4."""
    if math.isnan(value):
        return ABSENT
    return f"{round(100 * value, decimals) + 0.0:.{decimals}f}".replace("-", "−")  # + 0.0: no −0.0


def number(estimate: Estimate) -> str:
    """73.4 ± 1.2, in percent; without an error where none is known (one seed out of several had data)."""
    if math.isnan(estimate.mean) or math.isnan(estimate.se):
        return share(estimate.mean)
    return f"{share(estimate.mean)} ± {share(estimate.se)}"


def percent(estimate: Estimate) -> str:
    """73.4 ± 1.2 %"""
    return ABSENT if math.isnan(estimate.mean) else f"{number(estimate)} %"


def points(difference: Estimate) -> str:
    """9.3 ± 1.2 points"""
    return f"{number(difference)} points"


def span(estimates: Iterable[Estimate]) -> str:
    """The smallest to the largest mean: 75–92 %."""
    means = [e.mean for e in estimates if not math.isnan(e.mean)]
    if not means:
        return ABSENT
    low, high = share(min(means), 0), share(max(means), 0)
    return f"{low} %" if low == high else f"{low}–{high} %"


def significant(value: float, n: int = 8) -> str:
    """A number with at most so many digits that count, and a real minus."""
    return f"{value:.{n}g}".replace("-", "−")


def basis(estimate: Estimate | None) -> str:
    """What a number rests on: n = 12 700, 1 seed."""
    if estimate is None or math.isnan(estimate.mean):
        return ABSENT
    if estimate.n == 0:
        return "computed"
    n = f"{estimate.n:,}".replace(",", "\u202f")
    return f"n = {n}, {estimate.seeds} seed{'s' if estimate.seeds > 1 else ''}"


def coefficient(value: Coefficient) -> str:
    """0.93 [0.71, 0.98]"""
    if math.isnan(value.value):
        return ABSENT
    interval = "no interval" if math.isnan(value.low) else f"{value.low:.2f}, {value.high:.2f}"
    return f"{value.value:.2f} [{interval}]".replace("-", "−")


def unbroken(text: str) -> str:
    """The same with no-break spaces where a line must not end: between a number and its sign."""
    for loose in (" %", "± ", " ±", "p1 ", " + 1"):
        text = text.replace(loose, loose.replace(" ", "\u00a0"))
    return text
