"""Times of several pieces of code that take turns: on a machine that others use too, only ratios within a turn hold."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count

import torch

LEAST, MOST = 5, 41  # turns


@dataclass(frozen=True)
class Timing:
    """Of one piece of code; speeds are over the first of those that it took turns with."""

    name: str
    turns: int
    seconds: float  # median
    speed: float  # median of the ratios within a turn, as are the quartiles
    low: float
    high: float


def in_turns(
    pieces: Mapping[str, Callable[[], object]],  # the first is what the others are compared with
    device: str,
    budget: float,  # seconds after which no turn begins, once there are `least` of them
    least: int = LEAST,
    first: bool = False,  # whether the first turn counts, as where each is long and has other images
) -> list[Timing]:
    """One call of each piece a turn, after one that is not counted.  On a CPU the processor's time counts, not that of
    those who wait for it; on a GPU the time until it is done."""
    for piece in () if first else pieces.values():
        piece()
    seconds: dict[str, list[float]] = {name: [] for name in pieces}
    began = time.perf_counter()
    for turn in count():
        if turn == MOST or (turn >= least and time.perf_counter() - began > budget):
            break
        for name, piece in pieces.items():
            seconds[name].append(_timed(piece, device))
    compared = next(iter(seconds.values()))
    return [_timing(name, compared, own) for name, own in seconds.items()]


def _timed(piece: Callable[[], object], device: str) -> float:
    if device == "cpu":
        began = time.process_time()
        piece()
        return time.process_time() - began
    torch.cuda.synchronize()
    began = time.perf_counter()
    piece()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def _timing(name: str, first: list[float], own: list[float]) -> Timing:
    ratios = [one / other for one, other in zip(first, own, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Timing(name, len(own), statistics.median(own), middle, low, high)
