"""Tables of named quantities: what a stage of a small world writes, one row each.

Columns: quantity, value, se (of sampling within this stage; 0 of what is exact, nan where only other
seeds would tell), n (samples or test examples behind it; 0: closed form), low and high (between which
its values lie: 0 and 1 of a share, else infinite).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from raylab.core.later import Tensor, torch
from raylab.core.statistics import ANYTHING, Estimate, Range, proportion
from raylab.engine.artifact import Artifact
from raylab.engine.memory_map import memory_mapped
from raylab.engine.stage import Metrics, TaskContext
from raylab.stages.images import to_tensor

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Rows = Iterator[tuple[str, Estimate]]


def read_quantities(artifact: Artifact) -> dict[str, Estimate]:
    """What a stage of this file wrote, by quantity."""
    rows = artifact.batch()
    found = zip(rows["value"], rows["se"], rows["n"], strict=True)
    estimates = [Estimate(float(value), float(se), int(n), 1) for value, se, n in found]
    bounds = zip(rows["low"], rows["high"], strict=True) if "low" in rows else map(_within, estimates)
    within = [(float(low), float(high)) for low, high in bounds]
    bounded = (replace(one, within=of) for one, of in zip(estimates, within, strict=True))
    return dict(zip(map(str, rows["quantity"]), bounded, strict=True))


def _within(one: Estimate) -> Range:
    """Of a table from before bounds were written: a share is then known by its error alone."""
    share = one.n > 0 and 0.0 <= one.mean <= 1.0 and one.se == proportion(round(one.mean * one.n), one.n).se
    return (0.0, 1.0) if share else ANYTHING


def write(context: TaskContext, rows: Rows) -> Metrics:
    found = dict(rows)
    written = context.write_table(
        {
            "quantity": np.array(list(found)),
            "value": np.array([e.mean for e in found.values()]),
            "se": np.array([e.se for e in found.values()]),
            "n": np.array([e.n for e in found.values()], dtype=np.int64),
            "low": np.array([e.within[0] for e in found.values()], dtype=np.float64),
            "high": np.array([e.within[1] for e in found.values()], dtype=np.float64),
        }
    )
    return {"quantities": written}


def exact(value: float) -> Estimate:
    return Estimate(float(value), 0.0, 0, 1)


def share(value: float, n: int) -> Estimate:
    return proportion(round(value * n), n)


def two_classes_of(artifact: Artifact, classes: tuple[int, int], centre: float) -> tuple[Tensor, Tensor]:
    """Two classes of a data set as vectors (n, d) less `centre`, and labels of +-1."""
    data = memory_mapped(artifact)
    kept: NDArray[np.bool_] = np.isin(data["label"], classes)
    if len(set(data["label"][kept].tolist())) < 2:
        raise ValueError(f"classes: two classes of the data, got {classes} of {sorted(set(data['label'].tolist()))}")
    x = to_tensor(data["image"][kept], "cpu").flatten(1) - centre
    return x, torch.from_numpy(np.where(data["label"][kept] == classes[0], 1.0, -1.0)).float()
