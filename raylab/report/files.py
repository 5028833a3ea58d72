"""A report as files: its text, a CSV for each table, an SVG for each picture."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence

from raylab.engine.identity import short
from raylab.engine.study import AnyBuilt
from raylab.report.blocks import Report, Table
from raylab.report.terminal import as_text
from raylab.report.values import fields

TABLES = "tables/"


def files(report: Report) -> dict[str, bytes]:
    """By path: `report.txt`, `tables/<name>.csv`, `figures/<name>.svg`. Raises ValueError where two have one name."""
    kept = {"report.txt": as_text(report, full=True).encode()}
    named = [(f"{TABLES}{table.name}.csv", as_csv(table)) for table in report.tables()]
    named += [(f"figures/{picture.name}.svg", picture.svg) for picture in report.pictures()]
    for name, data in named:
        if name in kept:
            raise ValueError(f"{report.title}: two blocks are called {name}")
        kept[name] = data
    return kept


def folder(name: str, built: AnyBuilt) -> str:
    """Of a study's tables, beside the page of the experiment of this name."""
    study = re.sub(r"[^A-Za-z0-9_.-]+", "_", getattr(built.config, "study", name))
    return f"{name}/{study}-{short(built.key)}"


def as_csv(table: Table) -> bytes:
    """A line for each row; an empty field was not measured. Shares lie in [0, 1]."""
    return csv_of(*for_machines(table)).encode()


def csv_of(names: Sequence[str], lines: Iterable[Mapping[str, object]]) -> str:
    """A header, and a line for each of these, which may lack some of the names."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue()


def for_machines(table: Table) -> tuple[list[str], list[dict[str, object]]]:
    """The names of all fields, and each row by these; a row may lack some."""
    lines = [
        {
            field: cell
            for head, value in zip(table.header, row, strict=True)
            for field, cell in fields(column(head), value).items()
        }
        for row in table.rows
    ]
    return list(dict.fromkeys(name for line in lines for name in line)), lines


def column(head: str) -> str:
    """The header of a table as the name of a column: what can be typed."""
    return head.replace("−", "-").replace("→", "to").replace("ε", "eps")
