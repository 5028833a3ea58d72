"""What Fourier analysis measures for the scoreboard: rows 21 to 25, and the gate of 27."""

from __future__ import annotations

from collections.abc import Iterator

from raylab.core.statistics import Estimate
from raylab.data import Cut
from raylab.recipes.fourier import ADVERSARIAL, GAUSSIAN, NETWORKS, STANDARD
from raylab.report.estimates import above, mean
from raylab.report.fourier.published import INVISIBLE, words
from raylab.report.fourier.table import Change, Result
from raylab.report.scoreboard import recipes
from raylab.report.scoreboard.evidence import Evidence
from raylab.report.scoreboard.protocol import differing, named
from raylab.report.scoreboard.recipes import of_recipes

PAPER = {STANDARD: "natural", GAUSSIAN: "Gaussian", ADVERSARIAL: "adversarial"}  # as rows.yaml calls them
SIGMA = 0.1  # of the Gaussian noise; the rest of the trainings stands in an appendix that was not to be had
HARMLESS = 0.05  # a change that costs the standard network less accuracy cannot show who withstands it


def evidence(result: Result) -> Iterator[Evidence]:
    """All numbers of ours that a row asks for. The published network, a Wide ResNet 28-10, is not among ours."""
    yield from _heat_map(result)
    yield from _noise(result)
    yield from _corruptions(result)
    yield from _bands(result)


def _heat_map(result: Result) -> Iterator[Evidence]:
    on, protocol = f"{_on(result)}, norm {result.config.heat_map.norm:g}", _protocol(result)
    for band, title in (("centre", "centre"), ("middle", "middle")):
        for name in (STANDARD, ADVERSARIAL):
            value = mean(list(result.profiles[name].errors[band].values()))
            yield Evidence(21, f"{PAPER[name]}, {title}", value, on, protocol)
    # The centre of the gate is the low third: on small images the innermost eighth is the constant alone.
    for band, title in (("high", "high frequencies"), ("low", "centre")):
        yield Evidence(21, f"{title}, adversarial minus natural", result.worse(ADVERSARIAL, band), on, protocol)


def _noise(result: Result) -> Iterator[Evidence]:
    """At the published bandwidth 3 where it was asked, else at the smallest."""
    if result.config.noise is None:
        return
    norm = result.config.noise.norm
    for passes in ("low", "high"):
        of = [change for change in result.noise if change.what == passes]
        if not of:
            continue
        change = next((one for one in of if one.level == 3), of[0])
        on = f"{_on(result)}, norm {norm:g}"
        if change.level == 3:
            for name in NETWORKS:
                yield Evidence(22, f"{passes}-pass 3, {PAPER[name]}", change.accuracy[name], on, _protocol(result))
        for name in (ADVERSARIAL, GAUSSIAN):
            title = f"{passes}-pass, {PAPER[name]} minus natural"
            yield Evidence(22, title, change.above[name], on, _protocol(result), _harmless(change))


def _corruptions(result: Result) -> Iterator[Evidence]:
    on, protocol = _on(result), _protocol(result)
    for row, name in ((23, "fog"), (24, "contrast")):
        if (change := result.corruption(name)) is not None:
            for network in NETWORKS:
                yield Evidence(row, PAPER[network], change.accuracy[network], on, protocol)
            gained = change.above[ADVERSARIAL]
            yield Evidence(row, "adversarial minus natural", gained, on, protocol, _harmless(change))
    for name in ("shot_noise", "glass_blur"):
        if (change := result.corruption(name)) is not None:
            for network in (STANDARD, ADVERSARIAL):
                yield Evidence(25, f"{words(name)}, {PAPER[network]}", change.accuracy[network], on, protocol)
            title, gained = f"{words(name)}, adversarial minus natural", change.above[ADVERSARIAL]
            yield Evidence(25, title, gained, on, protocol, _harmless(change))


def _bands(result: Result) -> Iterator[Evidence]:
    """The high-pass whose share of the side is nearest to the published 105 of 224."""
    side = min(result.size)
    high = [kept for kept in result.kept if kept.passes == "high"]
    if not high:
        return
    near = min(high, key=lambda kept: abs(kept.bandwidth / side - INVISIBLE))
    made = result.config.data.name == "seefar"
    yield Evidence(
        27,
        "high-pass above chance",
        above(near.by_seed, result.chance),
        f"{_on(result)}, bandwidth {near.bandwidth} of {side}",
        f"{named(result.config.data, result.note)}; published: ImageNet, ResNet-50",
        "the images are synthetic: what their frequencies hold was put there" if made else "",
    )


def _harmless(change: Change) -> str:
    lost: Estimate = change.lost[STANDARD]
    if lost.mean >= HARMLESS:
        return ""
    return f"it costs the standard network {100 * lost.mean:.1f} points only".replace("-", "−")


def _on(result: Result) -> str:
    return f"{named(result.config.data, result.note)}, {result.config.network}"


def _protocol(result: Result) -> str:
    c = result.config
    some = "" if c.data.cut == Cut() else ", some of it"
    ours = f"{named(c.data, result.note)}{some}, {c.network}"
    trained = of_recipes(
        ("natural", c.standard, recipes.STANDARD),
        ("Gaussian", c.gaussian, recipes.STANDARD.model_copy(update={"gaussian": SIGMA})),
        ("adversarial", c.adversarial, recipes.LINF),
    )
    return differing((f"{ours}; published: CIFAR-10, Wide ResNet 28-10", trained))
