"""What nobody needs any more, by mark and sweep over the manifests of a store.

Roots are the studies that were reported (`runs/`), the trials of sweeps (`sweeps/`), or those of them that are named,
and always the studies that are not finished (`plans/`). All that a root was made from is kept, and so is whatever is
younger than the oldest unfinished study: a running job may be writing it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pyarrow import fs as pafs

from raylab.engine import kept_runs, plans
from raylab.engine.ancestry import FOLDER, Ancestry
from raylab.engine.artifact import MANIFEST, Artifact, CorruptArtifact, StoreError
from raylab.engine.files import TEMPORARY, told
from raylab.engine.identity import short
from raylab.engine.store import Store

MARGIN = timedelta(hours=1)  # between the clocks of a store and of its jobs, and for a job that is just beginning
SWEEPS, TUNE = "sweeps", "tune"


@dataclass(frozen=True)
class Root:
    """A reason to keep artifacts."""

    names: tuple[str, ...]  # what it can be called: study, experiment, key
    stages: tuple[str, ...] | None  # None: of an older raylab, which did not write them down


class _Stored(NamedTuple):
    """A file of the store."""

    bytes: int
    changed: datetime


@dataclass(frozen=True)
class Garbage:
    """Something to remove: a file, or a folder with all that is in it."""

    path: str
    what: str
    bytes: int
    is_folder: bool


def garbage(store: Store, named: Sequence[str] = ()) -> tuple[list[Garbage], list[str]]:
    """What can be removed, and in words what is kept beyond the roots.

    named: the studies, experiments, sweeps or keys (or their beginnings) whose artifacts are kept; none: all studies.

    Raises StoreError where it is not known what a root needs, or no root has such a name.
    """
    begun, ancestry = plans.unfinished(store), Ancestry(store)
    notes = [
        f"kept: what {one.job}, study {one.study}, needs: it was begun {one.began} and has not ended well; if nobody "
        f"runs it any more, remove {one.path}"
        for one in begun
    ]
    keys = {key for one in begun for key in one.stages} | set(_marked(store, ancestry, named))
    kept, lacking = ancestry.closure(keys)
    young = min([datetime.now(UTC), *(datetime.fromisoformat(one.began) for one in begun)]) - MARGIN
    found = list(_swept(store, {*map(short, kept), *map(short, lacking)}, kept, young, bool(begun)))
    return found, notes


def remove(store: Store, found: Sequence[Garbage], named: Sequence[str] = ()) -> None:
    """Manifests first: what is half removed is no artifact.  Raises StoreError where a job has begun meanwhile."""
    again = {one.path for one in garbage(store, named)[0]}
    if any(one.path not in again for one in found):
        raise StoreError("a job has begun meanwhile, and needs some of this: nothing was removed; ask again")
    store.map_parallel(lambda one: store.delete(f"{one.path}/{MANIFEST}"), [one for one in found if one.is_folder])
    for one in found:
        with suppress(FileNotFoundError):
            (store.remove_folder if one.is_folder else store.delete)(one.path)


def roots(store: Store) -> list[Root]:
    """All of them but the unfinished ones.  Raises CorruptArtifact."""
    runs = [Root((run.study, run.experiment, run.key), run.stages) for run in kept_runs.kept(store)]
    return [*runs, *(_sweep(store, folder) for folder in store.folders(SWEEPS) if not folder.endswith("/curves"))]


def _sweep(store: Store, folder: str) -> Root:
    """Its trials say what they measured, and its comparison on fresh seeds what that did."""
    remedy = "remove its sweep's folder, or run the sweep again"
    sweep = store.get_json(f"{folder}/sweep.json", remedy) or {}
    names = (str(sweep.get("study", "")), "sweep", folder.rsplit("/", 1)[-1])
    paths = [f"{folder}/trials/{name}" for name in store.names(f"{folder}/trials")]
    trials = store.map_parallel(lambda path: store.get_json(path, remedy) or {}, paths)
    final = store.get_json(f"{folder}/final.json", remedy)
    if final is None and sweep.get("final") is not None and any(map(_may_win, trials)):
        return Root(names, None)
    return Root(names, tuple(str(key) for one in [*trials, final or {}] for key in one.get("stages", ())))


def _may_win(trial: Mapping[str, Any]) -> bool:
    return trial.get("state") == "finished" and all((one or 0) <= 0 for one in trial["numbers"].get("violations", ()))


def _marked(store: Store, ancestry: Ancestry, named: Sequence[str]) -> Iterator[str]:
    """Keys of the artifacts that roots name."""
    known = roots(store)
    for name in named:
        if not any(_is_called(root, name) for root in known):
            artifacts = ancestry.near(name)
            if len(artifacts) != 1:
                names = ", ".join(sorted({root.names[0] for root in known})) or "none"
                raise StoreError(f"{name}: no study, sweep or key in {store.shown}; it has the studies {names}")
            yield artifacts[0].key
    for root in known:
        if named and not any(_is_called(root, name) for name in named):
            continue
        if root.stages is None:
            raise StoreError(
                f"{root.names[1]}, study {root.names[0]} [{short(root.names[2])}]: an older raylab did not write down "
                "which artifacts it needs; run its job again, which computes nothing, or name the studies to keep"
            )
        yield from root.stages


def _is_called(root: Root, name: str) -> bool:
    return name in root.names[:2] or (len(name) >= 4 and root.names[2].startswith(name))


def _swept(
    store: Store, keys: set[str], kept: Mapping[str, Artifact], young: datetime, is_busy: bool
) -> Iterator[Garbage]:
    """Artifacts of no root; of others the attempts that no manifest names; files half written; what Tune left."""
    by_folder = defaultdict[str, dict[str, _Stored]](dict)
    for path, file in _files(store).items():
        folder = "/".join(path.split("/")[:2])
        if TEMPORARY.search(path):
            if file.changed < young:
                yield Garbage(f"{store.root}/{path}", "a file that was not finished", file.bytes, False)
        elif FOLDER.fullmatch(folder) or (path.startswith(f"{TUNE}/") and not is_busy):
            by_folder[folder][path[len(folder) + 1 :]] = file
    parts = {short(key): {part.path for part in artifact.parts} for key, artifact in kept.items()}
    for folder, files in sorted(by_folder.items()):
        name = folder.rsplit("/", 1)[-1]
        if folder.startswith(f"{TUNE}/") or (FOLDER.fullmatch(folder) and name not in keys):
            if max(file.changed for file in files.values()) < young:
                what = _what(store, f"{store.root}/{folder}")
                yield Garbage(f"{store.root}/{folder}", what, sum(file.bytes for file in files.values()), True)
        elif FOLDER.fullmatch(folder):
            yield from _attempts(f"{store.root}/{folder}", files, parts.get(name, set()), young)


def _attempts(folder: str, files: Mapping[str, _Stored], parts: set[str], young: datetime) -> Iterator[Garbage]:
    named = {path.split("/")[0] for path in parts}
    dead = defaultdict[str, list[_Stored]](list)
    for path, file in files.items():
        name = path.split("/")[0]
        is_dead = name.startswith("attempt-") or (name == "progress" and named)  # of what is committed
        if is_dead and "/" in path and name not in named:
            dead[path.split("/")[0]].append(file)
    for name, of in sorted(dead.items()):
        if max(file.changed for file in of) < young:
            yield Garbage(f"{folder}/{name}", "an attempt that was given up", sum(file.bytes for file in of), True)


def _files(store: Store) -> dict[str, _Stored]:
    """Every file of the store, by its path below the root: one listing."""
    selector = pafs.FileSelector(store.root, recursive=True, allow_not_found=True)
    with told(store.root, "cannot be listed"):
        found: list[Any] = store.filesystem.get_file_info(selector)
    files = [info for info in found if info.type == pafs.FileType.File]
    return {info.path[len(store.root) + 1 :]: _Stored(info.size, info.mtime) for info in files}


def _what(store: Store, folder: str) -> str:
    try:
        artifact = store.at(folder)
    except CorruptArtifact:
        return "an artifact that is damaged"
    return "what a job left unfinished" if artifact is None else artifact.label
