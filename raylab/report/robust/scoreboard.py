"""What robust and non-robust sets say about rows 7 to 14 and 33."""

from __future__ import annotations

from collections.abc import Iterator

from raylab.core.statistics import Estimate
from raylab.recipes.robust_features import ADVERSARIAL, CLEAN, STANDARD, Cell, SetName
from raylab.report.estimates import difference, mean
from raylab.report.robust.answers import Answers
from raylab.report.robust.table import Row, Table
from raylab.report.scoreboard import recipes
from raylab.report.scoreboard.evidence import Evidence
from raylab.report.scoreboard.protocol import NORMS, differing, named, of_data, of_networks, same_radius
from raylab.report.scoreboard.recipes import at_rate, of_recipes
from raylab.stages.inversion import Inversion
from raylab.stages.recipe import Recipe

QUARTER, HALF = 0.25, 0.5  # the radii of the paper
LINF = 8 / 255
FULL_TEST = 10_000  # images of CIFAR-10 that the published networks were attacked on
PGD_STEPS = 20  # at least; MadryLab/robustness gives 20 and 100
# Appendix C.4; of what is not stated there (which ReLU, how many images to start from) nothing is asked.
FROM_IMAGE, FROM_NOISE = (1000, 0.1, "constant"), (10_000, 0.1, "constant")
IMAGENET = (2000, 1.0, "constant")
Trained = tuple[str, Recipe, Recipe]


def evidence(table: Table) -> Iterator[Evidence]:
    """Of the student whose architecture is the source's, as published; of the first where there is none."""
    student = table.config.source if table.config.source in table.config.students else table.config.students[0]
    if table.config.data.name == "restricted_imagenet":
        yield from _imagenet(table, student)
    else:
        yield from _standard(table, student)
        yield from _adversarial(table)
        yield from _constructed(table, student)
    yield from _layers(table)


def _standard(table: Table, student: str) -> Iterator[Evidence]:
    row, on = table.row(CLEAN, student), _on(table, student)
    protocol = _protocol(table, (student,), _student(table, student, CLEAN, recipes.STANDARD))
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
    linf = c.robustness.norm == "linf"
    protocol = _protocol(table, (c.source,), _source(table, recipes.LINF if linf else recipes.ADVERSARIAL))
    if linf:
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
    c, on = table.config, _on(table, student)
    of_r = _of_set(table, student, "r_image")
    made = {name: table.row(name, student) for name in c.sets}
    sets: tuple[tuple[int, SetName], ...] = ((10, "r_image"), (11, "nr_image"))
    for number, name in sets:
        if name in made:
            protocol = _of_set(table, student, name)
            yield Evidence(number, "clean", made[name].clean, on, protocol)
            for eps, quantity in ((QUARTER, "robust at .25"), (HALF, "robust at .5")):
                if eps in made[name].at and (number, eps) != (11, HALF):
                    yield Evidence(number, quantity, made[name].at[eps].pgd, on, protocol)
    if "nr_image" in made:
        above = table.differences[student]["nr_image"]
        yield Evidence(10, "robust above D_NR", above, on, of_r, _unless_robust_is_possible(made["r_image"], table))
    if "nr_noise" in made and "nr_image" in made:
        less = difference(made["nr_noise"].clean_by_seed, made["nr_image"].clean_by_seed)
        protocol = _of_set(table, student, "nr_noise")
        yield Evidence(12, "clean", made["nr_noise"].clean, on, protocol)
        yield Evidence(12, "clean above D_NR from images", less, on, protocol)
    shift = next(one for one in table.shifts if one.student == student)
    for quantity, ours in (("own", shift.own), ("moved", shift.constructed), ("test", shift.test)):
        yield Evidence(13, quantity, ours, on, of_r)
    own, moved, test = (_attacked(table, student, role) for role in ("own", "moved", "robust"))
    yield Evidence(13, "own above moved", difference(own, moved), on, of_r)
    yield Evidence(13, "moved above test", difference(moved, test), on, of_r)


