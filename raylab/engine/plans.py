"""Studies that were begun and are not finished: what a running job uses, and what an interrupted one goes on from.

    <root>/plans/<key12>.json

Written before the first stage of a study is built, removed when its job has ended well. What such a study needs is
never garbage (`engine.garbage`). Nothing else depends on these files: they are no locks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from raylab.engine.artifact import CorruptArtifact
from raylab.engine.identity import short
from raylab.engine.stage import closure
from raylab.engine.store import Store
from raylab.engine.study import AnyStudy

FOLDER = "plans"
REMEDY = "remove it if its job no longer runs, or run the job again"


@dataclass(frozen=True)
class BegunStudy:
    """A study whose job runs, or was ended on its way."""

    path: str
    job: str
    study: str
    began: str  # ISO 8601
    stages: tuple[str, ...]  # the keys of all that it needs


@contextmanager
def begun(store: Store, job: str, studies: Iterable[AnyStudy]) -> Iterator[None]:
    """While the studies are built. Two drivers of one study share a file: the first to end well has built everything
    that the other needs.  Raises StoreError."""
    paths = list[str]()
    for one in studies:
        paths.append(f"{store.root}/{FOLDER}/{short(one.key)}.json")
        content = {
            "job": job,
            "study": str(getattr(one.config, "study", "")),
            "began": datetime.now(UTC).isoformat(timespec="seconds"),
            "stages": [stage.key for stage in closure(one.cells.values())],
        }
        store.put_json(paths[-1], content)
    yield
    for path in paths:
        store.delete(path)


def unfinished(store: Store) -> list[BegunStudy]:
    """Those of all jobs.  Raises CorruptArtifact where one is not what was written."""
    folder = f"{store.root}/{FOLDER}"
    paths = [f"{folder}/{name}" for name in store.names(folder) if name.endswith(".json")]
    read = store.map_parallel(lambda path: store.get_json(path, REMEDY), paths)
    return [_plan(path, one) for path, one in zip(paths, read, strict=True) if one is not None]


def _plan(path: str, read: object) -> BegunStudy:
    try:
        job, study, began, stages = (read[name] for name in ("job", "study", "began", "stages"))  # type: ignore[index]
        datetime.fromisoformat(began)
        return BegunStudy(path, str(job), str(study), began, tuple(map(str, stages)))
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptArtifact(f"{path}: no list of what a study needs ({error}); {REMEDY}") from error
