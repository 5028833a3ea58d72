"""An artifact with all that it was made from in one tar file, and back into another store.

    <kind>/<key12>/MANIFEST.json, then its parts; inputs before what was made from them

Nothing in such a file is believed: the manifest must make its key, and its parts its digest; a member is a plain file
at the very path, and of at most the size, that a manifest before it names. Nothing is unpacked but into the store, and
no manifest is written before all of its parts are.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from raylab.engine import manifest
from raylab.engine.ancestry import FOLDER, Ancestry, inputs, whole
from raylab.engine.artifact import MANIFEST, Artifact, CorruptArtifact, StoreError, is_of
from raylab.engine.identity import short
from raylab.engine.store import Store

LARGEST_MANIFEST = 64 * 2**20  # bytes; that of ten thousand shards has two million
LARGEST_PART = 4 * 2**30


class Moved(NamedTuple):
    """An artifact that was read from an archive."""

    artifact: Artifact
    manifest: bytes  # as it was written
    is_new: bool  # False: the store had it already


def write(ancestry: Ancestry, artifact: Artifact, path: Path) -> list[Artifact]:
    """The artifacts in the file.  Raises StoreError where the store lacks one, CorruptArtifact where bytes are not
    those committed, ValueError where there is such a file."""
    artifacts = list(whole(ancestry, artifact).values())
    if path.exists():
        raise ValueError(f"export: {path} is there already; name a new file")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
            for one in artifacts:
                folder = one.folder[len(one.store.root) + 1 :]
                _add(tar, f"{folder}/{MANIFEST}", one.store.get(f"{one.folder}/{MANIFEST}") or b"")
                for part in one.parts:
                    _add(tar, f"{folder}/{part.path}", one.read(part.name))
    except BaseException:
        path.unlink(missing_ok=True)  # half of an archive is none
        raise
    return artifacts


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """Without the day and the user: the same artifacts make the same file."""
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


def read(path: Path, store: Store) -> list[Moved]:
    """The artifacts of a file, those that the store lacked committed there.

    Raises ValueError, which says what is wrong with which member, where the file is not as `write` makes it: all
    artifacts before that member are in the store, and nothing of the others counts. Raises StoreError where the store
    cannot be written, or has an artifact of the same key with other bytes.
    """
    moved, keys = list[Moved](), set[str]()
    with _opened(path) as tar:
        members = iter(tar)
        for member in members:
            one = _artifact(tar, member, store, path)
            lacking = sorted(short(key) for key in inputs(one.artifact).values() if key not in keys)
            if lacking:
                raise ValueError(f"{path}: {member.name}: made from {', '.join(lacking)}, which must come before it")
            _parts(tar, members, one, path)
            keys.add(one.artifact.key)
            moved.append(one)
    return moved


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """No compression: no file is larger than it looks."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        with tarfile.open(path, "r:") as tar:
            yield tar
    except tarfile.TarError as error:
        raise ValueError(f"{path}: not a whole tar file as `raylab store export` writes it ({error})") from error


def _artifact(tar: tarfile.TarFile, member: tarfile.TarInfo, store: Store, path: Path) -> Moved:
    """What a manifest in the archive describes; nothing is written yet."""
    folder, _, name = member.name.rpartition("/")
    if name != MANIFEST or not FOLDER.fullmatch(folder):
        raise ValueError(f"{path}: {ascii(member.name)[:200]}: a manifest <kind>/<key>/{MANIFEST} is needed here")
    data = _bytes(tar, member, LARGEST_MANIFEST, path)
    try:
        described, sealed = manifest.read(data, f"{path}: {member.name}")
    except CorruptArtifact as error:
        raise ValueError(str(error)) from error
    found = Artifact(store, f"{store.root}/{folder}", described, sealed)
    if folder != f"{described['kind']}/{short(found.key)}":
        raise ValueError(f"{path}: {member.name}: it describes {described['kind']}/{short(found.key)}")
    there = store.at(found.folder)
    if there is not None and (there.key, there.digest) != (found.key, found.digest):
        raise StoreError(
            f"{there.label}: {store.shown} has it with the digest {there.digest}, {path} with {found.digest}; where "
            "two kinds of processors rounded differently both are right: import into another store"
        )
    return Moved(found, data, there is None)


def _parts(tar: tarfile.TarFile, members: Iterator[tarfile.TarInfo], one: Moved, path: Path) -> None:
    """Into the store, and the manifest after them; of an artifact that is there, nothing is written."""
    found, folder = one.artifact, one.artifact.folder[len(one.artifact.store.root) + 1 :]
    for part in found.parts:
        member = next(members, None)
        if member is None or member.name != f"{folder}/{part.path}":
            what = "the file ends" if member is None else ascii(member.name)[:200]
            raise ValueError(f"{path}: {what}, where {folder}/{part.path} is needed")
        data = _bytes(tar, member, part.bytes, path)
        if not is_of(part, data):
            raise ValueError(f"{path}: {member.name}: not the bytes that its manifest names")
        if one.is_new:
            found.store.put(f"{found.folder}/{part.path}", data)
    if one.is_new:
        found.store.put(f"{found.folder}/{MANIFEST}", one.manifest)


def _bytes(tar: tarfile.TarFile, member: tarfile.TarInfo, largest: int, path: Path) -> bytes:
    """Of a plain file: no link, no folder, no device, and none with holes."""
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.sparse is not None:
        raise ValueError(f"{path}: {ascii(member.name)[:200]}: not a plain file")
    largest = min(largest, LARGEST_PART)
    if member.size > largest:
        raise ValueError(f"{path}: {ascii(member.name)[:200]}: {member.size:,} bytes; {largest:,} at most")
    stream = tar.extractfile(member)
    return b"" if stream is None else stream.read()
