"""The transfer matrix as a table: per-example results of all cells in, one row for each (source, target, kind) out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from raylab.core.statistics import Correlation, Estimate, correlate
from raylab.recipes.transfer_matrix import Cell, TransferMatrix
from raylab.report.estimates import BySeed, difference, mean
from raylab.report.made import newest_provenance
from raylab.report.numbers import percent, share
from raylab.report.transfer.reading import Artifacts, Reader

CONTROLS = ("unperturbed", "random_labels", "untrained", "robust", "leakage")
TRANSFER = "targeted hits_target"  # an independent network says label + 1, of all test images attacked towards it
LEARNED = 0.5  # of the way from chance to the standard source: one that sees nothing is led nowhere either
FITTED = 0.9  # training accuracy from which on a source counts as fitted to random labels
NEIGHBOURS_TRUSTED = 0.8  # accuracy on clean images below which the 1-nearest-neighbour check decides nothing


@dataclass(frozen=True)
class RobustSource:
    """The adversarially trained source beside a row's own, which tells what budget still leaves the image standing."""

    accuracy: Estimate  # on clean test images
    withstands: Estimate  # accuracy on test images under the attack itself, untargeted, at the same radius
    success: Estimate  # of the attack that made the set, on this source
    p1: Estimate  # of the student of its set, whose accuracy is the control "robust"
    above: Estimate | None = None  # that p1 minus that accuracy, paired by seed
    # Of its training and its attacks: a collapsed network withstands everything and sees nothing.
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """What was measured for one kind of set, made from one source architecture, learned by one target architecture."""

    source: str
    target: str
    kind: str
    by_seed: BySeed  # student accuracy on the untouched test set, a seed
    accuracy: Estimate
    p1: Estimate  # share of test images called label + 1
    success: Estimate  # the source says the target, of the training images whose target is another class
    success_other: Estimate  # the same at the iterate that was not kept (last where best is kept)
    controls: Mapping[str, Estimate]  # student accuracy by control; a control that was not run is absent
    above: Mapping[str, Estimate]  # accuracy minus that control, paired by seed
    neighbours_original: Estimate | None  # 1-NN of the constructed images: the original class, the target
    neighbours_target: Estimate | None
    controls_by_seed: Mapping[str, BySeed]
    transfer: Mapping[str, Estimate]  # "untargeted misclassified", "targeted hits_target_given_fooled", ...
    transfer_by_seed: Mapping[int, Mapping[str, Estimate]]
    usage: Mapping[str, Estimate]  # See-Far: follow_r, follow_n of the student; shape_kept, toogit_is_target of the set
    control_success: Mapping[str, Estimate] = field(default_factory=dict)  # as success, of the controls' own sources
    noise_fit: Estimate | None = None  # training accuracy of the source that should fit random labels
    above_p1: Estimate | None = None  # accuracy minus p1, paired by seed
    withstands: Estimate | None = None  # the source's own accuracy under the attack, as the robust source's
    robust: RobustSource | None = None
    untouched: Estimate | None = None  # share of the leakage-only set that keeps its pixels: what can leak at all
    robustness: Mapping[float, Estimate] = field(default_factory=dict)  # of the student, by radius
    doubts: tuple[str, ...] = ()  # why these numbers may be too high
    chance: float = 0.1  # one of the classes
    prefers: Estimate | None = None  # See-Far: follow_n minus follow_r, paired by seed and image

    @property
    def noise_is_fitted(self) -> bool:
        """Whether the source of that control learned its labels; where it did not, the control is no control."""
        return self.noise_fit is None or self.noise_fit.mean >= FITTED


