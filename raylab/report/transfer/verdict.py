"""One sentence for a row: what its numbers allow to be said, and no more.

D_rand above chance is no evidence for non-robust features, and D_det above p1 alone is not either: both happen in
See-Far worlds that have none, from pushes too small to flip anything. What separates the worlds is a radius at which
the attack flips ordinary networks, carries over to others, and leaves a robust source standing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from raylab.core.statistics import Estimate
from raylab.report.estimates import above, exceeds, interval, spanned
from raylab.report.numbers import number, percent, share
from raylab.report.transfer.matrix import CONTROLS, NEIGHBOURS_TRUSTED, TRANSFER, Row
from raylab.stages.dataset import SeeFarData

Code = Literal["no_controls", "one_seed", "no_effect", "above_controls", "evidence"]
TruthCode = Literal["true_features", "no_features_exist", "unclear"]
VISIBLE = 0.1  # share of images that look like their target from which a reader should be told

# Thresholds of evidence, fixed on worlds of the split `calibration` (recipes/worlds.py). Of its worlds without features
# the one that comes nearest has a linear source that is led astray in 95 %, alone: its perturbations carry over in 3 %.
# Worlds of the split `held_out`, 3 seeds each (commit 1feef3b): evidence in 1 of 103 that have nothing to find (1.0 %
# [0.0, 5.3]) and in 72 of 87 whose toogits the oracle saw turned (82.8 % [73.2, 90.0]); in 11 of the 15 missed the
# students follow the visible rule.
FLIPS = 0.25  # success of the attack on the standard source, at least
STANDS = 0.25  # success on the robust source, at most, as a share of that on the standard one
CARRIES = 0.15  # targeted transfer to an independent network, at least


@dataclass(frozen=True)
class Thresholds:
    """Of evidence; others than these are tried on the calibration split alone."""

    flips: float = FLIPS
    stands: float = STANDS
    carries: float = CARRIES


RULE = Thresholds()

CHANCE = 0.1  # of See-Far's ten classes: toogits of this reliability say nothing
HALF = 0.5  # of the images, whose toogit was turned
BADGES: dict[Code | TruthCode, str] = {
    "no_controls": "no controls",
    "one_seed": "one seed",
    "no_effect": "no effect shown",
    "above_controls": "leakage not excluded",
    "evidence": "evidence",
    "true_features": "true by the oracles",
    "no_features_exist": "no such feature",
    "unclear": "not told apart",
}


@dataclass(frozen=True)
class Truth:
    """What See-Far's oracles know, whatever the verdict says."""

    code: TruthCode
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """What the numbers of a row allow; beside it, where it is known, what is true."""

    code: Code
    sentence: str
    truth: Truth | None = None


def verdict(row: Row, data: object, neighbours_clean: Estimate | None, rule: Thresholds = RULE) -> Verdict:
    """The verdict never looks at the truth, which on See-Far (`data` is its config) stands beside it."""
    found = _blind(row, neighbours_clean, rule)
    truth = _truth(row, data) if isinstance(data, SeeFarData) else None
    return Verdict(found.code, found.sentence, truth)


def stands(row: Row, rule: Thresholds = RULE) -> bool | None:
    """Whether the robust source stands at a radius that leads the standard one astray; None: undecided, for it was not
    measured, or neither source is led astray, so that nothing tells them apart."""
    if row.robust is None or math.isnan(row.robust.success.mean) or math.isnan(row.success.mean):
        return None
    if row.success.mean == 0.0 and row.robust.success.mean == 0.0:
        return None
    return row.robust.success.mean <= rule.stands * row.success.mean


def lacks(row: Row, rule: Thresholds = RULE) -> Iterator[str]:
    """What keeps a row above its controls from being evidence: a half sentence for each condition that failed."""
    if row.kind != "det":
        yield f"{row.kind} is too weak a test for more, since its labels agree with every faint push"
        return
    robust = row.robust
    if robust is None:
        yield "no robust source was trained beside it"
    elif robust.warnings:
        yield f"the robust source does not count ({robust.warnings[0]})"
    if not exceeds(over_chance(row)):
        yield f"it is not shown to exceed chance ({spanned(over_chance(row))} points)"
    if "robust" in row.above and not exceeds(row.above["robust"]):
        yield f"the robust source's set is not shown to teach less ({percent(row.controls['robust'])})"
    if row.above_p1 is None or not row.above_p1.mean > 0:
        yield f"the visible rule explains as much (p1 {percent(row.p1)})"
    if not row.success.mean >= rule.flips:
        led = f"the attack leads its source to the target in {percent(row.success)}"
        yield f"{led}, where {_share(rule.flips)} are asked"
    if robust is not None and (standing := stands(row, rule)) is None:
        yield (
            f"whether the robust source stands at this radius is undecided: the attack leads it to the target in "
            f"{percent(robust.success)}, and the standard one in {percent(row.success)}"
        )
    elif robust is not None and not standing:
        yield (
            f"the robust source does not stand at this radius: the attack leads it to the target in "
            f"{percent(robust.success)}, more than {_share(rule.stands)} of how often it leads the standard one there "
            f"({percent(row.success)})"
        )
    carried = row.transfer.get(TRANSFER)
    if carried is None or not carried.mean >= rule.carries:
        said = "is unknown" if carried is None else f"is {percent(carried)}, where {_share(rule.carries)} are asked"
        yield f"targeted transfer to an independent network {said}"


