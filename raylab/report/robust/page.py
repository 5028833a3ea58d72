"""The page of robust and non-robust sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raylab.identity import short
from raylab.report.frame import render
from raylab.report.made import Made, made
from raylab.report.picture import Picture
from raylab.report.robust.figures import draw
from raylab.report.robust.layers import NETWORKS, PUBLISHED, figure
from raylab.report.robust.table import LABELS, MEANINGS, Table
from raylab.report.robust.table import Made as Inverted
from raylab.report.robust.text import OTHERS, listed, notes
from raylab.report.robust.verdict import Verdict, verdict


@dataclass(frozen=True)
class Section:
    """What the page shows of one study."""

    anchor: str
    table: Table
    verdicts: tuple[tuple[str, Verdict], ...]  # by student
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    pictures: dict[str, Picture]  # by name
    inversions: dict[str, Inverted]  # by set
    made: Made


def section(table: Table) -> Section:
    """Judged and drawn once, for the page and for the files beside it."""
    return Section(
        anchor=f"study-{short(table.key)}",
        table=table,
        verdicts=tuple((student, verdict(table, student)) for student in table.config.students),
        notes=tuple(notes(table)),
        warnings=tuple(listed(table.warnings)),
        pictures={picture.name: picture for picture in draw(table)},
        inversions={one.set: one for one in table.made},
        made=made(table.config, table.artifacts, sets=("data", "set", "test_set")),
    )


def page(sections: Sequence[Section], title: str = "Robust and non-robust data sets") -> str:
    """The HTML of one or several studies, with everything inlined."""
    known = {"labels": LABELS, "meanings": MEANINGS, "others": OTHERS, "layer_networks": NETWORKS}
    said = {"plain": figure, "published_layers": PUBLISHED}
    return render("robust/page.html", title=title, sections=sections, **known, **said)
