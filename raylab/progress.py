"""How far the work is: a bar on a terminal, calm lines in a log."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import TextIO

from tqdm import tqdm

from raylab.artifact import Artifact
from raylab.backend import Outcome
from raylab.stage import Stage, is_task

LINE_SECONDS = 10.0  # between two lines in a log


class Progress:
    """A listener that shows every round with what is done, what is left, and what failed."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self._bar: tqdm[None] | None = None
        self._stages_left = self._units = self._done = 0
        self._started = self._told = 0.0
        self._what = ""

    def begin(self, present: int, missing: Sequence[Stage]) -> None:
        self._stages_left = len(missing)
        if missing:
            self._write(f"{len(missing)} artifacts to build ({_counted(missing)}); {present} results are there")
        else:
            self._write(f"all {present} results are there; nothing to build")

    def start(self, stages: Sequence[Stage], units: int) -> None:
        self._close()
        self._what, self._units, self._done = _counted(stages), units, 0
        self._started = self._told = time.monotonic()
        if self.stream.isatty():
            unit = "task" if is_task(stages[0]) else "shard"
            self._bar = tqdm(total=units, desc=self._what, unit=unit, file=self.stream, dynamic_ncols=True)
        else:
            self._write(f"{self._what}: {units} to go, {self._stages_left} artifacts left in all")

    def outcome(self, outcome: Outcome) -> None:
        self._done += 1
        if outcome.error is not None:
            where = "" if outcome.shard is None else f" shard {outcome.shard}"
            self._write(f"failed: {outcome.stage.label}{where}: {outcome.error}")
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update()
        elif now - self._told >= LINE_SECONDS and self._done < self._units:
            self._told = now
            left = (now - self._started) / self._done * (self._units - self._done)
            self._write(f"{self._what}: {self._done} of {self._units} done, about {left:.0f} s left")

    def built(self, artifact: Artifact) -> None:
        del artifact
        self._stages_left -= 1

    def end(self) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        elif self._units and self._done:
            self._write(f"{self._what}: {self._done} done in {time.monotonic() - self._started:.0f} s")
        self._units = 0

    def _write(self, line: str) -> None:
        if self._bar is not None:
            self._bar.write(line, file=self.stream)
        else:
            print(line, file=self.stream, flush=True)


def _counted(stages: Sequence[Stage]) -> str:
    """2 data, 54 networks, ..."""
    counts = Counter(stage.kind for stage in stages)
    plural = {"network": "networks", "constructed": "constructed sets", "evaluation": "evaluations"}
    return ", ".join(f"{count} {plural.get(kind, kind)}" for kind, count in counts.items())
