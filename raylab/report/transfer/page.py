"""The page of the matrices of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from raylab.identity import short
from raylab.report.estimates import spanned
from raylab.report.frame import render
from raylab.report.made import Made, made
from raylab.report.picture import Picture
from raylab.report.transfer import figures
from raylab.report.transfer.gallery import Gallery, OfKind
from raylab.report.transfer.matrix import CONTROLS, TRANSFER, Matrix, Row
from raylab.report.transfer.robust_source import doubts, robust_notes
from raylab.report.transfer.size import size_notes, size_of
from raylab.report.transfer.verdict import BADGES, Code, Truth, verdict
from raylab.report.transfer.words import KINDS, VIEWS, heading


@dataclass(frozen=True)
class Judged:
    """A row with its verdict."""

    row: Row
    code: Code
    sentence: str
    truth: Truth | None


@dataclass(frozen=True)
class KindView:
    """What the page shows of one kind of set."""

    kind: str
    meaning: str
    judged: tuple[Judged, ...]
    counts: tuple[tuple[Code, int], ...]
    pictures: OfKind
    paired: tuple[tuple[Row, str], ...]  # rows beside a leakage-only set, with the difference in words


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
    notes: tuple[str, ...]  # what the robust source says of the radius
    doubts: tuple[str, ...]
    radii: tuple[float, ...]  # of the robust accuracy of students, where it was measured
    transfer_map: Picture

    def rows(self, kind: str) -> list[Row]:
        return [row for row in self.matrix.rows if row.kind == kind]


def page(galleries: Sequence[Gallery], title: str = "Transfer of learned perturbations") -> str:
    """The HTML of one or several matrices, with everything inlined."""
    return render(
        "transfer/page.html",
        title=title,
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
        made=made(matrix.config, matrix.artifacts),
        truth=any(row.usage for row in matrix.rows),
        notes=tuple(robust_notes(matrix)),
        doubts=tuple(doubts(matrix)),
        radii=next((tuple(row.robustness) for row in matrix.rows if row.robustness), ()),
        transfer_map=gallery.transfer_map,
    )


def _kind(matrix: Matrix, kind: str, pictures: OfKind) -> KindView:
    judged = []
    for row in matrix.rows:
        if row.kind == kind:
            found = verdict(row, matrix.config.data, matrix.neighbours_clean)
            judged.append(Judged(row, found.code, found.sentence, found.truth))
    paired = [(one.row, spanned(one.row.above["leakage"])) for one in judged if "leakage" in one.row.above]
    return KindView(kind, KINDS[kind], tuple(judged), _counts(judged), pictures, tuple(paired))


def _counts(judged: Sequence[Judged]) -> tuple[tuple[Code, int], ...]:
    return tuple(Counter(one.code for one in judged).most_common())
