"""The verdict and the networks against the truth: false evidence, power and usage over many See-Far worlds."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from raylab.artifact import Artifact
from raylab.core.flips import flippable
from raylab.experiments import transfer as transfer_matrix
from raylab.experiments.transfer import (
    CARRIES,
    EVIDENCE,
    FLIPS,
    STANDS,
    TRANSFER,
    Row,
    TransferMatrix,
    failed_conditions,
    measure,
    verdict,
)  # fmt: skip
from raylab.identity import canonical_json, short
from raylab.recipes.worlds import SAYS_NOTHING, Cell, Worlds, cases
from raylab.report import usage
from raylab.report.frame import render
from raylab.report.made import Made, made, newest_provenance
from raylab.report.rates import Rate, rate
from raylab.report.terminal import table
from raylab.report.worlds_usage import RULES, Ruled, Used, by_rules, ruled
from raylab.stages.dataset import SeeFarData
from raylab.study import Built
from raylab.tracking import Publication, Record

Truth = Literal["without", "shape_flips", "turned", "partly", "not_turned"]
ROBUST = 0.05  # share of images whose shape the radius may turn: beyond it the shape itself is not robust
CLASSES = 10
TURNED = 0.9  # share of the set's images whose toogit the oracle reads as the target's
TRUTHS: dict[Truth, str] = {
    "without": "toogits say nothing, the shape cannot be turned",
    "shape_flips": "toogits say nothing, the shape can be turned in some images",
    "turned": "toogits tell, and were turned in at least 90 %",
    "partly": "toogits tell, and were turned in 50 to 90 %",
    "not_turned": "toogits tell, and were turned in less than half",
}


@dataclass(frozen=True)
class Judged:
    """One case: what was measured, what is true by the oracles, and what the verdict says without knowing."""

    name: str
    config: TransferMatrix
    row: Row
    truth: Truth
    code: str  # words of the verdict's badge
    lacking: tuple[str, ...]
    used: Used | None = None  # by the rules of `report.usage`; None: usage was not asked for

    @property
    def evidence(self) -> bool:
        return self.code == EVIDENCE.words


@dataclass(frozen=True)
class Result:
    config: Worlds
    key: str
    judged: tuple[Judged, ...]
    made: Made
    commit: str

    def of(self, truth: Truth) -> tuple[Judged, ...]:
        return tuple(one for one in self.judged if one.truth == truth)

    @property
    def mistakes(self) -> tuple[Judged, ...]:
        """Evidence where there is nothing, and no evidence where the toogits were turned."""
        wrong = {"without": True, "turned": False}
        return tuple(one for one in self.judged if one.evidence == wrong.get(one.truth))


def evidence(judged: Sequence[Judged]) -> Rate:
    return rate(sum(one.evidence for one in judged), len(judged))


def truth_of(row: Row, data: SeeFarData, eps: float, seeds: Sequence[int]) -> Truth:
    """By the oracles alone: whether anything that tells the label could be, or was, turned at this radius.

    The shape counts as robust where at most 5 % of the images have one that the radius may turn to its next class, in
    the worst of the worlds.
    """
    if data.toogit_amplitude == 0.0 or data.toogit_reliability <= SAYS_NOTHING:
        turns = max(flippable(data.world(seed), "shape", eps) for seed in seeds)
        return "without" if turns <= ROBUST else "shape_flips"
    turned = row.oracles["turned"].mean.mean
    return "turned" if turned >= TURNED else "partly" if turned >= 0.5 else "not_turned"


def judge(name: str, config: TransferMatrix, row: Row) -> Judged:
    """By the verdict that every transfer matrix gets."""
    data = config.data
    assert isinstance(data, SeeFarData)
    found = verdict(row)
    truth = truth_of(row, data, config.attack.eps, config.seeds)
    return Judged(name, config, row, truth, found.badge.words, tuple(_failed(row)))


def judged(config: Worlds, key: str, artifacts: Mapping[Cell, Artifact]) -> Result:
    by_case: dict[str, dict[transfer_matrix.Cell, Artifact]] = {}
    for cell, artifact in artifacts.items():
        by_case.setdefault(cell.case, {})[cell.of] = artifact
    found = [
        judge(name, case, measure(Built(case, key, by_case[name])).rows[0]) for name, case in cases(config).items()
    ]
    if config.usage:
        asked = {one.name: _usage(one, by_case[one.name]) for one in found}
        used = by_rules(asked, CLASSES)
        found = [replace(one, used=used[one.name]) for one in found]
    provenance = newest_provenance(artifacts.values())
    return Result(config, key, tuple(found), made(config, artifacts), str(provenance["commit"]))


def _usage(one: Judged, artifacts: Mapping[transfer_matrix.Cell, Artifact]) -> usage.Case:
    """What its networks and the oracles said."""
    data, (source,), (target,) = one.config.data, one.config.sources, one.config.targets
    assert isinstance(data, SeeFarData)

    def shown(role: str, seed: int, *network: str) -> dict[str, Any]:
        table = artifacts[transfer_matrix.Cell(role, seed, *network)].table()
        names = ("prediction", "shape_class", "toogit_class")
        return {name: table.column(name).to_numpy() for name in names}

    seeds, student = one.config.seeds, (source, target, "det")
    read = [artifacts[transfer_matrix.Cell("oracles", seed)].metrics for seed in seeds]
    return usage.Case(
        source=[usage.Conflict.of(shown("usage", seed, source)) for seed in seeds],
        student=[usage.Conflict.of(shown("usage", seed, *student)) for seed in seeds],
        source_alone=[usage.Alone.of(shown("alone", seed, source)) for seed in seeds],
        student_alone=[usage.Alone.of(shown("alone", seed, *student)) for seed in seeds],
        shape_right=[metrics["shape_right"] for metrics in read],
        toogit_right=[metrics["toogit_right"] for metrics in read] if data.toogit_amplitude > 0 else [],
        says_nothing=one.truth in ("without", "shape_flips"),
        turned=one.truth == "turned",
        evidence=one.evidence,
    )


REGIONS: dict[str, Callable[[TransferMatrix], Any]] = {
    "radius": lambda c: c.attack.eps,
    "networks": lambda c: f"{c.sources[0]} → {c.targets[0]}",
    "training images": lambda c: getattr(c.data, "train_rows", 0),
    "epochs": lambda c: c.train.epochs,
    "toogit amplitude": lambda c: getattr(c.data, "toogit_amplitude", 0.0),
    "toogit reliability": lambda c: getattr(c.data, "toogit_reliability", 0.0),
    "shape amplitude": lambda c: getattr(c.data, "shape_amplitude", 0.0),
}


def regions(result: Result) -> Iterator[tuple[str, str, Rate, Rate]]:
    """By what a case was drawn from: false evidence without features, power where toogits were turned."""
    for name, value in REGIONS.items():
        for part in sorted({value(one.config) for one in result.judged}):
            of = [one for one in result.judged if value(one.config) == part]
            without, turned = ([one for one in of if one.truth == truth] for truth in ("without", "turned"))
            yield name, f"{part:g}" if isinstance(part, float) else str(part), evidence(without), evidence(turned)


def summary(result: Result) -> list[tuple[str, str]]:
    return [(words, str(evidence(result.of(truth)))) for truth, words in TRUTHS.items()]


def by_rule(result: Result) -> tuple[Ruled, ...]:
    """Usage over the cases by both rules; nothing where it was not asked for."""
    return ruled(result.config, {one.name: one.used for one in result.judged if one.used is not None})


def outweighed(result: Result) -> list[tuple[Judged, str]]:
    """The claims of evidence in which toogits do not decide most."""
    return [(one, one.used.outweighed) for one in result.judged if one.used is not None and one.used.outweighed]


def share_of_claims(result: Result) -> Rate:
    return rate(len(outweighed(result)), sum(one.evidence for one in result.judged if one.used is not None))


def as_text(result: Result) -> str:
    title = f"The verdict on {len(result.judged)} worlds, split {result.config.split}"
    parts = [f"{title}\n{'=' * len(title)}", table(["evidence was claimed", "of worlds"], summary(result))]
    parts.append(
        table(
            ["where", "", "false evidence", "power"],
            [[name, part, str(false), str(power)] for name, part, false, power in regions(result) if false.n + power.n],
        )
    )
    if result.mistakes:
        parts.append("Mistakes\n" + "\n".join(f"- {one.name} ({one.truth}): {_said(one)}" for one in result.mistakes))
    for one in by_rule(result):
        said = "fixed before these cases were drawn" if one.unseen else "some of these cases were seen when it was made"
        parts.append(f"{one.rule.title}, {said}: right in {one.right}")
        parts += [f"- {name}: {'; '.join(wrong)}" for name, wrong in one.wrong.items()]
    if leaked := outweighed(result):
        parts.append(f"Claims of evidence in which toogits do not decide most: {share_of_claims(result)}")
        parts += [f"- {case.name} ({case.truth}): {said}" for case, said in leaked]
    return "\n\n".join(parts) + "\n"


def shown(result: Result) -> dict[str, object]:
    """What the template `worlds_score.html` is given."""
    return {
        "result": result,
        "summary": summary(result),
        "regions": [one for one in regions(result) if one[2].n + one[3].n],
        "mistakes": [(one, _said(one)) for one in result.mistakes],
        "thresholds": (FLIPS, STANDS, CARRIES),
        "ruled": by_rule(result),
        "outweighed": outweighed(result),
        "outweighed_of": share_of_claims(result),
    }


def page(result: Result) -> str:
    return render("worlds.html", title="How often is the verdict wrong?", result=result, score=shown(result))


def as_csv(result: Result) -> str:
    """One line a case: what it was drawn as, what was measured, the truth and the verdict."""
    stream = io.StringIO()
    lines = [_line(one) for one in result.judged]
    writer = csv.DictWriter(stream, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue()


def record(config: Worlds, key: str) -> Record:
    params = {"split": config.split, "without": config.without, "having": config.having, "seeds": config.seeds}
    tags = {"raylab.stage": "worlds", "raylab.config": canonical_json(config)}
    return Record(key, f"{config.split} worlds [{short(key)}]", params, tags=tags)


def publication(result: Result, files: Mapping[str, bytes]) -> Publication:
    opened = record(result.config, result.key)
    note = "\n".join(f"- {words}: {said}" for words, said in summary(result))
    tags = {**opened.tags, "mlflow.source.git.commit": result.commit}
    return Publication(Record(opened.key, opened.name, opened.params, counts(result), tags=tags, note=note), (), files)


def counts(result: Result) -> dict[str, float]:
    """The rates, for a tracker."""
    found = {truth: evidence(result.of(truth)) for truth in TRUTHS}
    metrics = {f"evidence.{truth}": rate.hits / rate.n for truth, rate in found.items() if rate.n}
    metrics |= {f"worlds.{truth}": float(rate.n) for truth, rate in found.items()}
    return metrics | {f"usage.{one.rule.name}": one.right.hits / one.right.n for one in by_rule(result)}


def _said(one: Judged) -> str:
    return "; ".join(one.lacking) if one.lacking else one.code


def _failed(row: Row) -> Iterator[str]:
    return (f"{one.words} ({one.numbers})" if one.numbers else one.words for one in failed_conditions(row))


def _line(one: Judged) -> dict[str, object]:
    c, row = one.config, one.row
    assert row.robust is not None
    drawn = {name: value(c) for name, value in REGIONS.items()}
    shares = {
        "accuracy": row.accuracy,
        "p1": row.p1,
        "robust source teaches": row.controls["robust"],
        "success": row.success,
        "success on robust source": row.robust.success,
        "transfer": row.transfer[TRANSFER],
        "toogit is target": row.oracles["turned"],
        "shape kept": row.oracles["kept"],
    }
    numbers = {name: f"{one.mean.mean:.4g}" for name, one in shares.items()}
    line: dict[str, object] = {"case": one.name, **drawn, **numbers, "truth": one.truth, "verdict": one.code}
    if one.used is None:
        return line
    said = {f"usage, {rule.name}": "; ".join(getattr(one.used, rule.name)) or "right" for rule in RULES}
    return line | said | {"outweighed": one.used.outweighed or ""}
