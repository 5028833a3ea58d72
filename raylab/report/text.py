"""A matrix for the terminal, and the preview of a plan: text that fits a hundred columns."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from raylab import runner
from raylab.core.statistics import Estimate
from raylab.report.figures import SPOKEN, can_correlate
from raylab.report.matrix import CONTROLS, TRANSFER, Matrix, Row
from raylab.report.numbers import coefficient, number, unbroken
from raylab.report.robust_source import doubts, interval, robust_notes, robust_row
from raylab.report.size import size_notes, size_of
from raylab.report.verdict import BADGES, verdict
from raylab.report.words import VIEWS, heading
from raylab.stage import Stage, closure, is_task, rounds
from raylab.store import Store

WIDTH = 100


def as_text(matrix: Matrix) -> str:
    """Accuracy by source and student for every kind, what belongs beside it, the correlations, and the verdicts."""
    title = heading(matrix)
    blocks = [f"{title}\n{'=' * len(title)}"]
    blocks += [_wrapped(f"About the data: {matrix.note}")] if matrix.note else []
    for kind in matrix.config.kinds:
        blocks.append(f"{kind}: accuracy of the student, % (rows: source, columns: student)\n{_accuracy(matrix, kind)}")
        if kind == "det":
            blocks.append(f"det: p1, % (test images called label + 1)\n{_square(matrix, kind, lambda row: row.p1)}")
    first = matrix.config.kinds[0]
    transfer = _square(matrix, first, lambda row: row.transfer[TRANSFER])
    blocks.append(f"targeted transfer, % (rows: source, columns: independent network)\n{transfer}")
    blocks.append(_sources(matrix))
    blocks += [_wrapped(sentence, "- ") for sentence in (*robust_notes(matrix), *doubts(matrix))]
    blocks += [_leakage(matrix)] if any("leakage" in row.above for row in matrix.rows) else []
    blocks += [_robustness(matrix)] if any(row.robustness for row in matrix.rows) else []
    if any(can_correlate(matrix, kind) for kind in matrix.correlations):
        blocks.append(_correlations(matrix))
    if any(row.usage for row in matrix.rows):
        blocks.append(_truth(matrix))
    blocks.append("What this size can show\n" + "\n".join(_wrapped(s, "- ") for s in size_notes(size_of(matrix))))
    blocks.append("What the numbers allow\n" + "\n".join(_verdicts(matrix)))
    return "\n\n".join(blocks) + "\n"


def preview(cells: Mapping[Any, Stage], store: Store) -> str:
    """What a plan would do: by kind, what the store has and lacks, about how much work, and in which rounds.

    Nothing is computed or written. An image pass is one image forward and backward through a network.
    """
    stages = closure(cells.values())
    absent = runner.missing(cells.values(), store)
    rows = []
    for kind in dict.fromkeys(stage.kind for stage in stages):
        of_kind = [stage for stage in stages if stage.kind == kind]
        lacking = [stage for stage in of_kind if stage.key in absent]
        rows.append([kind, str(len(of_kind)), str(len(lacking)), _amount(sum(stage.passes for stage in lacking))])
    work = _amount(sum(stage.passes for stage in absent.values()))
    todo = f"{len(absent)} to build, about {work} image passes" if absent else "all are there"
    lines = [
        f"{len(set(cells.values()))} results from {len(stages)} stages; {todo}.",
        f"Store: {store.uri}",
        "",
        table(["stage", "all", "to build", "image passes"], rows),
    ]
    if absent:
        lines += ["", "Rounds, one start of Ray each:"]
        shapes = [[stage for stage in group if stage.key in absent] for group in rounds(stages)]
        for place, group in enumerate((group for group in shapes if group), start=1):
            kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(stage.kind for stage in group).items())
            lines.append(f"{place:3d}. {'tasks' if is_task(group[0]) else 'maps'}: {kinds}")
    return "\n".join([*lines, "", "Nothing was built."])


def table(header: Sequence[str], rows: Sequence[Sequence[str]], width: int = WIDTH) -> str:
    """Aligned columns: the first to the left, the others to the right; what does not fit the width goes below."""
    columns = [list(column) for column in zip(header, *rows, strict=True)]
    sizes = [max(len(cell) for cell in column) for column in columns]
    blocks: list[str] = []
    at = 1
    while at < len(columns) or not blocks:
        end, used = at, sizes[0]
        while end < len(columns) and (end == at or used + 2 + sizes[end] <= width):
            used += 2 + sizes[end]
            end += 1
        shown = [0, *range(at, end)]
        lines = [
            "  ".join(
                columns[i][line].rjust(sizes[i]) if i else columns[i][line].ljust(sizes[i]) for i in shown
            ).rstrip()
            for line in range(len(rows) + 1)
        ]
        blocks.append("\n".join(lines))
        at = end
    return "\n\n".join(blocks)


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
            interval(row.above["leakage"]),
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
        for kind, found in matrix.correlations.items()
        if can_correlate(matrix, kind)
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
        yield _wrapped(f"{row.kind}, {row.source} → {row.target} [{BADGES[found.code]}]: {found.sentence}", "- ")
        if found.truth is not None:
            yield _wrapped(f"[{BADGES[found.truth.code]}]: {found.truth.sentence}", "  ")


def _wrapped(text: str, bullet: str = "") -> str:
    indent = " " * len(bullet)
    filled = textwrap.fill(
        unbroken(text), WIDTH, initial_indent=bullet, subsequent_indent=indent, break_on_hyphens=False
    )
    return filled.replace("\u00a0", " ")


def _amount(passes: int) -> str:
    for unit, word in ((10**9, " billion"), (10**6, " million"), (10**3, " thousand")):
        if passes >= unit:
            return f"{passes / unit:.3g}{word}"
    return str(passes)
