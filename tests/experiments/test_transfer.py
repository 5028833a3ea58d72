"""The table from per-example results that were written by hand, against numbers that were counted by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import artifact

from raylab.engine.artifact import Artifact
from raylab.engine.store import Store
from raylab.engine.study import Built
from raylab.experiments.transfer import Matrix, TransferCell, TransferMatrix, examples, measure
from raylab.experiments.transfer.measure import TRANSFER, points
from raylab.experiments.transfer.verdict import NOT_BUILT, verdict
from raylab.stages.robustness import Robustness

CONFIG = TransferMatrix(
    sources=("mlp",),
    targets=("linear",),
    kinds=("det",),
    seeds=(0, 1),
    neighbours=0,
    robustness=Robustness(eps=(0.25,), ensemble=None),
)
IDS = [10, 11, 12, 13]  # four test images, of the classes 0, 1, 2, 3


def evaluated(said: list[int], labels: list[int] | None = None) -> dict[str, Any]:
    """Four images and what a network says of them."""
    label = np.array([0, 1, 2, 3] if labels is None else labels)
    return {
        "id": np.array(IDS),
        "label": label,
        "logits": np.eye(4)[said],
        "prediction": np.array(said),
        "correct": np.array(said) == label,
        "next_class": np.array(said) == (label + 1) % 4,
    }


def judged(said: list[int], label: list[int], source_says: list[int]) -> dict[str, Any]:
    """Attacked images: their new label, what the source makes of them, and what an independent network says."""
    rows = evaluated(said, label)
    return rows | {"source_label": np.array([0, 1, 2, 3]), "source_prediction": np.array(source_says)}


def attacked(success: int, other: int = 1, aim: str = "det") -> dict[str, Any]:
    """Four images, so many of which were led to the next class (untargeted: to another one) by each iterate."""
    label = np.arange(4)
    target = label if aim == "untargeted" else (label + 1) % 4
    said = {
        name: np.where(label < led, (label + 1) % 4, label) for name, led in (("source", success), ("other", other))
    }
    predictions = {f"{name}_prediction": one for name, one in said.items()}
    return {"id": np.array(IDS), "label": target, "source_label": label, **predictions}


def margins(*stands: bool) -> dict[str, Any]:
    """Of four images under PGD, which stand under the ensemble too."""
    ensemble = np.where(stands, 1.0, -1.0)[:, None]
    return {"id": np.array(IDS), "pgd_margin": np.ones((4, 1)), "ensemble_margin": ensemble}


def measured(made: dict[TransferCell, Artifact], config: TransferMatrix = CONFIG) -> Matrix:
    return measure(Built(config, "key", made))


@pytest.fixture
def made(tmp_path: Path) -> dict[TransferCell, Artifact]:
    store = Store(str(tmp_path))
    found: dict[TransferCell, Artifact] = {}

    def add(cell: TransferCell, rows: Mapping[str, Any], at: str = "2026-01-01", **metrics: object) -> None:
        found[cell] = artifact(store, str(tuple(cell)), rows, {"n": 4, **metrics}, at)

    det = {"source": "mlp", "target": "linear", "kind": "det"}
    students = {0: [0, 1, 2, 0], 1: [0, 2, 3, 0]}  # 3 of 4 right; then 1 right, 3 next classes
    unperturbed = {0: [1, 2, 3, 0], 1: [0, 2, 3, 1]}  # 0 right; then 1
    standard = {0: [0, 1, 2, 0], 1: [0, 1, 2, 3]}  # the first errs on the last image
    for seed in (0, 1):
        add(TransferCell("data", seed), {"id": IDS}, note="", class_names=("a", "b", "c", "d"))
        add(TransferCell("student", seed, **det), evaluated(students[seed]), at=f"2026-01-0{2 + seed}")
        add(TransferCell("student", seed, "", "linear", "det", "unperturbed"), evaluated(unperturbed[seed]))
        add(TransferCell("standard", seed, target="linear"), evaluated(standard[seed]), accuracy=(0.75, 1.0)[seed])
        add(TransferCell("source", seed, "mlp"), evaluated([0, 1, 2, 3]), accuracy=1.0)
        add(TransferCell("set", seed, "mlp", "", "det"), attacked((2, 3)[seed]))
        # Towards label + 1: the source gives in on images 0, 1 and 3, the independent network on 0 and 2; it also
        # errs on 3.
        towards = judged([1, 1, 3, 2], label=[1, 2, 3, 0], source_says=[1, 2, 2, 0])
        add(TransferCell("transfer", seed, "mlp", "linear", "det"), towards)
        # Away from the label: the source errs on 0, 1 and 2; the network makes its error on 0, another on 1.
        away = judged([3, 0, 2, 3], label=[0, 1, 2, 3], source_says=[3, 2, 1, 3])
        add(TransferCell("transfer", seed, "mlp", "linear", "untargeted"), away)
    return found


def test_means_are_over_seeds_and_differences_are_paired(made: dict[TransferCell, Artifact]) -> None:
    row = measured(made).row("mlp", "linear", "det")
    assert [row.accuracy[seed].mean for seed in (0, 1)] == [0.75, 0.25]
    assert row.accuracy.mean.mean == 0.5
    # sd .3536 / sqrt(2), and the covariance of two networks' errors on four images that both were tested on.
    assert row.accuracy.mean.se == pytest.approx(math.sqrt(0.25**2 + 0.0625 / 4))
    assert (row.accuracy.mean.n, row.accuracy.mean.seeds) == (8, 2)
    assert row.p1.mean.mean == pytest.approx((1 / 4 + 3 / 4) / 2)  # image 3 called 0 is a next class, too
    assert row.success.mean.mean == pytest.approx(0.625)
    assert row.success_other.mean.mean == pytest.approx(0.25)
    assert row.controls["unperturbed"].mean.mean == pytest.approx(0.125)
    assert row.above["unperturbed"].mean.mean == pytest.approx((0.75 + 0.0) / 2)
    assert set(row.controls) == {"unperturbed"}
    assert not row.neighbours_target
    # .75 and 0: the spread of two differences holds the sampling of their images, and no image moved in both seeds.
    assert row.above["unperturbed"].mean.se == pytest.approx(0.375)


def test_transfer_is_counted_from_the_answers_and_joined_by_id(made: dict[TransferCell, Artifact]) -> None:
    rates = measured(made).row("mlp", "linear", "det").transfer
    assert rates["targeted"][0].mean == 0.5
    assert rates["targeted_misclassified"][0].mean == 0.75
    # Of those that the source takes for the target (0, 1, 3) seed 0's network has 0 and 1 right when clean.
    assert rates["targeted_given_fooled"][0].mean == 0.5
    assert rates["targeted_given_fooled"][0].n == 2
    assert rates["targeted_given_fooled"][1].mean == pytest.approx(1 / 3)
    assert rates["untargeted"][0].mean == 0.5
    assert rates["untargeted_same_class"][0].mean == 0.25
    assert rates["untargeted_same_class_given_fooled"][0].mean == pytest.approx(1 / 3)
    assert rates["targeted_given_fooled"].mean.mean == pytest.approx((1 / 2 + 1 / 3) / 2)


def test_the_points_of_the_scatter_are_seeds(made: dict[TransferCell, Artifact]) -> None:
    (row,) = measured(made).rows
    assert list(points(row)) == [(0, 0.5, 0.75), (1, 0.5, 0.25)]


def test_what_is_planned_and_absent_is_a_number_of_no_seeds(made: dict[TransferCell, Artifact]) -> None:
    lacking = [cell for cell in made if cell.control == "unperturbed" or cell.role in ("set", "transfer")]
    here = {cell: one for cell, one in made.items() if cell not in lacking}
    (row,) = measure(Built(CONFIG, "key", here, dict.fromkeys(lacking, "it failed"))).rows
    assert not row.controls["unperturbed"]
    assert not row.success
    assert not row.transfer[TRANSFER]
    assert row.accuracy.mean.mean == 0.5
    assert verdict(row).badge == NOT_BUILT


def test_one_seed_keeps_the_error_of_its_sample(made: dict[TransferCell, Artifact]) -> None:
    config = CONFIG.model_copy(update={"seeds": (0,)})
    row = measured(made, config).row("mlp", "linear", "det")
    assert row.accuracy.mean.seeds == 1
    assert row.accuracy.mean.se == pytest.approx(math.sqrt(0.75 * 0.25 / 4))
    assert row.success.mean.se == pytest.approx(math.sqrt(0.5 * 0.5 / 4))


def test_examples_join_all_students_with_their_cells(made: dict[TransferCell, Artifact]) -> None:
    table = examples(measured(made))
    assert table.num_rows == 4 * 2 * 2  # images, seeds, student and control
    controls = table.column("control").to_pylist()
    assert controls.count("unperturbed") == controls.count("") == 8
    correct = [c for c, o in zip(table.column("correct").to_pylist(), controls, strict=True) if o == ""]
    assert sum(correct) == 4


def test_the_robust_source_is_read_with_its_own_accuracy_success_and_warnings(
    made: dict[TransferCell, Artifact], tmp_path: Path
) -> None:
    store = Store(str(tmp_path / "robust"))

    def add(cell: TransferCell, said: Mapping[str, Any] | None = None, **metrics: object) -> None:
        made[cell] = artifact(store, str(tuple(cell)), said or {"id": IDS}, {"n": 4, **metrics}, "2026-01-01")

    for seed in (0, 1):
        add(TransferCell("source", seed, "mlp", control="robust"), evaluated([0, 1, 2, 0]))  # 3 right
        add(TransferCell("attacked", seed, "mlp", "", "untargeted"), attacked((3, 4)[seed], aim="untargeted"))
        blind = ((), ("zero gradients",))[seed]
        add(
            TransferCell("attacked", seed, "mlp", "", "untargeted", "robust"),
            attacked(1, aim="untargeted"),
            warnings=blind,
        )
        add(TransferCell("set", seed, "mlp", "", "det", "robust"), attacked((0, 2)[seed]))
        add(TransferCell("student", seed, "mlp", "linear", "det", "robust"), evaluated([0, 2, 3, 0]))  # 1 right, 3 next
        add(TransferCell("network", seed, "mlp", control="robust"), collapse=(None, "it collapsed")[seed])
        stands = margins(True, False, False, seed == 0)
        add(TransferCell("robustness", seed, "mlp", "linear", "det"), stands, eps=(0.25,), warnings=("masked",))
        add(TransferCell("set", seed, "mlp", "", "det", "leakage"), rows=4, unperturbed=1)
        add(TransferCell("student", seed, "mlp", "linear", "det", "leakage"), evaluated([0, 2, 3, 0]))
    (row,) = measured(made).rows
    assert row.robust_accuracy
    assert row.robust_accuracy.mean.mean == pytest.approx(0.125)
    assert row.robust is not None
    assert (row.robust.accuracy.mean.mean, row.robust.robust_accuracy.mean.mean) == (0.75, 0.75)
    assert (row.robust.success.mean.mean, row.robust.p1.mean.mean) == (0.25, 0.75)
    assert row.robust.warnings == ("seed 1: it collapsed", "seed 1: zero gradients")
    assert row.controls["robust"].mean.mean == 0.25
    assert row.above["robust"].mean.mean == pytest.approx(0.25)  # 3 and 1 of 4 right, against 1
    assert row.above_p1
    assert row.above_p1.mean.mean == pytest.approx((0.75 - 0.25 + 0.25 - 0.75) / 2)
    assert row.robustness[0.25].mean.mean == 0.375
    # Spread of .5 and .25, and the covariance of two networks that both have the first image alone of the same four.
    assert row.robustness[0.25].mean.se == pytest.approx(math.sqrt(0.125**2 + 0.125 / 4), rel=1e-5)
    # .25 and 0 withstand: nobody errs in the second, so nothing is in common.
    assert row.robust_accuracy.mean.se == pytest.approx(0.125)
    # Both leave three of the same four images: each counts once, not twice (and rounding may hide a difference).
    assert row.robust.robust_accuracy.mean.se == pytest.approx(math.sqrt(0.1875 / 4 + 1 / (18 * 4**2 * 2)), rel=1e-5)
    assert row.warnings == ("seed 0: masked", "seed 1: masked")
    assert row.unperturbed
    assert row.unperturbed.mean.mean == 0.25
    assert "leakage" not in row.control_success  # nothing attacked its images
