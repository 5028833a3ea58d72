"""The figures of Fourier analysis: heat maps on one scale, curves, and the images themselves."""

from __future__ import annotations

import math

import numpy as np

from raylab.engine.columns import Batch
from raylab.experiments.fourier import published
from raylab.experiments.fourier.config import NETWORKS, STANDARD
from raylab.experiments.fourier.measure import ByFrequency, Floats
from raylab.experiments.fourier.plan import FourierCell
from raylab.experiments.fourier.published import CIFAR, IMAGENET_SIDE, NAMES, NOISE_NORM, family, words
from raylab.experiments.fourier.verdict import OTHERS
from raylab.report import samples
from raylab.report.charts import Mark, dots, images, lines, spoken
from raylab.report.drawing import Pixels, seeds_phrase, unit
from raylab.report.later import Axes, AxesImage, Figure
from raylab.report.numbers import percent
from raylab.report.per_seed import PerSeed
from raylab.report.picture import COLOURS, Picture, style
from raylab.stages.corruption import FROST, as_bytes, corrupted
from raylab.stages.frost import photographs
from raylab.stages.heat_map import THIRDS

LOOKS = (Mark(COLOURS[1], "s"), Mark(COLOURS[4], "^"), Mark(COLOURS[0], "o"))
MARKS = dict(zip(NAMES.values(), LOOKS, strict=True))
PASSES = {"low": "lowest frequencies", "high": "highest frequencies"}
BANDS = {PASSES["low"]: Mark(COLOURS[0], "o"), PASSES["high"]: Mark(COLOURS[1], "s")}
MAP = "cividis"  # even in lightness, and the same to the colour-blind
CORNER = math.sqrt(2)
MOST_SEVERE = 5


def profiles(found: ByFrequency) -> Picture:
    """Error against the radius of the frequency, and each network's clean error."""
    caption = (
        "The heat maps, averaged around the lowest frequency. Dotted: each network’s error on the same images as they "
        f"are. Bars: standard error{seeds_phrase(found.config.seeds)}."
    )
    return lines(
        "profiles",
        "Error by frequency",
        "frequency, as a share of the highest along a side (1.41: the corners)",
        "error, %",
        {NAMES[name]: found.profiles[name].by_radius for name in NETWORKS},
        MARKS,
        caption,
        limits=(0, None),
        levels={NAMES[name]: found.profiles[name].clean for name in NETWORKS},
        stretches={name: (low, min(high, CORNER)) for name, (low, high) in THIRDS.items()},
    )


def heat_maps(found: ByFrequency) -> Picture | None:
    """The planes side by side, on one scale; rings part the thirds. None: none was built."""
    planes = {name: plane for name in NETWORKS if (plane := found.profiles[name].plane) is not None}
    if not planes:
        return None
    top = max(float(np.nanmax(plane)) for plane in planes.values())
    with style():
        figure = Figure(figsize=(8.6, 3.5), layout="constrained")
        axes = figure.subplots(1, len(planes), squeeze=False)[0]
        for ax, (name, plane) in zip(axes, planes.items(), strict=True):
            image = _plane(ax, plane, top)
            ax.set_title(f"{NAMES[name]}\nclean error {percent(found.profiles[name].clean.mean)}", fontsize=9)
        axes[0].set_ylabel("cycles down")
        figure.colorbar(image, ax=axes, label="error, %", shrink=0.8, pad=0.02).outline.set_visible(False)
    config, seeds, channels = found.config.heat_map, len(found.config.seeds), found.shape[0]
    n = max(one.n for name in planes for one in found.profiles[name].clean.values())
    whole = f" a channel ({config.norm * math.sqrt(channels):.3g} over {channels})" if channels > 1 else ""
    caption = (
        f"Error with one Fourier basis vector of L2 norm {config.norm:g}{whole} added, random in sign, clipped to [0, "
        f"1]; low frequencies in the middle. Mean of {seeds} seed{'s' * (seeds > 1)}, {n:,} images each: a cell’s "
        f"sampling error is at most {100 * 0.5 / math.sqrt(n * seeds):.1f} points. Half of the plane is measured, the "
        "rest is its mirror. Rings part low, middle and high frequencies. The numbers are in tables/heat_maps.csv of "
        "the study’s files."
    )
    bands = {
        NAMES[name]: {"clean": found.profiles[name].clean, **{b: found.profiles[name].errors[b] for b in THIRDS}}
        for name in planes
    }
    return Picture("heat_maps", figure, f"Heat maps of error by frequency. {spoken(bands)}", caption)


