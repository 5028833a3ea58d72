"""Whole files or nothing, what a file system cannot do in one line, and the rows of a file."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raylab.engine.artifact import StoreError
from raylab.engine.redaction import excerpt

LONGEST = 300  # characters of another library's words
TEMPORARY = re.compile(r"\.tmp-[0-9a-f]{8}$")  # of a file that is being written
UTF8 = "Python here knows no letters but ASCII's: set PYTHONUTF8=1"


def spelt_in_bytes(path: str) -> bool:
    """Whether a path has letters that Python, for its locale knows ASCII alone, keeps as bytes: Arrow takes none."""
    return any("\udc80" <= letter <= "\udcff" for letter in path)


@contextlib.contextmanager
def told(path: str, what: str) -> Iterator[None]:
    """What a file system cannot do, as one line with the remedy; that there is no such file is not told, but raised."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        why, remedy = _explained(error)
        raise StoreError(f"{path}: {what} ({why}); {remedy}") from error


def _explained(error: OSError) -> tuple[str, str]:
    """Why, and what helps."""
    why = excerpt(error.strerror or str(error), LONGEST)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return why, "make space there, then run the same command again: it goes on from what is finished"
    if error.errno == errno.EISDIR or "is a directory" in str(error):  # Arrow says it without a number
        return "it is a folder", "a folder is where a file should be: remove it, then run the same command again"
    return why, "mend this, then run the same command again: it goes on from what is finished"


def replace_file(path: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.tmp-{secrets.token_hex(4)}"
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def rows_of_parquet(source: Any) -> int:
    """The rows of a Parquet file, given as bytes or opened to read: of its footer, nothing else is read.

    Raises ValueError where it is no Parquet.
    """
    return int(pq.read_metadata(pa.BufferReader(source) if isinstance(source, bytes) else source).num_rows)
