"""Shares of counted cases with exact intervals."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

from raylab.report.numbers import share


@dataclass(frozen=True)
class Rate:
    """hits of n, with the exact 95 % interval of Clopper and Pearson."""

    hits: int
    n: int
    low: float
    high: float

    def __str__(self) -> str:
        if not self.n:
            return "none drawn"
        return f"{self.hits} of {self.n}: {share(self.hits / self.n)} % [{share(self.low)}, {share(self.high)}]"


def rate(hits: int, n: int, level: float = 0.95) -> Rate:
    """The exact interval; [0, 1] of nothing."""
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, hits, n - hits + 1)) if hits else 0.0
    high = float(stats.beta.ppf(1 - tail, hits + 1, n - hits)) if hits < n else 1.0
    return Rate(hits, n, low, high)
