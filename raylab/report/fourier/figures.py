"""Figures of Fourier analysis: heat maps on one scale, profiles, noise of a band, and what one band teaches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from raylab.core.statistics import Estimate
from raylab.recipes.fourier import ADVERSARIAL, GAUSSIAN, NETWORKS, STANDARD
from raylab.report.drawing import bar, calm
from raylab.report.estimates import mean
from raylab.report.fourier.panels import corrupted, filtered
from raylab.report.fourier.published import CIFAR, FIGURE_1, FIGURE_5, IMAGENET_SIDE, NAMES, NOISE_NORM, SIDE, words
from raylab.report.fourier.table import Kept, Result
from raylab.report.numbers import percent
from raylab.report.picture import COLOURS, INK, LINE, SOFT, Picture, style
from raylab.stages.heat_map import THIRDS

LOOKS = {STANDARD: (COLOURS[1], "s"), GAUSSIAN: (COLOURS[4], "^"), ADVERSARIAL: (COLOURS[0], "o")}
PASSES = {"low": ("lowest frequencies", COLOURS[0], "o"), "high": ("highest frequencies", COLOURS[1], "s")}
_DASHED = (0, (4, 2))
MAP = "cividis"  # even in lightness, and the same to the colour-blind


def draw(result: Result) -> dict[str, Picture]:
    """All pictures by name, in the order in which a page shows them."""
    pictures = [heat_maps(result), profiles(result)]
    if result.corruptions:
        pictures += [corruption_changes(result), corrupted(result)]
    if result.noise:
        pictures.append(noise(result))
    if result.kept:
        pictures += [bands(result), filtered(result)]
    return {picture.name: picture for picture in pictures}


def heat_maps(result: Result) -> Picture:
    """The three planes side by side; rings part the thirds."""
    height, width = result.size
    top = max(float(np.nanmax(result.profiles[name].plane)) for name in NETWORKS)
    with style():
        figure = Figure(figsize=(8.6, 3.5), layout="constrained")
        axes = figure.subplots(1, len(NETWORKS))
        for ax, name in zip(axes, NETWORKS, strict=True):
            profile = result.profiles[name]
            box = (-width // 2 - 0.5, -width // 2 + width - 0.5, -height // 2 + height - 0.5, -height // 2 - 0.5)
            shown = ax.imshow(100 * profile.plane, cmap=MAP, vmin=0, vmax=100 * top, extent=box, interpolation="none")
            turn = np.linspace(0, 2 * np.pi, 200)
            for low, _ in THIRDS.values():
                if low > 0:
                    ax.plot(low * width / 2 * np.cos(turn), low * height / 2 * np.sin(turn), color="#ffffff",
                            linewidth=0.8, linestyle=_DASHED)  # fmt: skip
            ax.set(xlim=box[:2], ylim=box[2:], xlabel="cycles across")
            ax.set_title(f"{NAMES[name]}\nclean error {percent(_clean(result, name))}", fontsize=9)
            for spine in ax.spines.values():
                spine.set_visible(False)
        axes[0].set_ylabel("cycles down")
        figure.colorbar(shown, ax=axes, label="error, %", shrink=0.8, pad=0.02).outline.set_visible(False)
    config, seeds = result.config.heat_map, len(result.config.seeds)
    channels = round((result.norm_of_the_image / config.norm) ** 2)
    norm = f"L2 norm {config.norm:g}" + (
        f" a channel ({result.norm_of_the_image:.3g} over {channels})" if channels > 1 else ""
    )
    caption = (
        f"Error with one Fourier basis vector of {norm} added, random in sign, clipped to [0, 1]; low frequencies in "
        f"the middle. Mean of {seeds} seed{'s' * (seeds > 1)}, {result.images:,} images each: a cell’s sampling error "
        f"is at most {100 * 0.5 / math.sqrt(result.images * seeds):.1f} points. Half of the plane is measured, the "
        "rest is its mirror. Rings part low, middle and high frequencies."
    )
    return Picture("heat_maps", figure, f"Heat maps of error by frequency. {_bands_said(result)}", caption)


def profiles(result: Result) -> Picture:
    """Error against the radius of the frequency, and each network's clean error."""
    with style():
        figure = Figure(figsize=(6.6, 3.8), layout="constrained")
        ax = figure.add_subplot()
        for low, _ in THIRDS.values():
            if low > 0:
                ax.axvline(low, color=LINE, linewidth=1)
        for name in NETWORKS:
            profile, (colour, marker) = result.profiles[name], LOOKS[name]
            ax.errorbar(
                profile.radii, [100 * e.mean for e in profile.by_radius], [bar(e) for e in profile.by_radius],
                color=colour, marker=marker, markersize=4.5, linewidth=1.6, elinewidth=1, label=NAMES[name],
            )  # fmt: skip
            ax.axhline(100 * _clean(result, name).mean, color=colour, linewidth=1, linestyle=(0, (2, 3)))
        for (name, (low, high)), top in zip(THIRDS.items(), (1 / 3, 2 / 3, math.sqrt(2)), strict=True):
            ax.text((low + min(high, top)) / 2, 1.01, name, transform=ax.get_xaxis_transform(), ha="center",
                    va="bottom", fontsize=8.5, color=SOFT)  # fmt: skip
        ax.set(xlim=(-0.03, math.sqrt(2) + 0.03), ylim=(0, None))
        ax.set(xlabel="frequency, as a share of the highest along a side (1.41: the corners)", ylabel="error, %")
        calm(ax)
        figure.legend(loc="outside lower center", ncols=3)
    caption = (
        "The heat maps, averaged around the lowest frequency. Dotted: each network’s error on the same images as they "
        "are. " + ("Bars: one standard error over seeds." if len(result.config.seeds) > 1 else "")
    )
    return Picture("profiles", figure, f"Error by frequency. {_bands_said(result)}", caption)


