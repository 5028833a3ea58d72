"""Robust and non-robust sets as runs of a tracker: one parent, one child for each set, student and seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from raylab.artifact import Artifact
from raylab.identity import canonical_json, fingerprint, short
from raylab.recipes.robust_features import CLEAN, Cell, RobustFeatures
from raylab.report.made import newest_provenance
from raylab.report.picture import Picture
from raylab.report.robust import layers
from raylab.report.robust.table import Row, Table
from raylab.report.robust.text import as_csv, as_text
from raylab.report.robust.verdict import verdict
from raylab.tracking import DataRef, Param, Publication, Record


def parent(config: RobustFeatures, key: str) -> Record:
    """The parent run before there are results: what is being measured."""
    params: dict[str, Param] = {
        "data": config.data.name,
        "source": config.source,
        "norm": config.robustness.norm,
        "eps": config.eps,
        "adversary_eps": math.nan if config.adversarial.adversary is None else config.adversarial.adversary.eps,
        "steps": config.from_image.steps,
        # Sorted: the same cells in another order are the same run, and MLflow's params cannot change.
        "sets": ", ".join(sorted(config.sets)),
        "students": ", ".join(sorted(config.students)),
        "seeds": ", ".join(str(seed) for seed in sorted(config.seeds)),
    }
    name = f"{config.data.name} {config.robustness.norm} eps {config.eps:g} [{short(key)}]"
    return Record(key, name, params, tags={"raylab.stage": "robust_features", "raylab.config": canonical_json(config)})


def files(table: Table, pictures: Sequence[Picture]) -> dict[str, bytes]:
    """`robust_features.csv`, `robust_features.txt`, `layers.csv` where layers were asked, and figures as SVG."""
    kept = {"robust_features.csv": as_csv(table).encode(), "robust_features.txt": as_text(table).encode()}
    if table.layers is not None:
        kept["layers.csv"] = layers.as_csv(table.layers).encode()
    return kept | {f"figures/{picture.name}.svg": picture.svg for picture in pictures}


def publication(table: Table, files: Mapping[str, bytes]) -> Publication:
    """Means and differences in the parent, every (set, student, seed) as a child."""
    opened = parent(table.config, table.key)
    sentences = [f"- {student}: {verdict(table, student).sentence}" for student in table.config.students]
    provenance = newest_provenance(table.artifacts.values())
    tags = {
        **opened.tags,
        "mlflow.source.git.commit": str(provenance["commit"]),
        "raylab.machine": str(provenance["machine"]),
    }
    inputs = tuple(_ref(a, f"{cell.role} {cell.seed}") for cell, a in table.artifacts.items() if cell.role == "data")
    record = Record(
        opened.key,
        opened.name,
        opened.params,
        _numbers(_summary(table)),
        inputs=inputs,
        tags=tags,
        note="\n".join([*([table.note, ""] if table.note else []), *sentences]),
    )
    return Publication(record, tuple(_children(table)), files)


def _summary(table: Table) -> Iterator[tuple[str, float]]:
    for student, differences in table.differences.items():
        for of, value in differences.items():
            yield f"above.{of}.{student}", value.mean
    for row in table.rows:
        yield f"robust.{row.set}.{row.student}", row.at[table.config.eps].worst.mean
    if table.layers is not None:
        yield "layers.standard_over_adversarial", table.layers.ratio.mean
    yield "warnings", float(len(table.warnings))


def _children(table: Table) -> Iterator[Record]:
    for row in table.rows:
        for seed in table.config.seeds:
            yield _child(table, row, seed)


def _child(table: Table, row: Row, seed: int) -> Record:
    config = table.config
    robust = table.artifacts[Cell("robust", seed, row.set, row.student)]
    network = table.artifacts[Cell("network", seed, row.set, row.student)]
    data = table.artifacts.get(Cell("set", seed, row.set), table.artifacts[Cell("data", seed)])
    params: dict[str, Param] = {
        "set": row.set,
        "student": row.student,
        "eps": config.eps,
        "norm": config.robustness.norm,
        "seed": seed,
        "data": config.data.name,
    }
    measured = robust.metrics
    metrics = {"accuracy": row.clean_by_seed[seed].mean}
    for place, eps in enumerate(measured["eps"]):
        for name in ("pgd", "ensemble", "robust"):
            if measured[name][place] is not None:
                metrics[f"{name}.{eps:g}"] = float(measured[name][place])
    metrics |= {f"other.{name}": float(value) for name, value in measured["others"].items()}
    curves = {f"train_{name}": tuple(network.metrics.get(name, ())) for name in ("loss", "accuracy")}
    return Record(
        fingerprint({"study": table.key, "robust": robust.key}),
        f"{row.set} -> {row.student} {seed}",
        params,
        _numbers(metrics.items()),
        curves,
        (_ref(data, "clean set" if row.set == CLEAN else row.set),),
        {"raylab.stage": "cell", "raylab.digest": robust.digest},
        {"raylab.artifact": robust.folder},
    )


def _numbers(values: Iterable[tuple[str, float]]) -> dict[str, float]:
    return {name: value for name, value in values if not math.isnan(value)}


def _ref(artifact: Artifact, name: str) -> DataRef:
    return DataRef(str(artifact.manifest["name"]) or name, artifact.digest, artifact.folder)
