"""What a transfer matrix says about the rows of constructed sets (1 to 6), transfer (15 to 17), 40, 41 and 46."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from raylab.core.statistics import Coefficient, Estimate, over_seeds, pearson, spearman
from raylab.experiments.transfer.measure import ERRS, FITTED, TRANSFER, Matrix, Row
from raylab.experiments.transfer.plan import TransferCell
from raylab.experiments.transfer.protocol import (
    DIGITS,
    NETWORKS,
    of_architectures,
    of_digits,
    of_imagenet,
    of_jordan,
    of_kumano,
    of_pair,
    of_robust,
)
from raylab.report.numbers import share
from raylab.report.per_seed import PerSeed, bounds_of
from raylab.scoreboard import recipes
from raylab.scoreboard.evidence import Evidence, measured
from raylab.scoreboard.protocol import named, radius, same_radius

FULL_SUCCESS = 0.95  # "of the attack: full", from which on a set that teaches nothing says something
VGG = ("vgg16", "vgg_small")
HOLDS = 0.05  # success on the robust source up to which it holds the attack's radius


def evidence(matrix: Matrix) -> Iterator[Evidence]:
    """Of every pair of one architecture, of the correlations, and of the row of architectures from one source."""
    if matrix.config.keep != "all":  # the published sets hold every example
        return
    for row in matrix.rows:
        if row.source == row.target and row.accuracy and row.success:
            yield from (one for one in _of_pair(matrix, row) if one.ours.seeds)
    if "det" in matrix.config.kinds:
        yield from (one for one in _of_transfer(matrix) if one.ours.seeds)


def _of_pair(matrix: Matrix, row: Row) -> Iterator[Evidence]:
    on = f"{named(matrix.config.data, matrix.note)}, {row.source}, {radius(matrix.config.attack)}"
    weak = f"the attack succeeds on {100 * row.success.mean.mean:.0f} % only"
    undecided = weak if row.success.mean.mean < FULL_SUCCESS else ""
    data, norm = matrix.config.data.name, matrix.config.attack.norm
    if data == "restricted_imagenet":
        yield from _of_imagenet(matrix, row, on)
        return
    if data == "cifar10_1":
        yield from _of_shifted(matrix, row, on)
        return
    if row.kind == "rand":
        yield from _of_rand(matrix, row, on)
    if row.kind == "det":
        yield from _of_det(row, on, of_pair(matrix, row, recipes.DET), undecided)
    if "robust" in row.controls:
        yield from _of_robust_source(row, on, of_robust(matrix, row))
    if "leakage" in row.controls and row.kind in ("rand", "det"):
        yield Evidence(41, row.kind, row.controls["leakage"].mean, on, of_jordan(matrix, row))
    if data == "mnist" and norm == "l2" and row.kind in ("other", "det"):
        differs = of_kumano(matrix, row)
        yield Evidence(40, row.kind, row.accuracy.mean, on, differs)
        if row.kind == "det":
            yield Evidence(40, "det above chance", (row.accuracy - row.chance).mean, on, differs, undecided)
    if data == "digits" and norm == "l2" and same_radius(matrix.config.attack.eps, DIGITS.eps):
        yield from _of_digits(matrix, row, on)


def _of_rand(matrix: Matrix, row: Row, on: str) -> Iterator[Evidence]:
    """A student that has not fitted its set stays near chance whatever the set holds: it is not judged."""
    protocol, seeds = of_pair(matrix, row, recipes.RAND), matrix.config.seeds
    yield Evidence(1, "clean", row.accuracy.mean, on, protocol)
    yield Evidence(1, "above chance", (row.accuracy - row.chance).mean, on, protocol, remark=_leaks(row))
    networks = [
        matrix.built.artifacts.get(TransferCell("network", seed, row.source, row.target, "rand")) for seed in seeds
    ]
    if fits := [network.metrics["accuracy"] for network in networks if network is not None]:
        fit = min(by_epoch[-1] if by_epoch else row.chance for by_epoch in fits)
        ours = Estimate(
            fit, float("nan"), sum(network.metrics["examples"] for network in networks if network), len(fits)
        )
        unfitted = f"a student fits {100 * fit:.0f} % of its set only" if fit < FITTED else ""
        yield Evidence(1, "fit of its own set, lowest seed", ours, on, protocol, unfitted, (fit, fit))


def _of_det(row: Row, on: str, protocol: str, undecided: str) -> Iterator[Evidence]:
    yield Evidence(2, "clean", row.accuracy.mean, on, protocol)
    yield Evidence(2, "above chance", (row.accuracy - row.chance).mean, on, protocol, undecided, remark=_leaks(row))
    yield from measured(2, on, protocol, {"above relabelled": row.above_p1}, undecided)
    if row.above_p1:
        yield from measured(3, on, protocol, {"relabelled": row.p1})
    yield from measured(3, on, protocol, {"above clean": -row.above_p1}, undecided)


def _leaks(row: Row) -> str:
    """What is above chance is no feature's work where a student of meaningless patterns reaches as much."""
    leaked = row.controls.get("leakage")
    if not leaked or leaked.mean.mean < row.accuracy.mean.mean:
        return ""
    return f"a student of its leakage-only set reaches {share(leaked.mean.mean)} %"


def _of_shifted(matrix: Matrix, row: Row, on: str) -> Iterator[Evidence]:
    """Row 6: networks of CIFAR-10 on other test images."""
    if row.kind in ("rand", "det"):
        student = recipes.RAND if row.kind == "rand" else recipes.DET
        yield Evidence(6, row.kind, row.accuracy.mean, on, of_pair(matrix, row, student, "cifar10_1"))


