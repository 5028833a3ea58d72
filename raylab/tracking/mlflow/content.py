"""What MLflow is to hold of a record: allowed names, params as text, curves as steps, and a digest of it all.

The digest says whether a run is the one that is wanted. It is of what was measured, never of where the store lies: a
store that was moved, or is seen through a link or another mount, holds the same results.
"""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from raylab.engine.identity import fingerprint
from raylab.tracking import DataRef, Record

NOTE = "mlflow.note.content"  # the tag that MLflow shows as a run's description
FORM = "2"  # of the digest; one without a form is of the first
MAX_PARAM, MAX_TAG = 6000, 8000  # characters that MLflow stores; the rest is cut off

Point = tuple[str, int, float]  # metric, step, value


@dataclass(frozen=True)
class Content:
    """A record as MLflow takes it."""

    name: str
    params: Mapping[str, str]
    points: tuple[Point, ...]  # finite; step 0 for a metric, 1, 2, ... along a curve
    tags: dict[str, str]
    inputs: tuple[DataRef, ...]
    places: dict[str, str]

    def digest(self, files: Mapping[str, str] | None = None) -> str:
        """Of everything but places; with the sha256 of each of its files, where a run has files."""
        inputs = tuple((ref.name, ref.digest) for ref in self.inputs)
        what = (self.name, self.params, self.points, self.tags, inputs, files or {})
        return f"{FORM}:{fingerprint(what)}"

    def old_digests(self, known: Iterable[str], files: Mapping[str, str] | None = None) -> set[str]:
        """As they were until December 2026, with paths in them, if the store lay where the paths of `known` lead."""
        return {self._old_digest(_store_of(path), files) for path in [*known, ""]}

    def _old_digest(self, store: str, files: Mapping[str, str] | None) -> str:
        def there(path: str) -> str:
            return store + path.removeprefix(_store_of(path)) if store else path

        what = {
            "name": self.name,
            "params": self.params,
            "points": self.points,
            "tags": self.tags | {name: there(path) for name, path in self.places.items()},
            "inputs": tuple(DataRef(ref.name, ref.digest, there(ref.uri)) for ref in self.inputs),
        }
        return fingerprint(what if files is None else (what, files))


def content(record: Record) -> Content:
    """Raises ValueError where two names become one in MLflow."""
    metrics = _names([*record.metrics, *record.curves], record.name)
    points = [(metrics[name], 0, float(value)) for name, value in record.metrics.items()]
    for name, curve in record.curves.items():
        points += [(metrics[name], epoch, float(value)) for epoch, value in enumerate(curve, start=1)]
    params = _names(record.params, record.name)
    tags = _names([*record.tags, *record.places], record.name)
    note = {NOTE: record.note[:MAX_TAG]} if record.note else {}
    return Content(
        name=record.name,
        params={params[name]: str(value)[:MAX_PARAM] for name, value in record.params.items()},
        points=tuple(point for point in points if math.isfinite(point[2])),
        tags={tags[name]: value[:MAX_TAG] for name, value in record.tags.items()} | note,
        inputs=record.inputs,
        places={tags[name]: value[:MAX_TAG] for name, value in record.places.items()},
    )


def _store_of(path: str) -> str:
    """The root of the store: an artifact lies in <root>/<kind>/<key>."""
    return path.rsplit("/", 2)[0]


def _names(names: Iterable[str], whose: str) -> dict[str, str]:
    """Each name as MLflow allows it: letters, digits, ``_-. :/``, and a path that is its own normal form."""
    allowed: dict[str, str] = {}
    for name in names:
        safe = posixpath.normpath(re.sub(r"[^\w\-. :/]", "_", name)).lstrip("./") or "_"
        if safe in allowed.values():
            raise ValueError(f"record {whose!r}: {name!r} is the second name that becomes {safe!r}; rename it")
        allowed[name] = safe
    return allowed
