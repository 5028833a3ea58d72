"""What the worlds where the answer is known say about rows 32, 34 to 39 and 45."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from raylab.config import Config, as_dict
from raylab.core.statistics import Estimate
from raylab.data import Cut
from raylab.recipes.theory import Theory
from raylab.report.estimates import difference
from raylab.report.per_seed import of_samples
from raylab.report.scoreboard.evidence import Evidence
from raylab.report.scoreboard.protocol import differing
from raylab.report.theory import targets
from raylab.report.theory.table import Result
from raylab.report.theory.targets import EPS, IMAGES, SYNTHETIC, Found
from raylab.stages.quantities import exact
from raylab.stages.theory import fit_name

NUM_FITTED = 15  # multipliers and variances of row 35


def evidence(result: Result) -> Iterator[Evidence]:
    """Of every world that was run at the numbers that the rows are about."""
    yield from _squares(result)
    yield from _gaussian(result)
    yield from _images(result)
    yield from _two_layer(result)
    yield from _synthetic(result)


def _squares(result: Result) -> Iterator[Evidence]:
    c, found = result.config.squares, result.found("squares")
    largest = max(c.dimensions)
    protocol = differing(
        (
            f"d = {largest}" if largest != 3072 else "",
            f"n = {c.examples}" if c.examples != 10_000 else "",
            "whitened two-layer network for ResNet-18",
        )
    )
    on = f"squares, d = {largest}"
    yield Evidence(32, "training accuracy", found[f"d {largest} train"], on, protocol)
    if 0.01 in c.radii:
        yield Evidence(32, "accuracy left at .01", found[f"d {largest} robust 0.01"], on, protocol)
        first = found[f"d {largest} first robust 0.01"]
        yield Evidence(32, "accuracy left at .01 after one epoch", first, on, protocol)


def _gaussian(result: Result) -> Iterator[Evidence]:
    c, found = result.config.gaussian, result.found("gaussian")
    if c.gain == ((1.0, 4.0), 2.0):
        yield Evidence(34, "closed form", found["gain"], "formulas")
        sampled = found["gain sampled"]
        yield Evidence(34, "sampled", sampled, "formulas", bounds=of_samples(sampled))
    asked = [one for one in targets.gaussian(result.config, found) if one.target.row == 35]
    if len(asked) == NUM_FITTED:
        worst = max(abs(found[one.quantity].mean - one.target.value) for one in asked)
        yield Evidence(35, "largest deviation from the table", exact(worst), "formulas")
    yield Evidence(36, "closed form", found["hard"], "formulas")
    yield _once(Evidence(36, "by training", found["hard learned"], "formulas"))
    third = ((100.0, 1.0), 1.0)
    if third in c.fits:
        name = fit_name(*third)
        yield Evidence(37, "κ after", found[f"{name} kappa after"], "formulas")
        yield Evidence(37, "worst cosine before", found[f"{name} cos before"], "formulas")
        yield Evidence(37, "worst cosine after", found[f"{name} cos after"], "formulas")


def _images(result: Result) -> Iterator[Evidence]:
    """Of MNIST alone."""
    c = result.config
    if "images published" not in result.by_seed or c.images is None or c.images.name != "mnist":
        return
    found, on = result.found("images published"), "MNIST 1 and 2, the published draws, float32"
    part = "" if c.images.cut == Cut() else "a part of MNIST"
    protocol = differing((part, _changed(c.two_layer_images, Theory().two_layer_images)))
    for quantity, name in IMAGES.items():
        if quantity in found:
            yield _once(Evidence(38, name, found[quantity], on, protocol))


def _two_layer(result: Result) -> Iterator[Evidence]:
    """The published run once more; and draws of our own, where the labels' sum decides how much can be learnt."""
    published, own = result.by_seed["two_layer published"], result.by_seed["two_layer"]
    on, changed = "shifted Gaussians, {}, float32", _changed(result.config.two_layer, Theory().two_layer)
    for eps, name in EPS.items():
        if (quantity := f"eps {eps}") in published[0]:
            ours = published[0][quantity]
            yield _once(Evidence(39, f"perturbations only, {name}", ours, on.format("the published draws"), changed))
    sums = ", ".join(f"{found['label sum'].mean:g}" for found in own.values()).replace("-", "−")
    for more, less in pairwise(EPS):
        if not {f"eps {more}", f"eps {less}"} <= published[0].keys():
            continue
        name = f"{EPS[more]} minus {EPS[less]}"
        yield _once(Evidence(39, name, _excess(published, more, less), on.format("the published draws"), changed))
        yield Evidence(
            39, name, _excess(own, more, less), on.format("draws of our own"),
            differing(("labels by fair coins", changed)),
            f"what can be learnt hangs on the sum of the random labels: {sums}; published: −12",
        )  # fmt: skip


def _synthetic(result: Result) -> Iterator[Evidence]:
    """As computed there, from samples; and the limits of endless data. How many inversions an example of D_R had is not
    stated, and decides its robustness: a run of its own for each number."""
    c, found = result.config.synthetic, result.found("synthetic")
    changed, on = _changed(c, Theory().synthetic), "synthetic world"
    for quantity, name in SYNTHETIC.items():
        if quantity in found and quantity != "D_R 2":
            yield Evidence(45, name, found[quantity], on, changed)
        if f"{quantity} limit" in found:
            endless = differing(("endless data for n = 10\u202f000", changed))
            yield Evidence(45, name, found[f"{quantity} limit"], f"{on}, endless data", endless)
    for quantity, starts in (("D_R 2", 1), ("D_R many 2", c.starts)):
        where = f"{on}, inversions of an example from {starts} start{'s' if starts > 1 else ''}"
        yield Evidence(45, "D_R, 2η", found[quantity], where, differing(("starts are not stated", changed)))


def _once(found: Evidence) -> Evidence:
    """The published run once more, draw by draw, or one long run to an optimum: there are no others to spread over."""
    return found._replace(bounds=(found.ours.mean, found.ours.mean))


def _excess(by_seed: Mapping[int, Found], more: str, less: str) -> Estimate:
    return difference(*({seed: found[f"eps {eps}"] for seed, found in by_seed.items()} for eps in (more, less)))


def _changed(config: Config, default: Config) -> str:
    """The fields that are not as published, with their values."""
    return ", ".join(f"{name} {value}" for name, value in as_dict(config).items() if value != as_dict(default)[name])
