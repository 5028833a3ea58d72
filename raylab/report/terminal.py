"""Text that fits a hundred columns of a terminal: tables, paragraphs, and the preview of a plan."""

from __future__ import annotations

import os
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from raylab.engine import runner
from raylab.engine.cost import estimate
from raylab.engine.progress import duration
from raylab.engine.stage import Stage, closure, is_task, rounds
from raylab.engine.store import Store
from raylab.report.blocks import Figures, Report, Table, Text, Verdicts
from raylab.report.numbers import unbroken
from raylab.report.values import Value, format_value

WIDTH = 100
NAMED = 6  # subjects of one verdict that are named
CELL = 40  # letters of a line in a cell of words
WORTH_TELLING = 2**28  # bytes of temporary files
SHORT = 20  # rows of a long table, where only what is most wanted is printed


def preview(cells: Mapping[Any, Stage], store: Store, cpus: int | None = None) -> str:
    """What a plan would do: by kind, what the store has and lacks, about how much work, how long, and in which rounds.

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
        lines += ["", _how_long(list(absent.values()), store, cpus or os.cpu_count() or 1)]
        if (room := max(stage.room for stage in absent.values())) >= WORTH_TELLING:
            lines.append(f"A training maps its images from a file of at least {room / 2**30:.1f} GB below TMPDIR.")
        lines += ["", "Rounds, one start of Ray each:"]
        shapes = [[stage for stage in group if stage.key in absent] for group in rounds(stages)]
        for place, group in enumerate((group for group in shapes if group), start=1):
            kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(stage.kind for stage in group).items())
            lines.append(f"{place:3d}. {'tasks' if is_task(group[0]) else 'maps'}: {kinds}")
    return "\n".join([*lines, "", "Nothing was built."])


def _how_long(stages: Sequence[Stage], store: Store, cpus: int) -> str:
    cost = estimate(stages, store)
    if cost.unknown == len(stages):
        return "How long that takes is not known: nothing of these kinds was built here yet."
    but = f", without {cost.unknown} artifacts of kinds that were never built here" if cost.unknown else ""
    on = f"{cpus} CPU{'s' if cpus > 1 else ''}"
    return wrapped(
        f"About {duration(cost.seconds / cpus)} of computing on {on}, by what artifacts of these kinds took here{but}."
    )


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int = WIDTH,
    keys: int = 1,  # leading columns that name a row
    whole: bool = True,  # else only the columns that stand beside the keys
) -> str:
    """Aligned columns: keys to the left, the others to the right; what does not fit the width goes below."""
    if not header:
        return ""
    columns = [list(column) for column in zip(header, *rows, strict=True)]
    sizes = [max(len(cell) for cell in column) for column in columns]
    named = sum(sizes[:keys]) + 2 * (keys - 1)
    blocks: list[str] = []
    at = keys
    while at < len(columns) or not blocks:
        end, used = at, named
        while end < len(columns) and (end == at or used + 2 + sizes[end] <= width):
            used += 2 + sizes[end]
            end += 1
        lines = (_line(columns, sizes, keys, at, end, row) for row in range(len(rows) + 1))
        blocks.append("\n".join(filter(None, lines)))
        at = end if whole else len(columns)
    return "\n\n".join(blocks)


def _line(columns: Sequence[Sequence[str]], sizes: Sequence[int], keys: int, at: int, end: int, row: int) -> str:
    """A row's keys and the columns from `at` to `end`; of several keys the first is not repeated."""
    names = [columns[i][row] for i in range(keys)]
    if keys > 1 and row > 1 and columns[0][row] == columns[0][row - 1]:
        names[0] = ""
    cells = [name.ljust(size) for name, size in zip(names, sizes, strict=False)]
    cells += [columns[i][row].rjust(sizes[i]) for i in range(at, end)]
    return "  ".join(cells).rstrip()


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


def as_text(report: Report, full: bool = False) -> str:
    """A report in a hundred columns. What a person wants after minutes of waiting: the answer, the headline table,
    verdicts grouped by equal sentence, and notes. With `full` everything but the pictures."""
    title = f"{report.title}\n{'=' * len(report.title)}"
    answer = wrapped(f"[{report.answer.badge.words}] {report.answer.sentence}")
    blocks = list(report.flat()) if full else list(_short(report))
    return "\n\n".join([title, answer, *filter(None, (_text(block, full) for block in blocks))]) + "\n"


def _short(report: Report) -> Iterator[Text | Table | Verdicts | Figures]:
    yield from (one for one in report.flat() if isinstance(one, Table) and one.name == report.headline)
    said = [(report.answer.badge, report.answer.whole)]  # a lone verdict that is the answer is not said again
    verdicts = (one for one in report.flat() if isinstance(one, Verdicts) and one.brief)
    yield from (one for one in verdicts if [(verdict.badge, verdict.whole) for verdict in one.of] != said)
    yield from (one for one in report.flat() if isinstance(one, Text) and one.look == "note")


def _text(block: Text | Table | Verdicts | Figures, full: bool) -> str:
    match block:
        case Text(look="heading"):
            return f"{block.text}\n{'-' * len(block.text)}"
        case Text(look="code"):
            return block.text
        case Text():
            more = [] if full or not block.others else [f"and {len(block.others)} more, with --full"]
            items = (wrapped(item, "- ") for item in (*(block.items if full else block.first), *more))
            return "\n".join([*([wrapped(block.text)] if block.text else []), *items])
        case Table(only_file=True):
            return ""
        case Table():
            return _table(block, full)
        case Verdicts():
            return "\n".join([wrapped(block.caption), *(_verdicts(block) if full else _briefly(block))])
        case Figures():
            return ""


def _table(block: Table, full: bool) -> str:
    limit = block.limit if full or block.limit is None else min(block.limit, SHORT)
    limited = replace(block, limit=limit)
    cells = [line for row in limited.shown_rows for line in _lines(row)]
    lines = [wrapped(block.caption), table(block.header, cells, keys=block.keys, whole=full), limited.left_out]
    return "\n".join(line for line in lines if line)


def _lines(row: Sequence[Value]) -> Iterator[tuple[str, ...]]:
    """One, or several where a cell has many words."""
    cells = [textwrap.wrap(format_value(value), CELL, break_on_hyphens=False) or [""] for value in row]
    padded = [[line.ljust(max(map(len, cell))) for line in cell] if len(cell) > 1 else cell for cell in cells]
    return zip_longest(*padded, fillvalue="")


def _verdicts(block: Verdicts) -> Iterator[str]:
    for subjects, badge, sentence in block.grouped():
        yield wrapped(f"{'; '.join(subjects)} [{badge.words}]: {sentence}", "- ")
        for subject, numbers in block.numbers(badge, sentence):
            yield "  " + wrapped(f"{subject}: {numbers}" if len(subjects) > 1 else numbers, "  ").lstrip()


def _briefly(block: Verdicts) -> Iterator[str]:
    """A line for each badge; a sentence where it is that of all who have the badge."""
    grouped = block.grouped()
    for badge, count in block.counted().items():
        subjects = [one.subject for one in block.of if one.badge == badge]
        sentences = [sentence for _, of, sentence in grouped if of == badge]
        who = "; ".join(subjects) if count <= NAMED else f"{'; '.join(subjects[:NAMED])} and {count - NAMED} more"
        who = "all" if NAMED < count == len(block.of) else who
        said = f": {sentences[0]}" if (len(sentences) == 1 and count > 1) or len(block.of) == 1 else ""
        yield wrapped(f"{badge.words} ({count}): {who}{said}" if count > 1 else f"{badge.words}: {who}{said}", "- ")