def _blind(row: Row, neighbours_clean: Estimate | None, rule: Thresholds) -> Verdict:
    got = f"The student reaches {percent(row.accuracy)}"
    if not row.above:
        return Verdict("no_controls", f"{got}; no control was run, so nothing can be said.")
    if row.accuracy.seeds < 2:
        return Verdict("one_seed", f"{got} with one seed, which says nothing of other networks.")
    # The robust source's set may teach what it likes at a radius at which that source falls too: `lacks` weighs it.
    effects = {control: difference for control, difference in row.above.items() if control != "robust"} or row.above
    failed = [control for control, difference in effects.items() if not exceeds(difference)]
    name = min(failed or effects, key=lambda control: effects[control].mean)
    if failed:
        beside = f"{_spoken(name)} {'give' if name == 'unperturbed' else 'gives'} {percent(row.controls[name])}"
        return Verdict(
            "no_effect",
            f"{got}: not shown to exceed its controls ({beside}; the difference is {spanned(effects[name])} points).",
        )
    ran = len(row.above)
    missing = f" ({ran} of {len(CONTROLS)} controls run)" if ran < len(CONTROLS) else ""
    if not row.noise_is_fitted and row.noise_fit is not None:
        missing += f" (the random-label source learned only {percent(row.noise_fit)} of its labels and does not count)"
    above = f"{got}, {number(row.above[name])} points above {_spoken(name)}{missing}"
    lacking = list(lacks(row, rule))
    if lacking:
        look = _look(row, neighbours_clean)
        return Verdict(
            "above_controls", f"{above}; leakage of robust features is not excluded: {'; '.join(lacking)}{look}."
        )
    assert row.above_p1 is not None
    beyond = f"{spanned(row.above_p1)} above the visible rule (p1 {percent(row.p1)})"
    return Verdict("evidence", f"{above} and {beyond}; {_standing(row)}.")


def over_chance(row: Row) -> Estimate:
    """The student's accuracy less that of a guess."""
    return above(row.by_seed, row.chance)


def _standing(row: Row) -> str:
    assert row.robust is not None
    return (
        f"the attack leads its source to the target in {percent(row.success)}, an independent network in "
        f"{percent(row.transfer[TRANSFER])}, and a robust source in {percent(row.robust.success)}: evidence for "
        "features that are not robust at this radius"
    )


def _look(row: Row, clean: Estimate | None) -> str:
    """What the 1-NN check adds: nothing where it does not work on clean images, or sees hardly any target."""
    target = row.neighbours_target
    if clean is None or target is None or clean.mean < NEIGHBOURS_TRUSTED or not target.mean > VISIBLE:
        return ""
    return f"; and by 1-NN {percent(target)} of the images look like their target"


def _truth(row: Row, data: SeeFarData) -> Truth | None:
    if math.isclose(data.toogit_reliability, CHANCE) or data.toogit_amplitude == 0.0:
        still = f" (the oracle still reads the shape in {percent(row.usage['shape_kept'])})" if row.usage else ""
        return Truth(
            "no_features_exist",
            f"In this world toogits say nothing: whatever the student learned is leakage of the shape{still}.",
        )
    if not row.usage:
        return None
    flipped, kept = row.usage["toogit_is_target"], row.usage["shape_kept"]
    follow_n, follow_r = row.usage["follow_n"], row.usage["follow_r"]
    follows = (
        f"the student follows the toogit in {percent(follow_n)} and the shape in {percent(follow_r)} of the images "
        "where they disagree"
    )
    more = row.prefers is not None and exceeds(row.prefers)
    if more and interval(flipped)[0] > HALF:
        return Truth(
            "true_features",
            f"The toogit was turned to the target in {percent(flipped)} of the images, the shape kept in "
            f"{percent(kept)}, and {follows}.",
        )
    return Truth(
        "unclear", f"The toogit was turned to the target in {percent(flipped)} of the images only, or {follows}."
    )


def _share(value: float) -> str:
    return f"{share(value, 0)} %"


def _spoken(control: str) -> str:
    return {
        "unperturbed": "unperturbed images",
        "random_labels": "a source fitted to random labels",
        "untrained": "an untrained source",
        "robust": "a robust source",
        "leakage": "a set that can only leak",
    }[control]
