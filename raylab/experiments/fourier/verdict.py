"""The flip of the profile, stated with intervals: is robustness at low frequencies given for that at high ones?"""

from __future__ import annotations

from dataclasses import dataclass

from raylab.experiments.fourier.config import ADVERSARIAL, GAUSSIAN, STANDARD
from raylab.experiments.fourier.measure import ByFrequency
from raylab.experiments.fourier.published import NAMES
from raylab.report.blocks import Verdict
from raylab.report.claims import NOT_BUILT, ONE_SEED, SAYS_NOTHING, not_built
from raylab.report.per_seed import PerSeed
from raylab.report.values import Badge, Spanned, format_value

OTHERS = (ADVERSARIAL, GAUSSIAN)
FLIP = Badge("good", "flip")
SHOWN, OTHER, OPEN = Badge("good", "shown"), Badge("warn", "the other way round"), Badge("open", "not decided")
# A network counts as untouched by a band where its error there is at most so much above its error on clean images.
UNTOUCHED = 0.05


@dataclass(frozen=True)
class Statement:
    """Something that is above zero if it is true."""

    network: str
    words: str
    difference: PerSeed  # of errors, paired by seed

    @property
    def badge(self) -> Badge:
        """The whole 95 % interval decides; one seed has none."""
        if not self.difference:
            return NOT_BUILT
        low, high = self.difference.interval
        if low > 0:
            return SHOWN
        return OTHER if high < 0 else OPEN


def verdicts(found: ByFrequency) -> tuple[Verdict, ...]:
    """Each other network is judged against the standard one."""
    return tuple(of_network(found, name) for name in OTHERS)


def answer(found: ByFrequency) -> Verdict:
    """The answer names the trainings that flip the profile, by the verdicts on them."""
    judged = dict(zip(OTHERS, verdicts(found), strict=True))
    flips = [NAMES[name] for name, one in judged.items() if one.badge == FLIP]
    others = "; ".join(f"{NAMES[name]}: {one.badge.words}" for name, one in judged.items() if one.badge != FLIP)
    if len(flips) == 2:
        words = f"Training of either kind ({' and '.join(flips)}) makes a network"
    elif flips:
        words = f"{_capital(flips[0])} training makes a network"
    else:
        words = "Neither training is shown to make a network"
    sentence = f"{words} less sensitive to high frequencies and more sensitive to low ones than standard training"
    beside = f" ({others})" if others else ""
    numbers = "" if judged[ADVERSARIAL].badge == NOT_BUILT else f" Adversarial {_against(found, ADVERSARIAL)}"
    badge = FLIP if flips else judged[ADVERSARIAL].badge
    return Verdict("robustness by frequency", badge, f"{sentence}{beside}.{numbers}")


def statements(found: ByFrequency, network: str) -> tuple[Statement, ...]:
    """Both halves of the flip, as measured and after each network's own clean error is subtracted: high, high net, low,
    low net."""
    name = NAMES[network]
    return tuple(
        Statement(
            network,
            f"{band} third{', net of clean errors' * net}: {name} {verb} than standard",
            found.worse(network, band, net=net) * sign,
        )
        for band, verb, sign in (("high", "better", -1.0), ("low", "worse", 1.0))
        for net in (False, True)
    )


def of_network(found: ByFrequency, network: str) -> Verdict:
    """A flip takes both halves, each as measured and net of the clean errors."""
    stated = statements(found, network)
    name = NAMES[network]
    if not all(one.difference for one in stated):
        return not_built(name, "A heat map")
    high, low = ([one.badge for one in half] for half in (stated[:2], stated[2:]))
    if len(found.config.seeds) < 2 or any(len(one.difference) < 2 for one in stated):
        badge, words = ONE_SEED, SAYS_NOTHING
    elif all(one == SHOWN for one in (*high, *low)):
        badge, words = FLIP, f"{_capital(name)} training gives low frequencies for high ones."
    elif OTHER in low:
        badge = Badge("warn", "no flip")
        also = " too" if all(one == SHOWN for one in high) else ""
        words = f"{_capital(name)} training helps at low frequencies{also}: there nothing is given for anything."
    elif all(one == SHOWN for one in high):
        badge, words = Badge("open", "high half only"), "That low frequencies suffer is not decided."
    elif OTHER in high:
        badge, words = Badge("warn", "no flip"), f"{_capital(name)} training does not help at high frequencies."
    else:
        badge, words = Badge("open", "not decided"), "The intervals hold both signs."
    return Verdict(name, badge, f"{words} {_capital(_against(found, network))}{_total(found, network)}")


def is_total(found: ByFrequency, network: str) -> bool:
    """Whether a network is untouched at high frequencies where the standard one is not."""
    own, standard = (found.rise(name, "high").interval for name in (network, STANDARD))
    return own[1] <= UNTOUCHED < standard[0]


def _total(found: ByFrequency, network: str) -> str:
    if not is_total(found, network):
        return ""
    own, standard = (format_value(Spanned(found.rise(name, "high"))) for name in (network, STANDARD))
    return (
        f" The high-frequency half is total: its error there is {own} points above that on clean images, "
        f"the standard network’s {standard}."
    )


def _against(found: ByFrequency, network: str) -> str:
    high, low = (found.worse(network, band, net=True) for band in ("high", "low"))
    return (
        "against the standard network, each above its own clean error: at high frequencies "
        f"{_moved(high)}, at low ones {_moved(low)}."
    )


def _moved(error: PerSeed) -> str:
    """8.9 [1.9, 15.9] points of error more"""
    if error.mean.mean < 0:
        return f"{format_value(Spanned(-error))} points of error less"
    return f"{format_value(Spanned(error))} points of error more"


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]
