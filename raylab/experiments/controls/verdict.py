"""Whether the sign of a control is the published one, by rule."""

from __future__ import annotations

import math

from raylab.experiments.controls.measure import Check, Control, MeasuredControls
from raylab.report.blocks import Verdict
from raylab.report.claims import NOT_BUILT, SAYS_NOTHING, not_built
from raylab.report.numbers import percent
from raylab.report.values import Badge, Spanned, format_value

EXPECTED, UNEXPECTED, UNDECIDED = (
    Badge("good", "as expected"),
    Badge("warn", "not as expected"),
    Badge("open", "cannot decide"),
)


def holds(check: Check) -> bool | None:
    """The 95 % interval of the difference decides; None: it cannot."""
    mean = check.difference.mean
    if mean.seeds < 2 or math.isnan(mean.mean):
        return None
    low, high = check.difference.interval
    if high < 0:
        return False
    return True if (low > 0 if check.strictly else mean.mean >= 0) else None


def of_control(control: Control) -> Verdict:
    """As expected where every check holds, and not where one fails. The sentence has the numbers, and where the sign is
    not as expected the checks that say so."""
    measured, beside = control.measured, control.beside
    if not all((measured.value, beside.value, *(check.difference for check in control.checks))):
        return not_built(control.title)
    held = [holds(check) for check in control.checks]
    badge = UNEXPECTED if False in held else UNDECIDED if None in held else EXPECTED
    numbers = f"{measured.name} {percent(measured.value.mean)}, {beside.name} {percent(beside.value.mean)}."
    if badge == EXPECTED:
        return Verdict(control.title, badge, numbers)
    if measured.value.mean.seeds < 2:
        return Verdict(control.title, badge, f"{numbers} {SAYS_NOTHING}")
    parts = [
        f"{check.words}: {'no' if one is False else 'undecided'}, {format_value(Spanned(check.difference))}"
        for check, one in zip(control.checks, held, strict=True)
        if one is not True
    ]
    why = f" {control.why}" if control.why else ""
    return Verdict(control.title, badge, f"{numbers} Checked: {'; '.join(parts)}.{why}")


def verdicts(found: MeasuredControls) -> tuple[Verdict, ...]:
    return tuple(of_control(control) for control in found.controls)


def answer(found: MeasuredControls) -> Verdict:
    """How many of the published signs are seen, and which are not."""
    judged = verdicts(found)
    seen = sum(one.badge == EXPECTED for one in judged)
    others = {
        badge: [one.subject for one in judged if one.badge == badge] for badge in (UNEXPECTED, UNDECIDED, NOT_BUILT)
    }
    worst = next((badge for badge, names in others.items() if names), EXPECTED)
    rest = "".join(f". {badge.words.capitalize()}: {'; '.join(names)}" for badge, names in others.items() if names)
    failed = f" {len(found.collapsed)} training{'s' * (len(found.collapsed) > 1)} failed." if found.collapsed else ""
    sentence = f"{seen} of {len(judged)} published signs are seen, by rule{rest}.{failed}"
    return Verdict("published signs", Badge(worst.look, f"{seen} of {len(judged)} seen"), sentence)
