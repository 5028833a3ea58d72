"""A config with its plan, and the same with what was built for it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

from raylab.config import Config
from raylab.engine.artifact import Artifact
from raylab.engine.identity import fingerprint
from raylab.engine.stage import Stage

Given = TypeVar("Given", bound=Config)
Cell = TypeVar("Cell", bound=Hashable)


@dataclass(frozen=True)
class Study(Generic[Given, Cell]):
    """One config and its plan."""

    config: Given
    cells: Mapping[Cell, Stage]

    @cached_property  # asked for once a cell
    def key(self) -> str:
        """Of what is measured: two configs with the same cells are the same study."""
        return fingerprint(tuple(sorted({stage.key for stage in self.cells.values()})))

    def built(
        self,
        artifacts: Mapping[tuple[str, Cell], Artifact],  # by study and cell
        missing: Mapping[tuple[str, Cell], str] | None = None,  # why there is no artifact
    ) -> Built[Given, Cell]:
        """Raises KeyError where a cell was not built and nothing says why."""
        lacking = {cell: missing[self.key, cell] for cell in self.cells if missing and (self.key, cell) in missing}
        found = {cell: artifacts[self.key, cell] for cell in self.cells if cell not in lacking}
        return Built(self.config, self.key, found, lacking)


def merge_plans(studies: Iterable[Study[Given, Cell]]) -> dict[tuple[str, Cell], Stage]:
    """The cells of all of them, by study and cell: one plan."""
    return {(study.key, cell): stage for study in studies for cell, stage in study.cells.items()}


@dataclass(frozen=True)
class Built(Generic[Given, Cell]):
    """What the store has of a study."""

    config: Given
    key: str
    artifacts: Mapping[Cell, Artifact]
    missing: Mapping[Cell, str] = field(default_factory=dict)  # why the others of its cells could not be built

    @property
    def planned(self) -> tuple[Cell, ...]:
        """All cells, whether or not they could be built."""
        return (*self.artifacts, *self.missing)

    @property
    def is_measurable(self) -> bool:
        """Whether there is anything to be shown of it: without any of its data there is nothing."""
        data = [cell for cell in self.planned if getattr(cell, "role", "") == "data"]
        return bool(self.artifacts) and (not data or any(cell in self.artifacts for cell in data))

    @property
    def has_results(self) -> bool:
        """Whether anything but its data was built."""
        return any(getattr(cell, "role", "") != "data" for cell in self.artifacts)


AnyStudy = Study[Any, Any]
AnyBuilt = Built[Any, Any]
