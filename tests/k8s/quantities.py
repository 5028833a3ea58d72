"""Kubernetes' quantities as numbers."""

from __future__ import annotations

import re

SUFFIXES = {"": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
SUFFIXES |= {f"{letter}i": 2.0 ** (10 * power) for power, letter in enumerate("KMGTPE", start=1)}
SPELLING = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf)([KMGTPE]i|[numkMGTPE])?")
EXPONENT_AND_SUFFIX = re.compile(r".*[eE][+-]?\d.*[a-zA-Z]")


def amount(quantity: str | int | float) -> float:
    """Raises ValueError for what Kubernetes would not read (`8GB`)."""
    found = SPELLING.fullmatch(str(quantity))
    if found is None or EXPONENT_AND_SUFFIX.fullmatch(str(quantity)):
        raise ValueError(f"{quantity!r} is no quantity")
    return float(found[1]) * SUFFIXES[found[2] or ""]
