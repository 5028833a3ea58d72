"""One pattern a class, as a table."""

from __future__ import annotations

import numpy as np

from raylab.core.later import Tensor, torch
from raylab.engine.artifact import Artifact
from raylab.engine.stage import Metrics, TaskContext


def write_patterns(context: TaskContext, patterns: Tensor) -> Metrics:
    """One a class."""
    rows = context.write_table({"class": np.arange(len(patterns)), "pattern": patterns.numpy()})
    return {"rows": rows}


def read_patterns(artifact: Artifact) -> Tensor:
    """(classes, C, H, W), in the order of the classes."""
    table = artifact.batch()
    return torch.from_numpy(table["pattern"][np.argsort(table["class"])])
