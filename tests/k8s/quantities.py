"""Kubernetes' quantities as numbers."""

from __future__ import annotations

import re

SUFFIXES = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
SUFFIXES |= {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
SPELLING = re.compile(r"(\d+(?:\.\d+)?|inf)(m|k|M|G|T|Ki|Mi|Gi|Ti)?")


def amount(quantity: str | int | float) -> float:
    """Raises ValueError for what Kubernetes would not read (`8GB`)."""
    found = SPELLING.fullmatch(str(quantity))
    if found is None:
        raise ValueError(f"{quantity!r} is no quantity")
    return float(found[1]) * SUFFIXES[found[2] or ""]
