"""docs/faults.csv and the table of docs/faults.md, from the lines that `make faults` has written.

    python tests/faults/table.py LINES.csv

A fault that was injected again replaces its earlier lines; the others stay.
"""

from __future__ import annotations

import csv
import re
import sys
from collections import Counter
from pathlib import Path

DOCS = Path(__file__).parent.parent.parent / "docs"
COLUMNS = ("fault", "moment", "what happened", "times")
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"
SECONDS = re.compile(r"\b\d+(?= s\b)")
MENDED = {  # fault -> what it had shown
    "store gone read-only": "the error of the clean-up hid that of the write, and ended the whole build",
    "SIGINT or SIGTERM, twice": "`raylab run` printed a traceback where Ctrl-C fell into the import of experiments; "
    "Python looked for cycles among 400,000 objects before it ended, 2 s of a processor",
    "MLflow's server down": "a job ended after five minutes of MLflow's own retries",
    "kill -9 of a sweep's driver": "draws of pbt followed from no seed",
    "surroundings": "`?` in RAYLAB_HOME: MLflow's database was made outside of it; letters beyond ASCII without UTF-8: "
    "Arrow's own error",
    "two drivers on the same key": "on Ray: the first to end could not remove Tune's folder, and failed",
    "memory": "the driver read sixteen parts at once, however large (seen in the code; parts of 1 MB do not show it)",
}


def merged(lines: Path, kept: Path) -> Counter[tuple[str, str, str]]:
    """How often each fault ended so, in all runs."""
    with lines.open(newline="") as file:
        new = Counter((line["fault"], line["moment"], line["what happened"]) for line in csv.DictReader(file))
    if kept.exists():
        with kept.open(newline="") as file:
            old = {tuple(row[:3]): int(row[3]) for row in list(csv.reader(file))[1:]}
        new.update({row: count for row, count in old.items() if row[0] not in {fault for fault, _, _ in new}})  # type: ignore[misc]
    return new


def table(found: Counter[tuple[str, str, str]]) -> str:
    rows = ["| fault | times | when | what happened | defect mended |", "|---|---|---|---|---|"]
    for fault in sorted({fault for fault, _, _ in found}):
        those = {row: count for row, count in found.items() if row[0] == fault}
        moments, ends = (
            _counted([row[column] for row, count in those.items() for _ in range(count)]) for column in (1, 2)
        )
        rows.append(f"| {fault} | {sum(those.values())} | {moments} | {ends} | {MENDED.get(fault, '')} |")
    return "\n".join(rows) + "\n"


def _counted(values: list[str]) -> str:
    """Each value once, with its number; values that differ in seconds are one, with the range."""
    found: dict[str, list[str]] = {}
    for value in values:
        found.setdefault(SECONDS.sub("{}", value), []).append(value)
    told = []
    for form, those in sorted(found.items(), key=lambda item: -len(item[1])):
        seconds = sorted(int(number) for value in those for number in SECONDS.findall(value))
        span = f"{seconds[0]}-{seconds[-1]}" if seconds and seconds[0] < seconds[-1] else "".join(map(str, seconds[:1]))
        told.append(form.replace("{}", span) + (f" ({len(those)})" if len(found) > 1 else ""))
    return "; ".join(told)


def main(lines: Path) -> None:
    found, page = merged(lines, DOCS / "faults.csv"), DOCS / "faults.md"
    with (DOCS / "faults.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *((*row, count) for row, count in sorted(found.items()))])
    before, rest = page.read_text().split(BEGIN)
    page.write_text(f"{before}{BEGIN}{table(found)}{END}{rest.partition(END)[2]}")
    print(table(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
