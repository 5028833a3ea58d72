"""A committed artifact: a folder of parts that its manifest vouches for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from raylab.engine import columns
from raylab.engine.identity import fingerprint_of_json, short

if TYPE_CHECKING:
    from raylab.engine.store import Store

MANIFEST = "MANIFEST.json"


class StoreError(Exception):
    """The store cannot be used as asked; the message says what and where."""


class CorruptArtifact(StoreError):
    """Bytes that do not match the manifest."""


@dataclass(frozen=True)
class Part:
    """One file of an artifact; `rows` is None where the file is no table."""

    path: str  # relative to the artifact's folder
    rows: int | None
    bytes: int
    sha256: str
    # Of a shard, and no part of the digest: what computed it, and how long that took.
    device: str = ""
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """The file's own name: the folder of a task's attempt is an accident of one run."""
        return self.path.rsplit("/", 1)[-1]

    @classmethod
    def of_json(cls, read: object) -> Part:
        """Raises ValueError where it is no description of a part."""
        if isinstance(read, dict) and _PART.keys() - {"device", "seconds"} <= read.keys() <= _PART.keys():
            part = cls(**read)
            typed = all(type(value) in _PART[name] for name, value in read.items())  # bool is no int here
            named = typed and _PATH.fullmatch(part.path) and _SHA256.fullmatch(part.sha256)
            if named and part.bytes >= 0 and (part.rows or 0) >= 0:
                return part
        raise ValueError(f"no part has path, rows, bytes and sha256 like {read!r:.200}")


_SHA256 = re.compile("[0-9a-f]{64}")
_PATH = re.compile(r"(attempt-[A-Za-z0-9]+/)?[A-Za-z0-9_][A-Za-z0-9_.-]*")  # never out of the artifact's folder
_PART: Mapping[str, tuple[type, ...]] = {
    "path": (str,),
    "rows": (int, type(None)),
    "bytes": (int,),
    "sha256": (str,),
    "device": (str,),
    "seconds": (int, float),
}


def is_of(part: Part, data: bytes) -> bool:
    """Whether these are the bytes that are described."""
    return len(data) == part.bytes and hashlib.sha256(data).hexdigest() == part.sha256


def heaviest(parts: Sequence[Part]) -> int:
    """The bytes of the largest."""
    return max((part.bytes for part in parts), default=0)


def digest_of(parts: Sequence[Part]) -> str:
    """sha256 over the names and sha256s of the parts: equal digests, equal bytes."""
    return fingerprint_of_json([[part.name, part.sha256] for part in parts])


@dataclass(frozen=True)
class Artifact:
    """A committed, immutable folder of parts."""

    store: Store
    folder: str
    manifest: Mapping[str, Any]
    sealed: bool = True  # False: read from a manifest without a checksum, written by an older raylab

    @property
    def key(self) -> str:
        return str(self.manifest["key"])

    @property
    def metrics(self) -> Mapping[str, Any]:
        return dict(self.manifest["metrics"])

    @property
    def config(self) -> Mapping[str, Any]:
        return dict(self.manifest["config"])

    @property
    def label(self) -> str:
        return f"{self.manifest['name'] or self.manifest['kind']} [{short(self.key)}]"

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        return tuple(Part(**part) for part in self.manifest["parts"])

    @cached_property
    def digest(self) -> str:
        return digest_of(self.parts)

    @cached_property
    def rows(self) -> int:
        """Of all tables. Those of a manifest without a checksum are believed when the parts' footers say the same.

        Raises CorruptArtifact where they do not.
        """
        if not self.sealed:
            self.store.map_parallel(self._check_footer, self._tables)
        return sum(part.rows or 0 for part in self._tables)

    @property
    def _tables(self) -> list[Part]:
        return [part for part in self.parts if part.rows is not None]

    def read(self, name: str) -> bytes:
        """The bytes of one part, checked.

        Raises StoreError where there is no such part, CorruptArtifact where its bytes are not those committed.
        """
        for part in self.parts:
            if part.name == name:
                return self._checked(part)
        raise StoreError(f"{self.label}: no part {name!r}; it has {[part.name for part in self.parts]}")

    def table(self, start: int = 0, stop: int | None = None, without: Collection[str] = ()) -> pa.Table:
        """Rows [start, stop) of the artifact's tables, in order; only the parts that hold them are read."""
        stop = self.rows if stop is None else min(stop, self.rows)
        tables = self._tables
        first, wanted = 0, list[tuple[Part, int, int]]()
        for part in tables:
            rows = part.rows or 0
            if first < stop and first + rows > start:
                wanted.append((part, max(start - first, 0), min(stop - first, rows)))
            first += rows

        def piece(of: tuple[Part, int, int]) -> pa.Table:
            part, low, high = of
            return self._whole(part, without).slice(low, high - low)

        pieces = self.store.map_parallel(piece, wanted, heaviest([part for part, _, _ in wanted]))
        if not pieces and tables:  # an empty range still has columns
            pieces.append(self._whole(tables[0], without).slice(0, 0))
        if not pieces:
            raise self._no_table()
        return pa.concat_tables(pieces)

    def each_part(self, use: Callable[[int, pa.Table], None]) -> None:
        """Hand over the table of every part and the number of its first row; several at a time, in any order.

        Raises StoreError where there is none.
        """
        tables = self._tables
        if not tables:
            raise self._no_table()
        firsts = accumulate((part.rows or 0 for part in tables), initial=0)
        placed = list(zip(firsts, tables, strict=False))
        self.store.map_parallel(lambda of: use(of[0], self._whole(of[1], ())), placed, heaviest(tables))

    def damages(self) -> list[str]:
        """A line for each part that is missing or has other bytes than were committed; all of them are read."""

        def damage(part: Part) -> str:
            try:
                self._checked(part)
            except CorruptArtifact as error:
                return str(error)
            return ""

        return list(filter(None, self.store.map_parallel(damage, self.parts)))

    def without_images(self) -> columns.Batch:
        """All columns but `image`, of all rows."""
        return columns.to_batch(self.table(without=("image",)))

    def batch(self, start: int = 0, stop: int | None = None) -> columns.Batch:
        """The same rows as numpy arrays by column."""
        return columns.to_batch(self.table(start, stop))

    def _whole(self, part: Part, without: Collection[str]) -> pa.Table:
        table = columns.from_parquet(self._checked(part), without)
        self._check_rows(part, table.num_rows)
        return table

    def _check_footer(self, part: Part) -> None:
        rows = self.store.rows_of(f"{self.folder}/{part.path}")
        if rows is None:
            raise self._corrupt(part, "is missing, or is no Parquet file")
        self._check_rows(part, rows)

    def _check_rows(self, part: Part, rows: int) -> None:
        if rows != part.rows:
            raise self._corrupt(part, f"has {rows} rows, its manifest says {part.rows}")

    def _checked(self, part: Part) -> bytes:
        data = self.store.get(f"{self.folder}/{part.path}")
        if data is None or not is_of(part, data):
            state = "is missing" if data is None else "does not have the bytes that were committed"
            raise self._corrupt(part, state)
        return data

    def _no_table(self) -> StoreError:
        return StoreError(f"{self.label}: it holds no table, only {[part.name for part in self.parts]}")

    def _corrupt(self, part: Part, state: str) -> CorruptArtifact:
        return CorruptArtifact(
            f"{self.label}: {self.folder}/{part.path} {state}; remove {self.folder}/{MANIFEST} to have it built again"
        )
