"""Shares that feed verdicts: the same as in the manifests, and with the errors that seeds share by their images."""

from __future__ import annotations

import math

import numpy as np
import pytest

from raylab.core.statistics import Estimate
from raylab.engine.artifact import Artifact
from raylab.experiments.transfer import Matrix, TransferCell
from raylab.report import hits
from raylab.report.hits import HITS, OF_CHANGED
from raylab.report.per_seed import PerSeed


def cells(matrix: Matrix, *roles: str) -> list[tuple[TransferCell, Artifact]]:
    return [(cell, artifact) for cell, artifact in matrix.built.artifacts.items() if cell.role in roles]


def test_a_share_of_the_rows_is_the_one_of_the_manifest(digits: Matrix, seefar: Matrix) -> None:
    compared = dict.fromkeys(HITS, 0)
    for found in (digits, seefar):
        for cell, artifact in cells(found, "set", "attacked", "neighbours", "oracles"):
            for name in HITS.keys() & artifact.metrics.keys():
                if cell.control == "leakage":  # random patterns: nobody attacked those
                    continue
                aim = cell.kind if cell.role == "attacked" else ""
                one = hits.share(artifact.without_images(), name, "test", aim)
                metrics = artifact.metrics
                n = metrics.get(f"n_{name}", metrics["n"]) if name in OF_CHANGED else metrics["n"]
                assert one.n == n, (cell, name)
                value = math.nan if metrics[name] is None else metrics[name]
                assert one.mean == pytest.approx(value, nan_ok=True)
                compared[name] += 1
    assert min(compared.values()) > 0


def test_robust_accuracy_of_the_rows_is_the_one_of_the_manifest(digits: Matrix) -> None:
    found = cells(digits, "robustness")
    assert found
    for _, artifact in found:
        rows, metrics = artifact.without_images(), artifact.metrics
        shares = [hits.is_robust(rows, place).mean() for place in range(len(metrics["eps"]))]
        assert shares == pytest.approx(metrics["robust"])


def test_an_answer_that_the_image_decides_counts_once() -> None:
    """Five networks that say the same of the same 100 images know one network's worth of images."""
    rng = np.random.default_rng(0)
    decided = rng.random(100) < 0.7
    rows = {"id": np.arange(100), "label": np.ones(100, int), "source_label": np.zeros(100, int)}
    rows["source_prediction"] = decided.astype(int)

    def over(images: str) -> Estimate:
        return PerSeed({seed: hits.share(rows, "success", images.format(seed)) for seed in range(5)}).mean

    assert over("train").se == pytest.approx(math.sqrt(decided.mean() * (1 - decided.mean()) / 100), rel=1e-4)
    assert over("world {}").se < over("train").se / 2
