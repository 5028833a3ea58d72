"""The table of measured rows that docs/results.md shows: `make readme` writes it anew from `docs/measured.csv`.

The CSV is what is committed of the results: a line for every number of every run, with its provenance, and nothing of
what was published. That stands in `rows.yaml`, and verdicts are reached anew from both whenever the table is written:
a number, a bound or a rule that changes makes the page stale. A newer run of the same row on the same thing replaces
the older one.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import count
from pathlib import Path
from string import ascii_lowercase

from raylab.core.statistics import ANYTHING, Estimate, Range
from raylab.report.files import csv_of
from raylab.report.numbers import basis
from raylab.scoreboard.about import About
from raylab.scoreboard.cells import asked, exact, interval, ours
from raylab.scoreboard.evidence import Evidence
from raylab.scoreboard.rows import TargetRow, all_rows
from raylab.scoreboard.table import counts, foremost, headline, is_target, plain
from raylab.scoreboard.verdict import WORDS, Code, Line, Measured, MeasuredRun

README, MEASURED = Path("docs/results.md"), Path("docs/measured.csv")
BEGIN, END = "<!-- measured rows: begin -->", "<!-- measured rows: end -->"
RULE = (
    "A row shows the run that speaks for it: one at the published protocol before all others, then *reproduced* before "
    "*same direction* before *contradicted* before *inconclusive*, among equals one without a remark in brackets, then "
    "one on the published data; a run that contradicts is shown beside it. Of a run the number that contradicts or is "
    "undecided, else the first that was published. ± is the standard error; brackets hold what the row asks at the "
    "published protocol, a directional criterion what it asks at any size. In what a run differs from the published "
    "one stands in `docs/measured.csv`, with all other runs and numbers. Made: the commit that finished a study, and "
    "how many others had a part in it."
)


# Between which values lie, by unit: what an interval of Student's, of a line without one of its own, is cut to.
WITHIN: Mapping[str, Range] = {"share": (0.0, 1.0), "points": (-1.0, 1.0)}

HEADS = (
    "row", "target (source)", "published", "asked of ours", "ours ± standard error", "95 % interval", "verdict",
    "measured on", "made",
)  # fmt: skip

Place = tuple[str, str, str, str, str]  # of a run: row, experiment, study, on, protocol


@dataclass(frozen=True)
class Entry:
    """A line of the CSV: as text, so that what is read is what was written."""

    row: str
    quantity: str
    ours: str
    se: str
    n: str
    seeds: str
    low: str  # a 95 % interval of its own; empty: that over seeds
    high: str
    interval_low: str  # that over seeds; empty: none, or of a line from before it was kept, which has Student's t of se
    interval_high: str
    as_published: str  # "yes": this number is at the published protocol
    undecided: str  # why its criterion would say nothing where it fails
    remark: str  # what must be known beside a criterion that is met
    experiment: str
    study: str
    on: str
    protocol: str  # of the run
    verdict: str  # of the run, by the rule
    commit: str
    hardware: str
    date: str

    @property
    def place(self) -> Place:
        return self.row, self.experiment, self.study, self.on, self.protocol

    @property
    def provenance(self) -> str:
        commit, *rest = self.commit.split(" ", 1)
        return f"{' '.join([f'`{commit}`', *rest])}, {self.hardware}, {self.date}"

    @property
    def measured(self) -> Measured:
        """Beside what `rows.yaml` says today. Raises ValueError where it has no such number."""
        row = all_rows()[int(self.row) - 1]
        published, criterion = row.published.get(self.quantity), row.criteria.get(self.quantity)
        if published is None and criterion is None:
            raise ValueError(f"row {self.row}: one of {[*row.published, *row.criteria]}, got {self.quantity!r}")
        value, unit = _number(self.ours), (published or criterion).unit  # type: ignore[union-attr]  # one is there
        low, high = WITHIN.get(unit, ANYTHING)
        within = (low, high) if low <= value <= high else ANYTHING
        ours = Estimate(value, _number(self.se), int(self.n), int(self.seeds), self._over_seeds, within)
        protocol = "" if self.as_published == "yes" else self.protocol
        bounds = (_number(self.low), _number(self.high)) if self.low or self.high else None
        of = (self.remark, self.experiment, self.study)
        one = Evidence(row.row, self.quantity, ours, self.on, protocol, self.undecided, bounds, *of)
        return Measured(one, published, criterion)

    @property
    def _over_seeds(self) -> tuple[float, float] | None:
        """As kept; None where it is not. Raises ValueError where it does not hold its own number."""
        if not (self.interval_low and self.interval_high) or int(self.seeds) < 2:
            return None
        low, high, slack = float(self.interval_low), float(self.interval_high), 1e-9  # both were rounded
        if not low - slack <= float(self.ours) <= high + slack:
            raise ValueError(
                f"row {self.row}, {self.quantity}: interval_low and interval_high hold the mean, got {low:g} to "
                f"{high:g} around {self.ours}; run the suite again, which writes them anew"
            )
        return low, high


COLUMNS = tuple(field.name for field in fields(Entry))


def entries(lines: Iterable[Line], made: Mapping[tuple[str, str], About]) -> Iterator[Entry]:
    """One for every number of every run. `made`: where numbers come from, by experiment and study."""
    for line in lines:
        for run in line.runs:
            for measured in run.measured:
                yield _entry(line, run, measured, made[run.experiment, run.study])


def merged(old: Iterable[Entry], new: Iterable[Entry]) -> list[Entry]:
    """In the order of rows; a new run of the same row on the same thing takes the place of the old."""
    found: dict[Place, list[Entry]] = {}
    for one in old:
        found.setdefault(one.place, []).append(one)
    newer: dict[Place, list[Entry]] = {}
    for one in new:
        newer.setdefault(one.place, []).append(one)
    return sorted((one for those in (found | newer).values() for one in those), key=lambda one: int(one.row))


def read(path: Path) -> list[Entry]:
    """Raises ValueError where its columns are others."""
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(
                f"{path}: columns {', '.join(COLUMNS)}, got {', '.join(reader.fieldnames or ())}; remove it, run the "
                "suites once more, which find all in their store, and name their measured.csv"
            )
        return [Entry(**line) for line in reader]


def as_csv(kept: Iterable[Entry]) -> str:
    return csv_of(COLUMNS, map(asdict, kept))


def judged(kept: Iterable[Entry]) -> dict[Place, MeasuredRun]:
    """Runs as the rows and the rule of today judge the numbers that were kept."""
    found: dict[Place, list[Measured]] = {}
    for one in kept:
        found.setdefault(one.place, []).append(one.measured)
    return {
        (row, experiment, study, on, protocol): MeasuredRun(
            on, tuple(those), frozenset(all_rows()[int(row) - 1].criteria), experiment, study
        )
        for (row, experiment, study, on, protocol), those in found.items()
    }


def ruled(kept: Sequence[Entry]) -> list[Entry]:
    """With the verdicts of today, whatever they were when the numbers were measured."""
    runs = judged(kept)
    return [replace(one, verdict=runs[one.place].code) for one in kept]


def block(kept: Sequence[Entry]) -> str:
    """What stands between the marks, with the marks."""
    runs, origin = judged(kept), {one.place: one.provenance for one in kept}
    rows: dict[str, dict[Place, MeasuredRun]] = {}
    for place, run in runs.items():
        rows.setdefault(place[0], {})[place] = run
    lines = {number: Line(all_rows()[int(number) - 1], tuple(of.values())) for number, of in rows.items()}
    shown = [
        (lines[number], run, run.code if place else lines[number].code, _origin(run, of, origin))
        for number, of in rows.items()
        for place, run in enumerate(foremost(lines[number]))
    ]
    made = dict(zip(dict.fromkeys(where for *_, where in shown), _letters(), strict=False))
    header = f"| {' | '.join(HEADS)} |\n{'|---' * len(HEADS)}|"
    table = [_line(line, run, verdict, made[where]) for line, run, verdict, where in shown]
    of_all = sum(is_target(row) for row in all_rows())
    reached = ", ".join(f"{len(those)} {WORDS[code]}" for code, those in counts(lines.values()).items())
    counted = f"{len(rows)} of {of_all} rows are measured here, at some size: {reached}."
    provenance = "Made: " + "; ".join(f"{letter}, {words}" for words, letter in made.items()) + "."
    return "\n\n".join([BEGIN, counted, "\n".join([header, *table]), f"{RULE} {provenance}", END])


def _origin(run: MeasuredRun, runs: Mapping[Place, MeasuredRun], origin: Mapping[Place, str]) -> str:
    return next(origin[place] for place, one in runs.items() if one is run)


def renewed(readme: str, table: str) -> str:
    """The README with the block in the place of the old one. Raises ValueError where the marks are not there once."""
    if readme.count(BEGIN) != 1 or readme.count(END) != 1 or readme.index(BEGIN) > readme.index(END):
        raise ValueError(f"README.md: put these two lines where the table is to stand, each once: {BEGIN} {END}")
    return readme[: readme.index(BEGIN)] + table + readme[readme.index(END) + len(END) :]


def _entry(line: Line, run: MeasuredRun, measured: Measured, about: About) -> Entry:
    one = measured.evidence
    return Entry(
        row=str(line.row.row),
        quantity=one.name,
        ours=plain(one.ours.mean),
        se=plain(one.ours.se),
        n=str(one.ours.n),
        seeds=str(one.ours.seeds),
        low="" if one.bounds is None else plain(one.bounds[0]) or "nan",
        high="" if one.bounds is None else plain(one.bounds[1]) or "nan",
        interval_low="" if one.ours.interval is None else plain(one.ours.interval[0]),
        interval_high="" if one.ours.interval is None else plain(one.ours.interval[1]),
        as_published="" if one.protocol else "yes",
        undecided=one.undecided,
        remark=one.remark,
        experiment=run.experiment,
        study=run.study,
        on=run.on,
        protocol=run.protocol,
        verdict=run.code,
        commit=about.short_commit,
        hardware=about.hardware,
        date=about.date,
    )


def _line(line: Line, run: MeasuredRun, verdict: Code, made: str) -> str:
    """A row of the table, with the number that stands for the run."""
    best = headline(run)
    estimate = best.evidence.ours
    cells = (
        str(line.row.row),
        f"{line.row.title} ({line.row.source})",
        _published(line.row),
        f"{best.evidence.name}: {asked(best.published, best.criterion)}",
        f"{ours(estimate, best.unit)}; {basis(estimate)}",
        interval(best),
        f"**{WORDS[verdict]}**",
        f"{run.on}{f' ({run.remark})' if run.remark else ''}" if run.protocol else f"{run.on} (as published)",
        made,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _published(row: TargetRow) -> str:
    """The first of a row's numbers, and how many there are more."""
    first, *more = [f"{name} {exact(one.value, one.unit)}" for name, one in row.published.items()] or [""]
    return f"{first}; {len(more)} more" if more else first


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
        MEASURED.write_text(as_csv(ruled(kept)), encoding="utf-8")
        README.write_text(renewed(README.read_text(encoding="utf-8"), block(read(MEASURED))), encoding="utf-8")
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main(sys.argv[1:])
