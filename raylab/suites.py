"""Suites of experiments: which configs of which jobs are run together, and what was built of them.

A suite is a file `configs/reproduce/<suite>.yaml` that lists configs as their jobs take them. Each suite holds those
before it, so that its scoreboard is the most complete one of its size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from raylab.config import Config, ConfigError, load
from raylab.engine.artifact import Artifact
from raylab.engine.stage import Stage
from raylab.engine.store import Store
from raylab.engine.study import AnyBuilt, AnyStudy, Study, merge_plans
from raylab.experiments.fields import Distinct
from raylab.report.experiment import AnyExperiment
from raylab.report.experiments import EXPERIMENTS, Name

SuiteName = Literal["embedded", "small", "full"]
SUITES: tuple[SuiteName, ...] = get_args(SuiteName)
NOT_ASKED = "it was not asked for, and is not in the store"


class Reproduce(Config):
    """Everything that a suite lists, and its scoreboard."""

    suite: SuiteName = "embedded"  # how much of it: each suite holds those before it
    # Build these alone, for a suite in parts; of the others is shown what the store has.
    only: Annotated[tuple[Name, ...], Distinct] = ()
    # Where the pages go: a path or URI; None: results/<suite> in the store. Where, not what.
    folder: str | None = Field(default=None, exclude=True)

    @property
    def study(self) -> str:
        return self.suite


class SuiteEntry(Config):
    """One study: a config of a job."""

    experiment: Name
    config: str = ""  # a file below the folder of configs; "": what the job runs without one
    changes: tuple[str, ...] = ()  # key.path=value, as on the command line


class SuiteFile(Config):
    """What a suite adds to those before it."""

    entries: Annotated[tuple[SuiteEntry, ...], Field(min_length=1)]


@dataclass(frozen=True)
class SuitePart:
    """A study of a suite."""

    name: Name
    study: AnyStudy
    wanted: bool  # to be built; else shown if it is in the store

    @property
    def experiment(self) -> AnyExperiment:
        return EXPERIMENTS[self.name]

    def built(
        self,
        artifacts: Mapping[tuple[str, Any], Artifact],  # by study and cell
        missing: Mapping[tuple[str, Any], str],  # why there is no artifact
        store: Store,
    ) -> AnyBuilt:
        """What there is of it, with its holes; of what was not asked for, what the store has."""
        cells = merge_plans([self.study])
        found = {cell: artifacts.get(cell) or store.find(stage) for cell, stage in cells.items()}
        here = {cell: artifact for cell, artifact in found.items() if artifact is not None}
        return self.study.built(here, {cell: missing.get(cell, NOT_ASKED) for cell in found if cell not in here})


def parts(config: Reproduce, folder: Path) -> list[SuitePart]:
    """In the order of the files. Raises ValueError with every problem of every config, absent data among them."""
    found: list[SuitePart] = []
    problems: list[str] = []
    for name in SUITES[: SUITES.index(config.suite) + 1]:
        for entry in load(SuiteFile, folder / "reproduce" / f"{name}.yaml").entries:
            wanted = not config.only or entry.experiment in config.only
            try:
                found.append(SuitePart(entry.experiment, _study(entry, folder), wanted))
            except (ConfigError, ValueError) as error:
                if wanted:  # what is not asked for need not have its data here
                    problems += [f"{entry.experiment} {entry.config}: {line}" for line in str(error).splitlines()]
    names = Counter((part.name, part.study.config.study) for part in found)
    problems += [
        f"{name}: study {study!r} is there {count} times; give each its own name"
        for (name, study), count in names.items()
        if count > 1
    ]
    if problems:
        remedy = "" if config.only else f"; or leave them out with only=[...] of {list(EXPERIMENTS)}"
        raise ValueError(f"suite {config.suite} cannot be run here{remedy}\n" + "\n".join(problems))
    return found


def plan(config: Reproduce, folder: Path) -> dict[tuple[str, Any], Stage]:
    """The cells of all that is to be built, by study and cell. Raises as `parts`."""
    return merge_plans(part.study for part in parts(config, folder) if part.wanted)


def _study(entry: SuiteEntry, folder: Path) -> AnyStudy:
    experiment = EXPERIMENTS[entry.experiment]
    source = folder / entry.config if entry.config else "{}"
    config = load(experiment.config, source, entry.changes, entry.config or "embedded default")
    return Study(config, experiment.plan(config))
