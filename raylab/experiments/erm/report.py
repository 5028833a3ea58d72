"""The report on the planet: which features networks rely on, and what more data, pixels and explanations change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from operator import itemgetter

import numpy as np

from raylab.core.statistics import Estimate
from raylab.experiments import worlds
from raylab.experiments.erm import figures
from raylab.experiments.erm.measure import LABELS, WORLDS, Planet, answers
from raylab.experiments.erm.plan import TOOGITS, ErmCell
from raylab.experiments.erm.verdict import (
    Expectation,
    answer,
    counted,
    expectations,
    noun,
    of_explanations,
    of_networks,
)
from raylab.report.blocks import Block, Condition, Figures, Fold, Report, Table, Text, Verdict, Verdicts, each, note
from raylab.report.names import FEATURES, NON_ROBUST, ROBUST
from raylab.report.numbers import share
from raylab.report.per_seed import PerSeed
from raylab.report.values import Badge, Share, Spanned, Value
from raylab.tracking import Param

NO_SCORE = (
    "Not run: the verdict against the truth of many worlds. To run it: python jobs/erm.py configs/erm/worlds.yaml"
)


def report(planet: Planet) -> Report:
    """Of the planet's networks, of many worlds, or of digits alone: whatever was asked first."""
    title, score = f"The planet Erm: {planet.config.study}", planet.worlds
    judged = None if score is None else worlds.report(score)
    blocks = tuple(_blocks(planet, judged))
    if planet.networks:
        metrics = {f"statements/{words.replace(' ', '_')}": float(n) for words, n in counted(planet).items()}
        metrics |= judged.metrics if judged else {}
        return Report(title, answer(planet), blocks, figures.reliance(planet), "networks", metrics)
    if judged is not None:
        return replace(judged, title=title, blocks=blocks)
    return Report(title, _of_digits(planet), blocks)


def _blocks(planet: Planet, judged: Report | None) -> Iterator[Block]:
    for one in planet.notes:
        yield from note(one)
    if planet.networks:
        yield Verdicts("Which feature every network relies on.", of_networks(planet), "Network")
        yield Figures((figures.accuracy(planet),))
        yield _networks(planet)
        yield Text(
            "In the tables of statements, intervals are of 95 % and over worlds. As expected: the interval lies inside "
            "the bounds that the story asks for; not as expected: outside; else it cannot decide. Statements without "
            "bounds are measured only."
        )
        yield from _statements(planet, "reliance", "What the numbers allow to be said of networks and of D_det.")
    if found := tuple(figures.examples(planet)):
        yield Text("What an attack adds", look="heading")
        yield Figures(found)
    if planet.points:
        yield from _grown_blocks(planet)
    if planet.explained:
        yield Text("What an explanation shows", look="heading")
        yield Figures((figures.gradients(planet),))
        yield Verdicts("What gradients show.", of_explanations(planet))
        caption = "A gradient is expected to lie more in the feature that its network relies on. Shares of its energy."
        yield from _statements(planet, "explanations", caption)
        yield Fold("The same in numbers", (_energies(planet),))
    yield Text("How often the verdict is wrong", look="heading")
    if judged is None:
        yield Text(NO_SCORE)
        return
    yield Text(f"{judged.title}. {judged.answer.sentence}")
    if planet.networks and judged.picture is not None:
        yield Figures((judged.picture,))
    yield from judged.blocks


def _grown_blocks(planet: Planet) -> Iterator[Block]:
    yield Text("More data, more pixels", look="heading")
    yield Text(
        "Two older explanations predict otherwise: that vulnerability vanishes with more data, and that it grows with "
        "the number of pixels alone."
    )
    yield Figures(tuple(figures.grown(planet)))
    lost = "Lost: right answers that an attack takes."
    yield from _statements(planet, "more data", f"Standard networks with more training images. {lost}")
    yield from _statements(planet, "more pixels", f"Standard networks with more pixels a side. {lost}")
    yield Fold("The same in numbers", (_grown(planet),))


def _of_digits(planet: Planet) -> Verdict:
    """Of a study of digits alone, where nobody knows the features: what the robust network says of D_det."""
    found = answers(planet, "digits", planet.config.digits.seed) if planet.config.digits else None
    if found is None:
        return Verdict("D_det of digits", Badge("open", "not built"), "The set, or its answers, were not built.")
    return Verdict(
        "D_det of digits",
        Badge("open", "measured"),
        f"The attack succeeds on {share(found.success)} % of the images; the robust network calls {share(found.own)} % "
        f"of the set by their own class and {share(found.label)} % by the new label.",
    )


# -- tables