@dataclass(frozen=True)
class Matrix:
    """One config's result."""

    config: TransferMatrix
    key: str
    note: str  # what must be said beside every number of this data
    class_names: tuple[str, ...]
    rows: tuple[Row, ...]
    standard: Mapping[str, Estimate]  # test accuracy of the independent networks, by architecture
    sources: Mapping[str, Estimate]  # and of the sources
    robustness: Mapping[str, Mapping[float, Estimate]]  # robust accuracy of the independent networks, where measured
    doubts: Mapping[str, tuple[str, ...]]  # why those may be too high
    neighbours_clean: Estimate | None  # the 1-NN check's own accuracy, leave one out
    correlations: Mapping[str, Mapping[str, Correlation]]  # by kind: views of `correlate`
    points: tuple[Point, ...]
    artifacts: Artifacts
    provenance: Mapping[str, Any]  # of the newest artifact

    @property
    def correlated(self) -> Mapping[str, Mapping[str, Correlation]]:
        """By kind, the correlations that are shown anywhere: those with networks enough to resample. Without two
        sources and two targets a coefficient is about seeds, not pairs."""
        return {k: views for k, views in self.correlations.items() if not math.isnan(views["pooled"].pearson.low)}

    def row(self, source: str, target: str, kind: str) -> Row:
        return next(r for r in self.rows if (r.source, r.target, r.kind) == (source, target, kind))


@dataclass(frozen=True)
class Point:
    """One (source, target) pair of one seed, in the scatter of transfer against learning."""

    kind: str
    source: str
    target: str
    seed: int
    transfer: float  # targeted (y + 1), unconditional: the independent network says the target
    learned: float  # accuracy of the student


def measured(config: TransferMatrix, key: str, artifacts: Artifacts) -> Matrix:
    """As `matrix`, with the note and the class names that the data set itself has."""
    about = artifacts[Cell("data", config.seeds[0])].metrics
    return matrix(config, key, artifacts, about["note"], tuple(about["class_names"]))


def matrix(config: TransferMatrix, key: str, artifacts: Artifacts, note: str, class_names: tuple[str, ...]) -> Matrix:
    """All statistics of one config from the per-example results of its cells."""
    reader = Reader(config, artifacts)
    rows = tuple(
        _row(reader, source, target, kind, 1 / len(class_names))
        for kind in config.kinds
        for source in config.sources
        for target in config.targets
    )
    points = tuple(
        Point(
            row.kind, row.source, row.target, seed,
            reader.transfer(row.source, row.target, seed)["targeted hits_target"].mean,
            row.by_seed[seed].mean,
        )
        for row in rows
        for seed in config.seeds
    )  # fmt: skip
    independent = {t: [Cell("robustness", seed, target=t) for seed in config.seeds] for t in config.targets}
    return Matrix(
        config,
        key,
        note,
        class_names,
        rows,
        {t: reader.accuracy([Cell("standard", s, target=t) for s in config.seeds]) for t in config.targets},
        {s: reader.accuracy([Cell("source", seed, s) for seed in config.seeds]) for s in config.sources},
        {name: reader.robustness(cells) for name, cells in independent.items()},
        {name: tuple(reader.doubts(cells)) for name, cells in independent.items()},
        reader.neighbours("", "", "says_original"),
        {kind: _correlations([p for p in points if p.kind == kind]) for kind in config.kinds},
        points,
        artifacts,
        newest_provenance(artifacts.values()),
    )


def examples(matrix: Matrix) -> pa.Table:
    """Every student's answer to every test image, with the cell it belongs to: for any statistic that is not here.

    Columns: seed, source, target, kind, control, id, label, logits, prediction, correct, next_class.
    """
    tables = []
    for cell, artifact in matrix.artifacts.items():
        if cell.role == "student":
            table = artifact.table()
            for name in ("control", "kind", "target", "source", "seed"):
                column = pa.array([getattr(cell, name)] * table.num_rows)
                table = table.add_column(0, name, column)
            kept = ["seed", "source", "target", "kind", "control", "id", "label", "logits"]
            tables.append(table.select([*kept, "prediction", "correct", "next_class"]))
    return pa.concat_tables(tables)


