"""One sentence for a row: what its numbers allow to be said, and no more.

D_rand above chance is no evidence for non-robust features, and D_det above p1 alone is not either: both happen in
See-Far worlds that have none (at eps 1.0, or with more data at 0.8). What separates them is the pair of attack success
and targeted transfer together with a robust source; until a row carries a robust source, the strongest verdict is
"leakage not excluded".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scipy import stats

from raylab.core.statistics import Estimate
from raylab.report.matrix import CONTROLS, NEIGHBOURS_TRUSTED, Row
from raylab.report.numbers import number, percent
from raylab.stages.dataset import SeeFarData

Code = Literal["no_controls", "one_seed", "no_effect", "above_controls", "true_features", "no_features_exist"]
CHANCE = 0.1  # of See-Far's ten classes: toogits of this reliability say nothing
HALF = Estimate(0.5, 0.0, 0, 0)
CONFIDENCE = 0.975  # one-sided, of every difference to a control
VISIBLE = 0.1  # share of images that look like their target from which a reader should be told
BADGES: dict[Code, str] = {
    "no_controls": "no controls",
    "one_seed": "one seed",
    "no_effect": "no effect",
    "above_controls": "above controls",
    "true_features": "true by the oracles",
    "no_features_exist": "no such feature",
}


@dataclass(frozen=True)
class Verdict:
    code: Code
    sentence: str


def verdict(row: Row, data: object, neighbours_clean: Estimate | None) -> Verdict:
    """What the row allows; on See-Far (`data` is its config) what the oracles know to be true."""
    if isinstance(data, SeeFarData):
        return _with_truth(row, data, neighbours_clean)
    return _blind(row, neighbours_clean)


def exceeds(difference: Estimate) -> bool:
    """Whether a paired difference over k seeds is above zero, by Student's t with k - 1 degrees of freedom."""
    if difference.seeds < 2:
        return False
    return difference.mean > float(stats.t.ppf(CONFIDENCE, difference.seeds - 1)) * difference.se


def _blind(row: Row, neighbours_clean: Estimate | None) -> Verdict:
    got = f"The student reaches {percent(row.accuracy)}"
    if not row.above:
        return Verdict("no_controls", f"{got}; no control was run, so nothing can be said.")
    if row.accuracy.seeds < 2:
        return Verdict("one_seed", f"{got} with one seed, which says nothing of other networks.")
    failed = [control for control, difference in row.above.items() if not exceeds(difference)]
    name = min(failed or row.above, key=lambda control: row.above[control].mean)
    if failed:
        beside = f"{_spoken(name)} {'give' if name == 'unperturbed' else 'gives'} {percent(row.controls[name])}"
        return Verdict("no_effect", f"{got}: no effect beyond the controls ({beside}).")
    ran = len(row.above)
    missing = f" ({ran} of {len(CONTROLS)} controls run)" if ran < len(CONTROLS) else ""
    if not row.noise_is_fitted and row.noise_fit is not None:
        missing += f" (the random-label source learned only {percent(row.noise_fit)} of its labels and does not count)"
    rule = ""
    if row.kind == "det":
        won = "and more than" if row.accuracy.mean > row.p1.mean else "but no more than"
        rule = f", {won} the visible rule gives (p1 {percent(row.p1)})"
    return Verdict(
        "above_controls",
        f"{got}, {number(row.above[name])} points above {_spoken(name)}{missing}{rule}; leakage of robust features "
        f"is not excluded{_look(row, neighbours_clean)}.",
    )


def _look(row: Row, clean: Estimate | None) -> str:
    """What the 1-NN check adds: nothing where it does not work on clean images, or sees hardly any target."""
    target = row.neighbours_target
    if clean is None or target is None or clean.mean < NEIGHBOURS_TRUSTED or not target.mean > VISIBLE:
        return ""
    return f", and by 1-NN {percent(target)} of the images look like their target"


def _with_truth(row: Row, data: SeeFarData, neighbours_clean: Estimate | None) -> Verdict:
    blind = _blind(row, neighbours_clean)
    if math.isclose(data.toogit_reliability, CHANCE):
        return Verdict(
            "no_features_exist",
            f"The student reaches {percent(row.accuracy)} in a world whose toogits say nothing: whatever this number "
            "is, it is leakage of the shape, and no claim is made.",
        )
    if blind.code != "above_controls" or not row.usage:
        return blind
    flipped, kept = row.usage["toogit_is_target"], row.usage["shape_kept"]
    follow_n, follow_r = row.usage["follow_n"], row.usage["follow_r"]
    if _above(follow_n, follow_r) and _above(flipped, HALF):
        return Verdict(
            "true_features",
            f"The student reaches {percent(row.accuracy)}, and the oracles know why: the toogit was turned to the "
            f"target in {percent(flipped)} of the images, the shape kept in {percent(kept)}, and where the two "
            f"disagree the student follows the toogit in {percent(follow_n)}.",
        )
    return Verdict(
        "above_controls",
        f"The student reaches {percent(row.accuracy)}, above the controls; by the oracles the toogit was turned to "
        f"the target in {percent(flipped)} of the images, and where toogit and shape disagree the student follows the "
        f"toogit in {percent(follow_n)} and the shape in {percent(follow_r)}.",
    )


def _above(one: Estimate, other: Estimate) -> bool:
    """Beyond two standard errors of the difference; with one seed those of its examples."""
    return one.mean - other.mean > 2 * math.hypot(one.se, other.se)


def _spoken(control: str) -> str:
    return {
        "unperturbed": "unperturbed images",
        "random_labels": "a source fitted to random labels",
        "untrained": "an untrained source",
    }[control]
