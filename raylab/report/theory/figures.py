"""Figures of the small worlds."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from raylab.core import gaussian, seeding, synthetic, two_layer
from raylab.report.drawing import calm
from raylab.report.picture import COLOURS, INK, LINE, SOFT, Picture, style
from raylab.report.theory.table import Result

BLUE, RED, GREEN, PINK, AMBER, *_ = COLOURS
PALE = "#e6eaee"


def draw(result: Result) -> dict[str, tuple[Picture, ...]]:
    """Pictures by group."""
    pictures = {
        "gaussian": (misalignment(result), robust_accuracy(result)),
        "two_layer": (label_balance(result),),
        "usefulness": (plane(result),),
        "squares": (flips(result),),
        "synthetic": (constructions(result),),
    }
    return {group: tuple(p for p in found if p is not None) for group, found in pictures.items()}


def misalignment(result: Result) -> Picture | None:
    """The adversary's ball in the metric of the data, for the standard and the robust parameters."""
    c = result.config.gaussian
    if len(c.mean) != 2:
        return None
    mean, samples = np.asarray(c.mean), 260
    ids = np.arange(samples)
    noise = seeding.normal(0, "theory/picture", ids, 2) * np.sqrt(c.variances)
    side = np.where(ids % 2, 1.0, -1.0)[:, None]
    with style():
        figure = Figure(figsize=(3.35 * len(c.trained), 2.75), layout="constrained")
        panels = figure.subplots(1, len(c.trained), sharex=True, sharey=True, squeeze=False)[0]
        for axes, eps in zip(panels, c.trained, strict=True):
            learned = gaussian.robust_fit(c.variances, eps).variances
            _panel(axes, mean, learned, side * mean + noise, side[:, 0], eps)
        panels[0].legend(
            loc="lower left", bbox_to_anchor=(-0.02, -0.02), fontsize=7.5, handlelength=1.2, labelspacing=0.3
        )
    cosines = [(eps, gaussian.alignment(c.mean, gaussian.robust_fit(c.variances, eps).variances)) for eps in c.trained]
    said = "; ".join(f"ε = {eps:g}: {value:.2f}" for eps, value in cosines)
    alt = (
        "Two Gaussian classes with the parameters that maximum likelihood learns without and with an adversary. "
        f"Cosine of the gradient and the direction between the classes: {said}."
    )
    caption = (
        "Points: the data. Ellipses: one and two standard deviations of what is learned. Dashed: the boundary. Disc: "
        "the adversary’s ball. The gradient leans where the data are thin, for there a step is worth most; the larger "
        "the radius trained against, the rounder the learned metric, the closer the gradient to the class direction."
    )
    return Picture("misalignment", figure, alt, caption)


