"""What robust and non-robust sets say about rows 7, 8, 10 to 13 and 33."""

from __future__ import annotations

from collections.abc import Iterator

from raylab.core.statistics import Estimate, over_seeds, proportion
from raylab.recipes.robust_features import ADVERSARIAL, CLEAN, STANDARD, Cell
from raylab.report.estimates import difference, mean
from raylab.report.robust.table import Row, Table
from raylab.report.scoreboard.evidence import Evidence
from raylab.report.scoreboard.protocol import NORMS, differing, named, of_data, of_networks

QUARTER, HALF = 0.25, 0.5  # the radii of the paper


def evidence(table: Table) -> Iterator[Evidence]:
    """Of the student whose architecture is the source's, as published; of the first where there is none."""
    student = table.config.source if table.config.source in table.config.students else table.config.students[0]
    yield from _standard(table, student)
    yield from _adversarial(table)
    yield from _constructed(table, student)
    yield from _layers(table)


def _standard(table: Table, student: str) -> Iterator[Evidence]:
    row, on, protocol = table.row(CLEAN, student), _on(table, student), _protocol(table, student)
    yield Evidence(7, "clean", row.clean, on, protocol)
    for eps, name in ((QUARTER, "PGD at .25"), (HALF, "PGD at .5")):
        if eps in row.at:
            yield Evidence(7, name, row.at[eps].pgd, on, protocol)
    # Published at .5 of CIFAR-10, whatever radius D_R is judged at; of other images the study says what is large.
    gate = HALF if table.config.data.name == "cifar10" and HALF in row.at else table.config.eps
    yield Evidence(7, "robust at the radius", row.at[gate].worst, on, protocol)


def _adversarial(table: Table) -> Iterator[Evidence]:
    c, row = table.config, table.reference
    adversary = c.adversarial.adversary
    assert adversary is not None
    on = f"{_on(table, c.source)}, trained at {adversary.eps:.3g}"
    protocol = _protocol(table, c.source)
    if c.robustness.norm == "linf":
        yield Evidence(9, "clean", row.clean, on, protocol)
        yield Evidence(9, "PGD", row.at[c.eps].pgd, on, protocol)
        if (ensemble := row.at[c.eps].ensemble) is not None:
            yield Evidence(9, "ensemble", ensemble, on, protocol)
        return
    yield Evidence(8, "clean", row.clean, on, protocol)
    for eps, name in ((QUARTER, "PGD at .25"), (HALF, "PGD at .5")):
        if eps in row.at:
            yield Evidence(8, name, row.at[eps].pgd, on, protocol)
    if HALF in row.at and row.at[HALF].ensemble is not None:
        yield Evidence(8, "ensemble at .5", _known(row.at[HALF].ensemble), on, protocol)
    if row.at[c.eps].ensemble is not None:
        yield Evidence(8, "ensemble above PGD", _ensemble_above_pgd(table, row), on, protocol)


def _constructed(table: Table, student: str) -> Iterator[Evidence]:
    c, on, protocol = table.config, _on(table, student), _protocol(table, student)
    made = {name: table.row(name, student) for name in c.sets}
    for number, name in ((10, "r_image"), (11, "nr_image")):
        if name in made:
            yield Evidence(number, "clean", made[name].clean, on, protocol)
            for eps, quantity in ((QUARTER, "robust at .25"), (HALF, "robust at .5")):
                if eps in made[name].at and (number, eps) != (11, HALF):
                    yield Evidence(number, quantity, made[name].at[eps].pgd, on, protocol)
    if "nr_image" in made:
        above = table.differences[student]["nr_image"]
        yield Evidence(10, "robust above D_NR", above, on, protocol, _unless_robust_is_possible(made["r_image"], table))
    if "nr_noise" in made and "nr_image" in made:
        less = difference(made["nr_noise"].clean_by_seed, made["nr_image"].clean_by_seed)
        yield Evidence(12, "clean", made["nr_noise"].clean, on, protocol)
        yield Evidence(12, "clean above D_NR from images", less, on, protocol)
    shift = next(one for one in table.shifts if one.student == student)
    for quantity, ours in (("own", shift.own), ("moved", shift.constructed), ("test", shift.test)):
        yield Evidence(13, quantity, ours, on, protocol)
    own, moved, test = (_attacked(table, student, role) for role in ("own", "moved", "robust"))
    yield Evidence(13, "own above moved", difference(own, moved), on, protocol)
    yield Evidence(13, "moved above test", difference(moved, test), on, protocol)


