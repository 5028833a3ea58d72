"""Artifacts by content: ``<root>/<kind>/<key12>/`` holds parts and, written last, ``MANIFEST.json``.

The manifest is the artifact. Without one a folder is work in progress, never a result; there are no status files and
no locks, and nothing relies on an atomic rename of folders, which object stores do not have. Two drivers that build the
same key write the same shards under the same names, and tasks into folders of their own.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow import fs as pafs

from raylab.engine import manifest
from raylab.engine.artifact import MANIFEST, Artifact, CorruptArtifact, Part, StoreError, heaviest, is_of
from raylab.engine.files import UTF8, replace_file, rows_of_parquet, spelt_in_bytes, told
from raylab.engine.identity import canonical, short
from raylab.engine.redaction import logins, public, redacted
from raylab.engine.sealed import seal, unseal
from raylab.engine.stage import Stage

MAX_ATTEMPTS = 3  # at one shard: what ends its process is given up, not tried for ever
ATTEMPT = ".attempt-"
FAILURE = "FAILURE.json"
REQUESTS_AT_ONCE = 16
BYTES_AT_ONCE = 2**28  # that those hold together, where one alone does not hold more
TRIES = 5  # at a file whose folder goes away meanwhile

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


def refuse_credentials(uri: str) -> None:
    """Raises StoreError where a store's URI holds any."""
    if found := logins(uri):
        raise StoreError(
            f"store {public(uri)!r}: credentials in a URI ({', '.join(found)}) end up in files that Ray Tune writes, "
            "also in the store; leave them out and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what it reads"
        )


