"""The transfer matrix in numbers: what students learn from each set, beside what they must beat."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from raylab.core import evaluate as measures
from raylab.core.statistics import Correlation, Estimate, correlate, proportion
from raylab.engine.study import Built
from raylab.experiments.transfer.config import TransferMatrix
from raylab.experiments.transfer.plan import TransferCell
from raylab.report.names import calls
from raylab.report.numbers import percent, share
from raylab.report.per_seed import PerSeed
from raylab.report.read import CellReader, Columns, Findings, begun, images_of, in_todays_words
from raylab.scoreboard.protocol import named, norm_label
from raylab.stages.dataset import SeeFarData

CONTROLS = {
    "unperturbed": "unperturbed images",
    "random_labels": "random-label source",
    "untrained": "untrained source",
    "robust": "robust source",
    "leakage": "leakage-only set",
}
TRANSFER = "targeted"  # an independent network says label + 1, of all test images attacked towards it
ERRS = "untargeted"  # it errs, of all test images attacked away from their label
LEARNED = (
    0.5  # of the way from chance to the standard source: no attack towards a target succeeds on one that sees nothing
)
FITTED = 0.9  # training accuracy from which on a source counts as fitted to random labels
NOTHING = PerSeed({})


@dataclass(frozen=True)
class RobustNetwork:
    """The adversarially trained source beside a row's own: at which radius images still look like their class."""

    accuracy: PerSeed  # on clean test images
    robust_accuracy: PerSeed  # on test images under the attack itself, untargeted, at the same radius
    success: PerSeed  # success rate of the attack that made its set
    p1: PerSeed  # next-class rate of the student of its set, whose accuracy is the control "robust"
    # Of its training and its attacks: no attack succeeds on a collapsed network, which sees nothing.
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """What was measured for one kind of set, made from one source architecture, learned by one target architecture."""

    source: str
    target: str
    kind: str
    accuracy: PerSeed  # of the student on the untouched test set
    p1: PerSeed  # next-class rate: share of test images called label + 1
    success: PerSeed  # of the attack: the source says the target, of the images whose target is another class
    success_other: PerSeed  # the same at the iterate that was not kept (last where best is kept)
    controls: Mapping[str, PerSeed]  # student accuracy by control; a control that was not asked for is absent
    transfer: Mapping[str, PerSeed]  # to an independent network: TRANSFER, ERRS, "targeted_given_fooled", ...
    neighbours_original: PerSeed = NOTHING  # 1-NN of the constructed images: the original class, the target
    neighbours_target: PerSeed = NOTHING
    reliance: Mapping[str, PerSeed] = field(default_factory=dict)  # See-Far: images called by each of their RELIED_ON
    oracles: Mapping[str, PerSeed] = field(default_factory=dict)  # See-Far: "turned" and "kept" in the set
    control_success: Mapping[str, PerSeed] = field(default_factory=dict)  # as success, of the controls' own sources
    noise_fit: PerSeed = NOTHING  # training accuracy of the source that should fit random labels
    robust_accuracy: PerSeed = NOTHING  # the source's own under the attack, as the robust source's
    robust: RobustNetwork | None = None
    unperturbed: PerSeed = NOTHING  # share of the leakage-only set that keeps its pixels: what can leak at all
    robustness: Mapping[float, PerSeed] = field(default_factory=dict)  # of the student, by radius
    warnings: tuple[str, ...] = ()  # why these numbers may be too high
    chance: float = 0.1  # one of the classes

    @property
    def pair(self) -> str:
        return f"{self.source} → {self.target}"

    @property
    def noise_is_fitted(self) -> bool:
        """Whether the source of that control learned its labels; where it did not, the control is no control."""
        return not self.noise_fit or self.noise_fit.mean.mean >= FITTED

    @cached_property
    def above(self) -> Mapping[str, PerSeed]:
        """Accuracy minus that of each control, paired by seed."""
        counted = {name: of for name, of in self.controls.items() if name != "random_labels" or self.noise_is_fitted}
        return {name: self.accuracy - of for name, of in counted.items()}

    @cached_property
    def above_p1(self) -> PerSeed:
        return self.accuracy - self.p1


