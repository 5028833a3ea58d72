"""The two-dimensional toy of learning from errors, as a table by world and the planes of a few."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raylab.core import toy2d
from raylab.core.toy2d import Protocol
from raylab.engine import columns
from raylab.engine.stage import Metrics, Stage, TaskContext

PLANES = "planes.parquet"
SHOWN = 4  # worlds whose planes are kept


@dataclass(frozen=True)
class _Toy:
    """The identity of a run of the toy."""

    doing = ("training networks of", "toy")
    in_driver = False
    protocol: Protocol
    seeds: tuple[int, ...]

    def run(self, context: TaskContext) -> Metrics:
        found = toy2d.run(self.protocol, self.seeds)
        context.write_table(
            {
                "seed": found.seeds,
                "kept": found.kept.sum(axis=1),
                "fitted": found.fitted,
                "right": found.right,
                "control": found.control,
                "agreement": found.agreement,
            }
        )
        names = ("seeds", "points", "labels", "pushed", "kept", "teacher", "student")
        planes = {name: np.ascontiguousarray(getattr(found, name)[:SHOWN]) for name in names}
        planes |= {name: planes[name].astype(np.uint8) for name in ("labels", "kept")}
        context.write(PLANES, columns.to_parquet(columns.to_table(planes)), None)
        return {"n": len(found.seeds), "right": float(found.right.mean()), "control": float(found.control.mean())}


def toy(protocol: Protocol, seeds: tuple[int, ...], *, name: str) -> Stage:
    """Every world of `seeds` under one protocol: the student's score on the original points, its control, agreement."""
    identity = _Toy(protocol, seeds)
    return Stage("toy", 1, identity, {}, name)