def corruption_changes(result: Result) -> Picture:
    """What each network has above the standard one under each corruption, its clean accuracy subtracted."""
    with style():
        figure = Figure(figsize=(6.4, 1.6 + 0.3 * len(result.corruptions)), layout="constrained")
        ax = figure.add_subplot()
        ax.axvline(0, color=SOFT, linewidth=1)
        for place, change in enumerate(result.corruptions):
            for name, shift in ((GAUSSIAN, -0.13), (ADVERSARIAL, 0.13)):
                colour, marker = LOOKS[name]
                value = change.beyond[name]
                ax.errorbar([100 * value.mean], [place + shift], xerr=[bar(value)], fmt=marker, color=colour,
                            markersize=5.5, elinewidth=1.3)  # fmt: skip
        ax.set_yticks(range(len(result.corruptions)), [words(change.what) for change in result.corruptions])
        ax.set(ylim=(len(result.corruptions) - 0.5, -0.5), xlabel="points of accuracy above the standard network")
        ax.set_title("Beyond what training costs on clean images")
        calm(ax, "x")
        handles = [Line2D([], [], linestyle="none", marker=LOOKS[n][1], color=LOOKS[n][0], label=NAMES[n])
                   for n in (GAUSSIAN, ADVERSARIAL)]  # fmt: skip
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    caption = (
        "Accuracy under a corruption minus that on the same clean images, less the same of the standard network; mean "
        "of five severities. To the right of 0 the network withstands the corruption better than the standard one. "
        "Bars: one standard error."
    )
    said = "; ".join(
        f"{words(c.what)}: " + ", ".join(f"{NAMES[n]} {percent(c.beyond[n])}" for n in (GAUSSIAN, ADVERSARIAL))
        for c in result.corruptions
    )
    return Picture("corruption_changes", figure, f"Change under corruptions, in points. {said}.", caption)


