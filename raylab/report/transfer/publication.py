"""A matrix as runs of a tracker: one parent, one child a cell. A pure function of the artifacts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from raylab.artifact import Artifact
from raylab.identity import canonical_json, fingerprint, short
from raylab.recipes.transfer_matrix import Cell, TransferMatrix
from raylab.report.transfer.matrix import Matrix, Row
from raylab.report.transfer.robust_source import doubts, robust_notes
from raylab.report.transfer.verdict import BADGES, verdict
from raylab.tracking import DataRef, Param, Publication, Record


def parent(config: TransferMatrix, key: str) -> Record:
    """The parent run before there are results: what is being measured."""
    attack = config.attack
    params: dict[str, Param] = {
        "data": config.data.name,
        "norm": attack.norm,
        "eps": attack.eps,
        "steps": attack.steps,
        "keep": config.keep,
        # Sorted: the same cells in another order are the same run, and MLflow's params cannot change.
        "sources": ", ".join(sorted(config.sources)),
        "targets": ", ".join(sorted(config.targets)),
        "kinds": ", ".join(sorted(config.kinds)),
        "seeds": ", ".join(str(seed) for seed in sorted(config.seeds)),
    }
    name = f"{config.data.name} {attack.norm} eps {attack.eps:g} [{short(key)}]"
    return Record(key, name, params, tags={"raylab.stage": "matrix", "raylab.config": canonical_json(config)})


def publication(matrix: Matrix, files: Mapping[str, bytes]) -> Publication:
    """The whole matrix: correlations and means in the parent, every (source, target, kind, seed) as a child."""
    opened = parent(matrix.config, matrix.key)
    metrics = dict(_summary(matrix))
    sentences = [sentence for row in matrix.rows for sentence in _sentences(matrix, row)]
    notes = [*robust_notes(matrix), *doubts(matrix)]
    note = "\n".join([*([matrix.note, ""] if matrix.note else []), *sentences, *(f"- {said}" for said in notes)])
    provenance = matrix.provenance
    tags = {
        **opened.tags,
        "mlflow.source.git.commit": str(provenance["commit"]),
        "raylab.machine": str(provenance["machine"]),
    }
    inputs = tuple(_ref(a, f"{cell.role} {cell.seed}") for cell, a in matrix.artifacts.items() if cell.role == "data")
    record = Record(opened.key, opened.name, opened.params, metrics, inputs=inputs, tags=tags, note=note)
    return Publication(record, tuple(_children(matrix)), files)


def _sentences(matrix: Matrix, row: Row) -> Iterator[str]:
    found = verdict(row, matrix.config.data, matrix.neighbours_clean)
    yield f"- {row.kind}, {row.source} -> {row.target} [{BADGES[found.code]}]: {found.sentence}"
    if found.truth is not None:
        yield f"  - by the oracles: {found.truth.sentence}"


def _summary(matrix: Matrix) -> Iterator[tuple[str, float]]:
    for kind in matrix.config.kinds:
        rows = [row.accuracy.mean for row in matrix.rows if row.kind == kind]
        yield f"mean_accuracy.{kind}", sum(rows) / len(rows)
        for view, correlation in matrix.correlated.get(kind, {}).items():
            yield f"pearson.{kind}.{view}", correlation.pearson.value
            yield f"spearman.{kind}.{view}", correlation.spearman.value


def _children(matrix: Matrix) -> Iterator[Record]:
    config = matrix.config
    for row in matrix.rows:
        for seed in config.seeds:
            yield _child(matrix, row, seed)


def _child(matrix: Matrix, row: Row, seed: int) -> Record:
    config, cell = matrix.config, Cell("student", seed, row.source, row.target, row.kind)
    made = matrix.artifacts[Cell("set", seed, row.source, "", row.kind)]
    network = matrix.artifacts[Cell("network", seed, row.source, row.target, row.kind)]
    student = matrix.artifacts[cell]
    params: dict[str, Param] = {
        "source": row.source,
        "target": row.target,
        "kind": row.kind,
        "eps": config.attack.eps,
        "norm": config.attack.norm,
        "seed": seed,
        "data": config.data.name,
    }
    metrics = {
        "accuracy": row.by_seed[seed].mean,
        "p1": float(student.metrics["p1"]),
        "attack_success": _number(made.metrics["success"]),
        "attack_success.other_iterate": _number(made.metrics["success_of_the_other_iterate"]),
        **{f"control.{name}": by_seed[seed].mean for name, by_seed in row.controls_by_seed.items() if seed in by_seed},
        **{f"transfer.{name.replace(' ', '.')}": rate.mean for name, rate in row.transfer_by_seed[seed].items()},
    }
    if row.robust is not None:
        robust = matrix.artifacts[Cell("set", seed, row.source, "", row.kind, "robust")]
        metrics["attack_success.robust_source"] = _number(robust.metrics["success"])
    if row.robustness:
        measured = matrix.artifacts[Cell("robustness", seed, row.source, row.target, row.kind)].metrics
        metrics |= {f"robust.{eps:g}": got for eps, got in zip(measured["eps"], measured["robust"], strict=True)}
    curves = {f"train_{name}": tuple(network.metrics[name]) for name in ("loss", "accuracy")}
    return Record(
        fingerprint({"matrix": matrix.key, "student": student.key}),
        f"{row.source} -> {row.target} {row.kind} {seed}",
        params,
        {name: value for name, value in metrics.items() if not math.isnan(value)},
        curves,
        (_ref(made, "constructed set"),),
        {"raylab.stage": "cell", "raylab.digest": student.digest},
        {"raylab.artifact": student.folder},
    )


def _number(share: float | None) -> float:
    return math.nan if share is None else share


def _ref(artifact: Artifact, name: str) -> DataRef:
    return DataRef(str(artifact.manifest["name"]) or name, artifact.digest, artifact.folder)
