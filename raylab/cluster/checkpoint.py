"""What a training leaves behind for its next start: the bytes of its state after their sha256, in a file of the store.

Tune could restore a whole experiment, but from pickles: whoever can write a store would run code where a job goes on
from it. So a job that goes on begins a new experiment, in which the store says what is done and these files how far the
rest was. Tune's own checkpoints serve populations alone, whose trials go on from each other's, and hold the same bytes.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import tune

from raylab.engine.artifact import StoreError
from raylab.engine.store import Store

STATE = "state.bin"


def keep(store: Store, path: str, state: bytes) -> None:
    """In the place of what was kept there.  Raises StoreError."""
    store.put(path, _framed(state))


def kept(store: Store, path: str) -> bytes | None:
    """None where there is none, or one whose bytes are not those kept: the training then begins again, and a line in
    the worker's log says so."""
    try:
        return _unframed(store.get(path), path)
    except StoreError as error:
        print(f"{error}; this training begins again", file=sys.stderr)
        return None


def hand_on(numbers: Mapping[str, Any], state: bytes) -> None:
    """Report to Tune with a checkpoint, for this trial or another one; it may end the trial here."""
    with tempfile.TemporaryDirectory(prefix="raylab-") as folder:
        (Path(folder) / STATE).write_bytes(_framed(state))
        tune.report(dict(numbers), checkpoint=tune.Checkpoint.from_directory(folder))


def handed_on() -> bytes | None:
    """The state that Tune starts this trial from, its own or another one's; None at a first start, and as `kept`."""
    checkpoint = tune.get_checkpoint()
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as folder:
        path = Path(folder) / STATE
        return _unframed(path.read_bytes() if path.is_file() else b"", str(path))


def _framed(state: bytes) -> bytes:
    return hashlib.sha256(state).hexdigest().encode() + b"\n" + state


def _unframed(data: bytes | None, path: str) -> bytes | None:
    if data is None:
        return None
    named, _, state = data.partition(b"\n")
    if named.decode("ascii", "replace") != hashlib.sha256(state).hexdigest():
        print(f"{path}: not the state that was kept; this training begins again", file=sys.stderr)
        return None
    return state
