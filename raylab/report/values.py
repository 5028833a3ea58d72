"""What stands in a cell of a table: a number with its uncertainty, a word, or nothing; for people and for machines."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

from raylab.core.statistics import Coefficient, Estimate
from raylab.report import numbers
from raylab.report.numbers import ABSENT, share
from raylab.report.per_seed import PerSeed, bounds_of, clopper_pearson

Look = Literal["good", "open", "warn", "bad", "truth"]  # of a badge: its colours


class Badge(NamedTuple):
    """A verdict in a word or two."""

    look: Look
    words: str


class Fixed(NamedTuple):
    """A number without uncertainty that is no share, with so many decimals."""

    value: float
    decimals: int = 2


class Share(NamedTuple):
    """A share, or a difference of shares, without uncertainty: in percent to people."""

    value: float
    decimals: int = 1


class Rate(NamedTuple):
    """So many of so many cases, with the exact 95 % interval of Clopper and Pearson."""

    hits: int
    n: int

    @property
    def share(self) -> float:
        return self.hits / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """[0, 1] of no cases."""
        low, high = clopper_pearson(np.array(float(self.hits)), self.n)
        return float(low), float(high)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.hits} of {self.n}: {share(self.share)} % [{share(low)}, {share(high)}]" if self.n else "no cases"


class Plain(NamedTuple):
    """A measured number that is no share: as it is, not in percent."""

    of: PerSeed | Estimate
    decimals: int = 2


class Significant(NamedTuple):
    """A number that is no share, with so many digits that count; one that was sampled with four decimals, ± two digits
    of its standard error."""

    of: Estimate | float
    digits: int = 8


class Singles(NamedTuple):
    """The shares of single seeds, side by side."""

    of: PerSeed


class Spanned(NamedTuple):
    """A difference in points, or with decimals any number as it is, with its 95 % interval instead of its standard
    error."""

    of: PerSeed | Estimate
    decimals: int | None = None


Value = (
    PerSeed | Estimate | Coefficient | Plain | Spanned | Fixed | Share | Rate | Significant | Singles | Badge
    | int | str | None
)  # fmt: skip


def estimate(of: PerSeed | Estimate) -> Estimate:
    """Over seeds."""
    return of.mean if isinstance(of, PerSeed) else of


def format_value(value: Value) -> str:
    """As people read it: shares in percent, ± the standard error."""
    match value:
        case None:
            return ABSENT
        case PerSeed() | Estimate():
            return numbers.number(estimate(value))
        case Coefficient():
            return numbers.coefficient(value)
        case Plain():
            return _plain(estimate(value.of), value.decimals)
        case Spanned():
            return _spanned(estimate(value.of), value.decimals)
        case Fixed():
            return _decimals(value.value, value.decimals)
        case Share():
            return share(value.value, value.decimals)
        case Rate():
            return str(value)
        case Significant():
            return _in_digits(value.of, value.digits)
        case Singles():
            return " ".join(share(one.mean) for one in value.of.values()) or ABSENT
        case Badge():
            return value.words
        case int():
            return f"{value:,}".replace(",", "\u202f") if value >= 10_000 else str(value)
    return value


def fields(name: str, value: Value) -> dict[str, object]:
    """As machines read it: shares lie in [0, 1]; beside a mean stand its standard error, 95 % interval, n and seeds.
    Empty: not measured, or not known."""
    match value:
        case PerSeed() | Estimate():
            return _of_estimate(name, estimate(value))
        case Plain() | Spanned():
            return _of_estimate(name, estimate(value.of))
        case Coefficient():
            return {name: _digits(value.value), f"{name} low": _digits(value.low), f"{name} high": _digits(value.high)}
        case Fixed() | Share():
            return {name: _digits(value.value)}
        case Rate():
            low, high = value.interval
            numbers_of = {"": value.share, " low": low, " high": high}
            return {**{f"{name}{what}": _digits(of) for what, of in numbers_of.items()}, f"{name} n": value.n}
        case Significant():
            return _of_estimate(name, value.of, 12) if isinstance(value.of, Estimate) else {name: _digits(value.of, 12)}
        case Singles():
            return {f"{name} seed {seed}": _digits(one.mean) for seed, one in value.of.items()}
        case Badge():
            return {name: value.words}
        case None:
            return {name: ""}
    return {name: value}


def _of_estimate(name: str, one: Estimate, digits: int = 6) -> dict[str, object]:
    low, high = bounds_of(one)
    told = {"": one.mean, " se": one.se, " low": low, " high": high}
    said: dict[str, object] = {f"{name}{what}": _digits(of, digits) for what, of in told.items()}
    return said | {f"{name} n": one.n, f"{name} seeds": one.seeds}


def _plain(one: Estimate, decimals: int) -> str:
    if math.isnan(one.mean) or math.isnan(one.se) or one.n == 0:
        return _decimals(one.mean, decimals)
    return f"{_decimals(one.mean, decimals)} ± {_decimals(one.se, decimals)}"


def _spanned(one: Estimate, decimals: int | None) -> str:
    if math.isnan(one.mean):
        return ABSENT
    mean, low, high = (share(of) if decimals is None else _decimals(of, decimals) for of in (one.mean, *bounds_of(one)))
    return f"{mean} [{f'{low}, {high}' if one.seeds > 1 else 'one seed'}]"


def _decimals(value: float, decimals: int) -> str:
    return ABSENT if math.isnan(value) else f"{value:.{decimals}f}".replace("-", "−")


def _in_digits(one: Estimate | float, digits: int) -> str:
    mean = one.mean if isinstance(one, Estimate) else one
    if math.isnan(mean):
        return ABSENT
    if not isinstance(one, Estimate) or one.n == 0:
        return numbers.significant(mean, digits)
    error = "" if math.isnan(one.se) else f" ± {numbers.significant(one.se, 2)}"
    return f"{_decimals(mean, 4)}{error}"


def _digits(value: float, digits: int = 6) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}g}"
