"""The page of the scoreboard: every row with its verdict, its numbers, and what would run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raylab.report.frame import render
from raylab.scoreboard.about import About
from raylab.scoreboard.cells import asked, basis, interval, ours, said
from raylab.scoreboard.rows import table
from raylab.scoreboard.table import counts, foremost, is_target, unmeasured, words
from raylab.scoreboard.verdict import MEANINGS, WORDS, Code, Line, Measured, MeasuredRun

LONG = 8  # numbers of a row; of more, those beyond stand folded
RunNumbers = tuple[MeasuredRun, tuple[Measured, ...]]  # a run of a row, and those of its numbers that are shown


@dataclass(frozen=True)
class Link:
    """A page beside this one."""

    href: str
    title: str
    said: str = ""  # a paragraph


@dataclass(frozen=True)
class _Card:
    """A row as it is shown."""

    line: Line
    words: str
    is_target: bool
    seen: tuple[RunNumbers, ...]  # what speaks for the row, and what contradicts
    folded: tuple[RunNumbers, ...]  # all of it, where that is more
    missing: tuple[tuple[str, str], ...]  # numbers that no run has, and what is asked of them
    experiment: Link | None

    @property
    def look(self) -> Code | None:
        return self.line.code if self.is_target else None

    @property
    def to_do(self) -> bool:
        """Whether the published protocol is still to be run."""
        return self.is_target and (bool(self.missing) or all(run.protocol for run in self.line.runs))


def index(
    lines: Sequence[Line],
    experiments: Mapping[str, Link],  # by name of the job
    about: About,
) -> str:
    """The HTML. Links are relative: to pages of experiments, and to scoreboard.csv and scoreboard.txt beside it."""
    groups, cards = table().grouped, {line.row.row: _card(line, experiments) for line in lines}
    return render(
        "scoreboard/page.html",
        title="Published and measured",
        about=about,
        groups={title: [cards[row] for row in of if row in cards] for title, of in groups.items()},
        anchors={title: title.lower().replace(" ", "-") for title in groups},
        counts=counts(lines),
        total=sum(map(len, counts(lines).values())),
        measured=sum(bool(line.runs) for line in lines),
        meanings=MEANINGS,
        words=WORDS,
        experiments=list(experiments.values()),
        asked=asked,
        ours=ours,
        interval=interval,
        basis=basis,
        said=said,
    )


def _card(line: Line, experiments: Mapping[str, Link]) -> _Card:
    every = tuple((run, run.measured) for run in line.runs)
    seen = tuple((run, _short(run.measured)) for run in foremost(line))
    asks = tuple((name, asked(line.row.published.get(name), line.row.criteria.get(name))) for name in unmeasured(line))
    folded = every if sum(len(those) for _, those in every) > sum(len(those) for _, those in seen) else ()
    found = experiments.get(job_of(line.row.run.command))
    return _Card(line, words(line), is_target(line.row), seen, folded, asks, found)


def _short(numbers: tuple[Measured, ...]) -> tuple[Measured, ...]:
    """Of many numbers those that are not as they should be, and the first of the others."""
    if len(numbers) <= LONG:
        return numbers
    off = [one for one in numbers if any(look != "good" for look, _ in said(one))]
    fine = [one for one in numbers if one not in off][: max(LONG - len(off), 0)]
    return tuple(one for one in numbers if one in (*off, *fine))


def job_of(command: str) -> str:
    """jobs/theory.py configs/... -> theory; "" where no job is named."""
    script = command.split(" ")[0]
    return script.removeprefix("jobs/").removesuffix(".py") if script.startswith("jobs/") else ""
