"""What networks said of every image, as shares by seed: whose images they are follows from the config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from raylab.artifact import Artifact
from raylab.core.statistics import Estimate, sampled
from raylab.recipes.robust_features import Cell, RobustFeatures
from raylab.report import hits
from raylab.report.estimates import BySeed


class Answers:
    """Of one config."""

    def __init__(self, config: RobustFeatures, artifacts: Mapping[Cell, Artifact]) -> None:
        self.config, self.artifacts = config, artifacts

    def accuracy(self, of: str, network: str) -> BySeed:
        cells = [Cell("test", seed, of, network) for seed in self.config.seeds]
        found = {cell: self.artifacts[cell].without_images() for cell in cells}
        return {cell.seed: self._sampled(cell, rows["id"], rows["correct"]) for cell, rows in found.items()}

    def attacked(self, cell: Cell) -> Mapping[str, Estimate]:
        """Of one network: the share that stands by attack, "pgd 0" under PGD at the first radius."""
        rows = self.artifacts[cell].without_images()
        pgd, ensemble = rows["pgd_margin"], rows["ensemble_margin"]
        found = {"clean": rows["clean_margin"] > 0}
        for place in range(pgd.shape[1]):
            margins = {"pgd": pgd[:, place], "ensemble": ensemble[:, place]}
            found |= {f"{name} {place}": margin > 0 for name, margin in margins.items()}
            found[f"robust {place}"] = hits.stands(rows, place)
        found |= {
            name: rows[f"{name}_margin"] > 0 for name in self.config.robustness.others if f"{name}_margin" in rows
        }
        return {name: self._sampled(cell, rows["id"], stands) for name, stands in found.items()}

    def _sampled(self, cell: Cell, ids: NDArray[Any], hit: NDArray[Any]) -> Estimate:
        """A student's own images are training images."""
        split = "train" if cell.role == "own" else "test"
        return sampled(hit.astype(bool), ids, self.config.data.images_of(cell.seed, split))

    def follows(self, cell: Cell, feature: str) -> Estimate:
        rows = self.artifacts[cell].without_images()
        return self._sampled(cell, rows["id"], rows["prediction"] == rows[feature])