RELIED_ON = {"non_robust": "toogit", "robust": "shape"}  # See-Far's features


@dataclass(frozen=True)
class Matrix(Findings[TransferMatrix, TransferCell]):
    """One study's result."""

    rows: tuple[Row, ...]
    standard: Mapping[str, PerSeed]  # test accuracy of the independent networks, by architecture
    sources: Mapping[str, PerSeed]  # and of the sources
    robustness: Mapping[str, Mapping[float, PerSeed]]  # robust accuracy of the independent networks, where asked
    warnings: Mapping[str, tuple[str, ...]]  # why those may be too high
    neighbours_clean: PerSeed  # the 1-NN check's own accuracy, leave one out
    # On further test images: by the cell of seed 0 on the test images, accuracy by the name of the others.
    further: Mapping[TransferCell, Mapping[str, PerSeed]] = field(default_factory=dict)
    metrics: Mapping[TransferCell, Mapping[str, PerSeed]] = field(
        default_factory=dict
    )  # of one's own, by cell and name

    @property
    def title(self) -> str:
        """What distinguishes this matrix from the others of a run: data, world, attack, selection."""
        c = self.config
        words = [named(c.data)]
        if isinstance(c.data, SeeFarData):
            reliability = {"non-robust": c.data.toogit_reliability, "robust": c.data.shape_reliability}
            words += [f"a world whose {name} feature says nothing" for name, of in reliability.items() if of <= 0.1]
        kept = {
            "all": "",
            "success": ", successes only",
            "failed": ", failures only",
            "top": f", the {c.keep_share:.0%} of largest margin",
            "bottom": f", all but the {c.keep_share:.0%} of largest margin",
        }[c.keep]
        return f"{', '.join(words)}: {norm_label(c.attack.norm)} radius {c.attack.eps:g}{kept}"

    def row(self, source: str, target: str, kind: str) -> Row:
        return next(r for r in self.rows if (r.source, r.target, r.kind) == (source, target, kind))

    def of(self, kind: str) -> list[Row]:
        return [row for row in self.rows if row.kind == kind]

    @cached_property
    def correlations(self) -> Mapping[str, Mapping[str, Correlation]]:
        """By kind, of targeted transfer with the student's accuracy over pairs and seeds: the views of `correlate`."""
        return {kind: _correlations(self.of(kind)) for kind in self.config.every_kind}

    @property
    def correlated(self) -> Mapping[str, Mapping[str, Correlation]]:
        """Those with networks enough to resample, which alone are shown. Without two sources and two targets a
        coefficient is about seeds, not pairs."""
        return {k: views for k, views in self.correlations.items() if not math.isnan(views["pooled"].pearson.low)}


def points(row: Row) -> Iterator[tuple[int, float, float]]:
    """By seed: targeted transfer, and the accuracy of the student."""
    for seed, learned in row.accuracy.items():
        if seed in row.transfer[TRANSFER]:
            yield seed, row.transfer[TRANSFER][seed].mean, learned.mean


def _correlations(rows: list[Row]) -> Mapping[str, Correlation]:
    found = [(row.source, row.target, *point) for row in rows for point in points(row)]
    sources, targets, seeds, transfer, learned = zip(*found, strict=True) if found else ((),) * 5
    return correlate(sources, targets, transfer, learned, seed=0, teacher=seeds)


def measure(built: Built[TransferMatrix, TransferCell]) -> Matrix:
    """All statistics of one study from the results of single examples."""
    c = built.config
    start = begun(built)
    reader = _Numbers(built, 1 / len(start[2]))
    sets = {(source, kind): reader.of_set(source, kind) for kind in c.every_kind for source in c.sources}
    independent = {target: TransferCell("robustness", 0, target=target) for target in c.targets}
    return Matrix(
        *start,
        tuple(
            reader.row(source, target, kind, sets[source, kind])
            for kind in c.every_kind
            for source in c.sources
            for target in c.targets
        ),
        {target: reader.right(TransferCell("standard", 0, target=target)) for target in c.targets},
        {source: reader.right(TransferCell("source", 0, source)) for source in c.sources},
        {target: reader.by_radius(cell) for target, cell in independent.items()},
        {target: reader.warned(cell) for target, cell in independent.items()},
        reader.hit(TransferCell("neighbours", 0), "says_original"),
        reader.beside("further"),
        reader.beside("metric"),
    )


