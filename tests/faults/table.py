"""The table of docs/faults.md from the lines that `make faults` has written: python tests/faults/table.py CSV."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from pathlib import Path

MENDED: dict[str, str] = {}  # fault -> what it had shown, and the commit's subject


def table(path: Path) -> str:
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    rows = ["| fault | times | when | what happened | defect mended |", "|---|---|---|---|---|"]
    for fault in dict.fromkeys(line["fault"] for line in lines):
        those = [line for line in lines if line["fault"] == fault]
        moments, ends = (_counted([line[name] for line in those]) for name in ("moment", "what happened"))
        rows.append(f"| {fault} | {len(those)} | {moments} | {ends} | {MENDED.get(fault, '')} |")
    return "\n".join(rows)


def _counted(values: list[str]) -> str:
    found = Counter(values)
    return "; ".join(value if count == len(values) else f"{value} ({count})" for value, count in found.most_common())


if __name__ == "__main__":
    print(table(Path(sys.argv[1])))