def _layers(table: Table) -> Iterator[Evidence]:
    """Of the source's architecture, the logits left out."""
    if (found := table.layers) is None:
        return
    c, hidden = table.config, len(found.layers) - 1
    rows = table.artifacts[Cell("data", c.seeds[0])].rows
    on = f"{named(c.data, table.note)}, {c.source}, {NORMS[c.robustness.norm]} {found.eps:.3g}"
    data = of_data(c.data, "imagenet", table.note, rows)  # which no config has: the nearest is nine superclasses of it
    protocol = differing((data, of_networks((c.source,), "resnet50"), f"{hidden} layers" if hidden != 4 else ""))
    for name, of in (("standard", STANDARD), ("robust", ADVERSARIAL)):
        worst = mean(list(found.worst[of].values()))
        yield Evidence(33, f"{name}, least robust of four layers", worst, on, protocol)
    yield Evidence(33, "standard over robust", found.ratio, on, protocol)
    yield Evidence(33, "robust minus standard", found.above, on, protocol)


def _unless_robust_is_possible(row: Row, table: Table) -> str:
    """Where no student of any set withstands the radius, an order between them cannot be seen."""
    at = row.at[table.config.eps].worst
    return f"D_R withstands the radius in {100 * at.mean:.1f} % only" if at.mean < 0.05 else ""


def _attacked(table: Table, student: str, role: str) -> dict[int, Estimate]:
    """Accuracy under PGD at the main radius, by seed."""
    found, place = {}, table.config.robustness.eps.index(table.config.eps)
    for seed in table.config.seeds:
        metrics = table.artifacts[Cell(role, seed, "r_image", student)].metrics
        share = metrics["pgd"][place if role == "robust" else 0]
        found[seed] = proportion(round(share * metrics["n"]), metrics["n"])
    return found


def _ensemble_above_pgd(table: Table, row: Row) -> Estimate:
    """Of the same images: the ensemble should never leave more of them standing."""
    c, differences, n = table.config, [], 0
    for seed in c.seeds:
        metrics = table.artifacts[Cell("robust", seed, ADVERSARIAL, row.student)].metrics
        place = c.robustness.eps.index(c.eps)
        differences.append(metrics["ensemble"][place] - metrics["pgd"][place])
        n += metrics["n"]
    return over_seeds(differences, n)


def _known(estimate: Estimate | None) -> Estimate:
    assert estimate is not None
    return estimate


def _on(table: Table, network: str) -> str:
    c = table.config
    return f"{named(c.data, table.note)}, {network}, {NORMS[c.robustness.norm]} {c.eps:.3g}"


def _protocol(table: Table, network: str) -> str:
    c = table.config
    rows = table.artifacts[Cell("data", c.seeds[0])].rows
    radius = "" if c.eps in (QUARTER, HALF) else f"{NORMS[c.robustness.norm]} {c.eps:.3g}"
    attacked = table.row(CLEAN, c.students[0]).attacked_clean.n // len(c.seeds)
    return differing(
        (
            of_data(c.data, "cifar10", table.note, rows),
            of_networks((c.source, network), "resnet50"),
            radius,
            f"{attacked} attacked images a seed" if attacked < 10_000 else "",
            f"{c.student.epochs} epochs" if c.student.preset in (None, "small") else "",
        )
    )
