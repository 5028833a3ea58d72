"""What may be said of a published or exact number and ours: by rule, never by hand."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

from raylab.core.statistics import Estimate, Range
from raylab.experiments.theory.measure import TheoryWorlds
from raylab.experiments.theory.targets import Target, asked
from raylab.report.blocks import Verdict
from raylab.report.claims import INF, within
from raylab.report.numbers import basis, significant
from raylab.report.per_seed import bounds_of, of_samples
from raylab.report.values import Badge, Significant, format_value

Code = Literal["exact", "within", "met", "inconclusive", "outside", "not_run"]
BADGES: dict[Code, Badge] = {
    "exact": Badge("good", "exact"),
    "within": Badge("good", "within tolerance"),
    "met": Badge("good", "criterion met"),
    "inconclusive": Badge("open", "inconclusive"),
    "outside": Badge("warn", "not within"),
    "not_run": Badge("open", "not run"),
}
AGREES: tuple[Code, ...] = ("exact", "within", "met")
# Worlds by `TheoryCell.world` without seeds: sums by Monte Carlo, the published run once more, moments of data.
RUN_ONCE = ("gaussian", "two_layer published", "images published", "usefulness")
NAMED = 3  # numbers that are not within, in the answer


@dataclass(frozen=True)
class Comparison:
    """A target and what was measured for it; n = 0 says that ours is computed, not sampled."""

    target: Target
    ours: Estimate  # nan where it was not run
    protocol: str = ""  # how ours differs from the published protocol; "": it does not
    reason: str = ""  # why it was not run
    run_once: bool = False  # its world has no seeds, see RUN_ONCE

    @property
    def interval(self) -> Range:
        """95 %: of seeds by the rule of the house, which gives none to a single one; of a world that is run once, that
        of its samples."""
        return of_samples(self.ours) if self.run_once else bounds_of(self.ours)

    @property
    def shown(self) -> Significant:
        """Ours, with that interval."""
        return Significant(replace(self.ours, interval=self.interval))

    @property
    def code(self) -> Code:
        """Within where the whole interval is inside the tolerance, outside where none of it is, else inconclusive."""
        if math.isnan(self.ours.mean):
            return "not_run"
        target = self.target
        around = target.tolerance if target.rule == "equal" else 0.0
        low = -INF if target.rule == "at_most" else target.value - around
        high = INF if target.rule == "at_least" else target.value + around
        inside = within(self.interval, low, high)
        if not inside:
            return "inconclusive" if inside is None else "outside"
        return "met" if target.rule != "equal" else "exact" if self.ours.n == 0 else "within"


def compared(worlds: TheoryWorlds, world: str) -> Iterator[Comparison]:
    """Every target of a world. Quantities that another config does not have are not asked for."""
    found, why = worlds.found(world), worlds.absence(world)
    for quantity, target, protocol in asked(world, worlds.config, found):
        if quantity in found or (why and math.isfinite(target.value)):
            yield Comparison(target, found[quantity].mean, protocol, why, world in RUN_ONCE)


def counts(comparisons: Iterable[Comparison]) -> dict[Code, int]:
    """How often each verdict was reached."""
    codes = [one.code for one in comparisons]
    return {code: codes.count(code) for code in get_args(Code) if code in codes}


def unmatched(comparisons: Iterable[Comparison]) -> Iterator[Verdict]:
    """Of the numbers that the rule does not say to agree."""
    for one in comparisons:
        if one.code == "not_run":
            yield Verdict(one.target.quantity, BADGES["not_run"], f"{one.reason}.")
        elif one.code not in AGREES:
            ours = f"{format_value(one.shown)}, {basis(one.ours)}{f', {one.protocol}' if one.protocol else ''}"
            sentence = f"Ours: {ours}. Asked: {wanted(one.target)}; {one.target.source}."
            yield Verdict(one.target.quantity, BADGES[one.code], sentence)


def wanted(target: Target) -> str:
    """0.99 ± 0.03, or ≥ 0.9"""
    if target.rule == "equal":
        return f"{significant(target.value)} ± {significant(target.tolerance)}"
    return f"{'≥' if target.rule == 'at_least' else '≤'} {significant(target.value)}"


def answer(comparisons: Iterable[Comparison]) -> Verdict:
    """How many of the published and exact numbers ours agree with."""
    listed = list(comparisons)
    found = dict.fromkeys(BADGES, 0) | counts(listed)
    run, agree = len(listed) - found["not_run"], sum(found[code] for code in AGREES)
    if not run:
        return Verdict("all worlds", Badge("open", "not built"), "No world has numbers.")
    outside = [one.target.quantity for one in listed if one.code == "outside"]
    named = f" ({'; '.join(outside[:NAMED])}{' and others' * (len(outside) > NAMED)})" if outside else ""
    sentence = (
        f"Of {run} published or exact numbers, {found['exact']} are computed and within tolerance, {found['within']} "
        f"are sampled and within it with their whole interval, and {found['met']} meet their directional criterion; "
        f"{found['inconclusive']} {_are(found['inconclusive'])} inconclusive, {found['outside']} "
        f"{_are(found['outside'])} not within{named}."
    )
    if found["not_run"]:
        sentence += f" {found['not_run']} more could not be run."
    look = BADGES["outside"].look if outside else "open" if found["inconclusive"] else "good"
    return Verdict("all worlds", Badge(look, f"{agree} of {run} agree"), sentence)


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
