"""What a trial of Tune leaves behind for its next start: the bytes of a training's state, in one file, and their sha256
in another."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import tune

STATE = "state.bin"
SUM = "state.sha256"


def kept() -> bytes | None:
    """The state of this trial's last checkpoint; None where there is none, or one whose bytes are not those kept: the
    training then begins again, and a line in the worker's log says so. One of an older raylab has no sum."""
    checkpoint = tune.get_checkpoint()
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as folder:
        return _checked(Path(folder))


def _checked(folder: Path) -> bytes | None:
    state = (folder / STATE).read_bytes() if (folder / STATE).is_file() else None
    said = (folder / SUM).read_text() if (folder / SUM).is_file() else None
    if state is None or (said is not None and said != hashlib.sha256(state).hexdigest()):
        print(f"checkpoint {folder}: not the state that was kept; this training begins again", file=sys.stderr)
        return None
    return state


def keep(numbers: Mapping[str, Any], state: bytes) -> None:
    """Report to Tune with a checkpoint; it may end the trial here."""
    with tempfile.TemporaryDirectory(prefix="raylab-") as folder:
        (Path(folder) / STATE).write_bytes(state)
        (Path(folder) / SUM).write_text(hashlib.sha256(state).hexdigest())
        tune.report(dict(numbers), checkpoint=tune.Checkpoint.from_directory(folder))
