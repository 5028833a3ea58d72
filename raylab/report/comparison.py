"""A published or exact number beside ours, and what may be said of the two: by rule, never by hand."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from raylab.core.statistics import Estimate
from raylab.report.per_seed import bounds_of, of_samples

Rule = Literal["equal", "at_least", "at_most"]
Code = Literal["exact", "within", "met", "inconclusive", "outside", "not_run"]

WORDS: dict[Code, str] = {
    "exact": "exact",
    "within": "within tolerance",
    "met": "gate met",
    "inconclusive": "inconclusive",
    "outside": "not within",
    "not_run": "not run",
}
LOOKS: dict[Code, str] = {  # classes of the page's badges
    "exact": "good",
    "within": "good",
    "met": "good",
    "inconclusive": "open",
    "outside": "warn",
    "not_run": "open",
}


@dataclass(frozen=True)
class Target:
    """What a result is held against."""

    quantity: str  # in words
    value: float
    tolerance: float  # of "equal": how far ours may lie; a gate has none
    source: str
    rule: Rule = "equal"  # else a gate: ours at least, or at most, `value`
    row: int | None = None  # of the table of target numbers


@dataclass(frozen=True)
class Comparison:
    """A target and what was measured for it; n = 0 says that ours is computed, not sampled."""

    target: Target
    ours: Estimate | None
    protocol: str = ""  # how ours differs from the published protocol; "": it does not
    reason: str = ""  # why it was not run

    @property
    def interval(self) -> tuple[float, float]:
        """95 %: of several seeds by the rule of the house; of one run, which is a sum by Monte Carlo or the published
        run once more, that of its samples."""
        assert self.ours is not None
        return of_samples(self.ours) if self.ours.seeds < 2 else bounds_of(self.ours)

    @property
    def code(self) -> Code:
        """Within where the whole interval is inside the tolerance, outside where none of it is, else inconclusive."""
        if self.ours is None or math.isnan(self.ours.mean):
            return "not_run"
        target, (low, high) = self.target, self.interval
        around = target.tolerance if target.rule == "equal" else 0.0
        least = -math.inf if target.rule == "at_most" else target.value - around
        most = math.inf if target.rule == "at_least" else target.value + around
        if high < least or low > most:
            return "outside"
        if not (least <= low and high <= most):
            return "inconclusive"
        return "met" if target.rule != "equal" else "exact" if self.ours.n == 0 else "within"


@dataclass(frozen=True)
class Group:
    """Comparisons that belong together."""

    anchor: str
    title: str
    comparisons: tuple[Comparison, ...]

    @property
    def counts(self) -> tuple[tuple[Code, int], ...]:
        """How often each verdict was reached, in the order of WORDS."""
        codes = [comparison.code for comparison in self.comparisons]
        return tuple((code, codes.count(code)) for code in WORDS if code in codes)


def wanted(target: Target) -> str:
    """0.99 ± 0.03, or ≥ 0.9"""
    if target.rule == "equal":
        return f"{figure(target.value)} ± {figure(target.tolerance)}"
    return f"{'≥' if target.rule == 'at_least' else '≤'} {figure(target.value)}"


def got(ours: Estimate | None) -> str:
    """0.993 ± 0.002, ± the standard error; without one where ours is exact or nothing is known of other runs."""
    if ours is None or math.isnan(ours.mean):
        return "–"
    if ours.n == 0:
        return figure(ours.mean)
    spread = "" if math.isnan(ours.se) else f" ± {figure(ours.se, 2)}"
    return f"{ours.mean:.4f}".replace("-", "−") + spread


def basis(ours: Estimate | None) -> str:
    """What ours rests on: 12 700 examples or samples, 1 seed."""
    if ours is None:
        return "–"
    if ours.n == 0:
        return "computed"
    return f"n = {ours.n:,}, {ours.seeds} seed{'s' if ours.seeds > 1 else ''}".replace(
        ",", "\u202f", f"{ours.n:,}".count(",")
    )


def figure(value: float, digits: int = 8) -> str:
    """As many digits as it has, with a real minus."""
    return f"{value:.{digits}g}".replace("-", "−")


def tally(groups: Iterable[Group]) -> dict[Code, int]:
    """Verdicts of all groups."""
    found = dict.fromkeys(WORDS, 0)
    for group in groups:
        for code, count in group.counts:
            found[code] += count
    return {code: count for code, count in found.items() if count}