def _networks(planet: Planet) -> Table:
    """A line a network; first what could be had at most."""
    rows: list[tuple[Value, ...]] = []
    for name, ceiling in planet.ceilings.items():
        by_feature = {feature: _exactly(float(feature == name)) for feature in (ROBUST, NON_ROBUST)}
        alone = {feature: one if feature == name else None for feature, one in by_feature.items()}
        rows.append((f"{name} only", ceiling, *by_feature.values(), *alone.values()))
    for name, use in planet.networks.items():
        rows.append((LABELS[name], use.accuracy, use.robust, use.non_robust, use.robust_alone, use.non_robust_alone))
    headers = ("Network", "Accuracy", "Robust", "Non-robust", "Robust alone", "Non-robust alone")
    return Table.of(
        "networks",
        "Accuracy on clean test images; of the images whose features disagree those called by the robust and by the "
        "non-robust one; and of images with one feature alone those called by it. In percent, mean ± standard error "
        "over worlds. The first two lines are what could be had at most.",
        rows,
        {head: itemgetter(place) for place, head in enumerate(headers)},
    )


def _exactly(value: float) -> Estimate:
    """A number that is computed, in percent as those that are measured."""
    return Estimate(value, np.nan, 0, 0)


def _grown(planet: Planet) -> Table:
    return Table.of(
        "grown",
        "Standard networks by training images and by pixels: accuracy, the share of right answers that an attack of "
        "each L2 radius takes, and the images whose features disagree that are called by either. In percent.",
        planet.points,
        {
            "Non-robust features": lambda point: "tell" if point.world == TOOGITS else "tell nothing",
            "Size": lambda point: f"{point.size} images" if point.part == "more_data" else f"{point.size}² pixels",
            "Accuracy": lambda point: point.accuracy,
            **each(planet.config.eps, "Lost at {:g}", lambda radius, point: point.lost[radius]),
            "Robust": lambda point: point.robust,
            "Non-robust": lambda point: point.non_robust,
        },
        keys=2,
    )


def _energies(planet: Planet) -> Table:
    by_chance = {feature: _exactly(energy) for feature, energy in planet.by_chance.items()}
    rows: list[tuple[str, str, Mapping[str, PerSeed | Estimate]]] = [("a random direction", "–", by_chance)]
    rows += [(LABELS[name], f"{sigma:g}" if sigma else "none", of) for (name, sigma), of in planet.explained.items()]
    return Table.of(
        "energies",
        "Energy of input gradients by feature, in percent.",
        rows,
        {
            "Network": lambda row: row[0],
            "Noise": lambda row: row[1],
            **each(FEATURES, "In the {}s", lambda feature, row: row[2][feature]),
        },
        keys=2,
    )


def _statements(planet: Planet, part: str, caption: str) -> Iterator[Table]:
    if rows := [one for one in expectations(planet) if one.part == part]:
        yield Table.of(
            f"statements_{part.replace(' ', '_')}",
            caption,
            rows,
            {
                "Of": lambda one: one.of,
                "Statement": lambda one: one.quantity,
                "Ours": _ours,
                "Unit": lambda one: one.unit,
                "Verdict": lambda one: one.badge,
                "At least": lambda one: _bound(one.low),
                "At most": lambda one: _bound(one.high),
                "n": lambda one: one.ours.mean.n,
                "Worlds": lambda one: one.ours.mean.seeds,
            },
            keys=2,
            bold="Ours",
        )


def _ours(one: Expectation) -> Value:
    return Spanned(one.ours, 2 if one.unit == "correlation" else None)


def _bound(value: float) -> Share | None:
    return Share(value, 0) if np.isfinite(value) else None


def conditions(planet: Planet) -> Iterator[Condition]:
    """Every network on the probes, then standard networks by training images and by pixels."""
    judged = {one.subject: one.badge.words for one in of_networks(planet)}
    sets = {"standard": "data", "robust": "data", "det": "set"}  # of those that were trained on a set of this study
    for name, use in planet.networks.items():
        energies = {
            f"gradient/{feature.split(' ')[0]}{f'_smoothed_{sigma:g}' if sigma else ''}": shares[feature]
            for (of, sigma), shares in planet.explained.items()
            for feature in FEATURES
            if of == name
        }
        metrics = {
            "accuracy/test": use.accuracy,
            "reliance/robust": use.robust,
            "reliance/non_robust": use.non_robust,
            "reliance/robust_alone": use.robust_alone,
            "reliance/non_robust_alone": use.non_robust_alone,
            **energies,
        }
        trained_on = ErmCell(sets[name], "usage", 0) if name in sets else None
        yield Condition(
            _params("usage", name), metrics, judged[noun(name)], ErmCell("network", "usage", 0, name), trained_on
        )
    for point in planet.points:
        yield Condition(
            _params(point.part, "standard", WORLDS[point.world], point.size),
            {
                "accuracy/test": point.accuracy,
                **{f"robust/lost_l2_{radius:g}": lost for radius, lost in point.lost.items()},
                "reliance/robust": point.robust,
                "reliance/non_robust": point.non_robust,
            },
            network=ErmCell("test", point.part, 0, kind=point.world, size=point.size),
        )


def _params(part: str, name: str, world: str = "", size: int = 0) -> dict[str, Param]:
    return {"part": part, "network_kind": LABELS[name], "world": world, "size": size}