def _of_imagenet(matrix: Matrix, row: Row, on: str) -> Iterator[Evidence]:
    if row.kind not in ("rand", "det"):
        return
    numbers, clean = {row.kind: row.accuracy}, matrix.standard[row.target]
    if row.kind == "rand":
        numbers |= {"clean": clean, "clean above rand": clean - row.accuracy}
        if "det" in matrix.config.kinds:
            numbers["rand above det"] = row.accuracy - matrix.row(row.source, row.target, "det").accuracy
    yield from measured(5, on, of_imagenet(matrix, row), numbers)


def _of_digits(matrix: Matrix, row: Row, on: str) -> Iterator[Evidence]:
    """Row 46."""
    numbers = {row.kind: row.accuracy} if row.kind in ("rand", "det") else {}
    if row.kind == "det" and row.above_p1:
        numbers |= {"relabelled": row.p1, "det above relabelled": row.above_p1}
    yield from measured(46, on, of_digits(matrix, row), numbers)


def _of_robust_source(row: Row, on: str, protocol: str) -> Iterator[Evidence]:
    clean, robust = row.controls["robust"], row.robust
    if row.kind == "rand":
        yield Evidence(4, "rand", clean.mean, on, protocol)
    if row.kind == "det" and robust is not None and robust.success:
        # Published with a source that holds the attack's radius: where ours does not, a student may learn from it.
        success = robust.success.mean.mean
        beyond = f"the attack succeeds on the robust source too, in {100 * success:.0f} %"
        excuse = beyond if success > HOLDS else ""
        yield from measured(4, on, protocol, {"det": clean, "det relabelled": robust.p1})
        above = {"relabelled above clean": robust.p1 - clean, "det above chance": clean - row.chance}
        yield from measured(4, on, protocol, above, excuse)


def _of_transfer(matrix: Matrix) -> Iterator[Evidence]:
    """Row 15 over all pairs of a seed, whose networks are its own; then the mean over seeds.

    Seeds know nothing of other architectures: where architectures can be resampled, that interval counts too.
    """
    c = matrix.config
    on = f"{named(c.data, matrix.note)}, {len(c.sources)} × {len(c.targets)} networks, {radius(c.attack)}"
    det = [row for row in matrix.rows if row.kind == "det"]
    networks = matrix.correlations["det"]["pooled"]
    unknown = Coefficient(math.nan, math.nan, math.nan)
    measures = (
        ("Pearson, untargeted", pearson, ERRS, unknown),
        ("Pearson, targeted", pearson, TRANSFER, networks.pearson),
        ("Spearman", spearman, TRANSFER, networks.spearman),
    )
    protocol = of_architectures(matrix, c.sources, c.targets)
    for name, measure, rate, resampled in measures:
        ours = _over_pairs(measure, det, rate, c.seeds)
        if len(det) >= 3 and ours.seeds:  # a coefficient of a constant is none
            yield Evidence(15, name, ours, on, protocol, bounds=_wider(ours, resampled))
    for source in c.sources:
        rows = {row.target: row for row in det if row.source == source and row.accuracy and row.transfer[TRANSFER]}
        if any(name in rows for name in VGG) and len(rows) > 2:
            yield from _of_architectures(matrix, source, rows)


def _wider(ours: Estimate, resampled: Coefficient) -> tuple[float, float] | None:
    low, high = bounds_of(ours)
    if math.isnan(resampled.low) or math.isnan(low):
        return None
    return min(low, resampled.low), max(high, resampled.high)


def _over_pairs(
    measure: Callable[[Sequence[float], Sequence[float]], float], rows: Sequence[Row], rate: str, seeds: Sequence[int]
) -> Estimate:
    """Of how often a target falls for a source and what it learns from its set."""
    rows = [row for row in rows if all(seed in row.transfer[rate] and seed in row.accuracy for seed in seeds)]
    found = [
        measure([row.transfer[rate][seed].mean for row in rows], [row.accuracy[seed].mean for row in rows])
        for seed in seeds
    ]
    return replace(over_seeds(found, len(rows) * len(seeds)), within=(-1.0, 1.0))


def _of_architectures(matrix: Matrix, source: str, rows: Mapping[str, Row]) -> Iterator[Evidence]:
    """Rows 16 and 17: a VGG is said to learn and to err least, and the source's own architecture to be led most."""
    c = matrix.config
    on = f"{named(c.data, matrix.note)} from {source}, {radius(c.attack)}"
    protocol = of_architectures(matrix, (source,), tuple(rows))
    vgg = next(name for name in rows if name in VGG)
    learnt = {name: row.accuracy for name, row in rows.items()}
    errs, led = ({name: row.transfer[rate] for name, row in rows.items()} for rate in (ERRS, TRANSFER))
    for name, row in rows.items():
        if called := NETWORKS.get(name):
            yield from measured(16, on, protocol, {f"{called} learns": row.accuracy, f"{called} errs": errs[name]})
            yield from measured(17, on, protocol, {called: led[name]})
    if source != vgg:  # published for a source that is none
        lowest = "lowest of the others minus VGG"
        yield Evidence(16, f"{lowest}, learnt", _least_above(learnt, vgg), on, protocol)
        yield Evidence(16, f"{lowest}, transfer", _least_above(errs, vgg), on, protocol)
        yield Evidence(17, lowest, _least_above(led, vgg), on, protocol)
        if source in rows:
            others = {name: -rates for name, rates in led.items()}
            own = "own architecture minus highest of the others"
            yield Evidence(17, own, _least_above(others, source), on, protocol)


def _least_above(by_name: Mapping[str, PerSeed], name: str) -> Estimate:
    """The smallest of the others' paired differences to one: all are above it where this is above 0."""
    found = [(values - by_name[name]).mean for other, values in by_name.items() if other != name]
    return min(found, key=lambda one: one.mean)
