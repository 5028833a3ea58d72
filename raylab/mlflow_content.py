"""What MLflow is to hold of a record: allowed names, params as text, curves as steps, and a digest of it all."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from raylab.identity import fingerprint
from raylab.tracking import DataRef, Record

NOTE = "mlflow.note.content"  # the tag that MLflow shows as a run's description
MAX_PARAM, MAX_TAG = 6000, 8000  # characters that MLflow stores; the rest is cut off

Point = tuple[str, int, float]  # metric, step, value


@dataclass(frozen=True)
class Content:
    """A record as MLflow takes it."""

    name: str
    params: Mapping[str, str]
    points: tuple[Point, ...]  # finite; step 0 for a metric, 1, 2, ... along a curve
    tags: Mapping[str, str]
    inputs: tuple[DataRef, ...]

    @cached_property
    def digest(self) -> str:
        return fingerprint(self)


def content(record: Record) -> Content:
    """Raises ValueError where two names become one in MLflow."""
    metrics = _names([*record.metrics, *record.curves], record.name)
    points = [(metrics[name], 0, float(value)) for name, value in record.metrics.items()]
    for name, curve in record.curves.items():
        points += [(metrics[name], epoch, float(value)) for epoch, value in enumerate(curve, start=1)]
    params = _names(record.params, record.name)
    tags = _names(record.tags, record.name)
    note = {NOTE: record.note[:MAX_TAG]} if record.note else {}
    return Content(
        name=record.name,
        params={params[name]: str(value)[:MAX_PARAM] for name, value in record.params.items()},
        points=tuple(point for point in points if math.isfinite(point[2])),
        tags={tags[name]: value[:MAX_TAG] for name, value in record.tags.items()} | note,
        inputs=record.inputs,
    )


def _names(names: Iterable[str], whose: str) -> dict[str, str]:
    """Each name as MLflow allows it: letters, digits, ``_-. :/``, and a path that is its own normal form."""
    allowed: dict[str, str] = {}
    for name in names:
        safe = posixpath.normpath(re.sub(r"[^\w\-. :/]", "_", name)).lstrip("./") or "_"
        if safe in allowed.values():
            raise ValueError(f"record {whose!r}: {name!r} is the second name that becomes {safe!r}; rename it")
        allowed[name] = safe
    return allowed
