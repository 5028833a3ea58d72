"""What a report is: an answer and a list of blocks, each said once.

The writers (`terminal`, `html`, `files`, `tracker`) know how a terminal, a page, a folder and MLflow show them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, NamedTuple, TypeVar

from raylab.report.per_seed import PerSeed
from raylab.report.picture import Picture
from raylab.report.values import Badge, Value
from raylab.tracking import Param

LISTED = 5  # items of a note that are shown at once
R = TypeVar("R")
N = TypeVar("N")


@dataclass(frozen=True)
class Text:
    """A paragraph, a list under a title, or a heading. A note is what a reader has to know before a number is used;
    an aside says what a run of this size can show; code keeps its lines."""

    text: str
    items: tuple[str, ...] = ()
    look: Literal["plain", "note", "aside", "heading", "code"] = "plain"

    @property
    def first(self) -> tuple[str, ...]:
        """The items that are shown at once."""
        return self.items[:LISTED] if self.look == "note" and len(self.items) > LISTED + 1 else self.items

    @property
    def others(self) -> tuple[str, ...]:
        """Those that a reader has to ask for."""
        return self.items[len(self.first) :]


@dataclass(frozen=True)
class Table:
    """Rows of values, of which the first `keys` columns name the row."""

    name: str  # of its CSV
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    keys: int = 1
    bold: str = ""  # the column that a reader came for
    only_file: bool = False  # too long for people: neither page nor terminal shows it
    limit: int | None = None  # rows that are shown; files have all

    @property
    def shown_rows(self) -> tuple[tuple[Value, ...], ...]:
        return self.rows[: self.limit]

    @property
    def left_out(self) -> str:
        """What is said of the rows that are not shown."""
        more = len(self.rows) - len(self.shown_rows)
        return f"{more} more are in tables/{self.name}.csv." if more else ""

    @classmethod
    def of(
        cls,
        name: str,
        caption: str,
        rows: Iterable[R],
        columns: Mapping[str, Callable[[R], Value]],
        keys: int = 1,
        bold: str = "",
        only_file: bool = False,
        limit: int | None = None,
    ) -> Table:
        """A column that has no value in any row is left out."""
        listed = list(rows)
        values = {head: [value(row) for row in listed] for head, value in columns.items()}
        kept = {head: cells for head, cells in values.items() if any(_is_there(cell) for cell in cells)}
        named, values_of = tuple(kept), tuple(zip(*kept.values(), strict=True))
        return cls(name, caption, named, values_of, keys, bold, only_file, limit)


class Verdict(NamedTuple):
    """What the numbers allow to be said of something, by rule."""

    subject: str
    badge: Badge
    sentence: str  # equal ones are shown once
    numbers: str = ""  # behind it, of this subject alone

    @property
    def whole(self) -> str:
        return f"{self.sentence} {self.numbers}".strip()


@dataclass(frozen=True)
class Verdicts:
    """Verdicts of one kind; equal ones are shown once, for all their subjects."""

    caption: str
    of: tuple[Verdict, ...]
    subject: str = "Of"  # what the verdicts are of: the header of their column
    brief: bool = True  # whether a terminal's short form has them

    def grouped(self) -> list[tuple[tuple[str, ...], Badge, str]]:
        """(subjects, badge, sentence), in the order of their first subjects."""
        groups: dict[tuple[Badge, str], list[str]] = {}
        for one in self.of:
            groups.setdefault((one.badge, one.sentence), []).append(one.subject)
        return [(tuple(subjects), badge, sentence) for (badge, sentence), subjects in groups.items()]

    def numbers(self, badge: Badge, sentence: str) -> list[tuple[str, str]]:
        """(subject, numbers) of those who share a badge and a sentence, where they have any."""
        of = [one for one in self.of if (one.badge, one.sentence) == (badge, sentence)]
        return [(one.subject, one.numbers) for one in of if one.numbers]

    def counted(self) -> dict[Badge, int]:
        return {badge: sum(one.badge == badge for one in self.of) for badge in dict.fromkeys(v.badge for v in self.of)}


@dataclass(frozen=True)
class Figures:
    """Pictures side by side, as far as the width allows."""

    of: tuple[Picture, ...]


@dataclass(frozen=True)
class Fold:
    """Blocks that a reader opens."""

    title: str
    blocks: tuple[Block, ...]


Block = Text | Table | Verdicts | Figures | Fold


@dataclass(frozen=True)
class Condition:
    """What distinguishes some networks of a study from the others: a child run of the tracker for each of its seeds."""

    params: Mapping[str, Param]  # with the study's config and the seed they name one run
    metrics: Mapping[str, PerSeed]  # groups with slashes: accuracy/test
    verdict: str = ""  # the words of the badge
    # The cell (of any seed) of the network: its key, and the course of its training; or of a test of it: its key alone.
    network: Hashable = None
    trained_on: Hashable = None  # the cell of its training set
    artifact: Hashable = None  # the cell of what has the numbers, where that is no network
    drawn: Mapping[str, Param] = field(default_factory=dict)  # params that its name leaves out


@dataclass(frozen=True)
class Report:
    """Of one study."""

    title: str
    answer: Verdict  # one sentence to the question of the experiment, of the whole study
    blocks: tuple[Block, ...]
    picture: Picture | None = None  # the figure of the answer, which comes first
    headline: str = ""  # the name of the table that a terminal shows
    metrics: Mapping[str, float] = field(default_factory=dict)  # of the tracker's parent run

    def flat(self) -> Iterator[Text | Table | Verdicts | Figures]:
        """The blocks, those in folds too."""
        yield from _flat(self.blocks)

    def tables(self) -> Iterator[Table]:
        yield from (block for block in self.flat() if isinstance(block, Table))

    def pictures(self) -> Iterator[Picture]:
        if self.picture is not None:
            yield self.picture
        for block in self.flat():
            if isinstance(block, Figures):
                yield from block.of

    def after(self, *first: Block) -> Report:
        """The same with blocks before all others."""
        return replace(self, blocks=(*first, *self.blocks))

    def before(self, *last: Block) -> Report:
        """The same with blocks behind all others."""
        return replace(self, blocks=(*self.blocks, *last))


def each(names: Iterable[N], header: str, value: Callable[[N, R], Value]) -> dict[str, Callable[[R], Value]]:
    """A column for each name: its header, with the name in place of {}, and its value of a row."""
    return {header.format(name): partial(value, name) for name in names}


def note(of: str, failed: tuple[str, ...] = ()) -> Iterator[Text]:
    """What a data set says of itself, and which trainings failed, if any."""
    if of:
        yield Text(f"About the data: {of}", look="note")
    if failed:
        yield Text("Trainings that failed", failed, "note")


def _flat(blocks: Iterable[Block]) -> Iterator[Text | Table | Verdicts | Figures]:
    for block in blocks:
        if isinstance(block, Fold):
            yield from _flat(block.blocks)
        else:
            yield block


def _is_there(value: Value) -> bool:
    return value is not None and not (isinstance(value, PerSeed) and not value)
