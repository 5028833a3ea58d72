"""The transfer matrix as a table: per-example results of all cells in, one row for each (source, target, kind) out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from raylab.artifact import Artifact
from raylab.core import evaluate as measures
from raylab.core.statistics import Correlation, Estimate, correlate, over_seeds, proportion
from raylab.recipes.transfer_matrix import Cell, TransferMatrix

CONTROLS = ("unperturbed", "random_labels", "untrained")
FITTED = 0.9  # training accuracy from which on a source counts as fitted to random labels
NEIGHBOURS_TRUSTED = 0.8  # accuracy on clean images below which the 1-nearest-neighbour check decides nothing
Artifacts = Mapping[Cell, Artifact]
BySeed = Mapping[int, Estimate]


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
    neighbours_clean: Estimate | None  # the 1-NN check's own accuracy, leave one out
    correlations: Mapping[str, Mapping[str, Correlation]]  # by kind: views of `correlate`
    points: tuple[Point, ...]
    artifacts: Artifacts
    provenance: Mapping[str, Any]  # of the newest artifact

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
    reader = _Reader(config, artifacts)
    rows = tuple(
        reader.row(source, target, kind)
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
    newest = max(artifacts.values(), key=lambda a: str(a.manifest["provenance"].get("finished", "")))
    return Matrix(
        config,
        key,
        note,
        class_names,
        rows,
        {t: reader.accuracy([Cell("standard", s, target=t) for s in config.seeds]) for t in config.targets},
        {s: reader.accuracy([Cell("source", seed, s) for seed in config.seeds]) for s in config.sources},
        reader.neighbours("", "", "says_original"),
        {kind: _correlations([p for p in points if p.kind == kind]) for kind in config.kinds},
        points,
        artifacts,
        newest.manifest["provenance"],
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


def _correlations(points: Sequence[Point]) -> Mapping[str, Correlation]:
    return correlate(
        [p.source for p in points],
        [p.target for p in points],
        [p.transfer for p in points],
        [p.learned for p in points],
        seed=0,
        teacher=[p.seed for p in points],
    )


class _Reader:
    """Reads each artifact's columns once."""

    def __init__(self, config: TransferMatrix, artifacts: Artifacts) -> None:
        self.config, self.artifacts = config, artifacts
        self._columns: dict[Cell, Mapping[str, Any]] = {}
        self._transfer: dict[tuple[str, str, int], Mapping[str, Estimate]] = {}

    def row(self, source: str, target: str, kind: str) -> Row:
        seeds = self.config.seeds
        students = [Cell("student", seed, source, target, kind) for seed in seeds]
        sets = [Cell("set", seed, source, "", kind) for seed in seeds]
        by_seed = {cell.seed: self.share(cell, "correct") for cell in students}
        controls = {name: self.control(name, source, target, kind) for name in CONTROLS}
        known = {name: values for name, values in controls.items() if values}
        control_sets = {name: [Cell("set", seed, source, "", kind, name) for seed in seeds] for name in CONTROLS}
        noise = [Cell("network", seed, source, control="random_labels") for seed in seeds]
        noise_fit = self.training_accuracy(noise) if noise[0] in self.artifacts else None
        fitted = noise_fit is None or noise_fit.mean >= FITTED
        by_name: dict[str, list[Estimate]] = {}
        for seed in seeds:
            for name, rate in self.transfer(source, target, seed).items():
                by_name.setdefault(name, []).append(rate)
        usage = {}
        if Cell("usage", seeds[0], source, target, kind) in self.artifacts:
            usage = self.usage(source, target, kind)
        return Row(
            source,
            target,
            kind,
            by_seed,
            _mean(list(by_seed.values())),
            _mean([self.share(cell, "next_class") for cell in students]),
            self.metric(sets, "success"),
            self.metric(sets, "success_of_the_other_iterate"),
            {name: _mean(list(values.values())) for name, values in known.items()},
            {name: _difference(by_seed, values) for name, values in known.items() if name != "random_labels" or fitted},
            self.neighbours(source, kind, "says_original"),
            self.neighbours(source, kind, "says_target"),
            known,
            {name: _mean(rates) for name, rates in by_name.items()},
            {seed: self.transfer(source, target, seed) for seed in seeds},
            usage,
            {name: self.metric(made, "success") for name, made in control_sets.items() if made[0] in self.artifacts},
            noise_fit,
        )

    def control(self, name: str, source: str, target: str, kind: str) -> BySeed:
        origin = "" if name == "unperturbed" and self.config.keep == "all" else source
        cells = [Cell("student", seed, origin, target, kind, name) for seed in self.config.seeds]
        return {cell.seed: self.share(cell, "correct") for cell in cells if cell in self.artifacts}

    def transfer(self, source: str, target: str, seed: int) -> Mapping[str, Estimate]:
        """Both aims' rates for one pair of networks, from their per-example answers."""
        if (source, target, seed) in self._transfer:
            return self._transfer[source, target, seed]
        clean = self.columns(Cell("standard", seed, target=target))
        right = dict(zip(clean["id"].tolist(), clean["correct"].tolist(), strict=True))
        rates: dict[str, Estimate] = {}
        for aim, name in (("untargeted", "untargeted"), ("det", "targeted")):
            judged = self.columns(Cell("transfer", seed, source, target, aim))
            clean_correct = np.array([right[i] for i in judged["id"].tolist()], dtype=bool)
            label, said = judged["source_label"], judged["prediction"]
            if aim == "untargeted":
                found = measures.untargeted_transfer(label, clean_correct, judged["source_prediction"], said)
            else:
                found = measures.targeted_transfer(
                    label, judged["label"], clean_correct, judged["source_prediction"], said
                )
            rates |= {f"{name} {what}": rate for what, rate in found.items()}
        self._transfer[source, target, seed] = rates
        return rates

    def usage(self, source: str, target: str, kind: str) -> dict[str, Estimate]:
        follow: dict[str, list[Estimate]] = {"follow_r": [], "follow_n": []}
        for seed in self.config.seeds:
            shown = self.columns(Cell("usage", seed, source, target, kind))
            for name, feature in (("follow_r", "shape_class"), ("follow_n", "toogit_class")):
                hits = shown["prediction"] == shown[feature]
                follow[name].append(proportion(int(hits.sum()), len(hits)))
        read = [Cell("oracles", seed, source, "", kind) for seed in self.config.seeds]
        return {name: _mean(values) for name, values in follow.items()} | {
            name: self.metric(read, name) for name in ("shape_kept", "toogit_is_target")
        }

    def neighbours(self, source: str, kind: str, metric: str) -> Estimate | None:
        cells = [Cell("neighbours", seed, source, "", kind) for seed in self.config.seeds]
        return self.metric(cells, metric) if cells[0] in self.artifacts else None

    def accuracy(self, cells: Sequence[Cell]) -> Estimate:
        return self.metric(cells, "accuracy")

    def training_accuracy(self, cells: Sequence[Cell]) -> Estimate:
        """In the last epoch, on the labels that the networks were given."""
        found = [self.artifacts[cell].metrics for cell in cells]
        return _mean([proportion(round(m["accuracy"][-1] * m["examples"]), m["examples"]) for m in found])

    def metric(self, cells: Sequence[Cell], name: str) -> Estimate:
        """A share that the artifacts' manifests have, over seeds."""
        found = []
        for cell in cells:
            metrics = self.artifacts[cell].metrics
            n = int(metrics.get(f"n_{name}", metrics["n"]))  # a share of some examples only has an n of its own
            value = metrics[name]
            if value is None:
                found.append(Estimate(math.nan, math.nan, 0, 1))
            else:
                found.append(Estimate(value, math.sqrt(value * (1 - value) / n), n, 1))
        return _mean(found)

    def share(self, cell: Cell, column: str) -> Estimate:
        values = self.columns(cell)[column]
        return proportion(int(values.sum()), len(values))

    def columns(self, cell: Cell) -> Mapping[str, Any]:
        if cell not in self._columns:
            table = self.artifacts[cell].table()
            kept = [name for name in table.column_names if name not in ("logits", "image")]
            self._columns[cell] = {name: table.column(name).to_numpy() for name in kept}
        return self._columns[cell]


def _mean(seeds: Sequence[Estimate]) -> Estimate:
    """Over seeds; a single one keeps the standard error of its sample of examples, and says seeds=1."""
    return seeds[0] if len(seeds) == 1 else over_seeds([e.mean for e in seeds], sum(e.n for e in seeds))


def _difference(of: BySeed, minus: BySeed) -> Estimate:
    """Paired by seed. The standard error is that over seeds together with that of the examples, for three seeds can
    agree by chance."""
    shared = [seed for seed in of if seed in minus]
    sampled = math.sqrt(sum(of[s].se ** 2 + minus[s].se ** 2 for s in shared)) / max(len(shared), 1)
    n = sum(of[seed].n for seed in shared)
    mean = over_seeds([of[seed].mean - minus[seed].mean for seed in shared], n)
    between = 0.0 if math.isnan(mean.se) else mean.se
    return Estimate(mean.mean, math.hypot(between, sampled), n, mean.seeds)
