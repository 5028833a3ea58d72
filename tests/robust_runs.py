"""Robust and non-robust sets by hand: metrics that nobody measured, for the tests of what is said and drawn of them."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from raylab.engine import columns
from raylab.engine.artifact import Artifact
from raylab.engine.identity import fingerprint
from raylab.engine.stage import Stage
from raylab.engine.store import Store
from raylab.engine.study import Built
from raylab.experiments.robust import RobustCell, RobustFeatures, RobustSets, measure
from raylab.experiments.robust.plan import ADVERSARIAL, CLEAN, STANDARD
from raylab.stages.robustness import Ensemble, Robustness

_FOLDER = tempfile.TemporaryDirectory(prefix="raylab-robust-")  # until Python ends
_STORE, _KEPT = Store(_FOLDER.name), dict[str, Artifact]()
N = 200
CONFIG = RobustFeatures(
    students=("mlp_bottleneck16", "cnn"),
    robustness=Robustness(eps=(0.4, 0.8), ensemble=Ensemble(), ensemble_eps=(0.8,), others={"linf": 0.05}),
)
# The number that counts, at both radii, by set: what is expected of See-Far.
ROBUST = {
    CLEAN: (0.70, 0.02),
    "r_image": (0.75, 0.35),
    "r_noise": (0.65, 0.15),
    "nr_image": (0.50, 0.01),
    "nr_noise": (0.40, 0.01),
    "filtered": (0.72, 0.08),
    "blurred": (0.72, 0.10),
    ADVERSARIAL: (0.81, 0.78),
}


# R(f) by network and layer; the last are the logits, which no statement is about.
LAYERS = {STANDARD: (0.30, 0.50, 2.0), ADVERSARIAL: (0.10, 0.05, 0.01), "r_image": (0.2, 0.3, 0.4)}


def study(
    config: RobustFeatures = CONFIG,
    robust: Mapping[str, tuple[float, float]] = ROBUST,
    metrics: Mapping[tuple[str, str], Mapping[str, Any]] | None = None,  # by (role, set): what is otherwise
) -> RobustSets:
    """A finished study whose seeds differ by a point or two."""
    changed = metrics or {}
    found: dict[RobustCell, Artifact] = {}

    def add(cell: RobustCell, rows: Mapping[str, Any], **values: object) -> None:
        values |= dict(changed.get((cell.role, cell.set), {}))
        rows = dict(rows) or _answers(values, f"{cell.role} {cell.set} {cell.network}")
        found[cell] = _artifact(cell, rows, values)

    for seed in config.seeds:
        noise = 0.01 * (seed % 3)
        images = _images(seed)
        add(RobustCell("data", seed), images, note="", class_names=tuple("abcdefghij"))
        add(RobustCell("test_set", seed, "r_image"), images)
        for name in config.sets:
            residual = {"residual_median": 0.05, "residual_p95": 0.1, "unconverged": 0.01, "doubts": ()}
            add(RobustCell("set", seed, name), images, n=len(images["id"]), **residual)
        trained = [(ADVERSARIAL, config.source)]
        trained += [(of, student) for of in (CLEAN, *config.sets) for student in config.students]
        for of, student in [(STANDARD, config.source), *trained]:
            add(RobustCell("network", seed, of, student), {}, loss=(1.0, 0.5), accuracy=(0.5, 0.9), collapse=None)
            add(RobustCell("test", seed, of, student), {}, n=1000, accuracy=0.85 + noise)
        for of, student in trained:
            small, large = (round((value + noise) * N) / N for value in robust[of])
            add(
                RobustCell("robust", seed, of, student), {}, n=N, clean=0.85, eps=config.robustness.eps,
                pgd=(small, large + 0.02), ensemble=(None, large), robust=(small, large), others={"linf": 0.5},
                warnings=(),
            )  # fmt: skip
            follows = np.where(np.arange(100) < (90 if of == "r_image" else 40), 1, 2)
            shown = {
                "id": np.arange(100),
                "prediction": follows,
                "shape_class": np.full(100, 1),
                "toogit_class": np.full(100, 2),
            }
            add(RobustCell("usage", seed, of, student), shown)
        for student in config.students:
            for role, value in (("own", 0.6), ("moved", 0.45)):
                add(RobustCell(role, seed, "r_image", student), {}, n=N, pgd=(value,))
    return measure(Built(config, "key", found | layers(config)))


def layers(
    config: RobustFeatures = CONFIG,
    by_network: Mapping[str, tuple[float | None, ...]] = LAYERS,
    spread: float = 0.01,  # by which seeds differ
) -> dict[RobustCell, Artifact]:
    """The cells of layer robustness."""
    found = {}
    for seed in config.seeds:
        for of, values in by_network.items():
            metrics = {
                "n": 100,
                "eps": 0.8,
                "layers": ("hidden 1", "hidden 2", "logits"),
                "robustness": tuple(None if v is None else v + spread * (seed - 1) for v in values),
                "se": (0.01, 0.01, 0.01),
            }
            cell = RobustCell("layers", seed, of, config.source)
            found[cell] = _artifact(cell, {}, metrics)
    return found


def _answers(metrics: Mapping[str, Any], of: str) -> dict[str, Any]:
    """Per image what these metrics are the means of; which images a network has right is its own affair."""
    if "n" not in metrics:
        return {}
    ids = np.arange(metrics["n"])
    place = np.random.default_rng(zlib.crc32(of.encode())).permutation(ids)

    def margins(share: float | None) -> Any:
        return np.full(len(ids), np.nan) if share is None else np.where(place < round(share * len(ids)), 1.0, -1.0)

    if "accuracy" in metrics:
        return {"id": ids, "correct": margins(metrics["accuracy"]) > 0}
    pgd = metrics["pgd"]
    by_eps = {"pgd": pgd, "ensemble": metrics.get("ensemble", (None,) * len(pgd))}
    found = {f"{name}_margin": np.stack([margins(one) for one in shares], axis=1) for name, shares in by_eps.items()}
    others = {f"{name}_margin": margins(share) for name, share in metrics.get("others", {}).items()}
    return {"id": ids, **found, **others, "clean_margin": margins(metrics.get("clean", 0.85))}


def _images(seed: int) -> dict[str, Any]:
    ids = np.arange(30)
    grey = np.random.default_rng(seed).integers(0, 256, (30, 1, 16, 16)).astype(np.uint8)
    return {"id": ids, "label": ids % 10, "image": grey}


def _artifact(cell: RobustCell, rows: Mapping[str, Any], metrics: Mapping[str, object]) -> Artifact:
    """Kept once, however many studies have it: its rows follow from its cell and metrics."""
    name = str(tuple(cell)) + fingerprint(repr(metrics))
    if name not in _KEPT:
        stage, parts = Stage("handmade", 1, name, {}, name[:40]), []
        if rows:
            arrow = columns.to_table({column: np.asarray(values) for column, values in rows.items()})
            parts = [_STORE.put_part(stage, "part-00000.parquet", columns.to_parquet(arrow), arrow.num_rows)]
        _KEPT[name] = _STORE.commit(
            stage, parts, metrics, {"finished": "2026-01-01", "commit": "c" * 40, "machine": "here"}
        )
    return _KEPT[name]
