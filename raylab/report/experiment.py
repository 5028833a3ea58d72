"""An experiment as its job and the scoreboard know it: a config, a plan, and what is shown of the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple

from raylab.report.scoreboard.evidence import Evidence
from raylab.stage import Stage
from raylab.study import Built, Cell, Given
from raylab.tracking import Publication, Record


class Results(NamedTuple):
    """What is shown of one or several studies."""

    page: str  # HTML, of all of them
    texts: tuple[str, ...]  # for the terminal, one a study
    publications: tuple[Publication, ...]  # for the tracker, one a study
    evidence: tuple[tuple[Evidence, ...], ...] = ()  # for the scoreboard, one a study; none: it measures no row


@dataclass(frozen=True)
class Experiment(Generic[Given, Cell]):
    """What `jobs/<name>.py` runs."""

    name: str  # of the job, its page and its folder of configs
    tracked: str  # the tracker's experiments are <tracked>/<study>
    title: str  # of its page
    method: str  # a paragraph for the index of the results
    config: type[Given]
    plan: Callable[[Given], Mapping[Cell, Stage]]
    opened: Callable[[Given, str], Record]  # config, key of the study: the run before there are results
    results: Callable[[Sequence[Built[Given, Cell]]], Results]


AnyExperiment = Experiment[Any, Any]
