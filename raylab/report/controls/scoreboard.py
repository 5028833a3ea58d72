"""What the controls say about rows 4, 28 to 31 and 41 to 43."""

from __future__ import annotations

from collections.abc import Iterator

from raylab.report.controls.rows import Reader
from raylab.report.controls.table import Controls
from raylab.report.estimates import above, difference, mean
from raylab.report.scoreboard.evidence import Evidence
from raylab.report.scoreboard.protocol import NORMS, differing, named, of_data, of_networks, radius
from raylab.stages.construction import Attack

BUGS = {"linf": (29, 8 / 255), "l2": (30, 2.5)}  # row and radius by norm
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
    kinds, on, protocol = controls.config.kinds, _on(controls), _protocol(controls)
    for kind in kinds:
        yield Evidence(28, kind, reader.over("features", "linear", kind), on, protocol)
        shares = reader.shares("features", "linear", kind)
        over = above(shares, controls.chance)
        # A radius at which even a robust source's students see the target holds robust features of it.
        admissible = controls.curve.admissible if controls.curve else None
        beyond = admissible is None or controls.config.attack.eps > admissible
        excuse = f"radius {controls.config.attack.eps:g} lies beyond the admissible one" if beyond else ""
        yield Evidence(28, f"{kind} above chance", over, on, protocol, excuse if kind == "det" else "")
        yield Evidence(41, kind, reader.over("student", "leakage", kind), on, protocol)


def _sets(controls: Controls, reader: Reader) -> Iterator[Evidence]:
    c, on, protocol = controls.config, _on(controls), _protocol(controls)
    top, rest = (reader.shares("student", of, "other") for of in ("top", "bottom"))
    at = (
        on if c.top_eps is None else f"{named(c.data, controls.note)}, {c.source}, {NORMS[c.attack.norm]} {c.top_eps:g}"
    )
    parts = _protocol(controls, c.top_eps)
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
    number, published = BUGS[bugs.attack.norm]
    norm = DEPLOYED[bugs.attack.norm]
    networks = f"{bugs.source} → {bugs.student}"
    on = f"{named(controls.config.data, controls.note)}, {networks}, {radius(bugs.attack)}"
    protocol = differing(
        (
            _data(controls),
            f"{networks}, ensemble of {len(bugs.ensemble)}",
            "" if bugs.attack == Attack(norm=bugs.attack.norm, eps=published, steps=10) else radius(bugs.attack),
        )
    )
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
    protocol = _protocol(controls, eps)
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


def _protocol(controls: Controls, eps: float | None = None) -> str:  # eps: another radius than the attack's
    c = controls.config
    at = radius(c.attack if eps is None else c.attack.model_copy(update={"eps": eps}))
    return differing((_data(controls), of_networks((c.source, c.student), "resnet50"), at))
