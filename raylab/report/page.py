"""One self-contained HTML page for the matrices of a run: nothing is loaded from anywhere, so it opens on a plane."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from raylab.identity import short
from raylab.report import figures, numbers
from raylab.report.figures import TRANSFER
from raylab.report.gallery import Gallery, OfKind
from raylab.report.made import Made, made
from raylab.report.matrix import CONTROLS, Matrix, Row
from raylab.report.picture import Picture
from raylab.report.size import size_notes, size_of
from raylab.report.verdict import BADGES, Code, verdict
from raylab.report.words import KINDS, VIEWS, heading

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Judged:
    """A row with its verdict."""

    row: Row
    code: Code
    sentence: str


@dataclass(frozen=True)
class KindView:
    """What the page shows of one kind of set."""

    kind: str
    meaning: str
    judged: tuple[Judged, ...]
    counts: tuple[tuple[Code, int], ...]
    correlated: bool
    pictures: OfKind


@dataclass(frozen=True)
class Section:
    """What the page shows of one matrix."""

    anchor: str
    title: str
    matrix: Matrix
    size: tuple[str, ...]
    kinds: tuple[KindView, ...]
    made: Made
    truth: bool
    transfer_map: Picture

    def rows(self, kind: str) -> list[Row]:
        return [row for row in self.matrix.rows if row.kind == kind]


def page(galleries: Sequence[Gallery], title: str = "Transfer of learned perturbations") -> str:
    """The HTML of one or several matrices, with everything inlined."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {
        "percent": numbers.percent,
        "number": numbers.number,
        "share": numbers.share,
        "span": numbers.span,
        "coefficient": numbers.coefficient,
        "data_uri": _data_uri,
    }
    return environment.get_template("page.html").render(
        title=title,
        css=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        sections=[_section(gallery) for gallery in galleries],
        badges=BADGES,
        controls=CONTROLS,
        spoken=figures.SPOKEN,
        views=VIEWS,
        transfer=TRANSFER,
    )


def _section(gallery: Gallery) -> Section:
    matrix = gallery.matrix
    return Section(
        anchor=f"matrix-{short(matrix.key)}",
        title=heading(matrix),
        matrix=matrix,
        size=size_notes(size_of(matrix)),
        kinds=tuple(_kind(matrix, kind, pictures) for kind, pictures in gallery.kinds.items()),
        made=made(matrix),
        truth=any(row.usage for row in matrix.rows),
        transfer_map=gallery.transfer_map,
    )


def _kind(matrix: Matrix, kind: str, pictures: OfKind) -> KindView:
    judged = []
    for row in matrix.rows:
        if row.kind == kind:
            found = verdict(row, matrix.config.data, matrix.neighbours_clean)
            judged.append(Judged(row, found.code, found.sentence))
    correlated = figures.can_correlate(matrix, kind)
    return KindView(kind, KINDS[kind], tuple(judged), _counts(judged), correlated, pictures)


def _counts(judged: Sequence[Judged]) -> tuple[tuple[Code, int], ...]:
    return tuple(Counter(one.code for one in judged).most_common())


def _finalize(value: object) -> object:
    return numbers.unbroken(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _data_uri(picture: Picture) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.svg).decode()}"
