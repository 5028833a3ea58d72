"""A training that is watched: after every epoch it is judged on the images that may choose, and may end or change."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from raylab.core import evaluate as measures
from raylab.core.later import torch
from raylab.engine.artifact import CorruptArtifact
from raylab.engine.identity import fingerprint
from raylab.engine.memory_map import memory_mapped
from raylab.engine.search import PROGRESS, TrialReporter
from raylab.engine.space import Point
from raylab.engine.stage import Stage
from raylab.engine.store import Store
from raylab.stages import architecture
from raylab.stages.evaluation import logits_of
from raylab.sweep.config import Objective
from raylab.sweep.records import Schedule, finite, plain

Curve = list[tuple[float, float, float]]  # per epoch: objective on the selection half, training accuracy, training loss
BATCH = 500


@dataclass
class Lineage:
    """How a training came to where it is: its own epochs, or those of the trial whose weights it was given."""

    point: Point
    past: list[tuple[int, Point]] = field(default_factory=list)  # earlier points and their last epochs
    curve: Curve = field(default_factory=list)
    state: bytes | None = None  # of the training

    @classmethod
    def read(cls, kept: bytes | None, point: Point) -> Lineage:
        """From what `pack` made, in this trial or in another one."""
        if kept is None:
            return cls(point)
        head, _, state = kept.partition(b"\n")
        told = json.loads(head)
        past = [(int(until), one) for until, one in told["schedule"]]
        if plain(past[-1][1]) == plain(point):
            past.pop()  # it goes on as it was
        return cls(point, past, _curve(told["curve"]), state)

    def schedule(self, epochs: int) -> Schedule:
        return (*self.past, (epochs, self.point))

    def pack(self, epoch: int, state: bytes) -> bytes:
        return json.dumps({"schedule": self.schedule(epoch), "curve": self.curve}).encode() + b"\n" + state


class CurveCache:
    """Curves by what they are curves of, so that no other sweep has to compute them again."""

    def __init__(self, store: Store, network: Stage, evaluation: Stage, metric: str) -> None:
        named = fingerprint((network.key, evaluation.inputs["data"].key, metric))
        self.store, self.path = store, f"{store.root}/sweeps/curves/{named[:16]}.json"

    def read(self) -> Curve:
        """Nothing where there is none, or a damaged one: a trial then has no curve to show."""
        try:
            read = self.store.get_json(self.path, "")
            return _curve(read["curve"] if isinstance(read, dict) else read or [])  # a list: of an older raylab
        except (CorruptArtifact, ValueError, TypeError, KeyError):
            return []

    def write(self, curve: Curve) -> None:
        self.store.put_json(self.path, {"curve": finite(curve)})


class Judge:
    """The reporter of the watched training."""

    def __init__(
        self,
        objective: Objective,
        network: Stage,
        evaluation: Stage,
        store: Store,
        device: str,
        reporter: TrialReporter,
        lineage: Lineage,
    ) -> None:
        self.objective, self.reporter, self.device, self.lineage = objective, reporter, device, lineage
        self.training: Any = network.config
        self.book = CurveCache(store, network, evaluation, objective.metric)
        self.rows = memory_mapped(store.require(evaluation.inputs["data"]))

    def resume(self) -> bytes | None:
        return self.lineage.state

    def report(self, metrics: Mapping[str, float], state: Callable[[], bytes]) -> None:
        packed, epoch, curve = state(), int(metrics["epoch"]), self.lineage.curve
        del curve[epoch - 1 :]  # of a training that began again
        curve.append((self._value(packed), float(metrics["accuracy"]), float(metrics["loss"])))
        self.book.write(curve)
        numbers = {
            self.objective.name: curve[-1][0],
            PROGRESS: epoch,
            "train accuracy": metrics["accuracy"],
            "train loss": metrics["loss"],
            "violations": [],
            "error": None,
            "curve": [list(row) for row in curve],
        }
        if epoch < self.training.recipe.epochs:  # the last one is told by the trial's end: nothing could follow from it
            self.reporter.report(numbers, lambda: self.lineage.pack(epoch, packed))

    def _value(self, packed: bytes) -> float:
        t = self.training
        network = architecture.build(t.network, t.images, 0)
        weights = torch.load(io.BytesIO(packed), weights_only=True, map_location=self.device)["network"]
        network.load_state_dict(weights)
        network = network.to(self.device).eval().requires_grad_(False)
        logits = logits_of(network, self.rows["image"], BATCH, self.device).cpu().numpy()
        says = measures.is_correct if self.objective.metric == "accuracy" else measures.is_next_class
        return float(says(logits, self.rows["label"]).mean())


def _curve(rows: Any) -> Curve:
    return [(_float(a), _float(b), _float(c)) for a, b, c in rows]


def _float(value: float | None) -> float:
    return math.nan if value is None else float(value)
