"""Figures of the planet: who follows what, more data and more pixels, and where gradients lie."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raylab.recipes.erm import NO_TOOGITS, TOOGITS
from raylab.report.drawing import bar
from raylab.report.erm.panels import panels
from raylab.report.erm.table import FEATURES, SAID, Planet, over
from raylab.report.numbers import percent, share
from raylab.report.picture import COLOURS, INK, LINE, SOFT, Picture, style

COLOUR = {"toogit": COLOURS[1], "shape": COLOURS[0]}
WORLD = {TOOGITS: COLOURS[1], NO_TOOGITS: COLOURS[0]}
MARK = {TOOGITS: "s", NO_TOOGITS: "o", "toogit": "s", "shape": "o"}


def pictures(planet: Planet) -> tuple[Picture, ...]:
    """In the order in which a page shows them."""
    return tuple(_pictures(planet))


def _pictures(planet: Planet) -> Iterator[Picture]:
    yield from panels(planet)
    if planet.networks:
        yield _usage(planet)
    if planet.points:
        yield _grown(planet)
    if planet.explained:
        yield _explained(planet)


def _usage(planet: Planet) -> Picture:
    """Two dots a network: follow_r and follow_n; beside them clean accuracy under the two ceilings."""
    names = list(planet.networks)
    places = list(range(len(names), 0, -1))
    with style():
        figure = Figure(figsize=(7.4, 0.42 * len(names) + 1.5), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        for place, name in zip(places, names, strict=True):
            use = planet.networks[name]
            for feature, by_seed in (("shape", use.follow_r), ("toogit", use.follow_n)):
                _dot(left, 100 * over(by_seed).mean, place, 100 * over(by_seed).se, feature, place == places[0])
            accuracy = over(use.accuracy)
            right.errorbar(100 * accuracy.mean, place, xerr=_se(100 * accuracy.se), fmt="D", color=INK, markersize=5)
        for feature in ("shape", "toogit"):
            ceiling = 100 * over(planet.ceilings[feature]).mean
            right.axvline(ceiling, color=COLOUR[feature], linewidth=1, linestyle=(0, (4, 2)), label=f"{feature} alone")
        left.set_yticks(places, [SAID[name] for name in names])
        left.set(xlim=(-4, 104), xlabel="conflict images, %", ylim=(0.4, len(names) + 0.6))
        left.set_title("Whom it follows")
        right.set(xlabel="clean accuracy, %")
        right.set_title("What that allows")
        for axes in (left, right):
            _calm(axes)
            axes.grid(axis="y", color=LINE, linewidth=0.6)
            axes.set_axisbelow(True)
        left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
        right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, handlelength=1.2, columnspacing=1)
    said = "; ".join(
        f"{SAID[name]}: shape {percent(over(use.follow_r))}, toogit {percent(over(use.follow_n))}, accuracy "
        f"{percent(over(use.accuracy))}"
        for name, use in planet.networks.items()
    )
    caption = (
        "Left: images that show the shape of one class and the toogit of another, and whom a network follows. Right: "
        "accuracy on clean test images; dashed, what the shape alone and the toogit alone allow at most. Bars: one "
        "standard error over worlds."
    )
    return Picture("erm_usage", figure, f"Shares of conflict images and clean accuracy by network. {said}.", caption)


def _grown(planet: Planet) -> Picture:
    """The share of right answers lost at the last radius, against training images and against pixels."""
    radius = planet.config.eps[-1]
    titles = {"more_data": ("More data", "training images"), "dimension": ("More pixels", "pixels a side")}
    shown = {part: words for part, words in titles.items() if any(point.part == part for point in planet.points)}
    said = []
    with style():
        figure = Figure(figsize=(3.7 * len(shown), 3.3), layout="constrained")
        for axes, (part, (title, label)) in zip(
            figure.subplots(1, len(shown), squeeze=False, sharey=True)[0], shown.items(), strict=True
        ):
            sizes = sorted({point.size for point in planet.points if point.part == part})
            for world in (TOOGITS, NO_TOOGITS):
                points = planet.of(part, world)
                values = [over(point.lost[radius]) for point in points]
                if points:
                    axes.errorbar(
                        [point.size for point in points], [100 * value.mean for value in values],
                        [bar(value) for value in values], label=world, color=WORLD[world], marker=MARK[world],
                        markersize=6, linewidth=1.4, elinewidth=1,
                    )  # fmt: skip
                    each = (f"{p.size}: {percent(v)}" for p, v in zip(points, values, strict=True))
                    said.append(f"{title.lower()}, {world}: {', '.join(each)}")
            axes.set_xscale("log")
            axes.set_xticks(sizes, [f"{size:,}".replace(",", "\u202f") for size in sizes])
            axes.minorticks_off()
            axes.margins(x=0.12)
            axes.set(ylim=(0, 104), xlabel=label)
            axes.set_title(title)
            _calm(axes)
        figure.axes[0].set_ylabel(f"right answers lost at radius {radius:g}, %")
        figure.axes[0].legend(loc="lower left")
    caption = (
        "Standard networks in worlds that differ in one thing: whether toogits tell the class. All trainings with more "
        "data see the same number of images in all; with more pixels shapes and toogits keep their L2 norms. Bars: one "
        "standard error over worlds."
    )
    return Picture("erm_grown", figure, f"Share of right answers that an attack takes. {'; '.join(said)}.", caption)


def _explained(planet: Planet) -> Picture:
    """Energy shares of gradients, plain and smoothed, by network."""
    lines = list(planet.explained)
    places = list(range(len(lines), 0, -1))
    with style():
        figure = Figure(figsize=(6.6, 0.36 * len(lines) + 1.5), layout="constrained")
        axes = figure.add_subplot()
        for place, line in zip(places, lines, strict=True):
            for feature in FEATURES:
                found = over(planet.explained[line][feature])
                _dot(axes, 100 * found.mean, place, 100 * found.se, feature, place == places[0])
        for feature in FEATURES:
            axes.axvline(100 * planet.by_chance[feature], color=COLOUR[feature], linewidth=1, linestyle=(0, (1, 2)))
        labels = [f"{SAID[name]}{f', smoothed at {sigma:g}' if sigma else ''}" for name, sigma in lines]
        axes.set_yticks(places, labels)
        axes.set(xlim=(-3, 103), ylim=(0.4, len(lines) + 0.6), xlabel="energy of the gradient by the pixels, %")
        axes.set_title("What an explanation shows")
        axes.grid(axis="y", color=LINE, linewidth=0.6)
        axes.set_axisbelow(True)
        _calm(axes)
        axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.16), ncols=2)
    said = "; ".join(
        f"{label}: " + ", ".join(f"{f} {share(over(planet.explained[line][f]).mean)} %" for f in FEATURES)
        for label, line in zip(labels, lines, strict=True)
    )
    caption = (
        "Share of the gradient of the log-odds that lies in the span of all toogits, and of all shapes in all places. "
        "Dotted: what a random direction has. Smoothed: the mean gradient over noisy copies (SmoothGrad)."
    )
    return Picture("erm_explained", figure, f"Energy of input gradients by feature. {said}.", caption)


def _dot(axes: Axes, x: float, y: float, se: float, feature: str, labelled: bool) -> None:
    label = feature if labelled else None
    axes.errorbar(x, y, xerr=_se(se), fmt=MARK[feature], color=COLOUR[feature], markersize=6, elinewidth=1, label=label)


def _se(se: float) -> float | None:
    return se if se == se else None  # nan with one seed


def _calm(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=SOFT)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_color(INK)
