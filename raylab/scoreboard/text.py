"""The scoreboard for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from raylab.report.terminal import WIDTH, wrapped
from raylab.scoreboard.cells import asked, basis, criterion, exact, interval, ours, said
from raylab.scoreboard.rows import TargetRow
from raylab.scoreboard.table import counts, foremost, headline, is_target, words
from raylab.scoreboard.verdict import WORDS, Line, Measured, MeasuredRun

SIZES = {"row": 2, "target": 27, "verdict": 14, "quantity": 18, "ours": 17, "published": 12}
HEADER = ("", "target", "verdict", "quantity", "ours", "published")


def as_text(lines: Sequence[Line]) -> str:
    """A line a row, two where runs disagree; what contradicts, in full; how often each verdict; what was not run."""
    blocks = ["Scoreboard\n==========", "\n".join([_line(HEADER), *(text for line in lines for text in _rows(line))])]
    against = [text for line in lines for text in _against(line)]
    blocks += ["Against what was published\n" + "\n".join(against)] if against else []
    found = counts(lines)
    total = sum(map(len, found.values()))
    tally = ", ".join(f"{WORDS[code]} {len(those)}" for code, those in found.items())
    blocks.append(wrapped(f"{total} targets: {tally}."))
    blocks += _not_run([line.row for line in found.get("not_run", ())])
    blocks += [wrapped(f"Row {line.row.row}: {line.row.note}") for line in lines if not is_target(line.row)]
    return "\n\n".join(blocks) + "\n"


def _rows(line: Line) -> Iterator[str]:
    row = line.row
    start = (str(row.row), row.title)
    if not line.runs:
        yield _line((*start, words(line), "", "", ""))
    for place, run in enumerate(foremost(line)):
        best = headline(run)
        verdict = WORDS[run.code] if place else words(line)
        cells = (verdict, best.evidence.name, _ours(best), _asked(best))
        yield _line((*(("", "") if place else start), *cells))


def _line(cells: Sequence[str]) -> str:
    """A cell that does not fit ends in an ellipsis; the numbers stand to the right."""
    shown = [_cut(cell, size) for cell, size in zip(cells, SIZES.values(), strict=True)]
    right = ("row", "ours", "published")
    aligned = [
        cell.rjust(size) if name in right else cell.ljust(size)
        for cell, (name, size) in zip(shown, SIZES.items(), strict=True)
    ]
    return "  ".join(aligned).rstrip()


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else f"{text[: size - 1]}…"


def _ours(measured: Measured) -> str:
    """Units are told in full elsewhere: here points are percent of a difference."""
    return ours(measured.evidence.ours, measured.unit).replace(" points", " pts")


def _asked(measured: Measured) -> str:
    if measured.published is not None:
        return exact(measured.published.value, measured.published.unit).replace(" points", " pts")
    assert measured.criterion is not None
    return criterion(measured.criterion).replace(" points", " pts").split(" by ")[0]


def _against(line: Line) -> Iterator[str]:
    for run in line.runs:
        if run.code == "contradicted":
            told = "; ".join(_told(m) for m in run.measured if any(look == "bad" for look, _ in said(m)))
            yield wrapped(f"{line.row.row} {line.row.title}, on {run.on}{_protocol(run)}: {told}", "- ")


def _told(measured: Measured) -> str:
    estimate = measured.evidence.ours
    within = interval(measured)
    judged = " and ".join(text for _, text in said(measured))
    return (
        f"{measured.evidence.name} {ours(estimate, measured.unit)} (95 %: {within}; {basis(estimate)}), "
        f"asked {asked(measured.published, measured.criterion)}: {judged}"
    )


def _protocol(run: MeasuredRun) -> str:
    return f" ({run.protocol})" if run.protocol else ""


def _not_run(rows: Sequence[TargetRow]) -> list[str]:
    """By what would run them."""
    told = [
        f"{_command(command)}\n{wrapped(f'{_numbers(those)}; data: {data}; cost: {cost}', '    ')}"
        for (command, data, cost), those in _by_command(rows).items()
    ]
    return ["Not run, and what would run it\n" + "\n".join(told)] if told else []


def _numbers(rows: Sequence[TargetRow]) -> str:
    return f"row{'s' if len(rows) > 1 else ''} {', '.join(str(row.row) for row in rows)}"


def _by_command(rows: Sequence[TargetRow]) -> dict[tuple[str, str, str], list[TargetRow]]:
    found: dict[tuple[str, str, str], list[TargetRow]] = {}
    for row in rows:
        found.setdefault((row.run.command, row.run.data, row.run.cost), []).append(row)
    return found


def _command(command: str) -> str:
    """To be copied as it is, where it takes several lines too."""
    if not command.startswith("jobs/"):
        return wrapped(command, "  ")
    parts = wrap(f"python {command}", WIDTH - 4, break_long_words=False, break_on_hyphens=False)
    return "  " + " \\\n    ".join(parts)
