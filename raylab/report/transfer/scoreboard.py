"""What a transfer matrix says about the rows of constructed sets (1 to 5), transfer (15 to 17), 40, 41 and 46."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from raylab.core.statistics import Coefficient, Estimate
from raylab.report.estimates import BySeed, above, difference, mean, negated
from raylab.report.scoreboard.evidence import Evidence
from raylab.report.scoreboard.protocol import differing, named, of_attack, of_data, of_networks, radius
from raylab.report.transfer.matrix import TRANSFER, Matrix, Row
from raylab.report.transfer.size import size_of
from raylab.stages.construction import Attack
from raylab.stages.dataset import DigitsData

PUBLISHED = Attack(eps=0.5, steps=100, step_size=0.1)  # of CIFAR-10; Ilyas et al. 2019, appendix C.5
DIGITS = Attack(eps=1.5, steps=100, step_size=0.3)  # of row 46
FULL_SUCCESS = 0.95  # "of the attack: full", from which on a set that teaches nothing says something
VGG = ("vgg16", "vgg_small")
NETWORKS = {
    "vgg16": "VGG-16",
    "inception_v3": "Inception",
    "resnet18": "ResNet-18",
    "densenet121": "DenseNet",
    "resnet50": "ResNet-50",
}
ERRS = "untargeted misclassified"


def evidence(matrix: Matrix) -> Iterator[Evidence]:
    """Of every pair of one architecture, of the correlations, and of the row of architectures from one source."""
    if matrix.config.keep != "all":  # the published sets hold every example
        return
    for row in matrix.rows:
        if row.source == row.target:
            yield from _of_pair(matrix, row)
    if "det" in matrix.config.kinds:
        yield from _of_transfer(matrix)


def _of_pair(matrix: Matrix, row: Row) -> Iterator[Evidence]:
    on = f"{named(matrix.config.data, matrix.note)}, {row.source}, {radius(matrix.config.attack)}"
    protocol = _protocol(matrix, (row.source, row.target), "resnet50")
    chance = row.chance
    weak = f"the attack succeeds on {100 * row.success.mean:.0f} % only"
    undecided = weak if row.success.mean < FULL_SUCCESS else ""
    data = matrix.config.data.name
    if data == "restricted_imagenet":
        if row.kind != "other":
            yield Evidence(5, row.kind, row.accuracy, on, _imagenet(matrix))
        if row.kind == "rand":
            yield Evidence(5, "clean", matrix.standard[row.target], on, _imagenet(matrix))
        return
    if row.kind == "rand":
        yield Evidence(1, "clean", row.accuracy, on, protocol)
        yield Evidence(1, "above chance", above(row.by_seed, chance), on, protocol)
    if row.kind == "det":
        yield Evidence(2, "clean", row.accuracy, on, protocol)
        yield Evidence(2, "above chance", above(row.by_seed, chance), on, protocol, undecided)
        if row.above_p1 is not None:
            yield Evidence(2, "above relabelled", row.above_p1, on, protocol, undecided)
            yield Evidence(3, "relabelled", row.p1, on, protocol)
            yield Evidence(3, "above clean", negated(row.above_p1), on, protocol, undecided)
    if "robust" in row.controls:
        yield from _of_robust_source(row, on, protocol)
    if "leakage" in row.controls and row.kind in ("rand", "det"):
        yield Evidence(41, row.kind, row.controls["leakage"], on, protocol)
    if data == "mnist" and matrix.config.attack.norm == "l2" and row.kind in ("other", "det"):
        differs = _kumano(matrix, row)
        yield Evidence(40, row.kind, row.accuracy, on, differs)
        if row.kind == "det":
            yield Evidence(40, "det above chance", above(row.by_seed, chance), on, differs, undecided)

    if data == "digits" and matrix.config.attack.norm == "l2" and matrix.config.attack.eps == DIGITS.eps:
        yield from _of_digits(matrix, row, on)


def _of_digits(matrix: Matrix, row: Row, on: str) -> Iterator[Evidence]:
    """Row 46; what its recipe does not state (batch size, split, iterate) is no difference."""
    c, data = matrix.config, matrix.config.data
    train = size_of(matrix).train
    as_they_are = isinstance(data, DigitsData) and (data.mean, data.std) == (0.0, 1.0)
    named_recipe = (c.train.epochs, c.train.optimizer, c.train.lr, c.train.schedule, c.train.weight_decay)
    protocol = differing(
        (
            "" if train == 1400 else f"{train} training images",
            "" if as_they_are else "a normalising layer",
            of_networks((row.source, row.target), "mlp"),
            of_attack(c.attack, DIGITS),
            "" if named_recipe == (40, "adamw", 1e-3, "constant", 0.0) else "another training",
        )
    )
    if row.kind in ("rand", "det"):
        yield Evidence(46, row.kind, row.accuracy, on, protocol)
    if row.kind == "det" and row.above_p1 is not None:
        yield Evidence(46, "relabelled", row.p1, on, protocol)
        yield Evidence(46, "det above relabelled", row.above_p1, on, protocol)


def _of_robust_source(row: Row, on: str, protocol: str) -> Iterator[Evidence]:
    clean = row.controls_by_seed["robust"]
    assert row.robust is not None
    if row.kind == "rand":
        yield Evidence(4, "rand", row.controls["robust"], on, protocol)
    if row.kind == "det":
        # Published with a source that holds the attack's radius: where ours does not, the set may teach.
        beyond = f"the attack succeeds on the robust source too, in {100 * row.robust.success.mean:.0f} %"
        excuse = beyond if row.robust.success.mean > 0.05 else ""
        yield Evidence(4, "det", row.controls["robust"], on, protocol)
        yield Evidence(4, "det relabelled", row.robust.p1, on, protocol)
        yield Evidence(4, "det above chance", above(clean, row.chance), on, protocol, excuse)


def _of_transfer(matrix: Matrix) -> Iterator[Evidence]:
    c = matrix.config
    on = f"{named(c.data, matrix.note)}, {len(c.sources)} × {len(c.targets)} networks, {radius(c.attack)}"
    pooled = matrix.correlations["det"]["pooled"]
    protocol = _protocol(matrix, (*c.sources, *c.targets), "")
    if matrix.points and pooled.n >= 3 and len(c.sources) > 1:
        yield _coefficient("Spearman", pooled.spearman, pooled.n, on, matrix, protocol)
        yield _coefficient("Pearson, targeted", pooled.pearson, pooled.n, on, matrix, protocol)
    for source in c.sources:
        rows = {row.target: row for row in matrix.rows if row.kind == "det" and row.source == source}
        if any(name in rows for name in VGG) and len(rows) > 2:
            yield from _of_architectures(matrix, source, rows)


def _of_architectures(matrix: Matrix, source: str, rows: Mapping[str, Row]) -> Iterator[Evidence]:
    """Rows 16 and 17: a VGG is said to learn and to err least, and the source's own architecture to obey most."""
    c = matrix.config
    on = f"{named(c.data, matrix.note)} from {source}, {radius(c.attack)}"
    protocol = _protocol(matrix, (source, *rows), "resnet50")
    vgg = next(name for name in rows if name in VGG)
    learnt = {name: row.by_seed for name, row in rows.items()}
    errs, obeys = (
        {name: {seed: found[rate] for seed, found in row.transfer_by_seed.items()} for name, row in rows.items()}
        for rate in (ERRS, TRANSFER)
    )
    for name, row in rows.items():
        if name in NETWORKS:
            yield Evidence(16, f"{NETWORKS[name]} learns", row.accuracy, on, protocol)
            yield Evidence(16, f"{NETWORKS[name]} errs", mean(list(errs[name].values())), on, protocol)
            yield Evidence(17, NETWORKS[name], row.transfer[TRANSFER], on, protocol)
    if source != vgg:  # published for a source that is none
        lowest = "lowest of the others minus VGG"
        yield Evidence(16, f"{lowest}, learnt", _least_above(learnt, vgg), on, protocol)
        yield Evidence(16, f"{lowest}, transfer", _least_above(errs, vgg), on, protocol)
        yield Evidence(17, lowest, _least_above(obeys, vgg), on, protocol)
        if source in rows:
            others = {name: {seed: negated(e) for seed, e in by.items()} for name, by in obeys.items()}
            own = "own architecture minus highest of the others"
            yield Evidence(17, own, _least_above(others, source), on, protocol)


