"""The scoreboard as a table: what speaks for a row, how often each verdict was reached, and all of it as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from raylab.report.files import csv_of
from raylab.scoreboard.cells import said
from raylab.scoreboard.rows import Criterion, Published, TargetRow
from raylab.scoreboard.verdict import WORDS, Code, Line, Measured, MeasuredRun

# Of the runs of a row the first of these speaks for it; a contradiction is shown beside whatever does.
ORDER: tuple[Code, ...] = ("reproduced", "same_direction", "contradicted", "inconclusive")
COLUMNS = (
    "row", "title", "quantity", "published", "low", "high", "at_least", "at_most", "sigmas", "unit", "ours", "se", "n",
    "seeds", "interval_low", "interval_high", "experiment", "study", "on", "protocol", "undecided", "remark", "by_rule",
    "run", "verdict", "source",
)  # fmt: skip


def foremost(line: Line) -> tuple[MeasuredRun, ...]:
    """The run that speaks for a row, and one that contradicts where there is any: it is never left out.

    As for the row's verdict, runs at the published protocol come before all others; then by ORDER, then those of which
    nothing must be remarked, then those on the published data, then as given.
    """
    if not line.runs:
        return ()
    nearest = [run for run in line.runs if not run.protocol] or list(line.runs)
    data = line.row.run.data
    best = min(nearest, key=lambda run: (ORDER.index(run.code), bool(run.remark), _data(run) != data))
    against = [run for run in (*nearest, *line.runs) if run.code == "contradicted"]
    return (best,) if best.code == "contradicted" or not against else (best, against[0])


def _data(run: MeasuredRun) -> str:
    """The data set of "CIFAR-10 (JPEG), mlp, L2 1": `on` begins with it."""
    return run.on.split(",")[0].removesuffix(" (JPEG)")


def headline(run: MeasuredRun) -> Measured:
    """The number that stands for a run: what contradicts, is undecided or meets a criterion, then a published one."""
    failing = [m for m in run.measured if any(look == "bad" for look, _ in said(m))]
    undecided = [
        m for m in run.measured if (m.criterion and not m.meets_criterion) or (_compared(m) and not m.reproduces)
    ]
    published = [m for m in run.measured if m.published is not None]
    criteria = [m for m in run.measured if m.criterion is not None]
    deciding = {"contradicted": failing, "inconclusive": undecided, "same_direction": criteria}.get(run.code, [])
    return next(iter([*deciding, *published, *run.measured]))


def is_target(row: TargetRow) -> bool:
    """Row 26 is a quotation: there is nothing to reach."""
    return bool(row.published or row.criteria)


def words(line: Line) -> str:
    """Of the verdict of a row."""
    return WORDS[line.code] if is_target(line.row) or line.runs else "not a target"


def counts(lines: Iterable[Line]) -> dict[Code, list[Line]]:
    """Rows by verdict, in the order of WORDS; those that are no target are none of them."""
    listed = [line for line in lines if is_target(line.row)]
    found = {code: [line for line in listed if line.code == code] for code in WORDS}
    return {code: those for code, those in found.items() if those}


def unmeasured(line: Line) -> list[str]:
    """Names of a row for which no run has a number."""
    seen = {m.evidence.name for run in line.runs for m in run.measured}
    return [name for name in dict.fromkeys((*line.row.published, *line.row.criteria)) if name not in seen]


def as_csv(lines: Iterable[Line]) -> str:
    """A line for every number of every run, and for every number that none has. Shares lie in [0, 1]."""
    return csv_of(COLUMNS, (record for line in lines for record in _records(line)))


def _records(line: Line) -> Iterator[dict[str, object]]:
    row = line.row
    about = {"row": row.row, "title": row.title, "verdict": line.code, "source": row.source}
    for run in line.runs:
        for measured in run.measured:
            yield about | _target(measured.published, measured.criterion) | _found(measured, run)
    names = unmeasured(line) or ([""] if not is_target(row) else [])
    for name in names:
        target = _target(row.published.get(name), row.criteria.get(name))
        yield about | target | {"quantity": name, "run": "not_run"}


def _found(measured: Measured, run: MeasuredRun) -> dict[str, object]:
    evidence, (low, high) = measured.evidence, measured.bounds
    return {
        "quantity": evidence.name,
        "ours": plain(evidence.ours.mean),
        "se": plain(evidence.ours.se),
        "n": evidence.ours.n,
        "seeds": evidence.ours.seeds,
        "interval_low": plain(low),
        "interval_high": plain(high),
        "experiment": run.experiment,
        "study": run.study,
        "on": evidence.on,
        "protocol": evidence.protocol,
        "undecided": evidence.undecided,
        "remark": evidence.remark,
        "by_rule": "; ".join(text for _, text in said(measured)),
        "run": run.code,
    }


def _target(published: Published | None, criterion: Criterion | None) -> dict[str, object]:
    """Of a name: empty cells where the row does not say."""
    found: dict[str, object] = {
        "unit": (published or criterion or Criterion(at_least=0)).unit if published or criterion else ""
    }
    if published is not None:
        found |= {name: plain(getattr(published, name)) for name in ("low", "high")}
        found["published"] = plain(published.value)
    if criterion is not None:
        bounds = {name: getattr(criterion, name) for name in ("at_least", "at_most", "sigmas")}
        found |= {name: plain(value) for name, value in bounds.items() if value is not None}
    return found


def plain(value: float) -> str:
    """For machines: ten digits, nothing for nan."""
    return "" if value != value else f"{value:.10g}"


def _compared(measured: Measured) -> bool:
    return measured.published is not None and measured.same_protocol
