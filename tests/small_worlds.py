"""Cases of worlds that are built in seconds."""

from __future__ import annotations

import sys

import pytest

from raylab.experiments.worlds import WorldStudy, cases
from raylab.stages.recipe import Recipe


def shrink(config: WorldStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the cases of a config those with 100 training images and one epoch."""
    small = {
        name: case.model_copy(
            update={"data": case.data.model_copy(update={"train_rows": 100}), "train": Recipe(epochs=1)}
        )
        for name, case in cases(config).items()
    }
    for module in ("plan", "measure"):  # as attributes of the room these are functions
        monkeypatch.setattr(sys.modules[f"raylab.experiments.worlds.{module}"], "cases", lambda _: small)
