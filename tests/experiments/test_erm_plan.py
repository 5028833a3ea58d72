"""The plan of the planet: whose stages it shares, what its worlds hold constant, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raylab.config import ConfigError, load
from raylab.core.seefar import World
from raylab.experiments import transfer as transfer_matrix
from raylab.experiments import worlds
from raylab.experiments.erm import Erm, ErmCell, plan
from raylab.experiments.erm.plan import EXPLAINED, NETWORKS, NO_TOOGITS, TOOGITS
from raylab.experiments.robust import RobustFeatures
from raylab.experiments.robust import plan as robust_plan
from raylab.experiments.transfer import TransferMatrix
from raylab.experiments.worlds import WorldStudy
from raylab.stages.dataset import SeeFarData

CONFIGS = Path(__file__).parent.parent.parent / "configs"
ONE: dict[str, Any] = {"seeds": (0,)}


def test_networks_are_those_of_the_other_experiments_so_that_one_plan_trains_them_once() -> None:
    planned = plan(Erm(**ONE))
    matrix = transfer_matrix.plan(load(TransferMatrix, CONFIGS / "transfer_matrix/demo/seefar.yaml", ["seeds=[0]"]))
    sets = robust_plan(RobustFeatures(**ONE))
    others = {stage.key for stage in (*matrix.values(), *sets.values())}
    for name in NETWORKS:
        assert planned[ErmCell("network", "usage", 0, name)].key in others
        assert planned[ErmCell("test", "usage", 0, name)].key in others
    assert planned[ErmCell("set", "usage", 0)].key in others
    # The standard network is also the one of 16 pixels a side, in the world that has toogits.
    standard = planned[ErmCell("network", "usage", 0, "standard")].key
    assert planned[ErmCell("test", "dimension", 0, kind=TOOGITS, size=16)].inputs["model"].key == standard


def test_digits_are_those_of_the_matrix() -> None:
    planned = plan(Erm(data=None))
    matrix = transfer_matrix.plan(TransferMatrix(seeds=(0,)))
    assert {cell.part for cell in planned if isinstance(cell, ErmCell)} == {"digits"}
    assert planned[ErmCell("set", "digits", 0)].key in {stage.key for stage in matrix.values()}


def test_every_network_is_shown_every_probe_and_four_are_explained() -> None:
    cells = [cell for cell in plan(Erm(**ONE)) if isinstance(cell, ErmCell)]
    shown = {(cell.network, cell.kind) for cell in cells if cell.role == "usage" and cell.part == "usage"}
    assert len(shown) == 3 * len(NETWORKS)
    assert [cell.network for cell in cells if cell.role == "explanation"] == list(EXPLAINED)


def test_larger_images_keep_the_norms_of_shapes_and_toogits() -> None:
    planned = plan(Erm(**ONE, dimension={"sizes": (16, 32, 48)}))
    found = {}
    for size in (16, 32, 48):
        data = planned[ErmCell("test", "dimension", 0, kind=TOOGITS, size=size)].inputs["data"]
        given: SeeFarData = data.config.data  # type: ignore[attr-defined]
        world = given.world(0)
        assert world.size == size
        found[size] = (world.shape_amplitude * size, world.clutter * size, world.toogit_amplitude, world.noise)
    assert found[16] == pytest.approx((3.2, 1.6, 0.6, 0.02))
    assert found[32] == pytest.approx(found[16])
    assert found[48] == pytest.approx(found[16])


@pytest.mark.parametrize("size", [32, 48])
def test_shapes_of_larger_images_are_the_same_shapes_and_move_by_the_same_share(size: int) -> None:
    small, large = World(2), World(2, size=size)
    step = size // 16
    for feature in (small.shapes, small.shapes[::-1]):
        assert feature.shape == (10, 16, 16)
    for one, other in zip(small.shapes, large.shapes, strict=True):
        assert one == pytest.approx(other[::step, ::step], abs=1e-9)
    assert large.shifts == tuple((step * y, step * x) for y, x in small.shifts)


def test_trainings_with_more_data_see_as_many_images() -> None:
    planned = plan(Erm(**ONE))
    for rows in (500, 2000, 9000):
        network = planned[ErmCell("test", "more_data", 0, kind=NO_TOOGITS, size=rows)].inputs["model"]
        assert network.config.recipe.epochs * rows == 18_000  # type: ignore[attr-defined]


def test_a_world_without_toogits_has_no_other_world_beside_it() -> None:
    silent = Erm(**ONE, data=SeeFarData(name="seefar", toogit_reliability=0.1))
    kinds = {cell.kind for cell in plan(silent) if isinstance(cell, ErmCell) and cell.part == "more_data"}
    assert kinds == {NO_TOOGITS}


def test_worlds_to_judge_are_part_of_the_plan() -> None:
    judged = WorldStudy(split="held_out", without=1, having=1, seeds=2, reliance=True)
    planned = plan(Erm(data=None, digits=None, worlds=judged))
    assert planned == worlds.plan(judged)


def test_parts_that_are_null_are_left_out() -> None:
    bare = plan(Erm(**ONE, more_data=None, dimension=None, explain=None, digits=None, restricted=None))
    assert {cell.part for cell in bare if isinstance(cell, ErmCell)} == {"usage"}
    assert not {cell.network for cell in bare if isinstance(cell, ErmCell)} & {"r_image", "nr_image"}


@pytest.mark.parametrize("name", ["worlds", "no_toogits", "full"])
def test_the_configs_are_configs(name: str) -> None:
    config = load(Erm, CONFIGS / "erm" / f"{name}.yaml")
    if name == "worlds":
        assert config.worlds is not None
        assert config.worlds.first >= 110  # cases up to there were looked at when the thresholds were fixed
        assert config.worlds.without == config.worlds.having


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["data=null", "digits=null"], "all null"),
        (["dimension={sizes: [16, 24]}"], "multiples of 16"),
        (["dimension={sizes: [32, 16]}"], "increasing"),
        (["more_data={rows: [100, 50]}"], "increasing"),
        (["more_data={rows: [100, 500], passes: 400}"], "at least one epoch of 500 rows"),
        (["explain={sigmas: [0.1, 0.2]}"], "increasing from 0"),
        (["attacked_rows=2000"], "at most the 1000 test images"),
        (["data.size=32"], "`dimension` changes it"),
        (["train={adversary: {eps: 0.5}}"], "trained in the standard way"),
        (["eps=[0.8, 0.4]"], "increasing"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_number(change: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(Erm, "study: x", change)
