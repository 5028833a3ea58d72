"""The table of measured rows that README.md shows: `make readme` writes it anew from `.readme/measured.csv`.

The CSV is what is committed of the results: a line for every row and every run of it, with one number, the one that
stands for the run, and with its provenance. A newer measurement of the same row on the same thing replaces the older.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import count
from pathlib import Path
from string import ascii_lowercase

from raylab.core.statistics import Estimate
from raylab.report.comparison import basis
from raylab.report.scoreboard.about import About
from raylab.report.scoreboard.cells import asked, ours
from raylab.report.scoreboard.rows import Gate, Published, Unit, all_rows
from raylab.report.scoreboard.table import foremost, headline, plain
from raylab.report.scoreboard.verdict import WORDS, Code, Line, Run

README, MEASURED = Path("README.md"), Path(".readme/measured.csv")
BEGIN, END = "<!-- measured rows: begin -->", "<!-- measured rows: end -->"
RULE = (
    "A row shows the run that speaks for it: one at the published protocol before all others, then *reproduced* before "
    "*same direction* before *contradicted* before *inconclusive*; a run that contradicts is shown beside it. Of a run "
    "the number that contradicts or is undecided, else the first that was published. ± is the standard error; brackets "
    "hold what the row asks at the published protocol, a gate what it asks at any size. In what a run differs from the "
    "published one stands in `.readme/measured.csv`, with all other runs."
)


@dataclass(frozen=True)
class Entry:
    """A line of the CSV: as text, so that what is read is what was written."""

    row: str
    title: str
    quantity: str
    published: str  # of this quantity, with the bounds low and high: empty where only a gate asks for it
    low: str
    high: str
    at_least: str  # of the gate: empty where it has none
    at_most: str
    ours: str
    se: str
    n: str
    seeds: str
    on: str
    protocol: str
    verdict: str  # of the run
    row_verdict: str  # of the row, from all its runs in the same results
    commit: str
    hardware: str
    date: str

    @property
    def code(self) -> Code:
        """Of the run. Raises ValueError for a verdict that there is not."""
        return self._code(self.verdict)

    @property
    def row_code(self) -> Code:
        return self._code(self.row_verdict)

    def _code(self, verdict: str) -> Code:
        found = [code for code in WORDS if code == verdict]
        if not found:
            raise ValueError(f"row {self.row}: a verdict of {list(WORDS)}, got {verdict!r}")
        return found[0]

    @property
    def provenance(self) -> str:
        return f"`{self.commit}`, {self.hardware}, {self.date}"

    @property
    def estimate(self) -> Estimate:
        return Estimate(_number(self.ours), _number(self.se), int(self.n), int(self.seeds))

    @property
    def target(self) -> tuple[Published | None, Gate | None]:
        """As `rows.yaml` has it today. Raises ValueError where it has no such number."""
        row = all_rows()[int(self.row) - 1]
        published, gate = row.published.get(self.quantity), row.gates.get(self.quantity)
        if published is None and gate is None:
            raise ValueError(f"row {self.row}: one of {[*row.published, *row.gates]}, got {self.quantity!r}")
        return published, gate

    @property
    def unit(self) -> Unit:
        published, gate = self.target
        return (published or gate or Gate(at_least=0)).unit


COLUMNS = tuple(field.name for field in fields(Entry))


def entries(lines: Iterable[Line], about: About, made: Mapping[str, About] | None = None) -> Iterator[Entry]:
    """One for every run of every row that was measured. `made`: where numbers come from, by experiment."""
    for line in lines:
        for run in line.runs:
            yield _entry(line, run, (made or {}).get(run.experiment, about))


def merged(old: Iterable[Entry], new: Iterable[Entry]) -> list[Entry]:
    """In the order of rows; a new entry of the same row on the same thing takes the place of the old."""
    found = {(entry.row, entry.on, entry.protocol): entry for entry in old}
    found |= {(entry.row, entry.on, entry.protocol): entry for entry in new}
    return sorted(found.values(), key=lambda entry: int(entry.row))


def read(path: Path) -> list[Entry]:
    """Raises ValueError where its columns are others."""
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{path}: columns {', '.join(COLUMNS)}, got {', '.join(reader.fieldnames or ())}")
        return [Entry(**line) for line in reader]


def as_csv(kept: Iterable[Entry]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(entry) for entry in kept)
    return stream.getvalue()


def block(kept: Sequence[Entry]) -> str:
    """What stands between the marks, with the marks."""
    rows = {entry.row: [one for one in kept if one.row == entry.row] for entry in kept}
    shown = [entry for those in rows.values() for entry in foremost(those)]
    made = dict(zip(dict.fromkeys(entry.provenance for entry in shown), _letters(), strict=False))
    header = "| row | target | asked | ours | verdict | measured on | made |\n|---|---|---|---|---|---|---|"
    lines = [
        _line(entry, entry.code if place else entry.row_code, made[entry.provenance])
        for those in rows.values()
        for place, entry in enumerate(foremost(those))
    ]
    of = sum(bool(row.published or row.gates) for row in all_rows())
    counted = f"{len(rows)} of {of} target numbers are measured here, at some size. {RULE}"
    provenance = "Made: " + "; ".join(f"{letter}, {words}" for words, letter in made.items()) + "."
    return "\n\n".join([BEGIN, "\n".join([header, *lines]), f"{counted} {provenance}", END])


def renewed(readme: str, table: str) -> str:
    """The README with the block in the place of the old one. Raises ValueError where the marks are not there once."""
    if readme.count(BEGIN) != 1 or readme.count(END) != 1 or readme.index(BEGIN) > readme.index(END):
        raise ValueError(f"README.md: put these two lines where the table is to stand, each once: {BEGIN} {END}")
    return readme[: readme.index(BEGIN)] + table + readme[readme.index(END) + len(END) :]


def _entry(line: Line, run: Run, about: About) -> Entry:
    row, measured = line.row, headline(run)
    published, gate, found = measured.published, measured.gate, measured.evidence.ours
    return Entry(
        row=str(row.row),
        title=row.title,
        quantity=measured.evidence.name,
        published=_plain(published.value if published else None),
        low=_plain(published.low if published else None),
        high=_plain(published.high if published else None),
        at_least=_plain(gate.at_least if gate else None),
        at_most=_plain(gate.at_most if gate else None),
        ours=plain(found.mean),
        se=plain(found.se),
        n=str(found.n),
        seeds=str(found.seeds),
        on=run.on,
        protocol=run.protocol,
        verdict=run.code,
        row_verdict=line.code,
        commit=about.short_commit,
        hardware=about.hardware,
        date=about.date,
    )


def _plain(value: float | None) -> str:
    return "" if value is None else plain(value)


def _line(entry: Entry, verdict: Code, made: str) -> str:
    """A row of the table."""
    cells = (
        entry.row,
        entry.title,
        f"{entry.quantity}: {asked(*entry.target)}",
        f"{ours(entry.estimate, entry.unit)}; {basis(entry.estimate)}",
        f"**{WORDS[verdict]}**",
        entry.on if entry.protocol else f"{entry.on} (as published)",
        made,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _letters() -> Iterator[str]:
    """a to z, a2 to z2, ..."""
    return (f"{letter}{turn if turn > 1 else ''}" for turn in count(1) for letter in ascii_lowercase)


def _number(text: str) -> float:
    return float(text) if text else float("nan")


def main(results: Sequence[str]) -> None:
    """Merge the `measured.csv` of results into the committed one, and write README.md of this directory anew."""
    try:
        kept = read(MEASURED) if MEASURED.exists() else []
        for path in results:
            kept = merged(kept, read(Path(path)))
        if not kept:
            raise SystemExit(f"{MEASURED}: there is none yet; name the measured.csv of a results folder")
        MEASURED.parent.mkdir(exist_ok=True)
        MEASURED.write_text(as_csv(kept), encoding="utf-8")
        README.write_text(renewed(README.read_text(encoding="utf-8"), block(read(MEASURED))), encoding="utf-8")
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main(sys.argv[1:])