def _plane(ax: Axes, plane: Floats, top: float) -> AxesImage:
    height, width = plane.shape
    box = (-width // 2 - 0.5, -width // 2 + width - 0.5, -height // 2 + height - 0.5, -height // 2 - 0.5)
    image = ax.imshow(100 * plane, cmap=MAP, vmin=0, vmax=100 * top, extent=box, interpolation="none")
    turn = np.linspace(0, 2 * np.pi, 200)
    for low, _ in THIRDS.values():
        if low > 0:
            ring = low * width / 2 * np.cos(turn), low * height / 2 * np.sin(turn)
            ax.plot(*ring, color="#ffffff", linewidth=0.8, linestyle=(0, (4, 2)))
    ax.set(xlim=box[:2], ylim=box[2:], xlabel="cycles across")
    for spine in ax.spines.values():
        spine.set_visible(False)
    return image


def corruption_changes(found: ByFrequency) -> Picture:
    """What each network has above the standard one under each corruption, its clean accuracy subtracted."""
    rows = {words(one.what): {NAMES[name]: one.beyond[name] for name in reversed(OTHERS)} for one in found.corruptions}
    caption = (
        "Accuracy under a corruption minus that on the same clean images, less the same of the standard network; mean "
        "of five severities. To the right of 0 the corruption costs the network less than the standard one. "
        f"Bars: standard error{seeds_phrase(found.config.seeds)}."
    )
    title = "Beyond what training costs on clean images"
    unit_of = "points of accuracy above the standard network"
    ends = [e for by in rows.values() for one in by.values() for e in _ends(one)]
    limits = min(ends, default=0.0) - 2, max(ends, default=0.0) + 2
    return dots("corruption_changes", title, unit_of, rows, MARKS, caption, at=0.0, limits=limits)


def _ends(one: PerSeed) -> tuple[float, ...]:
    """Of what is drawn, in percent, and zero."""
    mean, se = one.mean.mean, np.nan_to_num(one.mean.se)
    return (0.0,) if math.isnan(mean) else (0.0, 100 * (mean - se), 100 * (mean + se))


def noise(found: ByFrequency) -> list[Picture]:
    """Accuracy against the bandwidth of filtered noise; where the protocol has its norm, the published points too."""
    assert found.config.noise is not None
    norm = found.config.noise.norm
    same = found.side == published.SIDE and norm == NOISE_NORM and found.config.data.name in CIFAR
    caption = (
        f"Gaussian noise of L2 norm {norm:g} a channel, filtered to the B × B {{}}. Dotted: clean accuracy; dashed: "
        f"chance.{' Open marks: published.' if same else ''} Bars: standard error{seeds_phrase(found.config.seeds)}."
    )
    pictures = []
    for passes, band in PASSES.items():
        points = [change for change in found.noise if change.what == passes]
        theirs = {bandwidth: by for (of, bandwidth), by in published.FIGURE_5.items() if same and of == passes}
        pictures.append(
            lines(
                f"noise_{passes}",
                f"Noise of the {band}",
                f"bandwidth, of {found.side}",
                "accuracy, %",
                {NAMES[name]: {one.level: one.accuracy[name] for one in points} for name in NETWORKS},
                MARKS,
                caption.format(band),
                at=found.chance,
                levels={NAMES[name]: found.accuracy[name] for name in NETWORKS},
                published={NAMES[n]: {b: by[n] for b, by in theirs.items()} for n in NETWORKS if theirs},
            )
        )
    return pictures


def bands(found: ByFrequency) -> Picture:
    """Accuracy of networks that saw one band alone, beside the published curve over shares of the side."""
    curves = {
        name: {one.bandwidth / found.side: one.accuracy for one in found.kept if one.passes == passes}
        for passes, name in PASSES.items()
    }
    caption = (
        "Networks trained and tested on images of which only the B × B lowest or highest frequencies are left. Upper "
        "dotted line: the standard network on whole images; dashed: chance. Open marks: published, ResNet-50 on "
        f"ImageNet, where chance is 0.1 %. Bars: standard error{seeds_phrase(found.config.seeds)}."
    )
    return lines(
        "bands",
        "Trained and tested on one band",
        "bandwidth kept, as a share of the side",
        "accuracy, %",
        curves,
        BANDS,
        caption,
        at=found.chance,
        levels={"standard network on whole images": found.accuracy[STANDARD]},
        published={PASSES[p]: {b / IMAGENET_SIDE: v for b, v in of.items()} for p, of in published.FIGURE_1.items()},
    )


# -- the images themselves


def filtered_images(found: ByFrequency) -> Picture | None:
    """High-passed images as they are, which is grey, and the same stretched; low-passed ones beside them."""
    if not (chosen := _chosen(found)):
        return None
    rows: dict[str, list[Pixels]] = {
        "the images": samples.pixels(_rows(found, FourierCell("shown", 0)), chosen.values())
    }
    for passes, bandwidth in _bandwidths(found):
        if not (band := _rows(found, FourierCell("band", 0, "", passes, bandwidth))):
            continue
        left, title = samples.pixels(band, chosen.values()), f"{passes}-pass {bandwidth}"
        if passes == "low":
            rows[title] = [np.clip(image, 0, 1) for image in left]
        else:
            rows[f"{title},\nat a grey of one half"] = [np.clip(image + 0.5, 0, 1) for image in left]
            rows[f"{title},\neach stretched"] = [_stretched(image) for image in left]
    caption = (
        "The first test images of their classes, not chosen for looks. High-passed images have mean 0 and little "
        "contrast: with a grey of one half beneath they are grey to the eye. Stretched from their darkest to their "
        "brightest pixel they show what is in them; networks are trained on them as they are, unstretched."
    )
    named = {row: list(zip(chosen, pixels, strict=True)) for row, pixels in rows.items()}
    return images("filtered_images", "What one band leaves", named, caption)


def corrupted_images(found: ByFrequency) -> Picture | None:
    """One test image under every corruption that was measured, by their families."""
    if not (chosen := _chosen(found)):
        return None
    (name, example), *_ = chosen.items()
    data, seed = _rows(found, FourierCell("shown", 0)), _seed(found)
    where = int(np.flatnonzero(data["id"] == example)[0])
    image, ids = data["image"][where : where + 1], data["id"][where : where + 1]
    frost = found.built.artifacts.get(FourierCell("frost", seed))
    frozen = () if frost is None else photographs(frost)
    rows: dict[str, list[tuple[str, Pixels]]] = {"as it is": [(name, unit(image[0]))]}
    for of in (change.what for change in found.corruptions if change.what != FROST or frozen):
        pixels = corrupted(of, MOST_SEVERE, as_bytes(image), ids, seed, frozen)[0]
        rows.setdefault(family(of), []).append((words(of), unit(pixels)))
    caption = (
        f"One test image ({name}) under {len(found.corruptions)} corruptions at severity {MOST_SEVERE}, the most "
        "severe, as the networks are asked."
    )
    return images("corrupted_images", "One image under the corruptions", rows, caption, side=1.42)


def _bandwidths(found: ByFrequency) -> list[tuple[str, int]]:
    """One low-pass; of the high-passes the nearest to the published one, and the widest."""
    low = [kept.bandwidth for kept in found.kept if kept.passes == "low"]
    high = [kept.bandwidth for kept in found.kept if kept.passes == "high"]
    shown = [("low", min(low, key=lambda b: abs(b - found.side / 4)))] if low else []
    if (near := found.nearest_invisible) is not None:
        shown += [("high", bandwidth) for bandwidth in dict.fromkeys((near.bandwidth, max(high)))]
    return shown


def _chosen(found: ByFrequency) -> dict[str, int]:
    """Ids of the first test images by row, each of another class, by the name of their class."""
    batch = _rows(found, FourierCell("shown", 0))
    first = samples.first_of_classes(batch) if batch else {}
    return {found.class_names[label]: example for label, example in first.items()}


def _seed(found: ByFrequency) -> int:
    """The first that has test images, for all pictures are of these."""
    seeds = [seed for seed in found.config.seeds if FourierCell("shown", seed) in found.built.artifacts]
    return seeds[0] if seeds else found.config.seeds[0]


def _rows(found: ByFrequency, cell: FourierCell) -> Batch:
    """The first images of a set, of the seed that is shown; empty where it was not built."""
    artifact = found.built.artifacts.get(cell._replace(seed=_seed(found)))
    return {} if artifact is None else artifact.batch(0, samples.READ_ROWS)


def _stretched(image: Pixels) -> Pixels:
    low, high = float(image.min()), float(image.max())
    return (image - low) / (high - low) if high > low else np.full_like(image, 0.5)
