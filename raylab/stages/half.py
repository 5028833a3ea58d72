"""One half of a data set: what a choice may look at, or what it never sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from raylab.core import seeding
from raylab.engine import columns
from raylab.engine.columns import Batch
from raylab.engine.stage import Metrics, Stage, TaskContext

Side = Literal["selection", "held_out"]
PART_ROWS = 5000


@dataclass(frozen=True)
class Half:
    """The identity of a half, beside its data. An example's side is a pure function of (seed, id): the same in every
    split that contains it."""

    side: Side
    seed: int


@dataclass(frozen=True)
class HalfBody:
    doing = ("taking halves of", "test set")
    half: Half
    in_driver = True  # reading and writing: not worth sending away

    def run(self, context: TaskContext) -> Metrics:
        whole, rows = context.inputs["data"], 0
        for index, low in enumerate(range(0, max(whole.rows, 1), PART_ROWS)):
            batch = cut(whole.batch(low, low + PART_ROWS), self.half)
            table = columns.to_table(batch)
            context.write(f"part-{index:05d}.parquet", columns.to_parquet(table), table.num_rows)
            rows += table.num_rows
        if not rows:
            raise ValueError(f"half: none of {whole.rows} examples is on the side {self.half.side}; give more data")
        return {"rows": rows}


def cut(batch: Batch, half: Half) -> Batch:
    """The rows of that side."""
    selection = seeding.uniform(half.seed, "half", batch["id"])[:, 0] < 0.5
    rows = selection if half.side == "selection" else ~selection
    return {name: column[rows] for name, column in batch.items()}


def half_of(data: Stage, side: Side, seed: int) -> Stage:
    """About half of the examples of `data`."""
    half = Half(side, seed)
    return Stage("half", 1, half, {"data": data}, HalfBody(half), f"{side} half of {data.name}")