def noise(result: Result) -> Picture:
    """Accuracy against the bandwidth of filtered noise; where the protocol has its norm, the published points too."""
    assert result.config.noise is not None
    norm, side = result.config.noise.norm, min(result.size)
    published = side == SIDE and norm == NOISE_NORM and result.config.data.name in CIFAR
    with style():
        figure = Figure(figsize=(7.4, 3.7), layout="constrained")
        for ax, passes in zip(figure.subplots(1, 2, sharey=True), PASSES, strict=True):
            points = [change for change in result.noise if change.what == passes]
            for name in NETWORKS:
                colour, marker = LOOKS[name]
                values = [change.accuracy[name] for change in points]
                ax.errorbar([c.level for c in points], [100 * v.mean for v in values], [bar(v) for v in values],
                            color=colour, marker=marker, markersize=5, linewidth=1.6, elinewidth=1)  # fmt: skip
                ax.axhline(100 * result.accuracy[name].mean, color=colour, linewidth=1, linestyle=(0, (2, 3)))
                if published:
                    known = sorted((b, by[name]) for (which, b), by in FIGURE_5.items() if which == passes)
                    ax.plot([b for b, _ in known], [100 * v for _, v in known], linestyle="none", marker=marker,
                            markersize=8, markerfacecolor="none", markeredgecolor=colour)  # fmt: skip
            ax.axhline(100 * result.chance, color=SOFT, linewidth=1, linestyle=_DASHED)
            ax.set_xticks([change.level for change in points])
            ax.set(xlabel=f"bandwidth, of {side}", ylim=(0, 100))
            ax.set_title(f"noise of the {PASSES[passes][0]}")
            calm(ax)
        figure.axes[0].set_ylabel("accuracy, %")
        handles = [Line2D([], [], marker=LOOKS[n][1], color=LOOKS[n][0], label=NAMES[n]) for n in NETWORKS]
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
    caption = (
        f"Gaussian noise of L2 norm {norm:g} a channel, filtered to the B × B lowest or highest frequencies. Dotted: "
        "clean accuracy; dashed: chance." + (" Open marks: published." if published else "")
    )
    said = "; ".join(
        f"{c.what}-pass {c.level}: " + ", ".join(f"{NAMES[n]} {percent(c.accuracy[n])}" for n in NETWORKS)
        for c in result.noise
    )
    return Picture("noise", figure, f"Accuracy under filtered noise. {said}.", caption)


def bands(result: Result) -> Picture:
    """Accuracy of networks that saw one band alone, beside the published curve over shares of the side."""
    side = min(result.size)
    with style():
        figure = Figure(figsize=(6.6, 3.9), layout="constrained")
        ax = figure.add_subplot()
        for passes, (label, colour, marker) in PASSES.items():
            points = _of(result.kept, passes)
            ax.errorbar([k.bandwidth / side for k in points], [100 * k.accuracy.mean for k in points],
                        [bar(k.accuracy) for k in points], color=colour, marker=marker, markersize=5.5,
                        linewidth=1.6, elinewidth=1, label=label)  # fmt: skip
            known = FIGURE_1[passes]
            ax.plot([b / IMAGENET_SIDE for b in known], [100 * v for v in known.values()], color=colour, linewidth=1,
                    linestyle=(0, (1, 2)))  # fmt: skip
        ax.axhline(100 * result.chance, color=SOFT, linewidth=1, linestyle=_DASHED)
        ax.text(0.99, 100 * result.chance + 1.5, "chance", ha="right", fontsize=8, color=SOFT)
        ax.axhline(100 * result.accuracy[STANDARD].mean, color=INK, linewidth=0.8)
        ax.set(xlim=(0, 1), ylim=(0, 100), ylabel="accuracy, %")
        ax.set_xlabel("bandwidth kept, as a share of the side")
        calm(ax)
        figure.legend(loc="outside lower center", ncols=2)
    caption = (
        "Networks trained and tested on images of which only the B × B lowest or highest frequencies are left. Upper "
        "rule: the standard network on whole images. Dotted: published, ResNet-50 on ImageNet, where chance is 0.1 %."
    )
    said = "; ".join(f"{k.passes}-pass {k.bandwidth} of {side}: {percent(k.accuracy)}" for k in result.kept)
    return Picture("bands", figure, f"Accuracy by band kept. {said}; chance {100 * result.chance:.0f} %.", caption)


def _of(kept: Iterable[Kept], passes: str) -> Sequence[Kept]:
    return [one for one in kept if one.passes == passes]


def _clean(result: Result, name: str) -> Estimate:
    return mean(list(result.profiles[name].clean.values()))


def _bands_said(result: Result) -> str:
    return "; ".join(
        f"{NAMES[name]}: clean {percent(_clean(result, name))}, "
        + ", ".join(f"{band} {percent(mean(list(result.profiles[name].errors[band].values())))}" for band in THIRDS)
        for name in NETWORKS
    )
