"""In what a run differs from a published one, in words: "" where it does not."""

from __future__ import annotations

import math
from collections.abc import Iterable

from raylab.core.balls import BALLS
from raylab.data import Cut
from raylab.engine.stage import Compute
from raylab.report.names import NAMES
from raylab.stages.construction import Attack
from raylab.stages.dataset import DataConfig

NORMS: dict[str, str] = {norm: ball.label for norm, ball in BALLS.items()}


def norm_label(norm: str) -> str:
    """As a page writes it; the ball of somebody's own by its reference."""
    return NORMS.get(norm, str(norm))


def differing(parts: Iterable[str]) -> str:
    """The parts that say something."""
    return "; ".join(part for part in parts if part)


def of_data(data: DataConfig, published: str, note: str, train: int) -> str:
    """Another data set, a part of it, or other bytes of it (`note`: JPEG)."""
    if data.name == published and data.cut == Cut() and not note:
        return ""
    count = f"{train:,}".replace(",", "\u202f")
    return f"{named(data, note)}, {count} training images"


def named(data: DataConfig, note: str = "") -> str:
    return NAMES.get(data.name, data.name) + (" (JPEG)" if "JPEG" in note else "")


def of_networks(names: Iterable[str], published: str) -> str:
    others = list(dict.fromkeys(name for name in names if name != published))
    return " → ".join(others)


def of_attack(attack: Attack, published: Attack) -> str:
    """Another radius, number of steps or step; which iterate is kept is stated nowhere."""
    ours, theirs = ((one.norm, one.steps, one.schedule) for one in (attack, published))
    same = ours == theirs and all(
        same_radius(*pair) for pair in ((attack.eps, published.eps), (attack.step, published.step))
    )
    of = "steps of" if attack.schedule is None else f"{attack.schedule} steps with momentum, the first of"
    return "" if same else f"{radius(attack)}, {attack.steps} {of} {attack.step:.3g}"


def of_precision(compute: Compute) -> str:
    """Less than float32 in constructions and inversions; another order of the same roundings is no difference."""
    return "gradients in bfloat16" if compute.precision == "bfloat16" else ""


def same_radius(ours: float, published: float) -> bool:
    """As far as it is printed: 8/255 is written 0.0314."""
    return math.isclose(ours, published, rel_tol=2e-3)


def radius(attack: Attack) -> str:
    return f"{norm_label(attack.norm)} {attack.eps:.3g}"
