"""Figures of the small worlds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from raylab.core import gaussian, seeding, synthetic, two_layer
from raylab.core.statistics import Estimate
from raylab.experiments.theory.measure import TheoryWorlds
from raylab.report.charts import Mark, dots, spoken
from raylab.report.drawing import despine, error_in_percent
from raylab.report.later import Axes, Ellipse, Figure
from raylab.report.per_seed import PerSeed
from raylab.report.picture import COLOURS, INK, LINE, SOFT, Picture, style

BLUE, RED, GREEN, PINK, AMBER, *_ = COLOURS
Curve = tuple[Any, Sequence[float], str]  # places, shares, colour
Points = Mapping[float, PerSeed | Estimate]


def pictures(worlds: TheoryWorlds, world: str) -> tuple[Picture, ...]:
    """Of one world; none where it has no numbers."""
    drawn = [draw(worlds) for draw in DRAWN.get(world, ())] if worlds.found(world) else []
    return tuple(picture for picture in drawn if picture is not None)


def misalignment(worlds: TheoryWorlds) -> Picture | None:
    """The adversary's ball in the metric of the data, for the standard and the robust parameters."""
    c = worlds.config.gaussian
    if len(c.mean) != 2:
        return None
    mean, ids = np.asarray(c.mean), np.arange(260)
    noise = seeding.normal(0, "theory/picture", ids, 2) * np.sqrt(c.variances)
    side = np.where(ids % 2, 1.0, -1.0)
    cosines = {}
    with style():
        figure = Figure(figsize=(3.35 * len(c.trained), 2.75), layout="constrained")
        panels = figure.subplots(1, len(c.trained), sharex=True, sharey=True, squeeze=False)[0]
        for axes, eps in zip(panels, c.trained, strict=True):
            learned = gaussian.robust_fit(c.variances, eps).variances
            cosines[eps] = gaussian.alignment(c.mean, learned)
            _classes(axes, mean, learned, side[:, None] * mean + noise, side)
            _directions(axes, mean, mean / learned)
            axes.set_title(f"{_trained(eps)}: cosine {cosines[eps]:.2f}")
        panels[0].legend(loc="lower left", bbox_to_anchor=(-0.02, -0.02), fontsize=7.5, handlelength=1.2)
    numbers = "; ".join(f"ε = {eps:g}: {value:.2f}" for eps, value in cosines.items())
    alt = (
        "Two Gaussian classes with the parameters that maximum likelihood learns without and with an adversary. "
        f"Cosine of the gradient and the direction between the classes: {numbers}."
    )
    caption = (
        "Points: the data. Ellipses: one and two standard deviations of what is learned. Dashed: the boundary. Disc: "
        "the adversary’s ball. The gradient leans where the data are thin, for there a step is worth most; the larger "
        "the radius trained against, the rounder the learned metric, the closer the gradient to the class direction."
    )
    return Picture("misalignment", figure, alt, caption)


