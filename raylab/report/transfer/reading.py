"""Rates of a matrix from the per-example results of its cells, each artifact read once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from raylab import columns
from raylab.artifact import Artifact
from raylab.core import evaluate as measures
from raylab.core.statistics import Estimate, proportion, sampled
from raylab.recipes.transfer_matrix import Cell, TransferMatrix
from raylab.report import hits
from raylab.report.estimates import difference, mean, negated
from raylab.report.per_seed import PerSeed, shifted

Artifacts = Mapping[Cell, Artifact]


class Reader:
    """Of one config; a rate over several cells is a mean over their seeds."""

    def __init__(self, config: TransferMatrix, artifacts: Artifacts) -> None:
        self.config, self.artifacts = config, artifacts
        self._columns: dict[Cell, Mapping[str, Any]] = {}
        self._transfer: dict[tuple[str, str, int], Mapping[str, Estimate]] = {}

    def control(self, name: str, source: str, target: str, kind: str) -> Mapping[int, Estimate]:
        origin = "" if name == "unperturbed" and self.config.keep == "all" else source
        cells = [Cell("student", seed, origin, target, kind, name) for seed in self.config.seeds]
        return {cell.seed: self.share(cell, "correct") for cell in cells if cell in self.artifacts}

    def transfer(self, source: str, target: str, seed: int) -> Mapping[str, Estimate]:
        """Both aims' rates for one pair of networks, from their per-example answers."""
        if (source, target, seed) in self._transfer:
            return self._transfer[source, target, seed]
        clean = self.columns(Cell("standard", seed, target=target))
        right = dict(zip(clean["id"].tolist(), clean["correct"].tolist(), strict=True))
        rates, images = dict[str, Estimate](), self.config.data.images_of(seed)
        for aim, name in (("untargeted", "untargeted"), ("det", "targeted")):
            judged = self.columns(Cell("transfer", seed, source, target, aim))
            clean_correct = np.array([right[i] for i in judged["id"].tolist()], dtype=bool)
            label, said = judged["source_label"], judged["prediction"]
            if aim == "untargeted":
                found = measures.untargeted_transfer(
                    label, clean_correct, judged["source_prediction"], said, judged["id"], images
                )
            else:
                found = measures.targeted_transfer(
                    label, judged["label"], clean_correct, judged["source_prediction"], said, judged["id"], images
                )
            rates |= {f"{name} {what}": rate for what, rate in found.items()}
        self._transfer[source, target, seed] = rates
        return rates

    def usage(self, source: str, target: str, kind: str) -> dict[str, Estimate]:
        """How often a student follows each feature, and "prefers", the toogit less the shape; what oracles read."""
        follow: dict[str, dict[int, Estimate]] = {"follow_r": {}, "follow_n": {}}
        for seed in self.config.seeds:
            shown = self.columns(Cell("usage", seed, source, target, kind))
            for name, feature in (("follow_r", "shape_class"), ("follow_n", "toogit_class")):
                follow[name][seed] = self._sampled(seed, shown["id"], shown["prediction"] == shown[feature])
        read = [Cell("oracles", seed, source, "", kind) for seed in self.config.seeds]
        found = {name: PerSeed(by_seed).mean for name, by_seed in follow.items()}
        found |= {name: self.metric(read, name) for name in ("shape_kept", "toogit_is_target")}
        return found | {"prefers": difference(follow["follow_n"], follow["follow_r"])}

    def neighbours(self, source: str, kind: str, metric: str) -> Estimate | None:
        cells = [Cell("neighbours", seed, source, "", kind) for seed in self.config.seeds]
        return self.metric(cells, metric) if cells[0] in self.artifacts else None

    def accuracy(self, cells: Sequence[Cell]) -> Estimate:
        return mean([self.share(cell, "correct") for cell in cells])

    def training_accuracy(self, cells: Sequence[Cell]) -> Estimate:
        """In the last epoch, on the labels that the networks were given."""
        found = [self.artifacts[cell].metrics for cell in cells]
        return mean([proportion(round(m["accuracy"][-1] * m["examples"]), m["examples"]) for m in found])

    def has(self, cells: Sequence[Cell]) -> bool:
        """All seeds of a cell are planned together, so the first one answers."""
        return cells[0] in self.artifacts

    def withstands(self, source: str, control: str = "") -> Estimate:
        """Accuracy of a source on test images that were attacked untargeted on it, at the radius of the config."""
        cells = [Cell("attacked", seed, source, "", "untargeted", control) for seed in self.config.seeds]
        return shifted(negated(self.metric(cells, "success")), 1.0)

    def collapses(self, cells: Sequence[Cell]) -> Iterator[str]:
        """What adversarial trainings had to warn of."""
        for cell in cells:
            if said := self.artifacts[cell].metrics["collapse"]:
                yield f"seed {cell.seed}: {said}"

    def untouched(self, cells: Sequence[Cell]) -> Estimate:
        """The share of patterned images that keep their pixels."""
        found = [self.artifacts[cell].metrics for cell in cells]
        return mean([proportion(m["unperturbed"], m["rows"]) for m in found])

    def robustness(self, cells: Sequence[Cell]) -> Mapping[float, Estimate]:
        """Robust accuracy by radius, the worst of all attacks; empty where it was not measured."""
        if not self.has(cells):
            return {}

        def stands(cell: Cell, place: int) -> Estimate:
            rows = self.columns(cell)
            return self._sampled(cell.seed, rows["id"], hits.stands(rows, place))

        radii = self.artifacts[cells[0]].metrics["eps"]
        return {eps: mean([stands(cell, place) for cell in cells]) for place, eps in enumerate(radii)}

    def doubts(self, cells: Sequence[Cell]) -> Iterator[str]:
        """Why those numbers may be too high."""
        for cell in cells if self.has(cells) else ():
            yield from (f"seed {cell.seed}: {said}" for said in self.artifacts[cell].metrics.get("warnings", ()))

    def metric(self, cells: Sequence[Cell], name: str) -> Estimate:
        """A share that the artifacts' manifests have, over seeds: of test images where those were attacked, else of
        training images."""

        def share(cell: Cell) -> Estimate:
            split, aim = ("test", cell.kind) if cell.role == "attacked" else ("train", "")
            return hits.share(self.columns(cell), name, self.config.data.images_of(cell.seed, split), aim)

        return mean([share(cell) for cell in cells])

    def share(self, cell: Cell, column: str) -> Estimate:
        rows = self.columns(cell)
        return self._sampled(cell.seed, rows["id"], rows[column].astype(bool))

    def _sampled(self, seed: int, ids: Any, hit: Any) -> Estimate:
        return sampled(hit, ids, self.config.data.images_of(seed))

    def columns(self, cell: Cell) -> Mapping[str, Any]:
        if cell not in self._columns:
            self._columns[cell] = columns.to_batch(self.artifacts[cell].table(without=hits.UNREAD))
        return self._columns[cell]
