"""The controls as numbers: what each gives, what it is compared with, and what is expected of the difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from raylab.core.construct import Kind
from raylab.engine.study import Built
from raylab.experiments.controls.config import Bugs, ControlStudy, RobustCurve
from raylab.experiments.controls.plan import ControlsCell
from raylab.report.numbers import percent
from raylab.report.per_seed import PerSeed
from raylab.report.read import CellReader, Findings, begun, reader_of
from raylab.scoreboard.protocol import named, radius

SUCCESS, TRANSFER = 0.95, 0.05  # bugs: at least, at most (Nakkiran: 98.6 and 0.8 %)
SOURCES = ("standard", "robust")


class Check(NamedTuple):
    """One thing that is expected of a control: that a paired difference is above zero, or that it is not."""

    words: str
    difference: PerSeed
    strictly: bool = True  # above zero beyond its interval; else: not below zero beyond it, by its mean


class Quantity(NamedTuple):
    """A number with its name."""

    name: str
    value: PerSeed


@dataclass(frozen=True)
class Control:
    """One control beside what it is compared with."""

    name: str
    kind: Kind
    title: str
    expected: str
    measured: Quantity
    beside: Quantity
    tested: (
        ControlsCell  # what has the measured numbers, whatever the seed: the test of a student, or of robust features
    )
    trained_on: ControlsCell  # the set, likewise
    checks: tuple[Check, ...]
    eps: float  # radius of the attack or of the patterns
    others: tuple[Quantity, ...] = ()
    why: str = ""  # what is known of a sign that is not the expected

    @property
    def difference(self) -> PerSeed:
        """Paired by seed."""
        return self.measured.value - self.beside.value


@dataclass(frozen=True)
class OverRadius:
    """Students of next-class sets of one source, by radius."""

    accuracy: Mapping[float, PerSeed]
    next_class: Mapping[float, PerSeed]
    success: Mapping[float, PerSeed]  # of the attack on the source


@dataclass(frozen=True)
class MeasuredControls(Findings[ControlStudy, ControlsCell]):
    """One study's result."""

    reader: CellReader[ControlsCell]
    sources: Mapping[str, PerSeed]  # test accuracy
    collapsed: tuple[str, ...]
    curve: Mapping[str, OverRadius]  # by source, "standard" and "robust"; empty: not asked
    controls: tuple[Control, ...] = ()

    @property
    def title(self) -> str:
        c = self.config
        return f"{named(c.data)}: source {c.source}, student {c.student}, {radius(c.attack)}"

    @property
    def admissible(self) -> float | None:
        """The largest radius at which students of the robust source are at or below chance, and at all smaller ones."""
        largest = None
        for eps, found in self.curve["robust"].accuracy.items() if self.curve else ():
            if not found or found.mean.mean > self.chance:
                break
            largest = eps
        return largest

    @property
    def admissible_is_known(self) -> bool:
        """Whether every radius up to the first that is not admissible was measured."""
        for found in self.curve["robust"].accuracy.values() if self.curve else ():
            if not found:
                return False
            if found.mean.mean > self.chance:
                break
        return True

    def share(self, role: str, of: str, kind: str = "", eps: float = 0.0, column: str = "correct") -> PerSeed:
        """Share of the test images of which a column of the answers is true."""
        return self.reader.share(ControlsCell(role, 0, of, kind, eps), lambda rows: rows[column])

    def success(self, of: str, eps: float = 0.0) -> PerSeed:
        """Attack success rate of a next-class set on its source: of the training images that are attacked."""
        return self.reader.hit(ControlsCell("set", 0, of, "det", eps), "success")


def measure(built: Built[ControlStudy, ControlsCell]) -> MeasuredControls:
    """All numbers, from the results of single examples."""
    config, reader = built.config, reader_of(built)
    asked = dict.fromkeys(cell.of for cell in built.planned if cell.role == "source")
    bare = MeasuredControls(
        *begun(built),
        reader,
        {
            name: reader.right(ControlsCell("source", 0, name))
            for name in ("standard", "robust", "bugs")
            if name in asked
        },
        reader.warnings("network", "collapse", lambda cell: cell.of),
        {},
    )
    curve = {} if config.curve is None else {of: _over_radius(bare, config.curve, of) for of in SOURCES}
    found = replace(bare, curve=curve)
    return replace(found, controls=tuple(_controls(found)))


def _over_radius(found: MeasuredControls, curve: RobustCurve, of: str) -> OverRadius:
    return OverRadius(
        {eps: found.share("student", of, "det", eps) for eps in curve.eps},
        {eps: found.share("student", of, "det", eps, "next_class") for eps in curve.eps},
        {eps: found.success(of, eps) for eps in curve.eps},
    )


def _controls(found: MeasuredControls) -> Iterator[Control]:
    kinds = found.config.kinds
    yield from (_leakage(found, kind) for kind in kinds)
    yield from (_universal(found, kind) for kind in kinds)
    yield _margin(found)
    yield from (_features(found, of, kind) for of in ("linear", "deep") for kind in kinds)
    if found.config.bugs is not None:
        yield _bugs(found, found.config.bugs)
    if found.config.curve is not None:
        yield _robust(found, found.config.curve.expected_at)


