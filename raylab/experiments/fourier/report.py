"""The report of Fourier analysis: the answer, tables and figures, each said once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

from raylab.core.corruptions import SEVERITIES
from raylab.experiments.fourier import figures
from raylab.experiments.fourier.config import ADVERSARIAL, GAUSSIAN, NETWORKS, STANDARD
from raylab.experiments.fourier.measure import ByFrequency, Change
from raylab.experiments.fourier.plan import FourierCell
from raylab.experiments.fourier.published import NAMES, PROTOCOL, QUOTE, QUOTED, SOURCE, TABLE_2, words
from raylab.experiments.fourier.verdict import OTHERS, answer, statements, verdicts
from raylab.report.blocks import Block, Condition, Figures, Fold, Report, Table, Text, Verdicts, each, note
from raylab.report.drawing import seeds_phrase
from raylab.report.numbers import percent, share
from raylab.report.picture import Picture
from raylab.report.significance import EVERY_TEST, paired_tests
from raylab.report.values import Fixed, Singles, Spanned, Value
from raylab.stages.heat_map import BANDS, THIRDS

BESIDE = (GAUSSIAN, ADVERSARIAL)  # of the standard network, in tables


def report(found: ByFrequency) -> Report:
    return Report(
        found.title, answer(found), tuple(_blocks(found)), figures.profiles(found), "bands", dict(_metrics(found))
    )


def _blocks(found: ByFrequency) -> Iterator[Block]:
    yield from note(found.note, found.collapsed)
    caption = "Is robustness at low frequencies given for that at high ones? Each network against the standard one."
    yield Verdicts(caption, verdicts(found), "Network")
    yield from _drawn(figures.heat_maps(found))
    yield Text("What this size can show", tuple(_size(found)), "aside")
    yield _bands(found)
    yield _statements(found)
    if (tested := _tests(found)).rows:
        yield Fold(EVERY_TEST, (tested,))
    yield _places(found)
    if found.corruptions:
        yield Text("Corruptions", look="heading")
        if any(found.corruption(name) for name in QUOTED):
            yield Text(QUOTE)
        yield from _drawn(figures.corruption_changes(found), figures.corrupted_images(found))
        yield _corruptions(found)
        yield Fold("By severity", (_severities(found),))
    if found.noise:
        yield Text("Noise of a band", look="heading")
        yield from _drawn(*figures.noise(found))
        yield Fold("The same in numbers", (_noise(found),))
    if found.kept:
        yield Text("Training on one band", look="heading")
        yield from _drawn(figures.bands(found), figures.filtered_images(found))
        yield _kept(found)


def _drawn(*pictures: Picture | None) -> Iterator[Block]:
    if there := tuple(picture for picture in pictures if picture is not None):
        yield Figures(there)


def _size(found: ByFrequency) -> Iterator[str]:
    seeds = len(found.config.seeds)
    tested = max((one.n for of in found.accuracy.values() for one in of.values()), default=0)
    yield (
        f"Clean accuracy on {tested:,} test images a seed: "
        + ", ".join(f"{NAMES[name]} {percent(found.accuracy[name].mean)}" for name in NETWORKS)
        + f"; {seeds} seed{'s' * (seeds > 1)}."
    )
    if seeds == 1:
        yield "One seed says nothing of another network, split or world: nothing is decided."
    if found.config.data.name == "seefar":
        yield (
            "See-Far is synthetic: what tells its classes lies at 0.5 to 2.3 cycles (robust features; See-Far calls "
            "them shapes) and at 5 to 8 (non-robust features, its toogits), so corruptions of photographs stand here "
            "for their frequencies alone."
        )


# -- tables


def _bands(found: ByFrequency) -> Table:
    return Table.of(
        "bands",
        f"Error in percent, mean ± standard error{seeds_phrase(found.config.seeds)}: on clean images, by third of the "
        "frequencies, and how far each lies above the network’s own error on clean images. Low: up to a third of the "
        "highest frequency along a side; high: from two thirds on, corners included; centre: up to an eighth. Every "
        "place of the plane counts once. Test accuracy is on all test images.",
        NETWORKS,
        {
            "Network": lambda name: NAMES[name],
            "Clean": lambda name: found.profiles[name].clean,
            **each(THIRDS, "{}", lambda band, name: found.profiles[name].errors[band]),
            **each(("low", "high", "middle"), "{} − clean", lambda band, name: found.rise(name, band)),
            "centre": lambda name: found.profiles[name].errors["centre"],
            "centre − clean": lambda name: found.rise(name, "centre"),
            "Test accuracy": lambda name: found.accuracy[name],
            **each(found.config.evaluate_on or (), "Accuracy on {}", lambda on, name: found.further[name][on]),
            "n": lambda name: found.profiles[name].clean.mean.n,
        },
    )


def _statements(found: ByFrequency) -> Table:
    return Table.of(
        "statements",
        "Differences of error between two networks, in points, paired over seeds: above zero if the statement is true. "
        "95 % intervals over seeds.",
        [one for name in OTHERS for one in statements(found, name)],
        {
            "Network": lambda one: NAMES[one.network],
            "Statement": lambda one: one.words,
            "Ours": lambda one: Spanned(one.difference),
            "Images": lambda one: one.difference.mean.n,
            "Seeds": lambda one: one.difference.mean.seeds,
            "By rule": lambda one: one.badge,
        },
        keys=2,
    )


def _tests(found: ByFrequency) -> Table:
    return paired_tests(
        "Differences of error between two networks",
        ("Network", "Statement"),
        (((NAMES[name], one.words), one.difference) for name in OTHERS for one in statements(found, name)),
        len(found.config.seeds),
    )


def _places(found: ByFrequency) -> Table:
    """The heat maps: mean error over seeds at every place of the plane."""
    _, height, width = found.shape
    planes = {name: plane for name in NETWORKS if (plane := found.profiles[name].plane) is not None}
    return Table.of(
        "heat_maps",
        "Mean error over seeds at every frequency (i, j).",
        product(range(height), range(width)),
        {
            "i": lambda at: at[0] - height // 2,
            "j": lambda at: at[1] - width // 2,
            **each(planes, "{}", lambda name, at: Fixed(float(planes[name][at]), 4)),
        },
        keys=2,
        only_file=True,
    )


def _changes(first: str, label: Callable[[Change], Value]) -> dict[str, Callable[[Change], Value]]:
    """Columns of accuracy under changes, and of differences to the standard network."""
    columns: dict[str, Callable[[Change], Value]] = {
        first: label,
        **each(NETWORKS, "{}", lambda name, change: change.accuracy[name]),
        **each(BESIDE, "{} − standard", lambda name, change: Spanned(change.above[name])),
        **each(BESIDE, "{}, beyond clean", lambda name, change: Spanned(change.beyond[name])),
    }
    return {words(head): value for head, value in columns.items()}


def _published(name: str, change: Change) -> str | None:
    """73, of table 2, which has no Gaussian noise."""
    return share(TABLE_2[change.what][name], 0) if change.what in TABLE_2 else None


def _corruptions(found: ByFrequency) -> Table:
    n = max(change.accuracy[STANDARD].mean.n for change in found.corruptions)
    seeds = len(found.config.seeds)
    return Table.of(
        "corruptions",
        "Accuracy in percent, mean of five severities. Differences in points with their 95 % interval, paired by image "
        "and seed; beyond clean: after each network’s own clean accuracy is subtracted. Published: "
        f"{SOURCE}, table 2 ({PROTOCOL}). {n} images over {seeds} seed{'s' * (seeds > 1)}.",
        found.corruptions,
        {
            **_changes("Corruption", lambda change: words(change.what)),
            **{words(head): value for head, value in each(NETWORKS, "published, {}", _published).items()},
        },
    )


def _severities(found: ByFrequency) -> Table:
    return Table.of(
        "severities",
        f"Accuracy in percent, severities 1 to 5; means{seeds_phrase(found.config.seeds)}.",
        product(found.corruptions, NETWORKS),
        {
            "Corruption": lambda row: words(row[0].what),
            "Network": lambda row: NAMES[row[1]],
            **each(SEVERITIES, "{}", lambda level, row: row[0].by_severity[row[1]][level - 1]),
        },
        keys=2,
    )


def _noise(found: ByFrequency) -> Table:
    assert found.config.noise is not None
    return Table.of(
        "noise",
        f"Accuracy in percent under noise of L2 norm {found.config.noise.norm:g} a channel.",
        found.noise,
        _changes("Noise", lambda change: f"{change.what}-pass {change.level}"),
    )


def _kept(found: ByFrequency) -> Table:
    return Table.of(
        "kept",
        "Trained and tested on images of which one band is left: accuracy in percent; chance "
        f"{share(found.chance, 0)}.",
        found.kept,
        {
            "Band": lambda one: one.title,
            "Accuracy": lambda one: one.accuracy,
            "Single seeds": lambda one: Singles(one.accuracy),
            "n": lambda one: one.accuracy.mean.n,
        },
    )


# -- for the tracker


def _metrics(found: ByFrequency) -> Iterator[tuple[str, float]]:
    for name in NETWORKS:
        yield f"accuracy/{name}", found.accuracy[name].mean.mean
        yield from ((f"error_above_clean/{band}/{name}", found.rise(name, band).mean.mean) for band in THIRDS)
    for change in found.corruptions:
        yield f"above_standard/{change.what}/{ADVERSARIAL}", change.above[ADVERSARIAL].mean.mean
        yield from ((f"corruption/{change.what}/{name}", change.accuracy[name].mean.mean) for name in NETWORKS)
    yield from ((f"one_band/{one.passes}_{one.bandwidth}", one.accuracy.mean.mean) for one in found.kept)


def conditions(found: ByFrequency) -> Iterator[Condition]:
    """Every network, and every one that was trained on a band."""
    judged = {one.subject: one.badge.words for one in verdicts(found)}
    architecture = found.config.network
    for name in NETWORKS:
        profile = found.profiles[name]
        metrics = {
            "accuracy/test": found.accuracy[name],
            **{f"accuracy_on/{on}": of for on, of in found.further[name].items()},
            "error/clean": profile.clean,
            **{f"error/{band}": profile.errors[band] for band in BANDS},
            **{f"error_above_clean/{band}": profile.rises[band] for band in BANDS},
            **{f"corruption/{change.what}": change.accuracy[name] for change in found.corruptions},
            **{f"noise/{change.what}_{change.level}": change.accuracy[name] for change in found.noise},
        }
        params = {"architecture": architecture, "training": name, "images": "whole"}
        yield Condition(
            params, metrics, judged.get(NAMES[name], ""), FourierCell("network", 0, name), FourierCell("data", 0)
        )
    for one in found.kept:
        params = {"architecture": architecture, "training": "filtered", "images": one.title}
        tested = FourierCell("filtered", 0, "", one.passes, one.bandwidth)
        yield Condition(params, {"accuracy/same_band": one.accuracy}, network=tested)
