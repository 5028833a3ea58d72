"""Learning-rate schedules as pure functions: the factor on the learning rate at a step, of `total` steps.

Nothing has to be stored to resume a schedule but the step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

Schedule = Literal["constant", "one_cycle", "cosine", "step"]
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)

# The defaults of torch's OneCycleLR (Smith and Topin 2017, arXiv:1708.07120); momentum does not cycle.
WARM_UP, START, END = 0.3, 1 / 25, 1 / 25 / 1e4


def factor(
    schedule: Schedule,
    step: int,  # 0 ... total - 1
    total: int,
    *,
    milestones: Sequence[int] = (),  # "step" only: the steps from which on another gamma multiplies
    gamma: float = 0.1,
) -> float:
    """What the learning rate is multiplied with at this step."""
    match schedule:
        case "constant":
            return 1.0
        case "one_cycle":
            return one_cycle(step, total)
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * step / total))
        case "step" if milestones:
            return gamma ** sum(step >= milestone for milestone in milestones)
        case "step":
            raise ValueError('schedules: "step" needs milestones, got none; name them, or choose "constant"')
    raise ValueError(f"schedules: unknown schedule, got {schedule!r}; choose one of {', '.join(SCHEDULES)}")


def one_cycle(step: int, total: int) -> float:
    """Half a cosine from 1/25 up to 1 over the first 30 % of the steps, and another down to 4e-6."""
    peak = WARM_UP * total - 1
    if step <= peak:
        return _half_cosine(START, 1.0, step / peak)
    return _half_cosine(1.0, END, (step - peak) / (total - 1 - peak))


def _half_cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * progress))


def ramped(progress: float, ramp: float) -> float:
    """The share of an adversary's radius at this share of the training: from 0 to 1 over the first `ramp` of it."""
    return 1.0 if progress >= ramp else progress / ramp