def _leakage(found: MeasuredControls, kind: Kind) -> Control:
    got, made = found.share("student", "leakage", kind), ControlsCell("set", 0, "leakage", kind)
    following = found.share("student", "leakage", kind, column="next_class")
    left = [one["unperturbed"] for one in found.reader.metrics(made)]
    why = f"Only {min(left, default=0)} to {max(left, default=0)} images stay as they are"
    why += f", and the pattern does not hide the visible class: next-class rate {percent(following.mean)}."
    return Control(
        "leakage",
        kind,
        f"leakage only, {kind}",
        "random patterns of no class, and still above chance: accuracy alone certifies no features",
        Quantity("leakage only", got),
        Quantity("real set", found.share("student", "real", kind)),
        ControlsCell("student", 0, "leakage", kind),
        made,
        (Check("above chance", got - found.chance),),
        found.config.attack.eps,
        (Quantity("next-class rate of leakage only", following),),
        why if kind != "rand" else "",
    )


def _universal(found: MeasuredControls, kind: Kind) -> Control:
    got, real = (found.share("student", of, kind) for of in ("universal", "real"))
    return Control(
        "universal",
        kind,
        f"universal, {kind}",
        "one perturbation a class gives its student less accuracy than one an image",
        Quantity("universal", got),
        Quantity("real set", real),
        ControlsCell("student", 0, "universal", kind),
        ControlsCell("set", 0, "universal", kind),
        (Check("below the real set", real - got),),
        found.config.attack.eps,
    )


def _margin(found: MeasuredControls) -> Control:
    top, bottom, whole = (found.share("student", of, "other") for of in ("top", "bottom", "whole"))
    kept, c = 100 * found.config.top_share, found.config
    why = f"All of other give {percent(whole.mean)}: where a faint perturbation is enough, no part can be better."
    return Control(
        "margin",
        "other",
        "other by margin",
        "the images that mislead the source most give their student more accuracy than the rest",
        Quantity(f"top {kept:.3g} %", top),
        Quantity(f"bottom {100 - kept:.3g} %", bottom),
        ControlsCell("student", 0, "top", "other"),
        ControlsCell("set", 0, "whole", "other"),
        (Check("top above bottom", top - bottom),),
        c.top_eps or c.attack.eps,
        (Quantity("all of other", whole),),
        why if whole.mean.mean > 0.8 else "",
    )


def _features(found: MeasuredControls, of: str, kind: Kind) -> Control:
    got, eps, admissible = found.share("features", of, kind), found.config.attack.eps, found.admissible
    over = got - found.chance
    others = [Quantity("logistic check", found.share("features", of, kind, column="logistic_correct"))]
    if of == "linear":  # a share of test images, whose single answers are not kept: as if no seed shared an image
        others.append(Quantity("certified", found.reader.counted(ControlsCell("features", 0, of, kind), "certified")))
    beyond = kind == "det" and bool(found.curve) and (admissible is None or eps > admissible)
    beyond = beyond and found.admissible_is_known
    return Control(
        f"features_{of}",
        kind,
        f"robust {of} features, {kind}",
        "robust features alone explain part of it" if kind != "det" else "robust features alone explain nothing",
        Quantity("robust features", got),
        Quantity("student", found.share("student", "real", kind)),
        ControlsCell("features", 0, of, kind),
        ControlsCell("set", 0, "real", kind),
        (Check("at or below chance", -over, strictly=False) if kind == "det" else Check("above chance", over),),
        eps,
        tuple(others),
        f"The radius {eps:g} lies beyond the admissible one, where students of a robust source learn too."
        if beyond
        else "",
    )


def _bugs(found: MeasuredControls, bugs: Bugs) -> Control:
    got, plain = (found.share("student", of, "det") for of in ("bugs", "plain"))
    success, transfer = found.success("bugs"), found.share("transfer", "bugs")
    return Control(
        "bugs",
        "det",
        "bugs, det",
        "they mislead their source and no other network, and their student learns nothing; that of plain ones does",
        Quantity("bugs", got),
        Quantity("plain attack", plain),
        ControlsCell("student", 0, "bugs", "det"),
        ControlsCell("set", 0, "bugs", "det"),
        (
            Check("attack success rate at least 95 %", success - SUCCESS, strictly=False),
            Check("transfer at most 5 %", -(transfer - TRANSFER), strictly=False),
            Check("at or below chance", -(got - found.chance), strictly=False),
            Check("plain ones above chance", plain - found.chance),
            Check("below plain ones", plain - got),
        ),
        bugs.attack.eps,
        (
            Quantity("attack success rate", success),
            Quantity("transfer", transfer),
            Quantity("transfer of plain ones", found.share("transfer", "plain")),
            Quantity("next-class rate", found.share("student", "bugs", "det", column="next_class")),
        ),
    )


def _robust(found: MeasuredControls, eps: float) -> Control:
    robust = found.curve["robust"]
    got, following = robust.accuracy[eps], robust.next_class[eps]
    return Control(
        "robust",
        "det",
        f"robust source, det, eps {eps:g}",
        "its students learn the visible class and say label + 1",
        Quantity("clean labels", got),
        Quantity("label + 1", following),
        ControlsCell("student", 0, "robust", "det", eps),
        ControlsCell("set", 0, "robust", "det", eps),
        (
            Check("label + 1 above the clean label", following - got),
            Check("at or below chance", -(got - found.chance), strictly=False),
        ),
        eps,
    )
