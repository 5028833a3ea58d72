"""What a trial of Tune leaves behind for its next start: the bytes of a training's state, in one file."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import tune

STATE = "state.bin"


def kept() -> bytes | None:
    """The state of this trial's last checkpoint, or None."""
    checkpoint = tune.get_checkpoint()
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as folder:
        return (Path(folder) / STATE).read_bytes()


def keep(numbers: Mapping[str, Any], state: bytes) -> None:
    """Report to Tune with a checkpoint; it may end the trial here."""
    with tempfile.TemporaryDirectory(prefix="raylab-") as folder:
        (Path(folder) / STATE).write_bytes(state)
        tune.report(dict(numbers), checkpoint=tune.Checkpoint.from_directory(folder))
