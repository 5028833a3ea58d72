"""One half of a data set: what a choice may look at, or what it never sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from raylab.core import seeding
from raylab.engine.columns import Batch
from raylab.engine.stage import Metrics, Stage, TaskContext

Side = Literal["selection", "held_out"]
PART_ROWS = 5000


@dataclass(frozen=True)
class Half:
    """The identity of a half, beside its data. An example's side is a pure function of (seed, id): the same in every
    split that contains it."""

    doing = ("taking halves of", "test set")
    in_driver = True  # reading and writing: not worth sending away
    side: Side
    seed: int

    def run(self, context: TaskContext) -> Metrics:
        whole = context.inputs["data"]
        starts = range(0, max(whole.rows, 1), PART_ROWS)
        cuts = (cut(whole.batch(low, low + PART_ROWS), self) for low in starts)
        rows = sum(context.write_table(batch, index) for index, batch in enumerate(cuts))
        if not rows:
            raise ValueError(f"half: none of {whole.rows} examples is on the side {self.side}; give more data")
        return {"rows": rows}


def cut(batch: Batch, half: Half) -> Batch:
    """The rows of that side."""
    selection = seeding.uniform(half.seed, "half", batch["id"])[:, 0] < 0.5
    rows = selection if half.side == "selection" else ~selection
    return {name: column[rows] for name, column in batch.items()}


def half_of(data: Stage, side: Side, seed: int) -> Stage:
    """About half of the examples of `data`."""
    half = Half(side, seed)
    return Stage("half", 1, half, {"data": data}, f"{side} half of {data.name}")
