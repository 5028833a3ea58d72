"""The figures of the planet: reliance, more data and pixels, gradients, and images with what is said of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from raylab.core import explanations
from raylab.core.seefar import World
from raylab.core.statistics import Estimate
from raylab.engine.artifact import Artifact
from raylab.experiments.erm.measure import LABELS, WORLDS, Planet, SetAnswers, answers
from raylab.experiments.erm.plan import NO_TOOGITS, TOOGITS, ErmCell
from raylab.report.charts import Mark, dots, images, lines
from raylab.report.drawing import Pixels, enlarged, magnification, seeds_phrase, unit
from raylab.report.names import FEATURES, NON_ROBUST, ROBUST
from raylab.report.numbers import share
from raylab.report.picture import COLOURS, INK, Picture
from raylab.report.values import Fixed, format_value

ACCURACY = "clean accuracy"
MARKS = {
    ROBUST: Mark(COLOURS[0], "o"),
    NON_ROBUST: Mark(COLOURS[1], "s"),
    ACCURACY: Mark(INK, "D"),
    WORLDS[TOOGITS]: Mark(COLOURS[1], "s"),
    WORLDS[NO_TOOGITS]: Mark(COLOURS[0], "o"),
}
COUNT, READ_ROWS = 4, 1000  # examples on the page, which come from the first rows of a set
FIRST = {"usage": 1, "digits": 4}  # the target of the first example: a gab, and a "4"


def reliance(planet: Planet) -> Picture:
    rows = {LABELS[name]: {ROBUST: use.robust, NON_ROBUST: use.non_robust} for name, use in planet.networks.items()}
    caption = (
        "Images that show the robust feature of one class and the non-robust feature of another, by the feature that a "
        f"network calls them by. Bars: standard error{seeds_phrase(planet.config.seeds)}."
    )
    title = "Which feature a network relies on"
    return dots("reliance", title, "images whose features disagree, %", rows, MARKS, caption)


def accuracy(planet: Planet) -> Picture:
    rows = {f"{feature} alone": {ACCURACY: ceiling} for feature, ceiling in planet.ceilings.items()}
    rows |= {LABELS[name]: {ACCURACY: use.accuracy} for name, use in planet.networks.items()}
    caption = (
        "Accuracy on clean test images. First what either feature alone allows at most: how often it tells the class. "
        f"Bars: standard error{seeds_phrase(planet.config.seeds)}."
    )
    return dots("accuracy", "What that allows", "clean test images, %", rows, MARKS, caption)


def grown(planet: Planet) -> Iterator[Picture]:
    """The share of right answers lost at the last radius, against training images and against pixels."""
    radius = planet.config.eps[-1]
    texts = {
        "more_data": ("More data", "training images", "All trainings see the same number of images in all."),
        "dimension": ("More pixels", "pixels a side", "Both features keep their L2 norms."),
    }
    for part, (title, x, words) in texts.items():
        by_world = {WORLDS[world]: planet.of(part, world) for world in WORLDS}
        curves = {
            world: {float(p.size): p.lost[radius] for p in points} for world, points in by_world.items() if points
        }
        if curves:
            caption = (
                "Right answers of standard networks that an attack takes, in worlds that differ in one thing: whether "
                f"non-robust features tell the class. {words} Bars: standard error{seeds_phrase(planet.config.seeds)}."
            )
            y = f"right answers lost at radius {radius:g}, %"
            yield lines(part, title, x, y, curves, MARKS, caption, log=True)


def gradients(planet: Planet) -> Picture:
    """Energy shares of gradients, plain and smoothed, by network."""
    rows: dict[str, Any] = {
        "a random direction": {feature: Estimate(energy, np.nan, 0, 0) for feature, energy in planet.by_chance.items()}
    }
    for (name, sigma), shares in planet.explained.items():
        rows[f"{LABELS[name]}{f', smoothed at {sigma:g}' if sigma else ''}"] = shares
    caption = (
        "Share of the gradient of the log-odds that lies in the span of all non-robust features, and of all robust "
        "features in all places. Smoothed: the mean gradient over noisy copies (SmoothGrad). Bars: standard error"
        f"{seeds_phrase(planet.config.seeds)}."
    )
    return dots("gradients", "What an explanation shows", "energy of the gradient, %", rows, MARKS, caption)


def examples(planet: Planet) -> Iterator[Picture]:
    """Of See-Far and of digits, where they were run and the attack succeeds among the first images."""
    c = planet.config
    if c.data is not None:
        yield from _examples(planet, "usage", c.seeds[0], c.attack.eps, c.data.world(c.seeds[0]))
    if c.digits is not None:
        yield from _examples(planet, "digits", c.digits.seed, c.digits.attack.eps, None)


def _examples(planet: Planet, part: str, seed: int, eps: float, world: World | None) -> Iterator[Picture]:
    found, cells = answers(planet, part, seed), planet.built.artifacts
    made, clean, judged = (cells.get(ErmCell(role, part, seed)) for role in ("set", "data", "judged"))
    read = cells.get(ErmCell("oracles", part, seed, kind="det")) if world else None
    if found is None or made is None or clean is None or judged is None or (world is not None and read is None):
        return
    batch, before, names = made.batch(0, READ_ROWS), clean.batch(0, READ_ROWS), list(clean.metrics["class_names"])
    original = {int(example): unit(image) for example, image in zip(before["id"], before["image"], strict=True)}
    chosen = [row for row in _chosen(batch, FIRST[part], len(names), world) if int(batch["id"][row]) in original]
    if not chosen:
        return
    images_of = [original[int(batch["id"][row])] for row in chosen]
    added = [unit(batch["image"][row]) - image for row, image in zip(chosen, images_of, strict=True)]
    factor, robust = magnification(added), _by_id(judged, "prediction")
    oracles = {name: _by_id(read, f"{column}_read") for name, column in FEATURES.items()} if read else {}
    rows: dict[str, list[tuple[str, Pixels]]] = {}
    for row, image, delta in zip(chosen, images_of, added, strict=True):
        example, target = int(batch["id"][row]), int(batch["label"][row])
        words = [f"{names[int(batch['source_label'][row])]} + {names[target]} = “{names[target]}”"]
        words += [f"robust network: {names[robust[example]]}", f"standard network: {names[target]}"]
        words += [f"{name}: {names[reads[example]]}" for name, reads in oracles.items()]
        sheet = [("image", image), (f"added × {factor}", enlarged(delta, factor)), ("sum", image + delta)]
        if world is not None:
            pattern = world.toogits[target][None]
            alike = float(explanations.correlation(delta[None], pattern[None])[0])
            words.append(f"correlation: {format_value(Fixed(alike))}")
            size = float(np.linalg.norm(delta))  # as large as what was added, so that the two compare
            sheet.append((f"{names[target]} alone", enlarged(size * pattern, factor)))
        rows["\n".join(words)] = sheet
    title = "Images, what an attack added to them, and their sums"
    yield images(f"examples_{part}", title, rows, _caption(found, world, eps, factor))


def _caption(found: SetAnswers, world: World | None, eps: float, factor: int) -> str:
    agreeing, who = (
        "",
        ("An adversarially trained network stands for the reader; the standard one is the one that was attacked."),
    )
    if world is not None:
        agreeing = " whose features agree with its class and"
        who = (
            "Robust features are seen by their oracle and by an adversarially trained network; non-robust ones by their"
            " oracle and by the standard network that was attacked. Right: the non-robust feature of the new label, "
            "with its correlation with what was added."
        )
    return (
        f"For each new label the first image of D_det{agreeing} on which the attack succeeds, as it does on "
        f"{share(found.success)} % of all; L2 radius {eps:g}, what was added × {factor}, grey is nothing. {who} Of the "
        f"whole set the robust network calls {share(found.own)} % by their own class and {share(found.label)} % by the "
        "new label."
    )


def _chosen(batch: Any, first: int, classes: int, world: World | None) -> Iterator[int]:
    """For each target the first image by row that leads the attacked network to it; of See-Far whose features agree
    with its class, as most do."""
    for step in range(min(COUNT, classes)):
        target = (first + step) % classes
        typical = (batch["label"] == target) & (batch["source_prediction"] == target)
        if world is not None:
            typical = typical & (batch["shape_class"] == batch["source_label"])
            typical = typical & (batch["toogit_class"] == batch["source_label"])
        yield from np.flatnonzero(typical)[:1].tolist()


def _by_id(artifact: Artifact, column: str) -> dict[int, int]:
    rows = artifact.without_images()
    return dict(zip(rows["id"].tolist(), rows[column].tolist(), strict=True))
