"""What the worlds where the answer is known say about rows 32, 34 to 39 and 45."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from raylab.config import Config, as_dict
from raylab.data import Cut
from raylab.experiments.theory import targets
from raylab.experiments.theory.config import Theory
from raylab.experiments.theory.measure import Quantities, TheoryWorlds
from raylab.experiments.theory.targets import EPS, IMAGES, SYNTHETIC
from raylab.report.per_seed import PerSeed, of_samples
from raylab.scoreboard.evidence import Evidence
from raylab.scoreboard.protocol import differing
from raylab.stages.quantities import exact
from raylab.stages.theory import fit_name

NUM_FITTED = 15  # multipliers and variances of row 35


def evidence(worlds: TheoryWorlds) -> Iterator[Evidence]:
    """Of every world that was run at the numbers that the rows are about."""
    found = (*_squares(worlds), *_gaussian(worlds), *_images(worlds), *_two_layer(worlds), *_synthetic(worlds))
    yield from (one for one in found if not math.isnan(one.ours.mean))


def _squares(worlds: TheoryWorlds) -> Iterator[Evidence]:
    c, found = worlds.config.squares, worlds.found("squares")
    largest = max(c.dimensions)
    protocol = differing(
        (
            f"d = {largest}" if largest != 3072 else "",
            f"n = {c.examples}" if c.examples != 10_000 else "",
            "whitened two-layer network for ResNet-18",
        )
    )
    on = f"squares, d = {largest}"
    yield Evidence(32, "training accuracy", found[f"d {largest} train"].mean, on, protocol)
    if 0.01 in c.radii:
        yield Evidence(32, "accuracy left at .01", found[f"d {largest} robust 0.01"].mean, on, protocol)
        first = found[f"d {largest} first robust 0.01"].mean
        yield Evidence(32, "accuracy left at .01 after one epoch", first, on, protocol)


def _gaussian(worlds: TheoryWorlds) -> Iterator[Evidence]:
    c, found = worlds.config.gaussian, worlds.found("gaussian")
    if c.gain == ((1.0, 4.0), 2.0):
        yield Evidence(34, "closed form", found["gain"].mean, "formulas")
        sampled = found["gain sampled"].mean
        yield Evidence(34, "sampled", sampled, "formulas", bounds=of_samples(sampled))
    asked = [one for one in targets.gaussian(worlds.config, found) if one.target.row == 35]
    if len(asked) == NUM_FITTED:
        worst = max(abs(found[one.quantity].mean.mean - one.target.value) for one in asked)
        yield Evidence(35, "largest deviation from the table", exact(worst), "formulas")
    yield Evidence(36, "closed form", found["hard"].mean, "formulas")
    yield _once(36, "by training", found["hard learned"], "formulas")
    third = ((100.0, 1.0), 1.0)
    if third in c.fits:
        name = fit_name(*third)
        yield Evidence(37, "κ after", found[f"{name} kappa after"].mean, "formulas")
        yield Evidence(37, "worst cosine before", found[f"{name} cos before"].mean, "formulas")
        yield Evidence(37, "worst cosine after", found[f"{name} cos after"].mean, "formulas")


def _images(worlds: TheoryWorlds) -> Iterator[Evidence]:
    """Of MNIST alone."""
    c, found = worlds.config, worlds.found("images published")
    if c.images is None or c.images.name != "mnist":
        return
    part = "" if c.images.cut == Cut() else "a part of MNIST"
    protocol = differing((part, _changed(c.two_layer_images, Theory().two_layer_images)))
    for quantity, name in IMAGES.items():
        yield _once(38, name, found[quantity], "MNIST 1 and 2, the published draws, float32", protocol)


def _two_layer(worlds: TheoryWorlds) -> Iterator[Evidence]:
    """The published run once more; and draws of our own, where the labels' sum decides how much can be learnt."""
    published, own = worlds.found("two_layer published"), worlds.found("two_layer")
    on, changed = "shifted Gaussians, {}, float32", _changed(worlds.config.two_layer, Theory().two_layer)
    for eps, name in EPS.items():
        yield _once(
            39, f"perturbations only, {name}", published[f"eps {eps}"], on.format("the published draws"), changed
        )
    sums = ", ".join(f"{one.mean:g}" for one in own["label sum"].values()).replace("-", "−")
    for more, less in pairwise(EPS):
        name = f"{EPS[more]} minus {EPS[less]}"
        yield _once(39, name, _excess(published, more, less), on.format("the published draws"), changed)
        yield Evidence(
            39, name, _excess(own, more, less).mean, on.format("draws of our own"),
            differing(("labels by fair coins", changed)),
            f"what can be learnt hangs on the sum of the random labels: {sums}; published: −12",
        )  # fmt: skip


def _synthetic(worlds: TheoryWorlds) -> Iterator[Evidence]:
    """As computed there, from samples; and the limits of endless data. How many inversions an example of D_R had is not
    stated, and decides its robustness: a run of its own for each number."""
    c, found = worlds.config.synthetic, worlds.found("synthetic")
    changed, on = _changed(c, Theory().synthetic), "synthetic world"
    for quantity, name in SYNTHETIC.items():
        if quantity != "D_R 2":
            yield Evidence(45, name, found[quantity].mean, on, changed)
        endless = differing(("endless data for n = 10\u202f000", changed))
        yield Evidence(45, name, found[f"{quantity} limit"].mean, f"{on}, endless data", endless)
    for quantity, starts in (("D_R 2", 1), ("D_R many 2", c.starts)):
        where = f"{on}, inversions of an example from {starts} start{'s' if starts > 1 else ''}"
        yield Evidence(45, "D_R, 2η", found[quantity].mean, where, differing(("starts are not stated", changed)))


def _once(row: int, name: str, found: PerSeed, on: str, protocol: str = "") -> Evidence:
    """The published run once more, draw by draw, or one long run to an optimum: there are no others to spread over."""
    ours = found.mean
    return Evidence(row, name, ours, on, protocol, bounds=(ours.mean, ours.mean))


def _excess(found: Quantities, more: str, less: str) -> PerSeed:
    return found[f"eps {more}"] - found[f"eps {less}"]


def _changed(config: Config, default: Config) -> str:
    """The fields that are not as published, with their values."""
    return ", ".join(f"{name} {value}" for name, value in as_dict(config).items() if value != as_dict(default)[name])