def _panel(axes: Axes, mean: Any, learned: Any, points: Any, side: Any, eps: float) -> None:
    for sign, colour in ((1.0, BLUE), (-1.0, RED)):
        own = points[side == sign]
        axes.scatter(own[:, 0], own[:, 1], s=5, color=colour, alpha=0.35, linewidths=0)
        for deviations in (1, 2):
            width, height = 2 * deviations * np.sqrt(learned)
            axes.add_patch(
                Ellipse(sign * mean, width, height, fill=False, edgecolor=colour, linewidth=1.1, alpha=0.9 / deviations)
            )
    w = mean / learned
    across = np.array([-w[1], w[0]]) / np.linalg.norm(w)
    axes.plot(*np.stack([-9 * across, 9 * across], axis=1), color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
    axes.add_patch(Ellipse(mean, 2, 2, facecolor=AMBER, edgecolor=AMBER, alpha=0.28, linewidth=1))
    arrows: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.012, "zorder": 5}
    for direction, colour, label in ((mean, SOFT, "between the classes"), (w, INK, "gradient")):
        step = -1.9 * direction / np.linalg.norm(direction)
        axes.quiver(*mean, *step, color=colour, label=label, **arrows)
    cosine = gaussian.alignment(mean.tolist(), learned)
    axes.set_title(f"{'standard' if eps == 0 else f'trained at ε = {eps:g}'}: cosine {cosine:.2f}")
    axes.set(xlim=(-7, 7), ylim=(-5, 5), aspect="equal", xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_color(LINE)


def robust_accuracy(result: Result) -> Picture:
    """Closed forms as lines, samples as points."""
    c, found = result.config.gaussian, result.found("gaussian")
    grid = np.linspace(0, 1.25 * max(c.attacked), 60)
    with style():
        figure = Figure(figsize=(4.6, 3.4), layout="constrained")
        axes = figure.add_subplot()
        for colour, eps in zip(COLOURS, c.trained, strict=False):
            w = gaussian.weights(c.mean, gaussian.robust_fit(c.variances, eps).variances)
            curve = [100 * gaussian.accuracy(w, c.mean, c.variances, float(at)) for at in grid]
            axes.plot(
                grid, curve, color=colour, linewidth=1.6, label="standard" if eps == 0 else f"trained at ε = {eps:g}"
            )
            at = [100 * found[f"trained {eps:g} attacked {a:g} sampled"].mean for a in c.attacked]
            axes.plot(c.attacked, at, "o", color=colour, markersize=5)
        axes.set(xlabel="ε of the attack, ℓ2", ylabel="accuracy, %", title="Accuracy: lines exact, points sampled")
        axes.legend(loc="lower left")
        calm(axes)
    alt = "Accuracy against the radius of the attack for three trainings; the samples lie on the closed forms."
    caption = "Training against a larger radius costs clean accuracy and pays beyond the crossing."
    return Picture("gaussian_accuracy", figure, alt, caption)


def label_balance(result: Result) -> Picture:
    """Accuracy of the perturbation-only network against the imbalance of its labels, in units of its evidence."""
    c = result.config.two_layer
    reach = two_layer.SHIFT * np.sqrt(c.dimension)
    grid = np.linspace(0, 3.2 * reach, 200)
    with style():
        figure = Figure(figsize=(5.4, 3.6), layout="constrained")
        axes = figure.add_subplot()
        curve = [100 * two_layer.expected(r * c.examples, c.examples, c.dimension, 1.0) for r in grid]
        axes.plot(grid, curve, color=SOFT, linewidth=1.4, label="closed form")
        for colour, eps in zip(COLOURS, c.eps, strict=False):
            own = [(abs(q["label sum"].mean), q[f"eps {eps:g}"].mean) for q in result.by_seed["two_layer"].values()]
            published = result.found("two_layer published")
            theirs = abs(published["label sum"].mean), published[f"eps {eps:g}"].mean
            for points, marker, size in ((own, "o", 5), ([theirs], "D", 8)):
                label = f"ε = {eps:g}" if marker == "o" else None
                inside = [(t / (c.examples * eps), 100 * a) for t, a in points if t <= grid[-1] * c.examples * eps]
                axes.plot(
                    [r for r, _ in inside], [a for _, a in inside], marker, color=colour, markersize=size, label=label
                )
        axes.plot([], [], "D", color=INK, markersize=7, label="the published draw")
        axes.set(xlim=(0, float(grid[-1])), ylim=(40, 102), ylabel="accuracy of the second network, %")
        axes.set(xlabel="|sum of the random labels| / (N ε)", title="What sets the ε that is needed")
        axes.legend(loc="upper right")
        calm(axes)
    alt = (
        "Accuracy of the perturbation-only network falls from 100 to 50 % where the sum of its random labels outweighs "
        "the evidence of the perturbations, on one curve for all radii."
    )
    caption = (
        "Every label pulls the bias alike, so the chance imbalance of the random labels competes with the "
        f"perturbations. Points beyond {grid[-1]:.0f} are not drawn; they lie at one half."
    )
    return Picture("label_balance", figure, alt, caption)


def plane(result: Result) -> Picture:
    """Goh's plane: robustness and usefulness of every eigenvector, and of the two constructions."""
    drawn = result.spectrum
    points, members = np.asarray(drawn["points"]), np.asarray(drawn["members"])
    with style():
        figure = Figure(figsize=(7.2, 3.8), layout="constrained")
        axes = figure.add_subplot()
        rest = np.setdiff1d(np.arange(len(points)), members)
        axes.scatter(points[rest, 0], points[rest, 1], s=20, color=SOFT, linewidths=0, label="eigenvectors")
        axes.scatter(
            points[members, 0], points[members, 1], s=20, color=PINK, linewidths=0, label="members of the ensemble"
        )
        looks = {"ensemble": ("^", PINK), "contained": ("s", RED), "most useful": ("*", GREEN)}
        for name, (marker, colour) in looks.items():
            x, y = drawn["special"][name]
            axes.scatter([x], [y], s=95, marker=marker, color=colour, linewidths=0, label=name, zorder=4)
        ends = points[[drawn["low"], drawn["high"]]]
        axes.plot(*ends.T, color=RED, linewidth=0.9, linestyle=(0, (2, 3)), zorder=0)
        axes.set(xlabel="log robustness, ‖a‖Σ / ‖a‖₂", ylabel="log usefulness, E[y f]", title="Useful, but not robust")
        axes.set_ylim(max(points[:, 1].min(), -9) - 0.3, 0.4)
        figure.legend(loc="outside right upper")
        calm(axes)
    a, b = result.config.usefulness.classes
    alt = (
        f"Robustness and usefulness of the {len(points)} directions of classes {a} and {b}, and of an ensemble, a "
        "mixture and the most useful direction, which lie above the single ones."
    )
    caption = (
        "Two ways to a useful non-robust feature: many weak directions together (triangle), or a useless one with a "
        "little of a robust one (square; dotted: its two members). The definition does not tell them apart."
    )
    return Picture("usefulness", figure, alt, caption)


def flips(result: Result) -> Picture:
    """Accuracy left at the reference radius, after one epoch and at the end, by world."""
    c, found = result.config.squares, result.found("squares")
    eps = 0.01 if 0.01 in c.radii else c.radii[0]
    names = [*(f"d {d}" for d in c.dimensions), "no label noise", "no pixel noise", "neither noise"]
    with style():
        figure = Figure(figsize=(5.6, 3.4), layout="constrained")
        axes = figure.add_subplot()
        for place, name in enumerate(names):
            first, last = 100 * found[f"{name} first robust {eps:g}"].mean, 100 * found[f"{name} robust {eps:g}"].mean
            axes.plot([first, last], [place, place], color=PALE, linewidth=4, zorder=0, solid_capstyle="round")
            axes.plot(
                [first],
                [place],
                "o",
                color=BLUE,
                markersize=7,
                markerfacecolor="white",
                markeredgewidth=1.5,
                label="after one epoch",
            )
            axes.plot([last], [place], "o", color=RED, markersize=7, label="when every label is fitted")
        axes.set_yticks(
            range(len(names)),
            [name.replace("d ", "both noises, d = ", 1) if name.startswith("d ") else name for name in names],
        )
        axes.set(
            xlim=(-3, 103),
            ylim=(len(names) - 0.5, -0.5),
            xlabel=f"% of test points right at ℓ∞ {eps:g}",
            title="Squares: fitted noise is what flips",
        )
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles[:2], labels[:2], loc="outside lower center", ncols=2)
        calm(axes)
    said = "; ".join(f"{n}: {100 * found[f'{n} robust {eps:g}'].mean:.0f} %" for n in names)
    seeds = len(result.by_seed["squares"])
    caption = (
        f"The rule sign(mean x) withstands ℓ∞ .9 in every row. Mean of {seeds} seeds. The more dimensions, the more "
        "are flipped; at three times this radius pixel noise alone is enough, for what is learned is never quite flat."
    )
    return Picture("squares", figure, f"Accuracy left at Linf {eps:g}: {said}.", caption)