def _row(reader: Reader, source: str, target: str, kind: str, chance: float) -> Row:
    seeds = reader.config.seeds
    students = [Cell("student", seed, source, target, kind) for seed in seeds]
    sets = [Cell("set", seed, source, "", kind) for seed in seeds]
    by_seed = {cell.seed: reader.share(cell, "correct") for cell in students}
    p1_by_seed = {cell.seed: reader.share(cell, "next_class") for cell in students}
    controls = {name: reader.control(name, source, target, kind) for name in CONTROLS}
    known = {name: values for name, values in controls.items() if values}
    control_sets = {name: [Cell("set", seed, source, "", kind, name) for seed in seeds] for name in CONTROLS}
    attacked = {name: made for name, made in control_sets.items() if reader.has(made) and name != "leakage"}
    leaking = control_sets["leakage"]
    own = [Cell("robustness", seed, source, target, kind) for seed in seeds]
    probes = [Cell("attacked", seed, source, "", "untargeted") for seed in seeds]
    noise = [Cell("network", seed, source, control="random_labels") for seed in seeds]
    noise_fit = reader.training_accuracy(noise) if reader.has(noise) else None
    fitted = noise_fit is None or noise_fit.mean >= FITTED
    by_name: dict[str, list[Estimate]] = {}
    for seed in seeds:
        for name, rate in reader.transfer(source, target, seed).items():
            by_name.setdefault(name, []).append(rate)
    usage = reader.usage(source, target, kind) if reader.has([Cell("usage", seeds[0], source, target, kind)]) else {}
    return Row(
        source,
        target,
        kind,
        by_seed,
        mean(list(by_seed.values())),
        mean(list(p1_by_seed.values())),
        reader.metric(sets, "success"),
        reader.metric(sets, "success_of_the_other_iterate"),
        {name: mean(list(values.values())) for name, values in known.items()},
        {name: difference(by_seed, values) for name, values in known.items() if name != "random_labels" or fitted},
        reader.neighbours(source, kind, "says_original"),
        reader.neighbours(source, kind, "says_target"),
        known,
        {name: mean(rates) for name, rates in by_name.items()},
        {seed: reader.transfer(source, target, seed) for seed in seeds},
        {name: one for name, one in usage.items() if name != "prefers"},
        {name: reader.metric(made, "success") for name, made in attacked.items()},
        noise_fit,
        difference(by_seed, p1_by_seed),
        reader.withstands(source) if reader.has(probes[:1]) else None,
        _robust_source(reader, source, target, kind, chance),
        reader.untouched(leaking) if reader.has(leaking) else None,
        reader.robustness(own),
        tuple(said for cells in (own, sets, probes) for said in reader.doubts(cells)),
        chance,
        usage.get("prefers"),
    )


def _robust_source(reader: Reader, source: str, target: str, kind: str, chance: float) -> RobustSource | None:
    seeds = reader.config.seeds
    students = [Cell("student", seed, source, target, kind, "robust") for seed in seeds]
    if not reader.has(students):
        return None
    sets = [Cell("set", seed, source, "", kind, "robust") for seed in seeds]
    probes = [Cell("attacked", seed, source, "", "untargeted", "robust") for seed in seeds]
    accuracy = reader.accuracy([Cell("source", seed, source, control="robust") for seed in seeds])
    needed = chance + LEARNED * (reader.accuracy([Cell("source", seed, source) for seed in seeds]).mean - chance)
    weak = f"it is right on {percent(accuracy)} of clean images only, where {share(needed, 0)} % are asked"
    by_seed, p1 = ({cell.seed: reader.share(cell, name) for cell in students} for name in ("correct", "next_class"))
    return RobustSource(
        accuracy,
        reader.withstands(source, "robust"),
        reader.metric(sets, "success"),
        mean(list(p1.values())),
        difference(p1, by_seed),
        (
            *reader.collapses([Cell("network", seed, source, control="robust") for seed in seeds]),
            *([weak] if accuracy.mean < needed else []),
            *reader.doubts([*sets, *probes]),  # a source whose attacks met no gradient does not stand for that
        ),
    )


def _correlations(points: Sequence[Point]) -> Mapping[str, Correlation]:
    return correlate(
        [p.source for p in points],
        [p.target for p in points],
        [p.transfer for p in points],
        [p.learned for p in points],
        seed=0,
        teacher=[p.seed for p in points],
    )
