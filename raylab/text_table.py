"""Columns for people and for `awk`: a line each, however wide."""

from __future__ import annotations

from collections.abc import Sequence


def print_table(header: Sequence[str], lines: Sequence[Sequence[str]], none: str = "") -> None:
    """`none` where there are no lines."""
    if not lines:
        print(none)
        return
    sizes = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    for line in (header, *lines):
        print("  ".join(cell.ljust(size) for cell, size in zip(line, sizes, strict=True)).rstrip())