class _Numbers(CellReader[TransferCell]):
    """Of one matrix."""

    def __init__(self, built: Built[TransferMatrix, TransferCell], chance: float) -> None:
        c = built.config
        super().__init__(built.artifacts, c.seeds, images_of(c))
        self.config, self.chance, self.planned = built.config, chance, set(built.planned)

    def asked(self, cell: TransferCell) -> bool:
        return any(cell._replace(seed=seed) in self.planned for seed in self.seeds)

    def row(self, source: str, target: str, kind: str, of_set: Mapping[str, Any]) -> Row:
        place = TransferCell("student", 0, source, target, kind)
        own, probe = place._replace(role="robustness"), TransferCell("attacked", 0, source, "", "untargeted")
        usage = place._replace(role="usage")
        robust = place._replace(control="robust")
        return Row(
            source,
            target,
            kind,
            self.right(place),
            self.share(place, _next_class),
            transfer=self.transfer(source, target),
            controls={name: self.right(of) for name in CONTROLS if self.asked(of := self.control(name, place))},
            reliance={name: self.share(usage, calls(column)) for name, column in RELIED_ON.items()}
            if self.asked(usage)
            else {},
            robustness=self.by_radius(own),
            warnings=self.warned(own, TransferCell("set", 0, source, "", kind), probe),
            robust=self.robust_network(robust) if self.asked(robust) else None,
            chance=self.chance,
            **of_set,
        )

    def beside(self, role: str) -> Mapping[TransferCell, Mapping[str, PerSeed]]:
        """By the cell of a test, its accuracy ("test"), and what the cells of a role say that stand beside it."""
        found: dict[TransferCell, dict[str, PerSeed]] = {}
        for cell in (cell._replace(seed=0) for cell in self.planned if cell.role == role):
            tested = "student" if cell.kind else "source" if cell.source else "standard"
            place = cell._replace(role=tested, on="")
            of = found.setdefault(place, {"test": self.right(place)})
            of[cell.on] = self.further(cell) if role == "further" else self.rows(cell, lambda rows: rows["value"])
        return found

    def of_set(self, source: str, kind: str) -> dict[str, Any]:
        """What belongs to a set whoever learns from it."""
        place = TransferCell("set", 0, source, "", kind)
        oracles, near = place._replace(role="oracles"), place._replace(role="neighbours")
        controls = {name: place._replace(control=name) for name in CONTROLS if name != "leakage"}
        attacked = {name: of for name, of in controls.items() if self.asked(of)}
        leaking = self.artifacts(place._replace(control="leakage")).items()
        read = {"turned": "toogit_is_target", "kept": "shape_kept"}
        return {
            "success": self.hit(place, "success"),
            "success_other": self.hit(place, "success_of_the_other_iterate"),
            "control_success": {name: self.hit(of, "success") for name, of in attacked.items()},
            "neighbours_original": self.hit(near, "says_original"),
            "neighbours_target": self.hit(near, "says_target"),
            "oracles": {name: self.hit(oracles, of) for name, of in read.items()} if self.asked(oracles) else {},
            "noise_fit": self.fitted(TransferCell("network", 0, source, control="random_labels")),
            "robust_accuracy": self.under_attack(source),
            "unperturbed": PerSeed(
                {seed: proportion(one.metrics["unperturbed"], one.metrics["rows"]) for seed, one in leaking}
            ),
        }

    def control(self, name: str, place: TransferCell) -> TransferCell:
        """The student of a control; that of unperturbed images has no source, unless only some examples are kept."""
        no_source = name == "unperturbed" and self.config.keep == "all" and place.kind in self.config.kinds
        return place._replace(control=name, source="" if no_source else place.source)

    def robust_network(self, student: TransferCell) -> RobustNetwork:
        source = student.source
        network = TransferCell("source", 0, source, control="robust")
        made = TransferCell("set", 0, source, "", student.kind, "robust")
        probe = TransferCell("attacked", 0, source, "", "untargeted", "robust")
        accuracy, standard = self.right(network), self.right(TransferCell("source", 0, source))
        needed = self.chance + LEARNED * (standard.mean.mean - self.chance)
        weak = f"it is right on {percent(accuracy.mean)} of clean images only, where {share(needed, 0)} % are asked"
        return RobustNetwork(
            accuracy,
            self.under_attack(source, "robust"),
            self.hit(made, "success"),
            self.share(student, _next_class),
            (
                *self.warned(network._replace(role="network")),
                *([weak] if accuracy.mean.mean < needed else []),
                *self.warned(made, probe),  # a source whose attacks met no gradient is not shown to be robust
            ),
        )

    def under_attack(self, source: str, control: str = "") -> PerSeed:
        """Accuracy of a source on test images that were attacked untargeted on it, at the radius of the config."""
        probe = TransferCell("attacked", 0, source, "", "untargeted", control)
        return (-self.hit(probe, "success", "untargeted", "test")) - -1.0

    def by_radius(self, cell: TransferCell) -> Mapping[float, PerSeed]:
        """Robust accuracy under the worst of all attacks; empty where it was not asked for."""
        if self.config.robustness is None or not self.asked(cell):
            return {}
        return {eps: self.robust(cell, place) for place, eps in enumerate(self.config.robustness.eps)}

    def warned(self, *cells: TransferCell) -> tuple[str, ...]:
        """Of collapsed trainings, and of numbers that may be too high."""
        return tuple(
            f"seed {seed}: {in_todays_words(warning)}"
            for cell in cells
            for seed, artifact in self.artifacts(cell).items()
            for warning in (artifact.metrics.get("collapse"), *artifact.metrics.get("warnings", ()))
            if warning
        )

    def transfer(self, source: str, target: str) -> Mapping[str, PerSeed]:
        """Rates of both aims for one pair of networks, from their answers to single images. The name of an aim alone is
        that of its main rate: TRANSFER, ERRS."""
        found: dict[str, dict[int, Estimate]] = {TRANSFER: {}, ERRS: {}}
        clean = self.artifacts(TransferCell("standard", 0, target=target))
        for aim, name, main in (("untargeted", ERRS, "misclassified"), ("det", TRANSFER, "hits_target")):
            for seed, artifact in self.artifacts(TransferCell("transfer", 0, source, target, aim)).items():
                if seed not in clean:
                    continue
                rates = self._rates(self.columns(clean[seed]), self.columns(artifact), aim, seed)
                for rate, value in rates.items():
                    called = f"{name}{rate.removeprefix(main)}" if rate.startswith(main) else f"{name}_{rate}"
                    found.setdefault(called, {})[seed] = value
        return {name: PerSeed(by_seed) for name, by_seed in found.items()}

    def _rates(self, clean: Columns, judged: Columns, aim: str, seed: int) -> Mapping[str, Estimate]:
        right = dict(zip(clean["id"].tolist(), clean["correct"].tolist(), strict=True))
        clean_correct = np.array([right[i] for i in judged["id"].tolist()], dtype=bool)
        of_source, of_target, label = judged["source_prediction"], judged["prediction"], judged["source_label"]
        answers = clean_correct, of_source, of_target, judged["id"], self.images_of(seed, "test")
        if aim == "untargeted":
            return measures.untargeted_transfer(label, *answers)
        return measures.targeted_transfer(label, judged["label"], *answers)


def examples(matrix: Matrix) -> pa.Table:
    """Every student's answer to every test image, with the cell it belongs to: for any statistic that is not here.

    Columns: seed, source, target, kind, control, id, label, logits, prediction, correct, next_class.
    """
    tables = []
    for cell, artifact in matrix.built.artifacts.items():
        if cell.role == "student":
            table = artifact.table()
            for name in ("control", "kind", "target", "source", "seed"):
                column = pa.array([getattr(cell, name)] * table.num_rows)
                table = table.add_column(0, name, column)
            kept = ["seed", "source", "target", "kind", "control", "id", "label", "logits"]
            tables.append(table.select([*kept, "prediction", "correct", "next_class"]))
    return pa.concat_tables(tables)


def _next_class(rows: Columns) -> Any:
    return rows["next_class"]
