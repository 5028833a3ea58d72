"""The config of the worlds: which cases are drawn, and how many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from raylab.config import Config
from raylab.experiments.fields import StudyName

SplitName = Literal["calibration", "held_out"]


class WorldStudy(Config):
    """Cases of one split; `without` of them in worlds that have no non-robust feature, `having` in worlds that do."""

    study: StudyName = "worlds"
    split: SplitName = "calibration"  # whose worlds: the rule was fitted on calibration and judged on held_out
    without: Annotated[int, Field(ge=1, le=10_000)] = 20  # cases in worlds that have none
    having: Annotated[int, Field(ge=1, le=10_000)] = 20  # cases in worlds that have non-robust features
    first: Annotated[int, Field(ge=0)] = 0  # first case; another start draws cases that no other run has seen
    seeds: Annotated[int, Field(ge=2, le=20)] = 3  # seeds a case; with two, Student's t lets hardly anything pass
    test_rows: Annotated[int, Field(ge=100, le=100_000)] = 1000  # test images of a world
    attack_steps: Annotated[int, Field(ge=1, le=1000)] = 10  # steps of PGD
    adversary_steps: Annotated[int, Field(ge=1, le=1000)] = 3  # steps of the adversary of the robust source's training
    thresholds: bool = Field(default=False, exclude=True)  # show what others of the verdict's would have said
    reliance: bool = False  # which feature source and student rely on, in conflict and alone, and what the oracles read

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, given: Any) -> Any:
        """Reliance was called usage once."""
        old = isinstance(given, Mapping) and "usage" in given and "reliance" not in given
        return {"reliance" if name == "usage" else name: value for name, value in given.items()} if old else given

    @model_validator(mode="after")
    def _thresholds(self) -> WorldStudy:
        if self.thresholds and self.split != "calibration":
            raise ValueError(
                f"thresholds: for split calibration alone, got {self.split}; who chooses there cannot judge there"
            )
        return self