def _classes(axes: Axes, mean: Any, learned: Any, points: Any, side: Any) -> None:
    for sign, colour in ((1.0, BLUE), (-1.0, RED)):
        x, y = points[side == sign].T
        axes.scatter(x, y, s=5, color=colour, alpha=0.35, linewidths=0)
        for deviations in (1, 2):
            size = 2 * deviations * np.sqrt(learned)
            look: dict[str, Any] = {"fill": False, "edgecolor": colour, "linewidth": 1.1, "alpha": 0.9 / deviations}
            axes.add_patch(Ellipse(sign * mean, *size, **look))
    axes.set(xlim=(-7, 7), ylim=(-5, 5), aspect="equal", xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_color(LINE)


def _directions(axes: Axes, mean: Any, w: Any) -> None:
    across = np.array([-w[1], w[0]]) / np.linalg.norm(w)
    axes.plot(*np.stack([-9 * across, 9 * across], axis=1), color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
    axes.add_patch(Ellipse(mean, 2, 2, facecolor=AMBER, edgecolor=AMBER, alpha=0.28, linewidth=1))
    arrows: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.012, "zorder": 5}
    for direction, colour, label in ((mean, SOFT, "between the classes"), (w, INK, "gradient")):
        axes.quiver(*mean, *(-1.9 * direction / np.linalg.norm(direction)), color=colour, label=label, **arrows)


def robust_accuracy(worlds: TheoryWorlds) -> Picture:
    """Closed forms as lines, samples as points."""
    c, found = worlds.config.gaussian, worlds.found("gaussian")
    grid = np.linspace(0, 1.25 * max(c.attacked), 60)
    curves, points, marks = {}, {}, {}
    for colour, eps in zip(COLOURS, c.trained, strict=False):
        w = gaussian.weights(c.mean, gaussian.robust_fit(c.variances, eps).variances)
        curves[_trained(eps)] = grid, [gaussian.accuracy(w, c.mean, c.variances, float(at)) for at in grid], colour
        points[_trained(eps)] = {a: found[f"trained {eps:g} attacked {a:g} sampled"] for a in c.attacked}
        marks[_trained(eps)] = Mark(colour)
    title, words = "Accuracy: lines exact, points sampled", ("ε of the attack, ℓ2", "accuracy, %")
    caption = "Training against a larger radius costs clean accuracy and pays beyond the crossing."
    return on_curves("gaussian_accuracy", title, words, curves, points, marks, caption)


def label_balance(worlds: TheoryWorlds) -> Picture:
    """Accuracy of the perturbation-only network against the imbalance of its labels, in units of its evidence."""
    c, own, published = worlds.config.two_layer, worlds.found("two_layer"), worlds.found("two_layer published")
    grid = np.linspace(0, 3.2 * two_layer.SHIFT * np.sqrt(c.dimension), 200)
    exact = [two_layer.expected(r * c.examples, c.examples, c.dimension, 1.0) for r in grid]
    points: dict[str, Points] = {}
    marks = {}
    for colour, eps in zip(COLOURS, c.eps, strict=False):
        for found, label, marker in ((own, f"ε = {eps:g}", "o"), (published, f"ε = {eps:g}, the published draw", "D")):
            sums = {seed: abs(one.mean) / (c.examples * eps) for seed, one in found["label sum"].items()}
            points[label] = {at: found[f"eps {eps:g}"][seed] for seed, at in sums.items() if at <= grid[-1]}
            marks[label] = Mark(colour, marker)
    title = "What sets the ε that is needed"
    words = "|sum of the random labels| / (N ε)", "accuracy of the second network, %"
    caption = (
        "Every label pulls the bias alike, so the chance imbalance of the random labels competes with the "
        f"perturbations. Points beyond {grid[-1]:.0f} are not drawn; they lie at one half."
    )
    curves = {"closed form": (grid, exact, SOFT)}
    return on_curves("label_balance", title, words, curves, points, marks, caption, (40, 102))


def plane(worlds: TheoryWorlds) -> Picture:
    """Goh's plane: robustness and usefulness of every eigenvector, and of the two constructions."""
    drawn = worlds.spectrum
    points, members = np.asarray(drawn["points"]), np.asarray(drawn["members"])
    rest = np.setdiff1d(np.arange(len(points)), members)
    with style():
        figure = Figure(figsize=(7.2, 3.8), layout="constrained")
        axes = figure.add_subplot()
        for those, colour, label in ((rest, SOFT, "eigenvectors"), (members, PINK, "members of the ensemble")):
            axes.scatter(points[those, 0], points[those, 1], s=20, color=colour, linewidths=0, label=label)
        for name, marker, colour in (("ensemble", "^", PINK), ("contained", "s", RED), ("most useful", "*", GREEN)):
            x, y = drawn["special"][name]
            axes.scatter([x], [y], s=95, marker=marker, color=colour, linewidths=0, label=name, zorder=4)
        ends = points[[drawn["low"], drawn["high"]]]
        axes.plot(*ends.T, color=RED, linewidth=0.9, linestyle=(0, (2, 3)), zorder=0)
        axes.set(xlabel="log robustness, ‖a‖Σ / ‖a‖₂", ylabel="log usefulness, E[y f]", title="Useful, but not robust")
        axes.set_ylim(max(points[:, 1].min(), -9) - 0.3, 0.4)
        figure.legend(loc="outside right upper")
        despine(axes)
    a, b = worlds.config.usefulness.classes
    numbers = "; ".join(f"{name} {x:.2f} and {y:.2f}" for name, (x, y) in drawn["special"].items())
    alt = (
        f"Log robustness and log usefulness of the {len(points)} eigenvectors of classes {a} and {b}, the most useful "
        f"of which has {points[:, 1].max():.2f}, and of combinations: {numbers}."
    )
    caption = (
        "Two ways to a useful non-robust feature: many weak directions together (triangle), or a useless one with a "
        "little of a robust one (square; dotted: its two members). The definition does not tell them apart."
    )
    return Picture("usefulness", figure, alt, caption)


def flips(worlds: TheoryWorlds) -> Picture:
    """Accuracy left at the reference radius, after one epoch and at the end, by world."""
    c, found = worlds.config.squares, worlds.found("squares")
    eps = 0.01 if 0.01 in c.radii else c.radii[0]
    named = {f"d {d}": f"both noises, d = {d}" for d in c.dimensions}
    named |= {name: name for name in ("no label noise", "no pixel noise", "neither noise")}
    first, last = "after one epoch", "when every label is fitted"
    rows = {
        label: {first: found[f"{name} first robust {eps:g}"], last: found[f"{name} robust {eps:g}"]}
        for name, label in named.items()
    }
    caption = (
        f"The rule sign(mean x) is robust at ℓ∞ .9 in every row. Mean of {len(worlds.config.squares_seeds)} seeds. The "
        "more dimensions, the more are flipped; at three times this radius pixel noise alone is enough, for what is "
        "learned is never quite flat."
    )
    marks = {first: Mark(BLUE, hollow=True), last: Mark(RED)}
    words = f"% of test points right at ℓ∞ {eps:g}"
    return dots("squares", "Squares: fitted noise is what flips", words, rows, marks, caption)


def constructions(worlds: TheoryWorlds) -> Picture:
    """D_rand and D_det against eps / eta, with the limit of endless data."""
    c, found = worlds.config.synthetic, worlds.found("synthetic")
    world = synthetic.SyntheticWorld(c.dimension)
    grid = np.linspace(min(0.2, *c.ratios), max(c.ratios), 60)
    curves, points, marks = {}, {}, {}
    kinds: tuple[tuple[synthetic.Set, str], ...] = (("rand", BLUE), ("det", RED))
    for kind, colour in kinds:
        limit = [synthetic.population(world, kind, r * world.eta).accuracy(world) for r in grid]
        curves[f"D_{kind}: endless data"] = grid, limit, colour
        points[f"D_{kind}"] = {r: found[f"{kind} {r:g}"] for r in c.ratios}
        marks[f"D_{kind}"] = Mark(colour)
    words = "ε / η", "clean accuracy of the student, %"
    seeds = len(worlds.config.synthetic_seeds)
    caption = f"Points: {c.examples} examples, {seeds} seeds. Below η the faint features still say the old class."
    return on_curves(
        "constructions", "The flip between η and 1.5η", words, curves, points, marks, caption, (-3, 103), at=1
    )


def on_curves(
    name: str,
    title: str,
    words: tuple[str, str],  # along the axes
    curves: Mapping[str, Curve],
    points: Mapping[str, Points],
    marks: Mapping[str, Mark],
    caption: str,
    limits: tuple[float, float] | None = None,
    at: float | None = None,
) -> Picture:
    """Closed forms as lines, and what was run as points with their errors."""
    with style():
        figure = Figure(figsize=(5.8, 3.5), layout="constrained")
        axes = figure.add_subplot()
        for label, (x, y, colour) in curves.items():
            axes.plot(x, 100 * np.asarray(y), color=colour, linewidth=1.5, label=None if label in points else label)
        for label, by in points.items():
            means = {x: one.mean if isinstance(one, PerSeed) else one for x, one in by.items()}
            run = {x: mean for x, mean in means.items() if not math.isnan(mean.mean)}
            look: dict[str, Any] = {"color": marks[label].colour, "marker": marks[label].marker, "markersize": 5.5}
            shares, bars = [100 * one.mean for one in run.values()], [error_in_percent(one) for one in run.values()]
            axes.errorbar(list(run), shares, bars, linestyle="none", label=label, **look)
        if at is not None:
            axes.axvline(at, color=SOFT, linewidth=1, linestyle=(0, (2, 3)))
        axes.set(xlabel=words[0], ylabel=words[1], title=title, ylim=limits)
        figure.legend(loc="outside right upper", fontsize=8)
        despine(axes)
    numbers = {label: {f"{x:.3g}": one for x, one in by.items()} for label, by in points.items() if by}
    return Picture(name, figure, f"{title}; {words[1]} by {words[0]}. {spoken(numbers)}", caption)


def _trained(eps: float) -> str:
    return "standard" if eps == 0 else f"trained at ε = {eps:g}"


DRAWN: Mapping[str, tuple[Callable[[TheoryWorlds], Picture | None], ...]] = {
    "gaussian": (misalignment, robust_accuracy),
    "two_layer": (label_balance,),
    "usefulness": (plane,),
    "squares": (flips,),
    "synthetic": (constructions,),
}
