"""What the robust source says about the radius, and what casts doubt on it, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from raylab.report.numbers import percent, share
from raylab.report.transfer.matrix import Matrix, Row
from raylab.report.transfer.verdict import STANDS, stands


def robust_row(matrix: Matrix, source: str, kind: str) -> Row | None:
    """A row with the robust source of an architecture, whatever its student."""
    return next((row for row in matrix.rows if (row.source, row.kind) == (source, kind) and row.robust), None)


def robust_notes(matrix: Matrix) -> Iterator[str]:
    """For every robust source: what the radius leaves standing, and what its own sets still teach."""
    chance = 1 / len(matrix.class_names)
    for kind in (kind for kind in matrix.config.kinds if kind == "det"):
        for row in matrix.rows:
            if row.kind != kind or row.robust is None:
                continue
            taught, standing = row.controls["robust"], stands(row)
            said = "stands" if standing else "is undecided" if standing is None else "does not stand"
            leaked = (
                f"its set teaches {percent(taught)}, no more than chance"
                if taught.mean <= chance
                else f"its set still teaches {percent(taught)} (p1 {percent(row.robust.p1)}): leakage"
                f"{'' if standing else ', or features that this source uses too'}"
            )
            yield (
                f"At radius {matrix.config.attack.eps:g} the robust source {row.source} "
                f"{said} (student {row.target}): the attack leads it to the "
                f"target in {percent(row.robust.success)} of the images, the standard one in {percent(row.success)} "
                f"(of that at most {share(STANDS, 0)} %), and it withstands in {percent(row.robust.withstands)}; "
                f"{leaked}."
            )


def doubts(matrix: Matrix) -> Iterator[str]:
    """Warnings of collapse and of masked gradients, each once."""
    said: dict[str, None] = {}  # as an ordered set
    for name, found in matrix.doubts.items():
        said |= {f"Warning, robust accuracy of standard {name}: {doubt}.": None for doubt in found}
    for row in matrix.rows:
        if row.robust is not None:
            said |= {f"Warning, robust source {row.source}: {warning}.": None for warning in row.robust.warnings}
        where = f"Warning, robust accuracy of {row.target} on {row.kind} from {row.source}"
        said |= {f"{where}: {doubt}.": None for doubt in row.doubts}
    yield from said
