"""What artifacts were made from, by the manifests of a store alone: no plan, no config and no code of a stage."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from raylab.engine.artifact import Artifact, StoreError
from raylab.engine.identity import KEY_PREFIX, short
from raylab.engine.store import Store

# Folders of a store beside those of the kinds of artifacts.
BESIDE = ("plans", "results", "runs", "sweeps", "tune")
# Of an artifact, below the store's root.
FOLDER = re.compile(rf"(?!({'|'.join(BESIDE)})/)[a-z][a-z0-9_]*/[0-9a-f]{{{KEY_PREFIX}}}")


class Ancestry:
    """The artifacts of a store as they are now, found by their keys."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._read: dict[str, Artifact | None] = {}

    @cached_property
    def folders(self) -> dict[str, str]:
        """Of every artifact that was begun or finished, by the short key."""
        kinds = [kind for kind in self.store.kinds() if kind not in BESIDE]
        found = [folder for of in self.store.map_parallel(self.store.folders, kinds) for folder in of]
        return {path.rsplit("/", 1)[-1]: path for path in found if FOLDER.fullmatch(path[len(self.store.root) + 1 :])}

    def artifact(self, key: str) -> Artifact | None:
        """None where the store has none of that key.  Raises CorruptArtifact."""
        if key not in self._read:
            folder = self.folders.get(short(key))
            found = None if folder is None else self.store.at(folder)
            self._read[key] = found if found is not None and found.key == key else None
        return self._read[key]

    def near(self, start: str) -> list[Artifact]:
        """The artifacts whose key begins like this.  Raises CorruptArtifact."""
        near = [folder for name, folder in sorted(self.folders.items()) if name.startswith(start[:KEY_PREFIX])]
        return [one for one in map(self.store.at, near) if one is not None and one.key.startswith(start)]

    def everything(self) -> list[Artifact]:
        """Every finished artifact.  Raises CorruptArtifact."""
        return [one for one in self.store.map_parallel(self.store.at, sorted(self.folders.values())) if one is not None]

    def closure(self, keys: Iterable[str]) -> tuple[dict[str, Artifact], set[str]]:
        """The artifacts of these keys and all that they were made from, inputs before what was made from them; and the
        keys among them that the store lacks.  Raises CorruptArtifact."""
        levels, seen, lacking = list[list[Artifact]](), set[str](), set[str]()
        level = sorted(set(keys))
        while level:
            seen.update(level)
            found = self.store.map_parallel(self.artifact, level)
            lacking |= {key for key, artifact in zip(level, found, strict=True) if artifact is None}
            levels.append([artifact for artifact in found if artifact is not None])
            level = sorted({key for artifact in levels[-1] for key in inputs(artifact).values()} - seen)
        return _ordered([one for of in levels for one in of]), lacking


def inputs(artifact: Artifact) -> dict[str, str]:
    """The keys of what an artifact was made from, by role."""
    return {str(role): str(key) for role, key in artifact.manifest["inputs"].items()}


def whole(ancestry: Ancestry, artifact: Artifact) -> dict[str, Artifact]:
    """An artifact and all that it was made from, inputs first.  Raises StoreError where the store lacks some."""
    found, lacking = ancestry.closure([artifact.key])
    if lacking:
        listed = ", ".join(sorted(map(short, lacking)))
        raise StoreError(f"{artifact.label}: the store lacks {listed}, which it was made from; run its job again")
    return found


def _ordered(artifacts: list[Artifact]) -> dict[str, Artifact]:
    by_key, ordered = {one.key: one for one in artifacts}, dict[str, Artifact]()
    waiting = [(one, False) for one in reversed(artifacts)]
    while waiting:  # no recursion: a manifest that somebody wrote may name a long chain
        one, is_ready = waiting.pop()
        if is_ready:
            ordered.setdefault(one.key, one)
        elif one.key not in ordered:
            waiting.append((one, True))
            needed = [by_key[key] for key in inputs(one).values() if key in by_key and key not in ordered]
            waiting += [(other, False) for other in needed]
    return ordered
