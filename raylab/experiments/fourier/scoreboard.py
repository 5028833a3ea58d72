"""What Fourier analysis measures for the scoreboard: rows 21 to 25, and the criterion of 27."""

from __future__ import annotations

from collections.abc import Iterator

from raylab.data import Cut
from raylab.experiments.fourier.config import ADVERSARIAL, GAUSSIAN, NETWORKS, STANDARD
from raylab.experiments.fourier.measure import ByFrequency, Change
from raylab.experiments.fourier.published import words
from raylab.scoreboard import recipes
from raylab.scoreboard.evidence import Evidence
from raylab.scoreboard.protocol import differing, named
from raylab.scoreboard.recipes import of_recipes

PAPER = {STANDARD: "natural", GAUSSIAN: "Gaussian", ADVERSARIAL: "adversarial"}  # as rows.yaml calls them
SIGMA = 0.1  # of the Gaussian noise; the rest of the trainings stands in an appendix that was not to be had
HARMLESS = 0.05  # a change that costs the standard network less accuracy cannot show who is robust to it


def evidence(found: ByFrequency) -> Iterator[Evidence]:
    """What rows ask for, as far as it was built. The published network, a Wide ResNet 28-10, is not among ours."""
    numbers = (*_heat_map(found), *_noise(found), *_corruptions(found), *_bands(found))
    yield from (one for one in numbers if one.ours.seeds)


def _heat_map(found: ByFrequency) -> Iterator[Evidence]:
    on, protocol = f"{_on(found)}, norm {found.config.heat_map.norm:g}", _protocol(found)
    for band, title in (("centre", "centre"), ("middle", "middle")):
        for name in (STANDARD, ADVERSARIAL):
            yield Evidence(21, f"{PAPER[name]}, {title}", found.profiles[name].errors[band].mean, on, protocol)
    # The centre of the criterion is the low third: on small images the innermost eighth is the constant alone.
    for band, title in (("high", "high frequencies"), ("low", "centre")):
        yield Evidence(21, f"{title}, adversarial minus natural", found.worse(ADVERSARIAL, band).mean, on, protocol)


def _noise(found: ByFrequency) -> Iterator[Evidence]:
    """At the published bandwidth 3 where it was asked, else at the smallest."""
    if found.config.noise is None:
        return
    norm = found.config.noise.norm
    for passes in ("low", "high"):
        of = [change for change in found.noise if change.what == passes]
        if not of:
            continue
        change = next((one for one in of if one.level == 3), of[0])
        on = f"{_on(found)}, norm {norm:g}"
        if change.level == 3:
            for name in NETWORKS:
                yield Evidence(22, f"{passes}-pass 3, {PAPER[name]}", change.accuracy[name].mean, on, _protocol(found))
        for name in (ADVERSARIAL, GAUSSIAN):
            title = f"{passes}-pass, {PAPER[name]} minus natural"
            yield Evidence(22, title, change.above[name].mean, on, _protocol(found), _harmless(change))


def _corruptions(found: ByFrequency) -> Iterator[Evidence]:
    on, protocol = _on(found), _protocol(found)
    for row, name in ((23, "fog"), (24, "contrast")):
        if (change := found.corruption(name)) is not None:
            for network in NETWORKS:
                yield Evidence(row, PAPER[network], change.accuracy[network].mean, on, protocol)
            gained = change.above[ADVERSARIAL].mean
            yield Evidence(row, "adversarial minus natural", gained, on, protocol, _harmless(change))
    for name in ("shot_noise", "glass_blur"):
        if (change := found.corruption(name)) is not None:
            for network in (STANDARD, ADVERSARIAL):
                yield Evidence(25, f"{words(name)}, {PAPER[network]}", change.accuracy[network].mean, on, protocol)
            title, gained = f"{words(name)}, adversarial minus natural", change.above[ADVERSARIAL].mean
            yield Evidence(25, title, gained, on, protocol, _harmless(change))


def _bands(found: ByFrequency) -> Iterator[Evidence]:
    if (near := found.nearest_invisible) is None:
        return
    made = found.config.data.name == "seefar"
    yield Evidence(
        27,
        "high-pass above chance",
        (near.accuracy - found.chance).mean,
        f"{_on(found)}, bandwidth {near.bandwidth} of {found.side}",
        f"{named(found.config.data, found.note)}; published: ImageNet, ResNet-50",
        "the images are synthetic: what their frequencies hold was put there" if made else "",
    )


def _harmless(change: Change) -> str:
    lost = change.lost[STANDARD].mean
    if lost.mean >= HARMLESS:
        return ""
    return f"it costs the standard network {100 * lost.mean:.1f} points only".replace("-", "−")


def _on(found: ByFrequency) -> str:
    return f"{named(found.config.data, found.note)}, {found.config.network}"


def _protocol(found: ByFrequency) -> str:
    c = found.config
    some = "" if c.data.cut == Cut() else ", some of it"
    ours = f"{named(c.data, found.note)}{some}, {c.network}"
    trained = of_recipes(
        ("natural", c.standard, recipes.STANDARD),
        ("Gaussian", c.gaussian, recipes.STANDARD.model_copy(update={"gaussian": SIGMA})),
        ("adversarial", c.adversarial, recipes.LINF),
    )
    return differing((f"{ours}; published: CIFAR-10, Wide ResNet 28-10", trained))
