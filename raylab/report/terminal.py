"""Text that fits a hundred columns of a terminal: tables, paragraphs, and the preview of a plan."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from raylab import runner
from raylab.report.numbers import unbroken
from raylab.stage import Stage, closure, is_task, rounds
from raylab.store import Store

WIDTH = 100


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
        f"Store: {store.shown}",
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


def wrapped(text: str, bullet: str = "") -> str:
    """A paragraph, after a bullet if there is one; units stay with their numbers."""
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
