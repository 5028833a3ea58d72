"""What stands in a cell: numbers with their unit, targets with their bounds, and what may be said of the two."""

from __future__ import annotations

import math
from typing import Literal

from raylab.core.statistics import Estimate
from raylab.report.numbers import ABSENT, basis, significant
from raylab.scoreboard.rows import Criterion, Published, Unit
from raylab.scoreboard.verdict import Measured

SIGNS: dict[Unit, str] = {"share": " %", "points": " points", "number": ""}
Look = Literal["good", "bad", "open", "none"]  # classes of the page's badges; "none": nothing was compared

__all__ = ["asked", "basis", "criterion", "exact", "has_spread", "interval", "ours", "said", "tolerance"]


def exact(value: float, of: Unit) -> str:
    """With as many digits as it was given with: 43.7 %"""
    return f"{significant(_scaled(value, of))}{SIGNS[of]}"


def tolerance(published: Published) -> str:
    """37.7 to 49.7 %"""
    return f"{significant(_scaled(published.low, published.unit))} to {exact(published.high, published.unit)}"


def criterion(asked_for: Criterion) -> str:
    """≥ 20 %, or 44 to 56 %"""
    low, high, unit = asked_for.at_least, asked_for.at_most, asked_for.unit
    by = f" by {asked_for.sigmas:g} standard errors" if asked_for.sigmas is not None else ""
    if low is not None and high is not None:
        return f"{significant(_scaled(low, unit))} to {exact(high, unit)}{by}"
    bound = f"≥ {exact(low, unit)}" if low is not None else f"≤ {exact(high, unit)}" if high is not None else ""
    return bound + by


def asked(published: Published | None, asked_for: Criterion | None) -> str:
    """What a row says of one of its numbers: 49.7 % (43.7 to 55.7 %); criterion ≥ 20 %"""
    target = [f"{exact(published.value, published.unit)} ({tolerance(published)})"] if published else []
    return "; ".join([*target, *([f"criterion {criterion(asked_for)}"] if asked_for else [])])


def has_spread(estimate: Estimate) -> bool:
    """Whether a standard error is shown: it is known, and the number was sampled, not computed."""
    return not math.isnan(estimate.se) and estimate.n > 0


def ours(estimate: Estimate, of: Unit) -> str:
    """61.0 ± 1.2 %; as many digits as the standard error knows."""
    digits = _digits(estimate, of)
    spread = f" ± {_fixed(estimate.se, of, digits)}" if has_spread(estimate) else ""
    return f"{_fixed(estimate.mean, of, digits)}{spread}{SIGNS[of]}"


def interval(measured: Measured) -> str:
    """58.1 to 63.9 %; of what is computed there is none."""
    (low, high), estimate, of = measured.bounds, measured.evidence.ours, measured.unit
    if math.isnan(low) or math.isnan(high):
        return "not known of one seed" if estimate.seeds < 2 else ABSENT
    if low == high:
        return ABSENT
    digits = _digits(estimate, of)
    return f"{_fixed(low, of, digits)} to {_fixed(high, of, digits)}{SIGNS[of]}"


def said(measured: Measured) -> tuple[tuple[Look, str], ...]:
    """By rule, of a number and each of its targets; the verdict of a run follows from all of them."""
    found: list[tuple[Look, str]] = []
    if measured.published is not None and measured.same_protocol:
        found.append(_of_tolerance(measured.reproduces))
    if measured.criterion is not None:
        found.append(_of_criterion(measured.meets_criterion, measured.fails))
    return tuple(found) or (("none", "another protocol"),)


def _of_tolerance(within: bool | None) -> tuple[Look, str]:
    if within is None:
        return "open", "across a bound of the tolerance"
    return ("good", "within tolerance") if within else ("bad", "outside tolerance")


def _of_criterion(met: bool | None, fails: bool) -> tuple[Look, str]:
    if met is None:
        return "open", "criterion undecided"
    if met:
        return "good", "criterion met"
    return ("bad", "criterion failed") if fails else ("open", "criterion failed, which says nothing here")


def _scaled(value: float, of: Unit) -> float:
    return value if of == "number" else round(100 * value, 10)  # 100 × 0.279 is 27.900000000000002


def _digits(estimate: Estimate, of: Unit) -> int | None:
    """After the point; None: as many as the number has."""
    se = 0.0 if math.isnan(estimate.se) else _scaled(estimate.se, of)
    if of != "number":
        return 2 if 0 < se < 0.05 else 1
    return None if se == 0 else min(max(1 - math.floor(math.log10(se)), 0), 8)


def _fixed(value: float, of: Unit, digits: int | None) -> str:
    scaled = _scaled(value, of)
    if digits is None:
        return significant(scaled)
    return f"{round(scaled, digits) + 0.0:.{digits}f}".replace("-", "−")  # + 0.0: no −0.0
