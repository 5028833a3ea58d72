"""A report as a page: one template for all experiments. It opens with the answer and the figure behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from raylab.engine.identity import short
from raylab.engine.study import AnyBuilt
from raylab.report.blocks import Block, Report, Text
from raylab.report.files import folder
from raylab.report.frame import render
from raylab.report.made import Made, made
from raylab.report.values import Badge, format_value

KINDS = {"Text": "text", "Table": "table", "Verdicts": "verdicts", "Figures": "figures", "Fold": "fold"}


@dataclass(frozen=True)
class Section:
    """One study on the page."""

    anchor: str
    key: str
    report: Report
    made: Made
    folder: str = ""  # beside the page, of its tables; "": said elsewhere

    @property
    def headings(self) -> list[tuple[str, str]]:
        """(anchor, words), for the list of contents."""
        found = [one.text for one in self.report.blocks if isinstance(one, Text) and one.look == "heading"]
        return [(self.place(words), words) for words in found]

    def place(self, heading: str) -> str:
        return f"{self.anchor}-{re.sub(r'[^a-z0-9]+', '-', heading.lower()).strip('-')}"


def page(about: Any, studies: Sequence[tuple[AnyBuilt, Report]], absent: Sequence[str] = ()) -> str:
    """The HTML of one or several studies of an experiment, `about`, with everything inlined. `absent`: a line for each
    study that has nothing to show."""
    sections = [
        Section(
            f"study-{short(built.key)}", built.key, report, made(built.config, built.artifacts),
            folder(about.name, built),
        )
        for built, report in studies
    ]  # fmt: skip
    return of_sections(about, sections, absent)


def of_sections(about: Any, sections: Sequence[Section], absent: Sequence[str] = ()) -> str:
    """The same of reports that are not on a study's artifacts."""
    return render(
        "page.html", title=about.title, about=about, sections=sections, absent=absent, kind=_kind, shown=format_value,
        is_badge=_is,
    )  # fmt: skip


def _kind(block: Block) -> str:
    return KINDS[type(block).__name__]


def _is(value: object) -> bool:
    return isinstance(value, Badge)
