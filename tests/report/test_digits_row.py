"""Row 46 of the scoreboard: what its config counts as, and what any other digits do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import toy

from raylab import runner
from raylab.config import load
from raylab.recipes.transfer_matrix import StudentRecipes, TransferMatrix, plan
from raylab.report.scoreboard.verdict import scored
from raylab.report.transfer.matrix import Matrix, measured
from raylab.report.transfer.scoreboard import evidence
from raylab.runner import InlineBackend
from raylab.stages.construction import Attack
from raylab.stages.dataset import DigitsData
from raylab.stages.recipe import Recipe
from raylab.store import Store

PATH = Path(__file__).parents[2] / "configs" / "transfer_matrix" / "digits_eps1.5.yaml"
SMALL = ["data.per_class=10", "seeds=[0, 1]", "train.epochs=1", "attack.steps=3", "attack.step_size=0.5"]


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    config = load(TransferMatrix, PATH, SMALL)
    store = Store(str(tmp_path_factory.mktemp("store")))
    return measured(config, "k" * 64, runner.build(plan(config), store, InlineBackend(), toy.Recorder()))


def protocols(matrix: Matrix, **changed: Any) -> set[str]:
    config = load(TransferMatrix, PATH).model_copy(update=changed)
    return {one.protocol for one in evidence(replace(matrix, config=config)) if one.row == 46}


def test_the_row_s_numbers_are_those_of_the_matrix(matrix: Matrix) -> None:
    found = {one.name: one for one in evidence(matrix) if one.row == 46}
    by_kind = {row.kind: row for row in matrix.rows}
    assert found["rand"].ours == by_kind["rand"].accuracy
    assert found["det"].ours == by_kind["det"].accuracy
    assert found["relabelled"].ours == by_kind["det"].p1
    assert found["det above relabelled"].ours == by_kind["det"].above_p1
    assert {one.protocol for one in found.values()} == {"100 training images; L2 1.5, 3 steps of 0.5; 1 epoch"}
    assert scored(found.values())[45].code in ("same_direction", "inconclusive", "contradicted")


def test_only_the_recipe_that_is_stated_is_the_published_protocol(matrix: Matrix) -> None:
    """With the config as it is, only the size of this small run differs."""
    size = "100 training images"
    assert protocols(matrix) == {size}
    assert protocols(matrix, train=load(TransferMatrix, PATH).train.model_copy(update={"batch_size": 32})) == {size}
    assert protocols(matrix, data=DigitsData(train_rows=1400)) == {f"{size}; a normalising layer"}
    other = "learning rate 0.002, one_cycle schedule"
    assert protocols(matrix, train=Recipe(epochs=40)) == {f"{size}; {other}"}
    assert protocols(matrix, students=StudentRecipes(det=Recipe(epochs=40))) == {size, f"{size}; {other}"}
    assert protocols(matrix, network_lr={"mlp": 0.1}) == {f"{size}; learning rate 0.1"}
    assert protocols(matrix, attack=Attack(eps=1.5, steps=20)) == {f"{size}; L2 1.5, 20 steps of 0.188"}
    assert protocols(matrix, attack=Attack(eps=1.0, steps=100)) == set()
