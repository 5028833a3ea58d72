"""Real matrices that take a second or two, in this process, and artifacts that are written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import toy

from raylab.engine import columns, runner
from raylab.engine.artifact import Artifact
from raylab.engine.identity import fingerprint
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Stage
from raylab.engine.store import Store
from raylab.engine.study import Built
from raylab.experiments.transfer import Controls, TransferCell, TransferMatrix, plan
from raylab.stages.construction import Attack
from raylab.stages.dataset import DigitsData, SeeFarData
from raylab.stages.recipe import Recipe

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


def built(config: TransferMatrix, store: Store) -> Built[TransferMatrix, TransferCell]:
    artifacts = runner.build(plan(config), store, InlineBackend(), toy.Recorder())
    return Built(config, fingerprint(config), artifacts)


def artifact(store: Store, name: str, rows: Mapping[str, Any], metrics: Mapping[str, object], at: str = "") -> Artifact:
    """Of rows that were written by hand."""
    stage = Stage("handmade", 1, name, {}, name)
    table = columns.to_table({column: np.asarray(values) for column, values in rows.items()})
    part = store.put_part(stage, "part-00000.parquet", columns.to_parquet(table), table.num_rows)
    return store.commit(stage, [part], metrics, {"finished": at, "commit": name})
