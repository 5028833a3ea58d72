"""Figures of the poisons: accuracy, what victims say instead, the share poisoned, whom they follow, the trigger."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from raylab.core.statistics import Estimate
from raylab.recipes.poison import CLEAN, DEFENCES, Defence
from raylab.report.drawing import bar, calm, over
from raylab.report.numbers import percent, share
from raylab.report.picture import LINE, Picture, style
from raylab.report.poison.panels import panel
from raylab.report.poison.table import LABELS, Key, Poisons
from raylab.report.poison.text import NAKKIRAN, robust
from raylab.report.poison.verdict import trigger_label

LOOKS: dict[Defence, tuple[str, str, str]] = {
    "standard": ("#d55e00", "^", "standard training"),
    "adversarial": ("#0072b2", "o", "adversarial training"),
}
_SAYS = {"y": ("#0072b2", "its class y"), "y - 1": ("#d55e00", "y − 1"), "other": (LINE, "another class")}
_FOLLOWS = {
    "follow_r": ("#0072b2", "shape (robust)"),
    "follow_n": ("#e69f00", "toogit (non-robust)"),
    "follow_previous": ("#d55e00", "class before the toogit’s"),
    "neither": (LINE, "neither"),
}
_SHORT = {"standard": "std.", "adversarial": "adv."}


def draw(found: Poisons) -> tuple[Picture, ...]:
    """All pictures, in the order in which a page shows them."""
    drawn = [accuracy(found), says(found), panel(found, found.config.seeds[0])]
    if found.config.shares:
        drawn.append(shares(found))
    if any(victim.usage for victim in found.victims.values()):
        drawn.append(usage(found))
    if found.obeyed:
        drawn.append(obeyed(found))
    return tuple(drawn)


def accuracy(found: Poisons) -> Picture:
    """Accuracy on clean test images by training set, both trainings; hollow: robust accuracy."""
    rows = [LABELS[of] for of in found.sets]
    hollow = found.config.robustness is not None
    with style():
        figure = Figure(figsize=(6.4, 1.5 + 0.42 * len(rows)), layout="constrained")
        ax = figure.add_subplot()
        for place, of in enumerate(found.sets):
            for shift, defence in zip((-0.14, 0.14), DEFENCES, strict=True):
                victim, (colour, marker, _) = found.victim(of, defence), LOOKS[defence]
                _dot(ax, victim.accuracy, place + shift, colour, marker)
                if (attacked := robust(victim)) is not None:
                    _dot(ax, attacked, place + shift, colour, marker, hollow=True)
        _ranked(ax, rows, "test images, %")
        ax.set_title("Accuracy after training on poisoned images")
        handles = [_handle(*LOOKS[defence]) for defence in DEFENCES]
        handles += [_handle("#0072b2", "o", "the same, under attack", hollow=True)] if hollow else []
        figure.legend(handles=handles, loc="outside lower center", ncols=3, handletextpad=0.2, columnspacing=1.2)
    what = "Accuracy on clean test images of networks trained on poisoned training images, whose labels are untouched"
    asked = found.config.robustness
    attack = (
        f" Hollow: robust accuracy at radius {asked.eps[0]:g} by PGD, of the adversarially trained." if asked else ""
    )
    said = "; ".join(
        f"{LABELS[of]}: " + ", ".join(f"{LOOKS[d][2]} {percent(found.victim(of, d).accuracy)}" for d in DEFENCES)
        for of in found.sets
    )
    bars = f"Bars: standard error{over(found.config.seeds)}."
    caption = f"{what}. “Clean” is training on the images as they are.{attack} {bars}"
    return Picture("poison_accuracy", figure, f"{what}. {said}.", caption)


def says(found: Poisons) -> Picture:
    """What the victims call clean test images of class y."""
    places, labels, values = [], [], []
    for index, (of, defence) in enumerate(product(found.sets, DEFENCES)):
        victim = found.victim(of, defence)
        right, before = victim.accuracy.mean, victim.previous.mean
        places.append(index + 0.5 * (index // 2))
        labels.append(f"{_brief(of)}, {_SHORT[defence]}")
        values.append((right, before, max(0.0, 1 - right - before)))
    figure = _stacked(
        places, labels, values, list(_SAYS.values()), "What the victims say", "% of clean test images of class y"
    )
    poisoned = found.victim("p1", "standard")
    said = "; ".join(
        f"{label}: right {100 * right:.1f} %, y − 1 {100 * before:.1f} %"
        for label, (right, before, _) in zip(labels, values, strict=True)
    )
    caption = (
        "P1 adds what belongs to class y + 1 and calls it y: who learned that from it says y − 1 where it meets the "
        f"real y. After standard training that is {percent(poisoned.previous)}; Nakkiran (Distill 2019) reports "
        f"{NAKKIRAN} % on CIFAR-10."
    )
    return Picture("poison_says", figure, f"Answers to clean test images. {said}.", caption)


def shares(found: Poisons) -> Picture:
    """Accuracy against the share of images that P1 perturbs."""
    portions = [0.0, *sorted({*found.config.shares, 1.0})]
    with style():
        figure = Figure(figsize=(5.0, 3.2), layout="constrained")
        ax = figure.add_subplot()
        told = []
        for defence in DEFENCES:
            colour, marker, words = LOOKS[defence]
            line = [found.victims[Key("p1", defence, p) if p else Key(CLEAN, defence)].accuracy for p in portions]
            ax.errorbar(
                [100 * p for p in portions], [100 * e.mean for e in line], yerr=[bar(e) for e in line],
                color=colour, marker=marker, markersize=6, linewidth=1.4, elinewidth=1, label=words,
            )  # fmt: skip
            told.append(
                f"{words}: " + ", ".join(f"{100 * p:g} % {percent(e)}" for p, e in zip(portions, line, strict=True))
            )
        ax.set(xlabel="training images that P1 perturbs, %", ylabel="accuracy on clean test images, %", ylim=(-2, 102))
        ax.set_title("How many must be poisoned")
        ax.legend(loc="lower left")
        calm(ax)
    caption = f"The others stay as they are. Bars: standard error{over(found.config.seeds)}."
    return Picture("poison_shares", figure, f"Accuracy by share of poisoned images. {'; '.join(told)}.", caption)


def usage(found: Poisons) -> Picture:
    """Whom a victim follows where shape and toogit disagree."""
    places, labels, values = [], [], []
    for index, (of, defence) in enumerate(product(found.sets, DEFENCES)):
        follows = [found.victim(of, defence).usage[name].mean for name in list(_FOLLOWS)[:3]]
        places.append(index + 0.5 * (index // 2))
        labels.append(f"{_brief(of)}, {_SHORT[defence]}")
        values.append((*follows, max(0.0, 1 - sum(follows))))
    figure = _stacked(
        places,
        labels,
        values,
        list(_FOLLOWS.values()),
        "Which feature a victim follows",
        "% of images whose shape and toogit disagree",
    )
    said = "; ".join(
        f"{label}: shape {100 * r:.0f} %, toogit {100 * n:.0f} %, class before it {100 * p:.0f} %"
        for label, (r, n, p, _) in zip(labels, values, strict=True)
    )
    caption = (
        "See-Far knows its features: a large shape, which no poison of this size changes, and a faint toogit, which P1 "
        "turns into that of y + 1. Shown are images on which these and the class before the toogit’s differ. "
        f"Means{over(found.config.seeds)}."
    )
    return Picture("poison_usage", figure, f"Whom victims follow. {said}.", caption)


def obeyed(found: Poisons) -> Picture:
    """Triggered test images called the target."""
    planted = list(dict.fromkeys((key.of, key.eps) for key in found.obeyed))
    labels = [trigger_label(way, eps) for way, eps in planted]
    with style():
        figure = Figure(figsize=(6.0, 1.5 + 0.42 * len(planted)), layout="constrained")
        ax = figure.add_subplot()
        for place, (way, eps) in enumerate(planted):
            for shift, defence in zip((-0.14, 0.14), DEFENCES, strict=True):
                colour, marker, _ = LOOKS[defence]
                _dot(ax, found.obeyed[Key(way, defence, 1.0, eps)].rate, place + shift, colour, marker)
        _ranked(ax, labels, "triggered test images of other classes called the target, %")
        ax.set_title("Who obeys the trigger")
        figure.legend(handles=[_handle(*LOOKS[d]) for d in DEFENCES], loc="outside lower center", ncols=2)
    said = "; ".join(
        f"{label}: " + ", ".join(f"{LOOKS[d][2]} {percent(found.obeyed[Key(way, d, 1.0, eps)].rate)}" for d in DEFENCES)
        for label, (way, eps) in zip(labels, planted, strict=True)
    )
    t, adversary = found.config.trigger, found.config.robust.adversary
    assert t is not None
    assert adversary is not None
    caption = (
        f"{t.side} × {t.side} pixels of changing sign in a corner. Label kept: on {share(t.share_of_target, 0)} % of "
        f"the training images of one class; label changed: on {share(t.share_of_others, 0)} % of all others, which are "
        f"then called that class. The defence has radius {adversary.eps:g}: its adversary can remove a trigger within "
        f"it. Bars: standard error{over(found.config.seeds)}."
    )
    return Picture("poison_trigger", figure, f"Triggered images called the target. {said}.", caption)


def _stacked(
    places: Sequence[float],
    labels: Sequence[str],
    values: Sequence[Sequence[float]],
    looks: Sequence[tuple[str, str]],
    title: str,
    unit: str,
) -> Figure:
    with style():
        figure = Figure(figsize=(6.4, 1.5 + 0.25 * (places[-1] + 1)), layout="constrained")
        ax = figure.add_subplot()
        for place, parts in zip(places, values, strict=True):
            left = 0.0
            for part, (colour, _) in zip(parts, looks, strict=True):
                ax.barh(place, 100 * part, 0.76, left=100 * left, color=colour)
                left += part
        ax.set_yticks(places, labels)
        ax.set(xlim=(0, 100), ylim=(places[-1] + 0.6, -0.6), xlabel=unit)
        ax.set_title(title)
        calm(ax, "x")
        handles = [Patch(color=colour, label=words) for colour, words in looks]
        figure.legend(handles=handles, loc="outside lower center", ncols=4, columnspacing=1.2, handlelength=1.4)
    return figure


def _dot(ax: Axes, value: Estimate, place: float, colour: str, marker: str, hollow: bool = False) -> None:
    ax.errorbar(
        [100 * value.mean], [place], xerr=[bar(value)], fmt=marker, color=colour, markersize=6.5, elinewidth=1.2,
        markerfacecolor="none" if hollow else colour,
    )  # fmt: skip


def _handle(colour: str, marker: str, words: str, hollow: bool = False) -> Line2D:
    face = "none" if hollow else colour
    return Line2D([], [], linestyle="none", marker=marker, color=colour, markerfacecolor=face, label=words)


def _ranked(ax: Axes, labels: Sequence[str], title: str) -> None:
    for place in range(len(labels)):
        ax.axhline(place, color="#e6eaee", linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(labels)), labels)
    ax.set(xlim=(-2, 102), ylim=(len(labels) - 0.5, -0.5), xlabel=title)
    calm(ax, "x")


def _brief(of: str) -> str:
    return LABELS[of].split(" ")[0]
