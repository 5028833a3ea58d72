"""The flip of the profile, stated with intervals: is robustness at low frequencies given for that at high ones?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from raylab.core.statistics import Estimate
from raylab.recipes.fourier import ADVERSARIAL, GAUSSIAN, STANDARD
from raylab.report.estimates import interval, negated, spanned
from raylab.report.fourier.published import NAMES
from raylab.report.fourier.table import Result

Code = Literal["shown", "other", "open"]
Look = Literal["good", "warn", "open"]
WORDS: dict[Code, str] = {"shown": "shown", "other": "the other way round", "open": "not decided"}
LOOKS: dict[Code, Look] = {"shown": "good", "other": "warn", "open": "open"}
# A network counts as untouched by a band where its error there is at most so much above its error on clean images.
UNTOUCHED = 0.05


@dataclass(frozen=True)
class Statement:
    """Something that is above zero if it is true."""

    network: str
    words: str
    estimate: Estimate  # difference of errors, paired by seed

    @property
    def code(self) -> Code:
        """By the whole 95 % interval, which one seed does not have."""
        low, high = interval(self.estimate)
        if low > 0:
            return "shown"
        return "other" if high < 0 else "open"


@dataclass(frozen=True)
class Verdict:
    """Of one network against the standard one."""

    network: str
    look: Look
    badge: str
    sentence: str
    statements: tuple[Statement, ...]  # high, high net, low, low net


def statements(result: Result, network: str) -> tuple[Statement, ...]:
    """Both halves of the flip, as measured and after each network's own clean error is subtracted."""
    name = NAMES[network]
    return tuple(
        Statement(network, f"{band} third{', net of clean errors' * net}: {name} {verb} than standard", found)
        for band, verb, sign in (("high", "better", -1), ("low", "worse", 1))
        for net in (False, True)
        for found in [_signed(result.worse(network, band, net=net), sign)]
    )


def verdict(result: Result, network: str) -> Verdict:
    """A flip takes both halves, each as measured and net of the clean errors."""
    said = statements(result, network)
    high, low = said[:2], said[2:]
    name = NAMES[network]
    numbers = (
        f"Against the standard network, each above its own clean error: at high frequencies "
        f"{_moved(negated(high[1].estimate))}, at low ones {_moved(low[1].estimate)}."
    )
    look: Look
    if len(result.config.seeds) < 2:
        look, badge, words = "open", "one seed", "One seed says nothing of other networks."
    elif all(one.code == "shown" for one in said):
        look, badge, words = "good", "flip", f"{_capital(name)} training gives low frequencies for high ones."
    elif any(one.code == "other" for one in low):
        look, badge = "warn", "no flip"
        also = " too" if all(one.code == "shown" for one in high) else ""
        words = f"{_capital(name)} training helps at low frequencies{also}: there nothing is given for anything."
    elif all(one.code == "shown" for one in high):
        look, badge, words = "open", "high half only", "That low frequencies suffer is not decided."
    elif any(one.code == "other" for one in high):
        look, badge, words = "warn", "no flip", f"{_capital(name)} training does not help at high frequencies."
    else:
        look, badge, words = "open", "not decided", "The intervals hold both signs."
    return Verdict(network, look, badge, f"{words} {numbers}{_total(result, network)}", said)


def verdicts(result: Result) -> tuple[Verdict, ...]:
    return verdict(result, ADVERSARIAL), verdict(result, GAUSSIAN)


def is_total(result: Result, network: str) -> bool:
    """Whether a network is untouched at high frequencies where the standard one is not."""
    own, standard = (interval(result.rise(name, "high")) for name in (network, STANDARD))
    return own[1] <= UNTOUCHED < standard[0]


def _total(result: Result, network: str) -> str:
    if not is_total(result, network):
        return ""
    own, standard = (spanned(result.rise(name, "high")) for name in (network, STANDARD))
    return (
        f" The high-frequency half is total: its error there is {own} points above that on clean images, "
        f"the standard network’s {standard}."
    )


def _moved(error: Estimate) -> str:
    """8.9 [1.9, 15.9] points of error more"""
    if error.mean < 0:
        return f"{spanned(negated(error))} points of error less"
    return f"{spanned(error)} points of error more"


def _signed(estimate: Estimate, sign: int) -> Estimate:
    return estimate if sign > 0 else negated(estimate)


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]
