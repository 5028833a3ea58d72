"""What the controls say about rows 4, 28 to 31 and 41 to 43."""

from __future__ import annotations

from collections.abc import Iterator

from raylab.report.controls.rows import Reader
from raylab.report.controls.table import Controls
from raylab.report.estimates import above, difference, mean
from raylab.report.scoreboard import recipes
from raylab.report.scoreboard.evidence import Evidence
from raylab.report.scoreboard.protocol import (
    NORMS,
    differing,
    named,
    of_attack,
    of_data,
    of_networks,
    radius,
    same_radius,
)
from raylab.report.scoreboard.recipes import at_rate, of_recipe, of_recipes
from raylab.stages.construction import Attack
from raylab.stages.recipe import Adversary, Recipe

PUBLISHED = Attack(eps=0.5, steps=100, step_size=0.1)  # of Ilyas et al. and of Jordan
UNIVERSAL = Attack(eps=1.0)  # of Park et al.; their steps are not in the summary
ROBUST_LINEAR = Adversary(eps=0.25, ramp=0.0)  # Goh: usefulness and certificates at this radius; no training is stated
BUGS = {  # row and attack by norm
    "linf": (29, Attack(norm="linf", eps=8 / 255, steps=10, step_size=2 / 255)),
    "l2": (30, Attack(eps=2.5, steps=10, step_size=0.5)),
}
ENSEMBLE = ("resnet18",) * 10
DEPLOYED = {"linf": "L∞", "l2": "L2"}  # as row 31 says


def evidence(controls: Controls) -> Iterator[Evidence]:
    """Of every control that was run."""
    reader = Reader(controls.config, controls.artifacts, controls.classes)
    yield from _leakage(controls, reader)
    yield from _sets(controls, reader)
    if controls.config.bugs is not None:
        yield from _bugs(controls, reader)
    if controls.config.curve is not None:
        yield from _robust_source(controls, reader, controls.config.curve.expected_at)


def _leakage(controls: Controls, reader: Reader) -> Iterator[Evidence]:
    kinds, on = controls.config.kinds, _on(controls)
    for kind in kinds:
        protocol = _goh(controls)
        yield Evidence(28, kind, reader.over("features", "linear", kind), on, protocol)
        shares = reader.shares("features", "linear", kind)
        over = above(shares, controls.chance)
        # A radius at which even a robust source's students see the target holds robust features of it.
        admissible = controls.curve.admissible if controls.curve else None
        beyond = admissible is None or controls.config.attack.eps > admissible
        excuse = f"radius {controls.config.attack.eps:g} lies beyond the admissible one" if beyond else ""
        yield Evidence(28, f"{kind} above chance", over, on, protocol, excuse if kind == "det" else "")
        yield Evidence(41, kind, reader.over("student", "leakage", kind), on, _jordan(controls, patterns=True))


def _sets(controls: Controls, reader: Reader) -> Iterator[Evidence]:
    c, on, protocol = controls.config, _on(controls), _park(controls)
    top, rest = (reader.shares("student", of, "other") for of in ("top", "bottom"))
    at = (
        on if c.top_eps is None else f"{named(c.data, controls.note)}, {c.source}, {NORMS[c.attack.norm]} {c.top_eps:g}"
    )
    parts = _jordan(controls)
    yield Evidence(42, "top 40 %", mean(list(top.values())), at, parts)
    yield Evidence(42, "rest", mean(list(rest.values())), at, parts)
    yield Evidence(42, "top minus rest", difference(top, rest), at, parts)
    kind = "det" if "det" in c.kinds else c.kinds[0]
    universal, real = (reader.shares("student", of, kind) for of in ("universal", "real"))
    yield Evidence(43, "universal", mean(list(universal.values())), on, protocol)
    yield Evidence(43, "per image", mean(list(real.values())), on, protocol)
    yield Evidence(43, "per image minus universal", difference(real, universal), on, protocol)


def _bugs(controls: Controls, reader: Reader) -> Iterator[Evidence]:
    bugs = controls.config.bugs
    assert bugs is not None
    number, _ = BUGS[bugs.attack.norm]
    norm = DEPLOYED[bugs.attack.norm]
    networks = f"{bugs.source} → {bugs.student}"
    on = f"{named(controls.config.data, controls.note)}, {networks}, {radius(bugs.attack)}"
    protocol = _nakkiran(controls)
    student, plain = (reader.shares("student", of, "det") for of in ("bugs", "plain"))
    obeys, plainly = (reader.shares("transfer", of) for of in ("bugs", "plain"))
    next_class = {of: reader.over("student", of, "det", column="next_class") for of in ("bugs", "plain")}
    success = {seed: reader.success(seed, "bugs") for seed in controls.config.seeds}
    weak = mean(list(success.values())).mean < 0.95
    excuse = "the bugs mislead their own source too rarely" if weak else ""
    yield Evidence(number, "attack success", mean(list(success.values())), on, protocol)
    yield Evidence(number, "transfer", mean(list(obeys.values())), on, protocol)
    yield Evidence(number, "student", mean(list(student.values())), on, protocol)
    yield Evidence(number, "student, y + 1", next_class["bugs"], on, protocol)
    yield Evidence(number, "student above chance", above(student, controls.chance), on, protocol, excuse)
    yield Evidence(31, f"{norm}, transfer", mean(list(plainly.values())), on, protocol)
    yield Evidence(31, f"{norm}, student", mean(list(plain.values())), on, protocol)
    yield Evidence(31, f"{norm}, student, y + 1", next_class["plain"], on, protocol)
    yield Evidence(31, "student, PGD minus bugs", difference(plain, student), on, protocol)
    yield Evidence(31, "transfer, PGD minus bugs", difference(plainly, obeys), on, protocol)


