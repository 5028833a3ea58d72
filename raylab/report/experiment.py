"""An experiment: a config, a plan, numbers, and what is said of them. Jobs, the scoreboard and sweeps know no more."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from raylab.engine.identity import short
from raylab.engine.runner import FAILED
from raylab.engine.stage import Stage
from raylab.engine.study import AnyBuilt, Built, Cell, Given, Study
from raylab.report import html, tracker
from raylab.report.blocks import Condition, Report, Text, Verdict
from raylab.report.cited import cited
from raylab.report.files import TABLES, folder
from raylab.report.terminal import as_text
from raylab.report.values import Badge
from raylab.scoreboard.evidence import Evidence
from raylab.tracking import Publication, Record

Found = TypeVar("Found")
BROKEN = Badge("bad", "no report")


class _Shown(NamedTuple):
    """What is shown of one study."""

    report: Report
    publication: Publication
    evidence: tuple[Evidence, ...]
    broken: str


class Results(NamedTuple):
    """What is shown of one or several studies."""

    page: str  # HTML, of all of them
    tables: Mapping[str, bytes]  # CSV by path beside the page
    absent: tuple[str, ...]  # a line for each study that has nothing to show; the others are those below
    texts: tuple[str, ...]  # for the terminal, one a study
    publications: tuple[Publication, ...]  # for the tracker, one a study
    broken: tuple[str, ...] = ()  # why a study's report could not be made, one a study; "": it could
    evidence: tuple[tuple[Evidence, ...], ...] = ()  # for the scoreboard, one a study; none: it measures no row

    @property
    def full_texts(self) -> tuple[str, ...]:
        """For `--full`."""
        return tuple(one.files["report.txt"].decode() for one in self.publications)


def _none(of: object) -> Iterable[Any]:
    del of
    return ()


@dataclass(frozen=True)
class Experiment(Generic[Given, Cell, Found]):
    """What `jobs/<name>.py` runs."""

    name: str  # of the job, its page and its folder of configs
    title: str  # of its page
    method: str  # a paragraph for the index of the results
    lead: str  # what it is about, for those who open its page first
    how_to_read: str
    source: str  # whom it follows
    config: type[Given]
    plan: Callable[[Given], Mapping[Cell, Stage]]
    measure: Callable[[Built[Given, Cell]], Found]
    report: Callable[[Found], Report]
    evidence: Callable[[Found], Iterable[Evidence]] | None = None  # for the scoreboard; None: it measures no row
    conditions: Callable[[Found], Iterable[Condition]] = _none  # children of its run in the tracker
    detects: Callable[[Study[Given, Cell]], Iterable[str]] = _none  # before anything runs: the smallest effect seen
    papers: tuple[str, ...] = ()  # of `source`, beside Ilyas et al. and the discussion: keys of `papers.bib`
    tracked: str = ""  # the tracker's experiments are <tracked>/<study>; "": its name

    def opened(self, config: Given, key: str) -> Record:
        """The study's run in the tracker before there are results."""
        return tracker.opened(self.name, config, key)

    def children(self, built: Built[Given, Cell]) -> tuple[Record, ...]:
        """What the tracker shows of networks, as far as they are measured."""
        return tracker.children(built, self.conditions(self.measure(built)))

    def folder(self, config: Given) -> str:
        """The tracker's experiment."""
        return f"{self.tracked or self.name}/{getattr(config, 'study', self.name)}"

    def results(self, built: Sequence[Built[Given, Cell]]) -> Results:
        """Measured, judged and drawn once, for everything that shows it."""
        here = [study for study in built if study.is_measurable]
        absent = tuple(_absence(study) for study in built if not study.is_measurable)
        of = [self._shown(study) for study in here]
        return Results(
            html.page(self, [(study, one.report) for study, one in zip(here, of, strict=True)], absent),
            {
                f"{folder(self.name, study)}/{path}": data
                for study, one in zip(here, of, strict=True)
                for path, data in one.publication.files.items()
                if path.startswith(TABLES) and path.endswith(".csv")
            },
            absent,
            tuple(as_text(one.report) for one in of),
            tuple(one.publication for one in of),
            tuple(one.broken for one in of),
            tuple(one.evidence for one in of) if self.evidence else (),
        )

    def _shown(self, study: Built[Given, Cell]) -> _Shown:
        """A report that raises costs its own study's numbers, and those of no other study."""
        try:
            found = self.measure(study)
            report = _with_holes(self.report(found), study).before(cited(self, study))
            published = tracker.publication(self.name, study, report, tuple(self.conditions(found)))
            return _Shown(report, published, tuple(self.evidence(found)) if self.evidence else (), "")
        except Exception as error:
            traceback.print_exc()
            name, why = getattr(study.config, "study", self.name), f"{type(error).__name__}: {error}"
            said = f"The report of this study could not be made, which is a defect of raylab: {why}"
            report = Report(str(name), Verdict(str(name), BROKEN, said), ())
            return _Shown(report, tracker.publication(self.name, study, report, ()), (), f"{name}: {said}")


def _with_holes(report: Report, built: AnyBuilt) -> Report:
    """What could not be built stands before everything else."""
    if not built.missing:
        return report
    title = f"Not everything could be built: {len(built.missing)} of {len(built.planned)} results are missing"
    return report.after(Text(title, _holes(built), "note"))


def _absence(built: AnyBuilt) -> str:
    """A study without data, and why."""
    return f"{getattr(built.config, 'study', '')} [{short(built.key)}]: {'; '.join(_holes(built))}".lstrip()


def _holes(built: AnyBuilt) -> tuple[str, ...]:
    """Reasons with how many results lack for them."""
    reasons = Counter(reason.rsplit(FAILED, 1)[-1] for reason in built.missing.values())
    return tuple(f"{count} result{'s' if count > 1 else ''}: {reason}" for reason, count in reasons.most_common())


AnyExperiment = Experiment[Any, Any, Any]
