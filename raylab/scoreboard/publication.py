"""The scoreboard as runs of a tracker: a parent with the pages, a child for every row that was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from raylab.engine.identity import fingerprint, short
from raylab.scoreboard.cells import has_spread
from raylab.scoreboard.verdict import WORDS, Line, MeasuredRun
from raylab.tracking import Param, Publication, Record


def parent(suite: str, key: str) -> Record:
    """The run before there are results; `key` is of all that the suite measures."""
    return Record(key, f"scoreboard {suite} [{short(key)}]", {"suite": suite}, tags={"raylab.stage": "scoreboard"})


def publication(opened: Record, lines: Sequence[Line], files: Mapping[str, bytes], commit: str) -> Publication:
    """Counts of verdicts in the parent; in a child the numbers of one run of one row."""
    counts = Counter(line.code for line in lines)
    metrics = {f"rows.{code}": float(counts[code]) for code in WORDS}
    note = "\n".join(f"- {line.row.row}. {line.row.title}: {WORDS[line.code]}" for line in lines)
    tags = {**opened.tags, "mlflow.source.git.commit": commit}
    record = Record(opened.key, opened.name, opened.params, metrics, tags=tags, note=note)
    return Publication(record, tuple(_children(opened.key, lines)), files)


def _children(key: str, lines: Sequence[Line]) -> Iterator[Record]:
    for line in lines:
        for run in line.runs:
            yield _child(key, line, run)


def _child(key: str, line: Line, run: MeasuredRun) -> Record:
    params: dict[str, Param] = {"row": line.row.row, "title": line.row.title, "on": run.on}
    params |= {
        "experiment": run.experiment,
        "study": run.study,
        "protocol": run.protocol or "as published",
        "verdict": WORDS[run.code],
    }
    metrics = dict[str, float]()
    for one in run.measured:
        name = _plain(one.evidence.name)
        metrics[name] = one.evidence.ours.mean
        if has_spread(one.evidence.ours):
            metrics[f"{name}.se"] = one.evidence.ours.se
        if one.published is not None:
            metrics[f"{name}.published"] = one.published.value
    tags = {"raylab.stage": "row", "raylab.verdict": run.code}
    of = {"row": line.row.row, "on": run.on, "experiment": run.experiment, "study": run.study}
    identity = fingerprint({"scoreboard": key, **of})
    return Record(identity, f"row {line.row.row}: {run.on}", params, metrics, tags=tags)


def _plain(name: str) -> str:
    """A metric's name may have letters, digits, spaces, points and the like only."""
    return "".join(c if c.isascii() and (c.isalnum() or c in " ._-/") else "" for c in name).strip()
