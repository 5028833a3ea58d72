"""How long stages will take, from what artifacts of their kinds took on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from raylab.engine import provenance
from raylab.engine.stage import Stage
from raylab.engine.store import Store

SAMPLED = 40  # artifacts of a kind: enough for an estimate, and few requests to a store that is far away


@dataclass(frozen=True)
class Cost:
    """Of some stages: computing seconds, added up as if nothing ran side by side."""

    seconds: float
    unknown: int  # stages of kinds that were never built on this machine


@dataclass(frozen=True)
class _Rate:
    """Of one kind."""

    artifacts: int
    seconds: float
    passes: int

    def of(self, stage: Stage) -> float:
        if stage.passes and self.passes:
            return stage.passes * self.seconds / self.passes
        return self.seconds / self.artifacts


def estimate(stages: Sequence[Stage], store: Store) -> Cost:
    """By the estimated work (`Stage.passes`) of a stage where its kind has one, else as the mean of its kind."""
    rates = {kind: _rate(kind, store) for kind in {stage.kind for stage in stages}}
    known = [(stage, rate) for stage in stages if (rate := rates[stage.kind]) is not None]
    return Cost(sum(rate.of(stage) for stage, rate in known), len(stages) - len(known))


def _rate(kind: str, store: Store) -> _Rate | None:
    read = store.map_parallel(store.origin, store.folders(kind)[:SAMPLED])
    origins = [one for one in read if one is not None and _is_of_here(one)]
    seconds = [float(one["seconds"]) for one in origins]
    return _Rate(len(origins), sum(seconds), sum(int(one["passes"]) for one in origins)) if origins else None


def _is_of_here(origin: dict[str, Any]) -> bool:
    """`passes` is there since the seconds are an artifact's own."""
    return "passes" in origin and origin.get("machine") == provenance.collect()["machine"]
