"""How far the work is: a bar on a terminal, calm lines in a log."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TextIO

from tqdm import tqdm

from raylab.artifact import Artifact
from raylab.backend import Outcome
from raylab.stage import Stage, is_task, rounds

LINE_SECONDS = 10.0  # at least, between two lines about one round
LONGEST = 300  # characters of an error; the whole of it comes at the end
DOING = {
    "data": ("reading", "data set"),
    "probe": ("making", "probe set"),
    "half": ("taking halves of", "test set"),
    "network": ("training", "network"),
    "released": ("reading", "network"),
    "frost": ("reading", "set of photographs"),
    "constructed": ("constructing", "data set"),
    "inverted": ("inverting features into", "data set"),
    "spectrum": ("comparing", "spectrum"),
    "filtered": ("filtering", "data set"),
    "patterns": ("drawing patterns of", "set"),
    "universal": ("finding universal perturbations of", "network"),
    "patterned": ("patterning", "data set"),
    "labelled": ("labelling", "data set"),
    "matched": ("matching", "data set"),
    "tinted": ("tinting", "data set"),
    "toy": ("training networks of", "toy"),
    "gaussian_theory": ("solving", "Gaussian model"),
    "adversarial_squares": ("training on squares", "network"),
    "synthetic": ("sampling", "synthetic world"),
    "two_layer": ("training", "two-layer network"),
    "usefulness": ("measuring the features of", "data set"),
    "leakage": ("probing", "network"),
    "robustness": ("attacking", "network"),
    "layer_robustness": ("attacking the layers of", "network"),
    "class_noise": ("drawing class-wise noise for", "set"),
    "poisoned": ("poisoning", "data set"),
    "triggered": ("planting triggers in", "data set"),
    "evaluation": ("evaluating", "network"),
    "neighbours": ("finding neighbours in", "data set"),
    "oracles": ("asking the oracles about", "data set"),
    "explanation": ("explaining", "network"),
    "perturbation": ("measuring the perturbations of", "data set"),
}


class Progress:
    """A listener that shows each round with what is done and left of it, what is left after it, and what failed."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream = stream or sys.stderr
        self.clock = clock  # seconds
        self._bar: tqdm[None] | None = None
        self._head = ""
        self._began = self._started = self._told = 0.0
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
        self._started = self._told = self.clock()
        if self.stream.isatty():
            unit = "task" if is_task(stages[0]) else "shard"
            self._bar = tqdm(total=units, desc=self._head, unit=unit, file=self.stream, dynamic_ncols=True)
            self._say_left()
        else:
            shards = "" if is_task(stages[0]) else f" ({counted(units, 'shard')})"
            self._write(f"{self._head}{shards}")

    def outcome(self, outcome: Outcome) -> None:
        self._done += 1
        if outcome.error is not None:
            where = "" if outcome.shard is None else f", shard {outcome.shard}"
            why = " ".join(outcome.error.split())
            self._write(f"failed: {outcome.stage.label}{where}: {why[:LONGEST]}")
        now, left = self.clock(), self._units - self._done
        if self._bar is not None:
            self._bar.update()
        elif left > 0 and now - self._told >= LINE_SECONDS:
            self._told = now
            remaining = duration((now - self._started) / self._done * left)
            self._write(f"{self._head}: {self._done} done, {left} left, about {remaining} left")

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
            self._bar.set_postfix_str(f"{counted(self._missing - self._built, 'artifact')} left in all")

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
    counts = Counter(DOING.get(stage.kind, ("building", f"{stage.kind} artifact")) for stage in stages)
    return ", ".join(f"{verb} {counted(count, noun)}" for (verb, noun), count in counts.items())


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """In words that are as exact as an estimate deserves."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
