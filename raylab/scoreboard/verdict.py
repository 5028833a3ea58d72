"""What may be said of a row: by rule, from its numbers, never by hand."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from raylab.report.claims import within
from raylab.report.per_seed import bounds_of
from raylab.scoreboard.evidence import Evidence
from raylab.scoreboard.rows import Criterion, Published, TargetRow, Unit, all_rows

Code = Literal["reproduced", "same_direction", "inconclusive", "contradicted", "disagree", "not_run"]

WORDS: dict[Code, str] = {
    "reproduced": "reproduced",
    "same_direction": "same direction",
    "inconclusive": "inconclusive",
    "contradicted": "contradicted",
    "disagree": "runs disagree",
    "not_run": "not run",
}
MEANINGS: dict[Code, str] = {
    "reproduced": "the published protocol, and the 95 % interval of every published number lies within its tolerance",
    "same_direction": "another size or network, and whole intervals meet every directional criterion; or a part of it",
    "inconclusive": "an interval across a bound, a criterion missing or not measured, a size that cannot decide",
    "contradicted": "a number wholly outside its tolerance at the published protocol, or a criterion wholly failed",
    "disagree": "one run points the published way and another the other way",
    "not_run": "nothing was measured; the command, the data and the cost that would",
}


@dataclass(frozen=True)
class Measured:
    """One number of ours beside what the row says of it."""

    evidence: Evidence
    published: Published | None
    criterion: Criterion | None

    @property
    def unit(self) -> Unit:
        """Of the target; where a number has a published value and a criterion, both have one."""
        target = self.published or self.criterion
        assert target is not None
        return target.unit

    @property
    def bounds(self) -> tuple[float, float]:
        """95 % interval. Of a share it ends at 0 and 1: else none near 1 could lie within a tolerance up to it."""
        low, high = self._bounds
        return (max(low, 0.0), min(high, 1.0)) if self.unit == "share" else (low, high)

    @property
    def _bounds(self) -> tuple[float, float]:
        """Over seeds. One seed says nothing of others, at any protocol; what is computed is a point."""
        ours = self.evidence.ours
        if self.evidence.bounds is not None:
            return self.evidence.bounds
        return (ours.mean, ours.mean) if ours.n == 0 else bounds_of(ours)

    @property
    def same_protocol(self) -> bool:
        return not self.evidence.protocol

    @property
    def meets_criterion(self) -> bool | None:
        """None: the interval lies across the bound, or is not known."""
        assert self.criterion is not None
        low, high = self.bounds
        if self.criterion.sigmas is not None and not math.isnan(self.evidence.ours.se):
            reach = self.criterion.sigmas * self.evidence.ours.se
            low, high = min(low, self.evidence.ours.mean - reach), max(high, self.evidence.ours.mean + reach)
        return within((low, high), *self.criterion.bounds)

    @property
    def fails(self) -> bool:
        """Its criterion, where a failure says something."""
        return self.criterion is not None and self.meets_criterion is False and not self.evidence.undecided

    @property
    def reproduces(self) -> bool | None:
        """Whether it lies within the tolerance; None as above."""
        assert self.published is not None
        return within(self.bounds, self.published.low, self.published.high)


@dataclass(frozen=True)
class MeasuredRun:
    """All numbers of one row that one run measured."""

    on: str
    measured: tuple[Measured, ...]
    criteria: frozenset[str] = frozenset()  # all of the row's
    experiment: str = ""
    study: str = ""

    @property
    def protocol(self) -> str:
        """How it differs from the published one: "" where it does not."""
        return self._said(m.evidence.protocol for m in self.measured)

    @property
    def undecided(self) -> str:
        return self._said(m.evidence.undecided for m in self.measured)

    @property
    def remark(self) -> str:
        return self._said(m.evidence.remark for m in self.measured)

    @staticmethod
    def _said(texts: Iterable[str]) -> str:
        """Each once, in their order."""
        return "; ".join(dict.fromkeys(filter(None, texts)))

    @property
    def code(self) -> Code:
        same = [m.reproduces for m in self.measured if m.published is not None and m.same_protocol]
        criteria = [m.meets_criterion for m in self.measured if m.criterion is not None]
        if False in same or any(m.fails for m in self.measured):
            return "contradicted"
        if None in same or None in criteria or False in criteria or not (same or criteria):
            return "inconclusive"
        if same and not self.protocol:
            return "reproduced"
        # At another size all criteria of the row must be met, not those alone that somebody measured.
        asked = {m.evidence.name for m in self.measured if m.criterion is not None}
        return "same_direction" if self.criteria <= asked else "inconclusive"


@dataclass(frozen=True)
class Line:
    """A row of the scoreboard."""

    row: TargetRow
    runs: tuple[MeasuredRun, ...]

    @property
    def code(self) -> Code:
        """Of the runs at the published protocol where there are any; of all others where there are none."""
        codes = [run.code for run in self.runs if not run.protocol] or [run.code for run in self.runs]
        agreeing, against = {"reproduced", "same_direction"} & {*codes}, "contradicted" in codes
        if agreeing and against:
            return "disagree"
        if against:
            return "contradicted"
        if agreeing:
            whole = bool(self.row.published) and self._reproduced == {*self.row.published}
            return "reproduced" if whole else "same_direction"
        return "inconclusive" if codes else "not_run"

    @property
    def _reproduced(self) -> set[str]:
        """Published quantities that some run reproduces: a part of a row is not the row."""
        runs = [run for run in self.runs if run.code == "reproduced"]
        return {one.evidence.name for run in runs for one in run.measured if one.published is not None}


def scored(evidence: Iterable[Evidence]) -> list[Line]:
    """All rows, with what was measured for each. Raises ValueError for a name that its row does not have."""
    found = list(evidence)
    return [_line(row, [one for one in found if one.row == row.row]) for row in all_rows()]


def _line(row: TargetRow, found: list[Evidence]) -> Line:
    for one in found:
        if one.name not in row.published and one.name not in row.criteria:
            raise ValueError(f"row {row.row}: one of {[*row.published, *row.criteria]}, got {one.name!r}")
        if math.isnan(one.ours.mean):
            raise ValueError(f"row {row.row}, {one.name}: a number, got nan; leave it out")
    runs: dict[tuple[str, str, str], list[Measured]] = {}
    for one in found:
        measured = Measured(one, row.published.get(one.name), row.criteria.get(one.name))
        runs.setdefault((one.experiment, one.study, one.on), []).append(measured)
    criteria = frozenset(row.criteria)
    return Line(
        row,
        tuple(
            MeasuredRun(on, tuple(those), criteria, experiment, study)
            for (experiment, study, on), those in runs.items()
        ),
    )
