"""A published or exact number beside ours, and what may be said of the two: by rule, never by hand."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from raylab.core.statistics import Estimate

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
LEVEL = 0.95
# Student's t at .975 for 1 to 30 degrees of freedom: seeds are few, and a normal interval of three is half as wide.
_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_NORMAL = 1.960


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
    def half_width(self) -> float:
        """Of ours' 95 % interval: over seeds Student's, of one run the sampling error's; 0 where none is known."""
        if self.ours is None or math.isnan(self.ours.se):
            return 0.0
        degrees = self.ours.seeds - 1
        return self.ours.se * (_T[degrees - 1] if 1 <= degrees <= len(_T) else _NORMAL)

    @property
    def code(self) -> Code:
        """Within where the whole interval is inside the tolerance, outside where none of it is, else inconclusive."""
        if self.ours is None or math.isnan(self.ours.mean):
            return "not_run"
        target, half = self.target, self.half_width
        if target.rule == "equal":
            distance = abs(self.ours.mean - target.value)
            if distance + half <= target.tolerance:
                return "exact" if self.ours.n == 0 else "within"
            return "outside" if distance - half > target.tolerance else "inconclusive"
        excess = (self.ours.mean - target.value) * (1.0 if target.rule == "at_least" else -1.0)
        if excess - half >= 0.0:
            return "met"
        return "outside" if excess + half < 0.0 else "inconclusive"


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