def _robust_source(controls: Controls, reader: Reader, eps: float) -> Iterator[Evidence]:
    c = controls.config
    on = f"{named(c.data, controls.note)}, {c.source}, {NORMS[c.attack.norm]} {eps:g}"
    protocol = _robust(controls, _at(c.attack, eps))
    clean = reader.shares("student", "robust", "det", eps)
    relabelled = reader.shares("student", "robust", "det", eps, "next_class")
    yield Evidence(4, "det", mean(list(clean.values())), on, protocol)
    yield Evidence(4, "det relabelled", mean(list(relabelled.values())), on, protocol)
    yield Evidence(4, "relabelled above clean", difference(relabelled, clean), on, protocol)
    yield Evidence(4, "det above chance", above(clean, controls.chance), on, protocol)


def _on(controls: Controls) -> str:
    c = controls.config
    return f"{named(c.data, controls.note)}, {c.source}, {radius(c.attack)}"


def _data(controls: Controls) -> str:
    first = next(artifact for cell, artifact in controls.artifacts.items() if cell.role == "data")
    return of_data(controls.config.data, "cifar10", controls.note, first.rows)


def _goh(controls: Controls) -> str:
    """Of the robust linear features, the radius alone is stated."""
    c = controls.config
    stated = c.robust.model_copy(update={"adversary": ROBUST_LINEAR})
    linear = of_recipe(c.robust, stated)
    return differing(
        (
            _data(controls),
            of_networks((c.source,), "resnet50"),
            of_attack(c.attack, PUBLISHED),
            of_recipes(("source", _rate(controls, c.train, c.source), recipes.STANDARD)),
            f"robust features: {linear}" if linear else "",
        )
    )


def _jordan(controls: Controls, *, patterns: bool = False) -> str:
    """Of the control with patterns, which have a radius and no steps, or of D_other by margin."""
    c = controls.config
    attack = c.attack if patterns or c.top_eps is None else _at(c.attack, c.top_eps)
    same_size = attack.norm == PUBLISHED.norm and same_radius(attack.eps, PUBLISHED.eps)
    own = f"{c.selector_epochs} epochs of the selector" if c.selector_epochs != 1 else ""
    share = f"the top {100 * c.top_share:g} %" if c.top_share != 0.4 else ""
    names = (c.source, c.student)
    return differing(
        (
            _data(controls),
            of_networks(names, "resnet9"),
            ("" if same_size else radius(attack)) if patterns else of_attack(attack, PUBLISHED),
            own if patterns else share,
            of_recipes(*(("all networks", _rate(controls, c.train, name), recipes.JORDAN) for name in names)),
            recipes.TRIANGLE,
        )
    )


def _nakkiran(controls: Controls) -> str:
    bugs = controls.config.bugs
    assert bugs is not None
    same = (bugs.source, bugs.student, bugs.ensemble) == ("resnet18", "resnet18", ENSEMBLE)
    trained = (
        (f"{who} of bugs", _rate(controls, bugs.train, name), recipes.STANDARD)
        for who, names in (("source", [bugs.source]), ("student", [bugs.student]), ("ensemble", bugs.ensemble))
        for name in names
    )
    return differing(
        (
            _data(controls),
            "" if same else f"{bugs.source} → {bugs.student}, ensemble of {len(bugs.ensemble)}",
            of_attack(bugs.attack, BUGS[bugs.attack.norm][1]),
            of_recipes(*trained),
        )
    )


def _park(controls: Controls) -> str:
    c, names = controls.config, (controls.config.source, controls.config.student)
    differs = (c.attack.norm, c.attack.eps) != (UNIVERSAL.norm, UNIVERSAL.eps)
    return differing(
        (
            _data(controls),
            of_networks(names, "resnet18"),
            radius(c.attack) if differs else "",
            of_recipes(*(("all networks", _rate(controls, c.train, name), recipes.STANDARD) for name in names)),
        )
    )


def _robust(controls: Controls, attack: Attack) -> str:
    c = controls.config
    return differing(
        (
            _data(controls),
            of_networks((c.source, c.student), "resnet50"),
            of_attack(attack, PUBLISHED),
            of_recipes(
                ("robust source", _rate(controls, c.robust, c.source), recipes.ADVERSARIAL),
                ("students of det", _rate(controls, c.train, c.student), recipes.DET),
            ),
        )
    )


def _at(attack: Attack, eps: float) -> Attack:
    """At another radius, as the sets are made there."""
    step_size = None if attack.step_size is None else attack.step_size * eps / attack.eps
    return attack.model_copy(update={"eps": eps, "step_size": step_size})


def _rate(controls: Controls, recipe: Recipe, network: str) -> Recipe:
    return at_rate(recipe, controls.config.network_lr, network)
