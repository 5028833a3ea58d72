"""The page of the scoreboard: every row with its verdict, its numbers, and what would run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from raylab.report.frame import render
from raylab.report.scoreboard.about import About
from raylab.report.scoreboard.cells import Look, asked, basis, interval, ours, said
from raylab.report.scoreboard.rows import table
from raylab.report.scoreboard.table import counts, foremost, is_target, unmeasured, words
from raylab.report.scoreboard.verdict import MEANINGS, WORDS, Code, Line, MeasuredRun

LONG = 8  # numbers of a row; of more, those beyond stand folded


@dataclass(frozen=True)
class Link:
    """A page beside this one."""

    href: str
    title: str
    said: str = ""  # a paragraph


@dataclass(frozen=True)
class Number:
    """One of ours beside what the row asks."""

    name: str
    asked: str
    ours: str
    interval: str
    basis: str
    said: tuple[tuple[Look, str], ...]
    excuse: str  # why a criterion that failed says nothing; "" where none did


@dataclass(frozen=True)
class Shot:
    """A run of a row."""

    on: str
    study: str
    code: Code
    protocol: str
    remark: str
    numbers: tuple[Number, ...]


@dataclass(frozen=True)
class Card:
    """A row as it is shown."""

    line: Line
    words: str
    is_target: bool
    seen: tuple[Shot, ...]  # what speaks for the row, and what contradicts
    folded: tuple[Shot, ...]  # all of it, where that is more
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
    )


def _card(line: Line, experiments: Mapping[str, Link]) -> Card:
    every = tuple(_shot(run) for run in line.runs)
    seen = tuple(_short(_shot(run)) for run in foremost(line))
    asks = tuple((name, asked(line.row.published.get(name), line.row.criteria.get(name))) for name in unmeasured(line))
    folded = every if sum(len(shot.numbers) for shot in every) > sum(len(shot.numbers) for shot in seen) else ()
    found = experiments.get(job_of(line.row.run.command))
    return Card(line, words(line), is_target(line.row), seen, folded, asks, found)


def _shot(run: MeasuredRun) -> Shot:
    numbers = tuple(
        Number(
            m.evidence.name,
            asked(m.published, m.criterion),
            ours(m.evidence.ours, m.unit),
            interval(m),
            basis(m.evidence.ours),
            said(m),
            m.evidence.undecided if m.criterion is not None and m.meets_criterion is False else "",
        )
        for m in run.measured
    )
    return Shot(run.on, run.study, run.code, run.protocol, run.remark, numbers)


def _short(shot: Shot) -> Shot:
    """Of many numbers those that are not as they should be, and the first of the others."""
    if len(shot.numbers) <= LONG:
        return shot
    off = [one for one in shot.numbers if any(look != "good" for look, _ in one.said)]
    fine = [one for one in shot.numbers if one not in off][: max(LONG - len(off), 0)]
    kept = tuple(one for one in shot.numbers if one in (*off, *fine))
    return replace(shot, numbers=kept)


def job_of(command: str) -> str:
    """jobs/theory.py configs/... -> theory; "" where no job is named."""
    script = command.split(" ")[0]
    return script.removeprefix("jobs/").removesuffix(".py") if script.startswith("jobs/") else ""
