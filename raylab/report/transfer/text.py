"""A matrix for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from raylab.core.statistics import Estimate
from raylab.report.estimates import spanned
from raylab.report.numbers import coefficient, number
from raylab.report.terminal import table, wrapped
from raylab.report.transfer.figures import SPOKEN
from raylab.report.transfer.matrix import CONTROLS, TRANSFER, Matrix, Row
from raylab.report.transfer.robust_source import doubts, robust_notes, robust_row
from raylab.report.transfer.size import size_notes, size_of
from raylab.report.transfer.verdict import BADGES, verdict
from raylab.report.transfer.words import VIEWS, heading


def as_text(matrix: Matrix) -> str:
    """Accuracy by source and student for every kind, what belongs beside it, the correlations, and the verdicts."""
    title = heading(matrix)
    blocks = [f"{title}\n{'=' * len(title)}"]
    blocks += [wrapped(f"About the data: {matrix.note}")] if matrix.note else []
    for kind in matrix.config.kinds:
        blocks.append(f"{kind}: accuracy of the student, % (rows: source, columns: student)\n{_accuracy(matrix, kind)}")
        if kind == "det":
            blocks.append(f"det: p1, % (test images called label + 1)\n{_square(matrix, kind, lambda row: row.p1)}")
    first = matrix.config.kinds[0]
    transfer = _square(matrix, first, lambda row: row.transfer[TRANSFER])
    blocks.append(f"targeted transfer, % (rows: source, columns: independent network)\n{transfer}")
    blocks.append(_sources(matrix))
    blocks += [wrapped(sentence, "- ") for sentence in (*robust_notes(matrix), *doubts(matrix))]
    blocks += [_leakage(matrix)] if any("leakage" in row.above for row in matrix.rows) else []
    blocks += [_robustness(matrix)] if any(row.robustness for row in matrix.rows) else []
    if matrix.correlated:
        blocks.append(_correlations(matrix))
    if any(row.usage for row in matrix.rows):
        blocks.append(_truth(matrix))
    blocks.append("What this size can show\n" + "\n".join(wrapped(s, "- ") for s in size_notes(size_of(matrix))))
    blocks.append("What the numbers allow\n" + "\n".join(_verdicts(matrix)))
    return "\n\n".join(blocks) + "\n"


def _square(matrix: Matrix, kind: str, value: Callable[[Row], Estimate]) -> str:
    return table(["", *matrix.config.targets], _by_source(matrix, kind, value))


def _by_source(matrix: Matrix, kind: str, value: Callable[[Row], Estimate]) -> list[list[str]]:
    sources, targets = matrix.config.sources, matrix.config.targets
    return [[source, *(number(value(matrix.row(source, target, kind))) for target in targets)] for source in sources]


def _accuracy(matrix: Matrix, kind: str) -> str:
    """Every source's students, and below them those of the controls."""
    lines = _by_source(matrix, kind, lambda row: row.accuracy)
    for name in CONTROLS:
        for source in matrix.config.sources:
            rows = [matrix.row(source, target, kind) for target in matrix.config.targets]
            got = [number(row.controls[name]) if name in row.controls else "" for row in rows]
            line = [SPOKEN[name] if name == "unperturbed" else f"{SPOKEN[name]} {source}", *got]
            if any(got) and line not in lines:  # unperturbed images have no source: their line would come again
                lines.append(line)
    return table(["", *matrix.config.targets], lines)


def _sources(matrix: Matrix) -> str:
    """What belongs to a source's set whoever learns from it."""
    kinds, target = matrix.config.kinds, matrix.config.targets[0]
    checked = matrix.neighbours_clean is not None
    header = ["sources, %", "accuracy", "withstands", *(f"{kind}: success" for kind in kinds)]
    header += [f"{kind}: 1-NN target" for kind in kinds if checked]
    lines = []
    for source in matrix.config.sources:
        rows = [matrix.row(source, target, kind) for kind in kinds]
        looks = [number(row.neighbours_target) if row.neighbours_target else "not run" for row in rows if checked]
        own = [number(rows[0].withstands), *(number(row.success) for row in rows)] if rows[0].withstands else []
        lines.append([source, number(matrix.sources[source]), *own, *looks])
        stood = robust_row(matrix, source, kinds[0])
        if stood is not None and stood.robust is not None:
            won = [row.robust.success for kind in kinds if (row := robust_row(matrix, source, kind)) and row.robust]
            told = [number(stood.robust.accuracy), number(stood.robust.withstands), *map(number, won)]
            lines.append([f"robust {source}", *told, *("" for look in looks)])
    return table(header, lines)


def _leakage(matrix: Matrix) -> str:
    header = ["leakage-only set, %", "left alone", "teaches", "set itself", "difference [95 % interval]"]
    rows = [
        [
            f"{row.kind}: {row.source} → {row.target}",
            *(number(value) for value in (row.untouched, row.controls["leakage"], row.accuracy) if value),
            spanned(row.above["leakage"]),
        ]
        for row in matrix.rows
        if "leakage" in row.above
    ]
    return table(header, rows)


def _robustness(matrix: Matrix) -> str:
    """Of students whose robustness was measured, beside independent networks of their architecture."""
    rows = [row for row in matrix.rows if row.robustness]
    radii = list(rows[0].robustness)
    lines = [
        [f"standard {name}", *(number(found[eps]) for eps in radii)]
        for name, found in matrix.robustness.items()
        if found
    ]
    lines += [
        [f"{row.kind}: {row.source} → {row.target}", *(number(row.robustness[eps]) for eps in radii)] for row in rows
    ]
    return table(["robust accuracy, %", *(f"radius {eps:g}" for eps in radii)], lines)


def _correlations(matrix: Matrix) -> str:
    rows = [
        [f"{kind}, {words}", coefficient(found[view].pearson), coefficient(found[view].spearman), str(found[view].n)]
        for kind, found in matrix.correlated.items()
        for view, words in VIEWS.items()
    ]
    return table(["transfer against learning [95 % interval]", "Pearson", "Spearman", "n"], rows)


def _truth(matrix: Matrix) -> str:
    header = ["known truth, %", "toogit is target's", "shape kept", "follows toogit", "follows shape"]
    names = ("toogit_is_target", "shape_kept", "follow_n", "follow_r")
    rows = [
        [f"{row.kind}: {row.source} → {row.target}", *(number(row.usage[name]) for name in names)]
        for row in matrix.rows
        if row.usage
    ]
    return table(header, rows)


def _verdicts(matrix: Matrix) -> Iterator[str]:
    for row in matrix.rows:
        found = verdict(row, matrix.config.data, matrix.neighbours_clean)
        yield wrapped(f"{row.kind}, {row.source} → {row.target} [{BADGES[found.code]}]: {found.sentence}", "- ")
        if found.truth is not None:
            yield wrapped(f"[{BADGES[found.truth.code]}]: {found.truth.sentence}", "  ")
