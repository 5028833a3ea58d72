"""Numbers by seed from the artifacts of a study's cells. What was not measured, or not built, is a `PerSeed` of no
seeds, which every table shows as absent and no verdict takes for a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from raylab.core.statistics import ANYTHING, Estimate, Range, proportion, sampled
from raylab.engine.artifact import Artifact
from raylab.engine.study import Built, Cell, Given
from raylab.report import hits
from raylab.report.per_seed import PerSeed

Columns = Mapping[str, NDArray[Any]]
ByRow = Callable[[Columns], Any]  # of a table of examples: a boolean, or a number, for each
Split = str  # train, test, or other images that `images_of` knows
CellT = TypeVar("CellT", bound=Any)  # a NamedTuple with a field `seed`


def in_todays_words(warning: str) -> str:
    """Of a manifest, which may be older."""
    return warning.replace("taught nothing that withstands its attack", "reached no robust accuracy")


def in_brief(warning: str) -> str:
    """What a training's warning says first, without the accuracies and the advice that follow."""
    return warning.partition(": epoch ")[0]


class CellReader(Generic[CellT]):
    """Of one study. A cell that is asked for may have any seed: the answer is of all seeds that have it."""

    def __init__(
        self,
        cells: Mapping[CellT, Artifact],
        seeds: Sequence[int],
        images_of: Callable[[int, str], str],  # seed and split -> of `statistics.Examples`
    ) -> None:
        self.cells, self.seeds, self.images_of = cells, seeds, images_of
        self._columns: dict[str, Columns] = {}

    def artifacts(self, cell: CellT) -> dict[int, Artifact]:
        """By seed."""
        found = {seed: self.cells.get(cell._replace(seed=seed)) for seed in self.seeds}
        return {seed: artifact for seed, artifact in found.items() if artifact is not None}

    def metrics(self, cell: CellT) -> list[Mapping[str, Any]]:
        """Of the manifests, in the order of the seeds."""
        return [artifact.metrics for artifact in self.artifacts(cell).values()]

    def share(self, cell: CellT, hit: ByRow, among: ByRow | None = None, split: Split = "test") -> PerSeed:
        """Of the examples (`among` them), those that are `hit`."""
        return self.rows(cell, lambda rows: np.asarray(hit(rows), dtype=bool), among, split)

    def rows(
        self,
        cell: CellT,
        value: ByRow,
        among: ByRow | None = None,
        split: Split = "test",
        within: Range = ANYTHING,  # of numbers
    ) -> PerSeed:
        """The mean over the examples (`among` them) of a value of each."""
        found = {}
        for seed, artifact in self.artifacts(cell).items():
            rows = self.columns(artifact)
            kept = slice(None) if among is None else among(rows)
            found[seed] = sampled(np.asarray(value(rows))[kept], rows["id"][kept], self.images_of(seed, split), within)
        return PerSeed(found)

    def right(self, cell: CellT) -> PerSeed:
        """Accuracy of an evaluation."""
        return self.share(cell, lambda rows: rows["correct"])

    def further(self, cell: CellT) -> PerSeed:
        """Accuracy of an evaluation on the further test images that the cell names (`on`)."""
        return self.share(cell, lambda rows: rows["correct"], split=cell.on)

    def hit(self, cell: CellT, metric: str, aim: str = "", split: Split = "train") -> PerSeed:
        """A metric of `hits.HITS`, such as the success of an attack on the images of a set."""
        return PerSeed(
            {
                seed: hits.share(self.columns(artifact), metric, self.images_of(seed, split), aim)
                for seed, artifact in self.artifacts(cell).items()
            }
        )

    def robust(self, cell: CellT, place: int = 0) -> PerSeed:
        """Accuracy under the worst of all attacks that were asked, at the radius of this place in the config."""
        return self.share(cell, lambda rows: hits.is_robust(rows, place))

    def counted(self, cell: CellT, name: str, n: str = "n") -> PerSeed:
        """A share that only the manifests have, by its name and that of its number of examples; of a list (one entry
        an epoch) the last."""
        found: dict[int, Estimate] = {}
        for seed, artifact in self.artifacts(cell).items():
            value, count = artifact.metrics[name], int(artifact.metrics[n])
            last = value[-1] if isinstance(value, Sequence) else value
            found[seed] = proportion(round(float(last) * count), count)
        return PerSeed(found)

    def fitted(self, cell: CellT) -> PerSeed:
        """Accuracy of a network on its own training images in the last epoch; adversarial: under its adversary."""
        return self.counted(cell, "accuracy", "examples")

    def warnings(self, role: str, metric: str, label: Callable[[CellT], str]) -> tuple[str, ...]:
        """What artifacts of a role have to warn of, with the cells' names."""
        return tuple(
            f"{label(cell)}, seed {cell.seed}: {in_todays_words(artifact.metrics[metric])}"
            for cell, artifact in self.cells.items()
            if cell.role == role and artifact.metrics[metric]
        )

    def columns(self, artifact: Artifact) -> Columns:
        """Of its examples, without the images; read once."""
        if artifact.key not in self._columns:
            self._columns[artifact.key] = artifact.without_images()
        return self._columns[artifact.key]


@dataclass(frozen=True)
class Findings(Generic[Given, Cell]):
    """How the result of a study begins whose numbers are all of one data set."""

    built: Built[Given, Cell]
    note: str  # what must be said beside every number of this data
    class_names: tuple[str, ...]
    training_rows: int

    @property
    def config(self) -> Given:
        return self.built.config

    @property
    def chance(self) -> float:
        return 1 / len(self.class_names)


def begun(built: Built[Given, Cell]) -> tuple[Built[Given, Cell], str, tuple[str, ...], int]:
    """The fields of `Findings`, from the first training set that is there (`Built.is_measurable`)."""
    data = next(artifact for cell, artifact in built.artifacts.items() if getattr(cell, "role", "") == "data")
    return built, str(data.metrics["note"]), tuple(data.metrics["class_names"]), data.rows


def images_of(config: Any) -> Callable[[int, str], str]:
    """Names of the images of one data set, `data`, and perhaps of further test images, `evaluate_on`; by seed and
    split."""
    further = getattr(config, "evaluate_on", None) or {}
    return lambda seed, split: str((further[split].data if split in further else config.data).images_of(seed, split))


def reader_of(built: Built[Any, Cell]) -> CellReader[Cell]:
    """Of a study whose config has `seeds`, and images as `images_of` says."""
    return CellReader(built.artifacts, built.config.seeds, images_of(built.config))
