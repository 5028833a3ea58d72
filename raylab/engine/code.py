"""The code that runs, by content: two processes run the same raylab where their digests are equal."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

CONFIGS = "configs"  # in a wheel a folder, in a checkout a link: what is asked for, and no code


@lru_cache(maxsize=4)
def digest(package: Path = Path(__file__).parents[1]) -> str:
    """sha256 over the paths and bytes of a package's files; of raylab's own by default.

    A version number would not do: two checkouts of one version differ, and a cluster's image may be of last week.
    """
    whole = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.relative_to(package).parts[0] != CONFIGS:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            whole.update(f"{path.relative_to(package).as_posix()} {content}\n".encode())
    return whole.hexdigest()