def _least_above(by_name: Mapping[str, BySeed], name: str) -> Estimate:
    """The smallest of the others' paired differences to one: all are above it where this is above 0."""
    found = [difference(values, by_name[name]) for other, values in by_name.items() if other != name]
    return min(found, key=lambda one: one.mean)


def _coefficient(name: str, found: Coefficient, n: int, on: str, matrix: Matrix, protocol: str) -> Evidence:
    """Its interval resamples sources and targets."""
    ours = Estimate(found.value, float("nan"), n, len(matrix.config.seeds))
    return Evidence(15, name, ours, on, protocol or "raylab's targeted rate", bounds=(found.low, found.high))


def _protocol(matrix: Matrix, networks: tuple[str, ...], published: str) -> str:
    c = matrix.config
    short = c.train.preset in (None, "small")
    return differing(
        (
            of_data(c.data, "cifar10", matrix.note, size_of(matrix).train),
            of_networks(networks, published) if published else ", ".join(dict.fromkeys(networks)),
            of_attack(c.attack, PUBLISHED),
            f"{c.train.epochs} epochs" if short else "",
        )
    )


def _imagenet(matrix: Matrix) -> str:
    return _protocol(matrix, ("resnet50",), "resnet50")


def _kumano(matrix: Matrix, row: Row) -> str:
    """The authors' schedule follows the training loss, which no schedule of ours does."""
    c = matrix.config
    return differing(
        (
            of_data(c.data, "mnist", "", size_of(matrix).train),
            of_networks((row.source, row.target), "kumano_convnet"),
            of_attack(c.attack, Attack(eps=2.0, steps=100, step_size=0.4)),
            f"{c.train.epochs} epochs" if c.train.epochs != 100 else "",
            f"{c.train.optimizer}, schedule {c.train.schedule} for reduce-on-plateau",
        )
    )
