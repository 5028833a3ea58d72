"""How far the work is: a bar on a terminal, calm lines in a log."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from tqdm import tqdm

from raylab.engine.artifact import Artifact
from raylab.engine.backend import Listener, WorkOutcome
from raylab.engine.redaction import excerpt
from raylab.engine.stage import Stage, is_task, rounds

NARROW = 20  # columns that the head of a bar keeps before what is left in all is shown beside it
LINE_SECONDS = 10.0  # at least, between two lines about one round
WAITS = 1.5  # so many hand-overs ahead at least, or the one in progress may be all of it
LONGEST = 300  # characters of an error; the whole of it comes at the end


class Pace:
    """How long a unit takes, from when units ended.

    Whatever comes before the first one, as the start of workers, is no unit's cost. Those that ran beside the first end
    with it, in a burst that says nothing of their cost: no estimate before it has taken as long again. Later ends
    come in bursts too, one a hand-over, and within one the pace is off by up to a hand-over's time: no estimate of less
    than WAITS of the longest wait between two ends. What is estimated is right within a factor of three for units of
    equal cost, however many run at once and whatever the start took.
    """

    def __init__(self, now: float) -> None:
        self._started, self._first, self._last, self._longest, self._ended = now, now, now, 0.0, 0

    def ended(self, now: float) -> None:
        """A unit has ended well; one that failed says nothing of the others' cost."""
        self._ended += 1
        if self._ended == 1:
            self._first = self._last = now
        self._longest, self._last = max(self._longest, now - self._last), now

    def seconds(self, now: float) -> float | None:
        """Between two ends, at this pace; None where that cannot be known yet."""
        if self._ended < 2 or now - self._started < 2 * (self._first - self._started):
            return None
        return (now - self._first) / (self._ended - 1)

    def left(self, now: float, units: int) -> float | None:
        """Seconds until so many more have ended; None where that cannot be known yet, or to no better than a wait."""
        seconds = self.seconds(now)
        return None if seconds is None or seconds * units < WAITS * self._longest else seconds * units


class _Bar(tqdm):  # type: ignore[misc]  # tqdm has no types
    """Count, rate and time left first; then, as far as the line goes, the head, what is left in all, and the bar."""

    def __init__(self, head: str, pace: Pace, clock: Callable[[], float], **kwargs: Any) -> None:
        self.head, self.pace, self.clock, self.in_all = head, pace, clock, ""
        super().__init__(**kwargs)

    @property
    def format_dict(self) -> dict[str, Any]:
        given = super().format_dict
        now, units = self.clock(), given["total"] - given["n"]
        seconds, left = self.pace.seconds(now), self.pace.left(now, units)
        numbers = f"{given['n']}/{given['total']}"
        if seconds is None:
            numbers += f" {duration(given['elapsed'])} so far"
        else:
            numbers += f" {rate(seconds, given['unit'])}" + ("" if left is None else f" {duration(left)} left")
        # None where the width of the terminal is not known. Its last column stays empty: some would break the line.
        room = (given["ncols"] or sys.maxsize) - len(numbers) - 2
        head, in_all = self.head, f" ({self.in_all})" if self.in_all else ""
        if room < min(len(head), NARROW) + len(in_all):
            in_all = ""
        head = shortened(head, room - len(in_all))
        given["bar_format"] = f"{{spaced}}{numbers}{in_all}" + (" {bar}" if room - len(head + in_all) > 12 else "")
        return {**given, "spaced": f"{head} " if head else ""}


class Progress(Listener):
    """A listener that shows each round with what is done and left of it, what is left after it, and what failed."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream = stream or sys.stderr
        self.clock = clock  # seconds
        self._bar: _Bar | None = None
        self._head = ""
        self._began = self._told = 0.0
        self._pace = Pace(0.0)
        self._missing = self._built = self._rounds = self._round = self._units = self._done = 0

    def begin(self, present: int, missing: Sequence[Stage]) -> None:
        self._began, self._missing, self._built, self._round = self.clock(), len(missing), 0, 0
        lacking = set(missing)
        self._rounds = sum(any(stage in lacking for stage in group) for group in rounds(missing))
        if missing:
            artifacts, turns = counted(len(missing), "artifact"), counted(self._rounds, "round")
            self._write(f"to build: {artifacts} in {turns}; {counted(present, 'result')} in the store")
        else:
            self._write(f"nothing to build: {counted(present, 'result')} in the store")

    def start(self, stages: Sequence[Stage], units: int) -> None:
        self._close()
        self._round += 1
        self._head = f"[{self._round}/{max(self._round, self._rounds)}] {doing(stages)}"
        self._units, self._done = units, 0
        self._told = self.clock()
        self._pace = Pace(self._told)
        if self.stream.isatty():
            unit = "task" if is_task(stages[0]) else "shard"
            self._bar = _Bar(
                self._head, self._pace, self.clock, total=units, unit=unit, file=self.stream, dynamic_ncols=True
            )
            self._say_left()
        else:
            shards = "" if is_task(stages[0]) else f" ({counted(units, 'shard')})"
            self._write(f"{self._head}{shards}")

    def outcome(self, outcome: WorkOutcome) -> None:
        self._done += 1
        if outcome.error is None:
            self._pace.ended(self.clock())
        else:
            where = "" if outcome.shard is None else f", shard {outcome.shard}"
            self._write(f"failed: {outcome.stage.label}{where}: {excerpt(outcome.error, LONGEST)}")
        left = self._units - self._done
        if self._bar is not None:
            self._bar.update()
        elif left > 0 and self.clock() - self._told >= LINE_SECONDS:
            self._told = self.clock()
            seconds = self._pace.left(self._told, left)
            remaining = "" if seconds is None else f", about {duration(seconds)} left"
            self._write(f"{self._head}: {self._done} done, {left} left{remaining}")

    def built(self, artifact: Artifact) -> None:
        del artifact
        self._built += 1
        self._say_left()

    def end(self) -> None:
        self._close()
        if self._missing:
            self._write(f"built {self._built} of {self._missing} in {duration(self.clock() - self._began)}")

    def _say_left(self) -> None:
        if self._bar is not None:
            self._bar.in_all = f"{counted(self._missing - self._built, 'artifact')} left in all"
            self._bar.refresh()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _write(self, line: str) -> None:
        if self._bar is not None:
            self._bar.write(line, file=self.stream)
        else:
            print(line, file=self.stream, flush=True)


def doing(stages: Sequence[Stage]) -> str:
    """training 2 networks, evaluating 1 network"""
    counts = Counter(stage.config.doing for stage in stages)
    return ", ".join(f"{verb} {counted(count, noun)}" for (verb, noun), count in counts.items())


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def shortened(text: str, width: int) -> str:
    """At most so many characters; empty rather than a stump that says nothing."""
    if len(text) <= width:
        return text
    return f"{text[: width - 2].rstrip()}.." if width > 5 else ""


def rate(seconds: float, unit: str) -> str:
    """4.2 s/shard, or 3.5 shards/s."""
    if seconds >= 1 or seconds <= 0:
        return f"{seconds:.{0 if seconds >= 9.95 else 1}f} s/{unit}"
    return f"{1 / seconds:.{0 if seconds <= 0.1 else 1}f} {unit}s/s"


def duration(seconds: float) -> str:
    """In words that are as exact as an estimate deserves."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