def _imagenet(table: Table, student: str) -> Iterator[Evidence]:
    """Row 14, at its radius of .5, though training is at 3."""
    c, on = table.config, _on(table, student)
    if HALF not in c.robustness.eps:
        return
    protocol = _differing(
        table,
        "restricted_imagenet",
        (student, c.source),
        "" if c.robustness.norm == "l2" else NORMS[c.robustness.norm],
        _inverted(c.from_image, IMAGENET),
        _student(table, student, CLEAN, recipes.STANDARD),
        _student(table, student, "r_image", recipes.IMAGENET_R),
        _source(table, recipes.IMAGENET_ADVERSARIAL),
    )
    rows = {
        "standard": table.row(CLEAN, student),
        "adversarial": table.reference,
        "D_R": table.row("r_image", student),
    }
    for name, row in rows.items():
        yield Evidence(14, f"{name} clean", row.clean, on, protocol)
        yield Evidence(14, f"{name} robust", row.at[HALF].pgd, on, protocol)
    standard, adversarial, robust = (row.at[HALF].by_seed for row in rows.values())
    yield Evidence(14, "adversarial above D_R", difference(adversarial, robust), on, protocol)
    yield Evidence(14, "D_R above standard", difference(robust, standard), on, protocol)


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
    place = table.config.robustness.eps.index(table.config.eps) if role == "robust" else 0
    answers = Answers(table.config, table.artifacts)
    cells = [Cell(role, seed, "r_image", student) for seed in table.config.seeds]
    return {cell.seed: answers.attacked(cell)[f"pgd {place}"] for cell in cells}


def _ensemble_above_pgd(table: Table, row: Row) -> Estimate:
    """Of the same images: the ensemble should never leave more of them standing."""
    c, answers = table.config, Answers(table.config, table.artifacts)
    place = c.robustness.eps.index(c.eps)
    found = {s: answers.attacked(Cell("robust", s, ADVERSARIAL, row.student)) for s in c.seeds}
    return difference(*({s: of[f"{name} {place}"] for s, of in found.items()} for name in ("ensemble", "pgd")))


def _known(estimate: Estimate | None) -> Estimate:
    assert estimate is not None
    return estimate


def _on(table: Table, network: str) -> str:
    c = table.config
    return f"{named(c.data, table.note)}, {network}, {NORMS[c.robustness.norm]} {c.eps:.3g}"


def _protocol(table: Table, networks: tuple[str, ...], *trained: Trained, made: str = "") -> str:
    """Of CIFAR-10, attacked at a published radius of the norm."""
    c = table.config
    published = (LINF,) if c.robustness.norm == "linf" else (QUARTER, HALF)
    radius = "" if any(same_radius(c.eps, eps) for eps in published) else f"{NORMS[c.robustness.norm]} {c.eps:.3g}"
    return _differing(table, "cifar10", networks, radius, made, *trained)


def _of_set(table: Table, student: str, name: SetName) -> str:
    """With the source whose features the set has, how it was made, and its student."""
    c = table.config
    inversion = _inverted(c.from_noise, FROM_NOISE) if "noise" in name else _inverted(c.from_image, FROM_IMAGE)
    robust = name.startswith("r_")
    source = _source(table, recipes.ADVERSARIAL) if robust else _own(table, "source", c.train, c.source)
    networks = (c.source, student)
    return _protocol(table, networks, source, _student(table, student, name, recipes.STANDARD), made=inversion)


def _differing(table: Table, data: str, networks: tuple[str, ...], radius: str, made: str, *trained: Trained) -> str:
    c = table.config
    rows = table.artifacts[Cell("data", c.seeds[0])].rows
    attacked = table.row(CLEAN, c.students[0]).attacked_clean.n // len(c.seeds)
    few = data == "cifar10" and attacked < FULL_TEST
    return differing(
        (
            of_data(c.data, data, table.note, rows),
            of_networks(networks, "resnet50"),
            radius,
            f"{attacked} attacked images a seed" if few else "",
            f"PGD of {c.robustness.pgd_steps} steps" if c.robustness.pgd_steps < PGD_STEPS else "",
            made,
            of_recipes(*trained),
        )
    )


def _student(table: Table, name: str, of: str, published: Recipe) -> Trained:
    own: dict[str, Recipe] = dict(table.config.student_on.items())
    who = "students" if of == CLEAN else f"students of {of}"
    return who, at_rate(own.get(of, table.config.student), table.config.network_lr, name), published


def _source(table: Table, published: Recipe) -> Trained:
    c = table.config
    if c.released_network is not None:  # theirs
        return "robust network", published, published
    return "robust network", at_rate(c.adversarial, c.network_lr, c.source), published


def _own(table: Table, who: str, recipe: Recipe, network: str) -> Trained:
    return who, at_rate(recipe, table.config.network_lr, network), recipes.STANDARD


def _inverted(inversion: Inversion, published: tuple[int, float, str]) -> str:
    if (inversion.steps, inversion.step_size, inversion.schedule) == published:
        return ""
    return f"inverted by {inversion.steps} {inversion.schedule} steps of {inversion.step_size:g}"
