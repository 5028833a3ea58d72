"""The controls of a study, row by row, from the per-example results of its cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raylab import columns
from raylab.core.statistics import Estimate, proportion, sampled
from raylab.recipes.controls import Cell, ControlStudy
from raylab.report import hits
from raylab.report.controls.table import SUCCESS, TRANSFER, Artifacts, Check, Controls, Curve, Row
from raylab.report.estimates import BySeed, above, difference, mean, negated
from raylab.report.made import newest_provenance
from raylab.report.numbers import percent


def measured(config: ControlStudy, key: str, artifacts: Artifacts) -> Controls:
    """All rows from the per-example results of the cells."""
    about = artifacts[Cell("data", config.seeds[0])].metrics
    reader = Reader(config, artifacts, len(about["class_names"]))
    names = [name for name in ("standard", "robust", "bugs") if Cell("source", config.seeds[0], name) in artifacts]
    collapsed = [
        f"{cell.of}, seed {cell.seed}: {artifact.metrics['collapse']}"
        for cell, artifact in artifacts.items()
        if cell.role == "network" and artifact.metrics["collapse"]
    ]
    curve = reader.curve()
    return Controls(
        config,
        key,
        str(about["note"]),
        len(about["class_names"]),
        tuple(reader.rows(curve)),
        curve,
        {name: reader.over("source", name) for name in names},
        tuple(collapsed),
        artifacts,
        newest_provenance(artifacts.values()),
    )


class Reader:
    """Reads shares by seed, and puts the rows together."""

    def __init__(self, config: ControlStudy, artifacts: Artifacts, classes: int) -> None:
        self.config, self.artifacts, self.classes = config, artifacts, classes

    def rows(self, curve: Curve | None) -> list[Row]:
        kinds = self.config.kinds
        rows = [self._leakage(kind) for kind in kinds] + [self._universal(kind) for kind in kinds]
        rows += [self._margin()]
        rows += [self._features(of, kind, curve) for of in ("linear", "deep") for kind in kinds]
        rows += [self._bugs()] if self.config.bugs else []
        return rows + ([self._robust(self.config.curve.expected_at)] if self.config.curve and curve else [])

    def _leakage(self, kind: str) -> Row:
        got, real, p1 = (
            self.shares("student", of, kind, column=column)
            for of, column in (("leakage", "correct"), ("real", "correct"), ("leakage", "next_class"))
        )
        left = [self.artifacts[Cell("set", seed, "leakage", kind)].metrics["unperturbed"] for seed in self.config.seeds]
        why = f"Only {min(left)} to {max(left)} images stay as they are"
        why += f", and the pattern does not hide the visible class: p1 {percent(_mean(p1))}."
        return Row(
            "leakage",
            kind,
            f"leakage only, {kind}",
            "random patterns of no class, and still above chance: accuracy alone certifies no features",
            ("leakage only", _mean(got)),
            ("real set", _mean(real)),
            difference(got, real),
            (("p1 of leakage only", _mean(p1)),),
            (Check("above chance", above(got, 1 / self.classes)),),
            why if kind != "rand" else "",
        )

    def _universal(self, kind: str) -> Row:
        got, real = self.shares("student", "universal", kind), self.shares("student", "real", kind)
        return Row(
            "universal",
            kind,
            f"universal, {kind}",
            "one perturbation a class teaches less than one an image",
            ("universal", _mean(got)),
            ("real set", _mean(real)),
            difference(got, real),
            (),
            (Check("below the real set", difference(real, got)),),
        )

    def _margin(self) -> Row:
        top, bottom = self.shares("student", "top", "other"), self.shares("student", "bottom", "other")
        whole = self.over("student", "whole", "other")
        kept = 100 * self.config.top_share
        why = f"All of other give {percent(whole)}: where even a faint push teaches everything, no part can be better."
        return Row(
            "margin",
            "other",
            "other by margin",
            "what misleads the source most teaches more than the rest",
            (f"top {kept:.3g} %", _mean(top)),
            (f"bottom {100 - kept:.3g} %", _mean(bottom)),
            difference(top, bottom),
            (("all of other", whole),),
            (Check("top above bottom", difference(top, bottom)),),
            why if whole.mean > 0.8 else "",
        )

    def _features(self, of: str, kind: str, curve: Curve | None) -> Row:
        got, real = self.shares("features", of, kind), self.shares("student", "real", kind)
        over = above(got, 1 / self.classes)
        checks = (
            (Check("at or below chance", negated(over), strictly=False),)
            if kind == "det"
            else (Check("above chance", over),)
        )
        others = [("logistic check", self.over("features", of, kind, column="logistic_correct"))]
        radius, admissible = self.config.attack.eps, curve.admissible if curve else None
        beyond = kind == "det" and curve is not None and (admissible is None or radius > admissible)
        why = f"The radius {radius:g} lies beyond the admissible one, where a robust source teaches too."
        if of == "linear":
            others.append(("certified", self._metric("features", "certified", of, kind)))
        return Row(
            f"features_{of}",
            kind,
            f"robust {of} features, {kind}",
            "robust features alone explain part of it" if kind != "det" else "robust features alone explain nothing",
            ("robust features", _mean(got)),
            ("student", _mean(real)),
            difference(got, real),
            tuple(others),
            checks,
            why if beyond else "",
        )

    def _bugs(self) -> Row:
        chance = 1 / self.classes
        got, plain = (self.shares("student", of, "det") for of in ("bugs", "plain"))
        # The success is over training images: their number is the estimate's.
        success = {seed: self.success(seed, "bugs") for seed in self.config.seeds}
        transfer = self.shares("transfer", "bugs")
        checks = (
            Check("success at least 95 %", above(success, SUCCESS), strictly=False),
            Check("transfer at most 5 %", negated(above(transfer, TRANSFER)), strictly=False),
            Check("at or below chance", negated(above(got, chance)), strictly=False),
            Check("plain ones above chance", above(plain, chance)),
            Check("below plain ones", difference(plain, got)),
        )
        return Row(
            "bugs",
            "det",
            "bugs, det",
            "they mislead their source, no other network, and teach nothing; plain ones of the same size do",
            ("bugs", _mean(got)),
            ("plain attack", _mean(plain)),
            difference(got, plain),
            (
                ("success", _mean(success)),
                ("transfer", _mean(transfer)),
                ("transfer of plain ones", self.over("transfer", "plain")),
                ("p1", self.over("student", "bugs", "det", column="next_class")),
            ),
            checks,
        )

    def _robust(self, eps: float) -> Row:
        got = self.shares("student", "robust", "det", eps)
        p1 = self.shares("student", "robust", "det", eps, "next_class")
        return Row(
            "robust",
            "det",
            f"robust source, det, eps {eps:g}",
            "its students follow the visible class",
            ("clean labels", _mean(got)),
            ("label + 1", _mean(p1)),
            difference(got, p1),
            (),
            (
                Check("label + 1 above the clean label", difference(p1, got)),
                Check("at or below chance", negated(above(got, 1 / self.classes)), strictly=False),
            ),
        )

    def curve(self) -> Curve | None:
        if self.config.curve is None:
            return None
        steps = self.config.curve.eps
        accuracy, p1, success = dict[str, tuple[Estimate, ...]](), dict[str, tuple[Estimate, ...]](), {}
        for of in ("standard", "robust"):
            accuracy[of] = tuple(self.over("student", of, "det", eps) for eps in steps)
            p1[of] = tuple(self.over("student", of, "det", eps, "next_class") for eps in steps)
            success[of] = tuple(mean([self.success(seed, of, eps) for seed in self.config.seeds]) for eps in steps)
        admissible = None
        for eps, found in zip(steps, accuracy["robust"], strict=True):
            if found.mean > 1 / self.classes:
                break
            admissible = eps
        return Curve(steps, accuracy, p1, success, admissible)

    def shares(self, role: str, of: str, kind: str = "", eps: float = 0.0, column: str = "correct") -> BySeed:
        found = {}
        for seed in self.config.seeds:
            table, images = self.artifacts[Cell(role, seed, of, kind, eps)].table(), self.config.data.images_of(seed)
            found[seed] = sampled(table.column(column).to_numpy().astype(bool), table.column("id").to_numpy(), images)
        return found

    def over(self, role: str, of: str, kind: str = "", eps: float = 0.0, column: str = "correct") -> Estimate:
        return _mean(self.shares(role, of, kind, eps, column))

    def success(self, seed: int, of: str, eps: float = 0.0) -> Estimate:
        """Of a set: of the training images that are attacked."""
        rows = columns.to_batch(self.artifacts[Cell("set", seed, of, "det", eps)].table(without=hits.UNREAD))
        return hits.share(rows, "success", self.config.data.images_of(seed, "train"))

    def _metric(self, role: str, name: str, of: str, kind: str) -> Estimate:
        """A share of the test images, whose single answers are not kept: as if no seed shared an image."""
        found: Sequence[Mapping[str, Any]] = [
            self.artifacts[Cell(role, seed, of, kind)].metrics for seed in self.config.seeds
        ]
        return mean([proportion(round(m[name] * m["n"]), m["n"]) for m in found])


def _mean(by_seed: BySeed) -> Estimate:
    return mean(list(by_seed.values()))