class Store:
    """Find, begin and commit artifacts on a local path or any URI that `pyarrow.fs` knows (s3://, gs://, hdfs://)."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        refuse_credentials(uri)
        if spelt_in_bytes(uri):
            raise StoreError(f"store {self.shown!a}: not a path that can be opened; {UTF8}")
        try:
            if re.match(r"^[a-z][a-z0-9+.-]+://", uri):
                self.filesystem, self.root = pafs.FileSystem.from_uri(_one_put(uri))
            else:
                self.filesystem, self.root = pafs.LocalFileSystem(), os.path.abspath(os.path.expanduser(uri))
        except (pa.ArrowInvalid, OSError, ValueError) as error:
            why = redacted(str(error), uri)
            raise StoreError(f"store {self.shown!r}: not a path or URI that can be opened ({why})") from error
        self.root = self.root.rstrip("/")

    def __reduce__(self) -> tuple[type[Store], tuple[str]]:
        return Store, (self.uri,)  # file systems hold sockets: a worker opens its own

    @property
    def shown(self) -> str:
        """The URI as people may see it."""
        return public(self.uri)

    def below(self, path: str) -> Store:
        """The store in a folder of this one, with the same options."""
        place, mark, options = (self.uri, "", "") if self.is_local else self.uri.partition("?")
        return Store(f"{place.rstrip('/')}/{path}{mark}{options}")

    @property
    def is_local(self) -> bool:
        return isinstance(self.filesystem, pafs.LocalFileSystem)

    def folder(self, stage: Stage) -> str:
        return f"{self.root}/{stage.kind}/{short(stage.key)}"

    # -- whole artifacts

    def find(self, stage: Stage) -> Artifact | None:
        """The committed artifact of a stage, or None.

        Raises CorruptArtifact where the folder holds another stage of the same short key, or a manifest that is not
        what was committed.
        """
        found = self.at(self.folder(stage))
        if found is not None and found.key != stage.key:
            path = f"{found.folder}/{MANIFEST}"
            raise CorruptArtifact(f"{path}: holds key {found.key}, wanted {stage.key}; use another store")
        return found

    def at(self, folder: str) -> Artifact | None:
        """The committed artifact in a folder, whoever asked for it; None where there is none.

        Raises CorruptArtifact where its manifest is not what was committed.
        """
        path = f"{folder}/{MANIFEST}"
        data = self.get(path)
        if data is None:
            return None
        found, sealed = manifest.read(data, path)
        return Artifact(self, folder, found, sealed)

    def require(self, stage: Stage) -> Artifact:
        """As `find`, but StoreError where there is none."""
        artifact = self.find(stage)
        if artifact is None:
            raise StoreError(f"{stage.label}: not in the store {self.shown}, though something needs it now")
        return artifact

    def draft(self, stage: Stage, parts: Sequence[Part], metrics: Mapping[str, object]) -> Artifact:
        """The artifact that a commit would make: for metrics that are computed from the parts."""
        return Artifact(self, self.folder(stage), manifest.draft(stage, parts, metrics))

    def commit(
        self,
        stage: Stage,
        parts: Sequence[Part],
        metrics: Mapping[str, object],
        provenance: Mapping[str, object],
    ) -> Artifact:
        """Write the manifest: from here on the artifact exists."""
        draft = self.draft(stage, parts, metrics)
        whole = {**draft.manifest, "digest": draft.digest, "provenance": canonical(provenance, "provenance")}
        self.put(f"{draft.folder}/{MANIFEST}", seal(whole, indent=1))
        return Artifact(self, draft.folder, whole)

    # -- stages that cannot be built

    def remember_failure(self, stage: Stage, reason: str, code: str) -> None:
        """Keep why a stage fails whenever it is run by this code (by its digest) on these inputs."""
        self.put_json(f"{self.folder(stage)}/{FAILURE}", {"key": stage.key, "reason": reason, "code": code})

    def failure(self, stage: Stage, code: str) -> str | None:
        """Why the stage failed when this code ran it; None where it did not, or was not tried."""
        try:
            kept = self.get_json(f"{self.folder(stage)}/{FAILURE}", "remove it to try again")
        except CorruptArtifact:
            return None
        if not isinstance(kept, dict) or (kept.get("key"), kept.get("code")) != (stage.key, code):
            return None
        return str(kept.get("reason"))

    def forget_failure(self, stage: Stage) -> None:
        """Before the stage is tried again."""
        self.delete(f"{self.folder(stage)}/{FAILURE}")

    # -- parts and what leads to them

    def put_part(self, stage: Stage, path: str, data: bytes, rows: int | None) -> Part:
        self.put(f"{self.folder(stage)}/{path}", data)
        return Part(path, rows, len(data), hashlib.sha256(data).hexdigest())

    def put_shard(
        self, stage: Stage, index: int, data: bytes, rows: int, device: str = "", seconds: float = 0.0
    ) -> Part:
        """The part, then its sidecar: a shard counts once the sidecar is there."""
        part = self.put_part(stage, shard_name(index), data, rows)
        part = replace(part, device=device, seconds=round(seconds, 3))
        self.put(self._sidecar(stage, index), seal(asdict(part)))
        return part

    def shard(self, stage: Stage, index: int) -> Part | None:
        """The finished shard, or None where it must be computed: no sidecar, or one that is damaged or tells of another
        shard, or of other bytes or rows than are there."""
        part = self._noted(stage, index)
        return part if part is not None and self._is_there(stage, part) else None

    def _noted(self, stage: Stage, index: int) -> Part | None:
        """What the sidecar of a shard says; None where there is none that can be believed."""
        sidecar = self.get(self._sidecar(stage, index))
        try:
            part = None if sidecar is None else Part.of_json(unseal(sidecar)[0])
        except ValueError:
            return None
        return part if part is not None and part.path == shard_name(index) else None

    def _is_there(self, stage: Stage, part: Part) -> bool:
        """Whether a part has the bytes and the rows that are said of it."""
        data = self.get(f"{self.folder(stage)}/{part.path}")
        try:
            return data is not None and is_of(part, data) and rows_of_parquet(data) == part.rows
        except ValueError:
            return False

    def finished_shards(self, stage: Stage) -> dict[int, Part]:
        """The finished shards of a stage. Starts at the others are forgotten: a new run is a new chance."""
        names = self.names(self._progress(stage))
        self.map_parallel(self.delete, [f"{self._progress(stage)}/{name}" for name in names if ATTEMPT in name])
        indices = [index_of(name) for name in names if re.fullmatch(r"part-\d+\.parquet\.json", name)]
        noted = [
            part for part in self.map_parallel(lambda index: self._noted(stage, index), indices) if part is not None
        ]
        there = self.map_parallel(lambda part: self._is_there(stage, part), noted, heaviest(noted))
        return {index_of(part.path): part for part, is_there in zip(noted, there, strict=True) if is_there}

    def attempt(self, stage: Stage, index: int) -> int:
        """Note one more start at a shard and return its number, from 1: what ends its process every time is seen here,
        even though nobody lived to report it."""
        number = 1
        while self.get(self._attempt(stage, index, number)) is not None:
            number += 1
        self.put(self._attempt(stage, index, number), b"started")
        return number

    def forget_attempts(self, stage: Stage, index: int) -> None:
        """Forget starts that ended in an orderly way."""
        for number in range(1, MAX_ATTEMPTS + 2):
            self.delete(self._attempt(stage, index, number))

    def remove_progress(self, stage: Stage) -> None:
        """Remove the sidecars, notes and state of a stage that was committed, or is to start afresh."""
        # Somebody else tidies too, or still writes: nothing depends on it.
        with contextlib.suppress(FileNotFoundError, StoreError):
            self.remove_folder(self._progress(stage))

    def _progress(self, stage: Stage) -> str:
        """A folder of its own, which an object store removes by the thousand names and not one by one."""
        return f"{self.folder(stage)}/progress"

    def state_of(self, stage: Stage) -> str:
        """The file in which a long task keeps how far it is."""
        return f"{self._progress(stage)}/state"

    def _sidecar(self, stage: Stage, index: int) -> str:
        return f"{self._progress(stage)}/{shard_name(index)}.json"

    def _attempt(self, stage: Stage, index: int, number: int) -> str:
        return f"{self._progress(stage)}/{shard_name(index)}{ATTEMPT}{number}"

    # -- bytes

    def get(self, path: str) -> bytes | None:
        """None where there is no such file. Raises StoreError where it cannot be read, and where it is a folder."""
        try:
            with told(path, "cannot be read"), self.filesystem.open_input_stream(path) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None

    def get_json(self, path: str, remedy: str) -> Any:
        """What `put_json` wrote, or JSON of an older raylab, without a checksum; None where there is no such file.

        Raises CorruptArtifact, with the remedy, where it is not what was written.
        """
        data = self.get(path)
        if data is None:
            return None
        try:
            read, _ = unseal(data)
            if not isinstance(read, dict | list):
                raise ValueError(f"an object is needed, got {read!r:.80}")
            return read
        except ValueError as error:
            raise CorruptArtifact(f"{path}: {error}; {remedy}") from error

    def put_json(self, path: str, content: Mapping[str, Any], indent: int | None = None) -> None:
        self.put(path, seal(content, indent))

    def rows_of(self, path: str) -> int | None:
        """By the footer of a Parquet file; None where there is no such file, or it is no Parquet."""
        try:
            with told(path, "cannot be read"), self.filesystem.open_input_file(path) as file:
                return rows_of_parquet(file)
        except (FileNotFoundError, ValueError):
            return None

    def put(self, path: str, data: bytes) -> None:
        """Write a whole file or nothing: a temporary name and a rename here, one PUT on an object store.

        Raises StoreError where it cannot be written.
        """
        with told(path, f"{len(data):,} bytes cannot be written"):
            self._put(path, data)

    def _put(self, path: str, data: bytes) -> None:
        if not self.is_local:
            with self.filesystem.open_output_stream(path) as stream:
                stream.write(data)
            return
        for left in reversed(range(TRIES)):
            try:
                replace_file(path, data)
                break
            except FileNotFoundError:  # another driver is tidying this folder away
                if not left:
                    raise

    def delete(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError), told(path, "cannot be removed"):  # somebody else tidied first
            self.filesystem.delete_file(path)

    def remove_folder(self, folder: str) -> None:
        """Raises FileNotFoundError where there is none, StoreError where it cannot be removed."""
        with told(folder, "cannot be removed"):
            self.filesystem.delete_dir(folder)

    def map_parallel(self, ask: Callable[[Asked], Answer], about: Sequence[Asked], each: int = 0) -> list[Answer]:
        """The answers in order. Of a store that is far away thousands of them would take minutes one by one.

        `each`: bytes that one request may hold; of large ones fewer are sent together.
        """
        together = min(REQUESTS_AT_ONCE, len(about), max(1, BYTES_AT_ONCE // max(each, 1)))
        if together < 2:
            return [ask(one) for one in about]
        with ThreadPoolExecutor(together) as requests:
            return list(requests.map(ask, about))  # where one fails, those that wait are cancelled by it

    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder, sorted; empty where there is no such folder."""
        selector = pafs.FileSelector(folder, allow_not_found=True)
        with told(folder, "cannot be listed"):
            found = self.filesystem.get_file_info(selector)
        return sorted(info.base_name for info in found if info.type == pafs.FileType.File)

    def folders(self, kind: str) -> list[str]:
        """Of all artifacts of a kind, begun or finished, sorted."""
        selector = pafs.FileSelector(f"{self.root}/{kind}".rstrip("/"), allow_not_found=True)
        with told(kind, "cannot be listed"):
            found = self.filesystem.get_file_info(selector)
        return sorted(info.path for info in found if info.type == pafs.FileType.Directory)

    def kinds(self) -> list[str]:
        """The names of its folders, sorted: of all kinds of artifacts, and of what is kept beside them."""
        return [path.rsplit("/", 1)[-1] for path in self.folders("")]

    def origin(self, folder: str) -> dict[str, Any] | None:
        """The provenance of the artifact in a folder; None where there is none that can be read."""
        data = self.get(f"{folder}/{MANIFEST}")
        try:
            return None if data is None else dict(manifest.read(data, folder)[0]["provenance"])
        except CorruptArtifact:
            return None

    def check_writable(self) -> None:
        """Raises StoreError where this process cannot write and read here."""
        path = f"{self.root}/.writable-{secrets.token_hex(4)}"
        try:
            self._put(path, b"ok")
            self.filesystem.delete_file(path)
        except OSError as error:
            why = redacted(str(error), self.uri)
            raise StoreError(
                f"store {self.shown!r}: cannot be written ({why}); choose another with `store:` in the site file, or "
                "RAYLAB_HOME for the default"
            ) from error


def _one_put(uri: str) -> str:
    """An s3:// URI with which a small file is one PUT, and not a multi-part upload of three requests."""
    if not uri.startswith("s3://") or "allow_delayed_open=" in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}allow_delayed_open=true"


def shard_name(index: int) -> str:
    return f"part-{index:05d}.parquet"


def index_of(name: str) -> int:
    """Of the shard whose part or sidecar has that name."""
    return int(name.removeprefix("part-").partition(".")[0])
