"""Real matrices that take a second or two: few rows, one or two epochs, everything in this process."""

from __future__ import annotations

from typing import Any

import toy

from raylab import runner
from raylab.experiments.transfer import Cell, Controls, TransferMatrix, plan
from raylab.identity import fingerprint
from raylab.runner import InlineBackend
from raylab.stages.construction import Attack
from raylab.stages.dataset import DigitsData, SeeFarData
from raylab.stages.recipe import Recipe
from raylab.store import Store
from raylab.study import Built

SMALL: dict[str, Any] = {
    "attack": Attack(steps=3),
    "train": Recipe(epochs=2, batch_size=32),
    "neighbours": 100,
}
DIGITS = TransferMatrix(
    data=DigitsData(per_class=12),
    sources=("linear", "mlp"),
    targets=("linear", "mlp"),
    seeds=(0, 1),
    controls=Controls(random_label_epochs=2, sources=("mlp",)),
    **SMALL,
)
SEEFAR = TransferMatrix(
    study="seefar",
    data=SeeFarData(name="seefar", train_rows=200, test_rows=60),
    sources=("mlp",),
    targets=("mlp",),
    kinds=("rand",),
    seeds=(0,),
    controls=Controls(random_labels=False, untrained=False),
    **SMALL,
)


def built(config: TransferMatrix, store: Store) -> Built[TransferMatrix, Cell]:
    artifacts = runner.build(plan(config), store, InlineBackend(), toy.Recorder())
    return Built(config, fingerprint(config), artifacts)
