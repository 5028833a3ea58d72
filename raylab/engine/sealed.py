"""JSON that carries a checksum of itself, so that what is read from a file is what was written there.

The checksum finds damage and edits by hand; it is no signature, and whoever computes a new one is believed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

CHECKSUM = "checksum"  # the field: sha256 of the canonical text of all other fields


def seal(content: Mapping[str, Any], indent: int | None = None) -> bytes:
    """The content as JSON, with its checksum as one more field. Raises ValueError for nan, TypeError for no JSON."""
    plain = json.loads(json.dumps(content, allow_nan=False))  # as it will be read back
    return json.dumps({**plain, CHECKSUM: checksum(plain)}, indent=indent).encode()


def unseal(data: bytes) -> tuple[Any, bool]:
    """What was sealed, and True; or what was written before there were checksums, and False.

    Raises ValueError, whose message says what is wrong, for what is no JSON and for a checksum of something else.
    """
    try:
        read = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON: {error}") from error
    if not isinstance(read, dict) or CHECKSUM not in read:
        return read, False
    named = read.pop(CHECKSUM)
    try:
        found = checksum(read)
    except ValueError as error:  # nan, which nobody sealed
        raise ValueError(f"no JSON: {error}") from error
    if named != found:
        raise ValueError(f"changed after it was written: it names the checksum {named}, its content has {found}")
    return read, True


def checksum(plain: Mapping[str, Any]) -> str:
    """sha256, in hex, of the JSON with sorted keys in ASCII. It takes what `json.loads` gives, lone surrogates too
    (of an argv that is no UTF-8)."""
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
