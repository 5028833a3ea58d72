"""What a store keeps of runs: the tables of their reports, as machines read them.

    <root>/runs/<experiment>/<key12>.json

A run is a study as it was last reported: the key is that of its cells, so running it again replaces it. Tables are made
from artifacts and can be made again; here they are at hand without the data, the plan and the tracker.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from raylab.engine.artifact import CorruptArtifact
from raylab.engine.identity import short
from raylab.engine.store import Store
from raylab.engine.study import AnyBuilt
from raylab.tracking import Publication

FOLDER = "runs"
SCHEMA = 1
TABLES, SUFFIX = "tables/", ".json"


@dataclass(frozen=True)
class KeptTable:
    """One table of a report; shares lie in [0, 1], and what was not measured is ""."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class KeptRun:
    """One study of an experiment."""

    experiment: str
    study: str
    key: str
    verdict: str
    commit: str
    finished: str  # when it was last reported, ISO 8601
    config: Mapping[str, Any]
    headline: str  # the table that a reader came for
    tables: Mapping[str, KeptTable]
    stages: tuple[str, ...] | None = None  # the keys of its artifacts; None: of an older raylab


def keep(store: Store, experiment: str, built: AnyBuilt, publication: Publication) -> None:
    """Write, or replace, the run of a publication.  Raises StoreError."""
    parent = publication.parent
    tables = {
        path.removeprefix(TABLES).removesuffix(SUFFIX): json.loads(data)
        for path, data in publication.files.items()
        if path.startswith(TABLES) and path.endswith(SUFFIX)
    }
    content = {
        "schema": SCHEMA,
        "experiment": experiment,
        "study": str(getattr(built.config, "study", "")),
        "key": parent.key,
        "verdict": parent.tags.get("verdict", ""),
        "commit": parent.tags.get("mlflow.source.git.commit", ""),
        "finished": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "config": json.loads(parent.tags.get("raylab.config", "{}")),
        "headline": publication.headline,
        "tables": tables,
        "stages": sorted({artifact.key for artifact in built.artifacts.values()}),
    }
    store.put_json(f"{store.root}/{FOLDER}/{experiment}/{short(parent.key)}.json", content)


def kept(store: Store) -> list[KeptRun]:
    """All of them, the one reported last at the end.  Raises CorruptArtifact where one is not what was written."""
    paths = [f"{folder}/{name}" for folder in store.folders(FOLDER) for name in store.names(folder)]
    return sorted(_read(store, paths), key=lambda run: (run.finished, run.experiment, run.key))


def _read(store: Store, paths: list[str]) -> Iterator[KeptRun]:
    remedy = "remove it, and run its job again, which computes nothing"
    for path, content in zip(paths, store.map_parallel(lambda path: store.get_json(path, remedy), paths), strict=True):
        if content is None:  # replaced meanwhile
            continue
        if content.get("schema") != SCHEMA:
            raise CorruptArtifact(f"{path}: schema {content.get('schema')}, this raylab reads {SCHEMA}; {remedy}")
        tables = {
            name: KeptTable(tuple(table["columns"]), tuple(map(tuple, table["data"])))
            for name, table in content["tables"].items()
        }
        known = {name: value for name, value in content.items() if name in KeptRun.__dataclass_fields__}
        stages = tuple(known["stages"]) if known.get("stages") is not None else None
        yield KeptRun(**{**known, "tables": tables, "stages": stages})
