"""What a network says about every example of a data set: logits and correctness, kept by example id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from raylab.core import evaluate as measures
from raylab.core.later import Tensor, torch
from raylab.core.objectives import Classifier
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch, Column
from raylab.engine.stage import Compute, Metrics, Stage
from raylab.stages.images import to_tensor
from raylab.stages.weights import load_network


@dataclass(frozen=True)
class _Evaluation:
    """The identity of an evaluation, beside its network and data."""

    doing = ("evaluating", "network")
    over = "data"
    compute: Compute

    def open(self, inputs: Mapping[str, Artifact], device: str) -> Callable[[Batch], Batch]:
        network = load_network(inputs["model"], device)

        def evaluate(batch: Batch) -> Batch:
            logits = measures.logits(network, to_tensor(batch["image"], device), self.compute.batch_rows).cpu().numpy()
            said = {
                "logits": logits,
                "prediction": measures.predictions(logits),
                "correct": measures.is_correct(logits, batch["label"]),
                "next_class": measures.is_next_class(logits, batch["label"]),
            }
            return {name: column for name, column in batch.items() if name != "image"} | said

        return evaluate

    def summarise(self, artifact: Artifact) -> Metrics:
        """accuracy, and p1, the next-class rate: the share of examples called label + 1 (mod classes)."""
        table = artifact.table()
        correct, next_class = table.column("correct").to_numpy(), table.column("next_class").to_numpy()
        return {"n": len(correct), "accuracy": float(np.mean(correct)), "p1": float(np.mean(next_class))}


def evaluate(model: Stage, data: Stage, compute: Compute, *, rows: int, name: str) -> Stage:
    """Logits, prediction and correctness of `model` on every example of `data`, beside its other columns."""
    evaluation = _Evaluation(compute.measuring)
    return Stage("evaluation", 1, evaluation, {"model": model, "data": data}, name, rows)


def logits_of(network: Classifier, images: Column, batch_rows: int, device: str) -> Tensor:
    """As `core.evaluate.logits`, of images that are brought to the device a batch at a time."""
    starts = range(0, max(len(images), 1), batch_rows)
    batches = (to_tensor(images[low : low + batch_rows], device) for low in starts)
    return torch.cat([measures.logits(network, batch, batch_rows) for batch in batches])