def constructions(result: Result) -> Picture:
    """D_rand and D_det against eps / eta, with the limit of endless data."""
    c, found = result.config.synthetic, result.found("synthetic")
    world = synthetic.World(c.dimension)
    grid = np.linspace(min(0.2, *c.ratios), max(c.ratios), 60)
    with style():
        figure = Figure(figsize=(4.8, 3.4), layout="constrained")
        axes = figure.add_subplot()
        for kind, colour in (("rand", BLUE), ("det", RED)):
            limit = [
                100 * synthetic.population(world, "rand" if kind == "rand" else "det", r * world.eta).accuracy(world)
                for r in grid
            ]
            axes.plot(grid, limit, color=colour, linewidth=1.6, label=f"{kind}: endless data")
            own = [found[f"{kind} {r:g}"] for r in c.ratios]
            axes.errorbar(
                c.ratios,
                [100 * e.mean for e in own],
                [100 * np.nan_to_num(e.se) for e in own],
                fmt="o",
                color=colour,
                markersize=5,
            )
        axes.axvline(1, color=SOFT, linewidth=1, linestyle=(0, (2, 3)))
        axes.set(
            xlabel="ε / η",
            ylabel="clean accuracy of the student, %",
            title="The flip between η and 1.5η",
            ylim=(-3, 103),
        )
        axes.legend(loc="lower right")
        calm(axes)
    alt = (
        "Accuracy of students of D_rand and D_det against the radius. D_det flips from 5 % at eta to 99 % at 1.5 eta; "
        "the points lie on the limits."
    )
    seeds = len(result.by_seed["synthetic"])
    caption = f"Points: {c.examples} examples, {seeds} seeds. Below η the faint features still say the old class."
    return Picture("constructions", figure, alt, caption)
