"""A report as runs of a tracker: a parent for the study, a child for each of its conditions and seeds."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from raylab.config import Config, as_dict
from raylab.engine.artifact import Artifact
from raylab.engine.identity import canonical_json, fingerprint, short
from raylab.engine.study import AnyBuilt
from raylab.report.blocks import Condition, Report, Table, Verdict, Verdicts
from raylab.report.files import files, for_machines
from raylab.report.made import newest_provenance
from raylab.tracking import DataRef, Param, Publication, Record

ALWAYS = ("data", "attack")  # parts of a config that are params whether or not they are at their defaults
NEVER = ("compute.batch_rows", "compute.shard_rows")  # how rows meet measures nothing
LOGGED = "mlflow.loggedArtifacts"  # the tag by which MLflow's page knows the files that `log_table` wrote


def opened(name: str, config: Config, key: str) -> Record:
    """The parent run before there are results: what is being measured."""
    params = {**params_of(config), "seeds": _param(getattr(config, "seeds", ()))}
    tags = {"raylab.experiment": name, "raylab.config": canonical_json(config)}
    study = getattr(config, "study", "")
    return Record(key, f"{study or name} [{short(key)}]", params, tags=tags)


def publication(name: str, built: AnyBuilt, report: Report, conditions: Sequence[Condition]) -> Publication:
    """Metrics, verdicts and files in the parent; a child for each condition and seed that has a number."""
    parent, provenance = opened(name, built.config, built.key), newest_provenance(built.artifacts.values())
    tags = {
        "mlflow.source.git.commit": str(provenance["commit"]),
        "raylab.machine": str(provenance["machine"]),
    }
    data = {a.key: a for cell, a in built.artifacts.items() if cell.role in ("data", "shown")}
    inputs = tuple(_ref(artifact) for artifact in data.values())
    parent = replace(parent, inputs=inputs, tags={**parent.tags, **tags})
    return published(parent, report, children(built, conditions))


def published(parent: Record, report: Report, children: Iterable[Record]) -> Publication:
    """The run that was opened, with what the report says; and its children."""
    tables = {f"tables/{table.name}.json": as_json(table) for table in report.tables()}
    tags = {
        **parent.tags,
        "verdict": report.answer.badge.words,
        LOGGED: json.dumps([{"path": path, "type": "table"} for path in tables]),
    }
    metrics = {metric: value for metric, value in report.metrics.items() if math.isfinite(value)}
    record = replace(parent, metrics=metrics, tags=tags, note="\n".join(_note(report)))
    return Publication(record, tuple(children), {**files(report), **tables}, report.headline)


def children(built: AnyBuilt, conditions: Iterable[Condition]) -> tuple[Record, ...]:
    """A run for each condition and seed that has a number."""
    return tuple(_children(built, conditions))


def _note(report: Report) -> Iterator[str]:
    """The answer, then the verdicts below their captions, which may say what their subjects have in common."""

    def line(one: Verdict) -> str:
        return f"- {one.subject} [{one.badge.words}]: {one.whole}"

    yield line(report.answer)
    for block in report.flat():
        if isinstance(block, Verdicts):
            yield from ("", block.caption, "", *map(line, block.of))


def params_of(config: Config) -> dict[str, Param]:
    """A config as params by dotted key: its data and attack whole, of the rest what is not at its default. So two runs
    differ in a param wherever their configs differ. Lists are sorted: the order of architectures measures nothing."""
    whole, changed = as_dict(config), config.model_dump(mode="json", exclude_defaults=True)
    chosen = {**changed, **{part: whole[part] for part in ALWAYS if part in whole}}
    skipped = ("study", "seeds")
    flat = {key: value for name, of in chosen.items() if name not in skipped for key, value in _flat(name, of)}
    return {key: value for key, value in flat.items() if key not in NEVER}


def as_json(table: Table) -> bytes:
    """As MLflow's `log_table` writes it."""
    names, lines = for_machines(table)
    return json.dumps({"columns": names, "data": [[line.get(name, "") for name in names] for line in lines]}).encode()


def _children(built: AnyBuilt, conditions: Iterable[Condition]) -> Iterator[Record]:
    of_config = params_of(built.config)
    for condition in conditions:
        for seed in dict.fromkeys(seed for of in condition.metrics.values() for seed in of):
            metrics = {name: of[seed].mean for name, of in condition.metrics.items() if seed in of}
            if metrics:
                yield _child(built, condition, seed, of_config, metrics)


def _child(
    built: AnyBuilt, of: Condition, seed: int, of_config: Mapping[str, Param], metrics: Mapping[str, float]
) -> Record:
    network, trained_on = (_artifact(built, cell, seed) for cell in (of.network, of.trained_on))
    params: dict[str, Param] = {**of_config, **of.drawn, **of.params, "seed": seed}
    places, curves, tags = {}, {}, {"raylab.experiment": "child"}
    if network is not None:
        key = str(network.manifest["inputs"].get("model", network.key))
        params["network"] = short(key)
        tags["raylab.network"] = key
        places = {"raylab.artifact": network.folder} if key == network.key else {}
        told = network.metrics
        named = [name for name in ("loss", "accuracy") if isinstance(told.get(name), list)]
        curves = {f"train/{name}": tuple(told[name]) for name in named}
    if trained_on is not None:
        params["set"] = short(trained_on.key)
    if (kept := _artifact(built, of.artifact, seed)) is not None:
        params["artifact"] = short(kept.key)
        places["raylab.artifact"] = kept.folder
    return Record(
        fingerprint({"study": built.key, "condition": dict(of.params), "seed": seed}),
        " ".join([*(str(one) for one in of.params.values() if one != ""), f"seed {seed}"]),
        params,
        {name: value for name, value in metrics.items() if math.isfinite(value)},
        curves,
        () if trained_on is None else (_ref(trained_on),),
        tags | ({"verdict": of.verdict} if of.verdict else {}),
        places,
    )


def _artifact(built: AnyBuilt, cell: Any, seed: int) -> Artifact | None:
    return None if cell is None else built.artifacts.get(cell._replace(seed=seed))


def _flat(name: str, value: object) -> Iterator[tuple[str, Param]]:
    if isinstance(value, Mapping):
        for key, of in value.items():
            yield from _flat(f"{name}.{key}", of)
    else:
        yield name, _param(value)


def _param(value: object) -> Param:
    if isinstance(value, list | tuple):
        return ", ".join(sorted(map(str, value), key=lambda one: (len(one), one)))
    return value if isinstance(value, str | int | float) else str(value)


def _ref(artifact: Artifact) -> DataRef:
    return DataRef(str(artifact.manifest["name"]) or artifact.label, artifact.digest, artifact.folder)
