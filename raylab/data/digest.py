"""The digest of raw files, remembered so that gigabytes are hashed once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path

from raylab.data.reader import DataError, RawFile
from raylab.engine.sealed import seal, unseal

MEMO = "raw-digests.json"  # {sha256 of the files' names, sizes and times: sha256 of their contents}, sealed


def of_files(files: list[RawFile], cache: Path | None) -> str:
    """sha256 of the files' roles and bytes in their order, never of their paths.

    `cache` is the folder of a memo: as long as path, size and modification time stay, no file is read again.
    Raises DataError for a file without a byte: a copy that was cut short, whatever the format.
    """
    seen = _fingerprint(files)
    memo = _read(cache / MEMO) if cache else {}
    if seen not in memo:
        memo[seen] = _digest(files)
        if cache:
            _write(cache / MEMO, memo)
    return memo[seen]


def _digest(files: list[RawFile]) -> str:
    total = hashlib.sha256()
    for file in files:
        with file.path.open("rb") as stream:
            inner = hashlib.file_digest(stream, "sha256").hexdigest()
        total.update(f"{json.dumps(file.role)} {inner}\n".encode())
    return total.hexdigest()


def _fingerprint(files: list[RawFile]) -> str:
    seen = hashlib.sha256()
    for file in files:
        path = file.path.resolve()
        status = path.stat()
        if not status.st_size:
            raise DataError(f"{file.path}: an empty file; copy it again, or remove it")
        seen.update(json.dumps([str(path), file.role, status.st_size, status.st_mtime_ns]).encode())
    return seen.hexdigest()


def _read(path: Path) -> dict[str, str]:
    """What is remembered; nothing where the memo is absent, damaged or without a checksum: it can be made again."""
    try:
        memo, sealed = unseal(path.read_bytes())
        return {seen: str(digest) for seen, digest in memo["digests"].items()} if sealed else {}
    except (OSError, ValueError, KeyError, AttributeError):
        return {}


def _write(path: Path, memo: dict[str, str]) -> None:
    # A folder that cannot be written costs time at the next start and no result, so it is no error here.
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(seal({"digests": memo}))
        Path(name).replace(path)
