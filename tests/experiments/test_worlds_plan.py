"""Worlds for the calibration: drawn by number alone, never shared, and never seen before in the held-out split."""

from __future__ import annotations

from dataclasses import fields

import pytest

from raylab.config import ConfigError, load
from raylab.core.flips import flippable
from raylab.experiments import transfer as transfer_matrix
from raylab.experiments.transfer import TransferMatrix
from raylab.experiments.worlds.config import SplitName, WorldStudy
from raylab.experiments.worlds.plan import DEAREST, RANGES, SAYS_NOTHING, cases, plan
from raylab.stages.dataset import SeeFarData


def data(case: TransferMatrix) -> SeeFarData:
    assert isinstance(case.data, SeeFarData)
    return case.data


def drawn(split: SplitName, count: int = 60) -> dict[str, TransferMatrix]:
    return cases(WorldStudy(split=split, without=count, having=count))


def test_the_held_out_split_shares_no_value_and_no_world_with_the_calibration() -> None:
    one, other = RANGES["calibration"], RANGES["held_out"]
    for field in fields(one):
        if field.name != "first_world":
            assert not set(getattr(one, field.name)) & set(getattr(other, field.name)), field.name
    worlds = [seed for split in RANGES for case in drawn(split).values() for seed in case.seeds]
    assert len(set(worlds)) == len(worlds)


def test_a_case_depends_on_its_number_alone() -> None:
    few, many = drawn("held_out", 3), drawn("held_out", 9)
    assert {name: many[name] for name in few} == few
    later = cases(WorldStudy(split="held_out", without=2, having=2, first=7))
    assert later == {name: many[name] for name in ("without 7", "without 8", "having 7", "having 8")}


def test_cases_differ_and_cover_the_ranges() -> None:
    found = drawn("calibration")
    assert {case.attack.eps for case in found.values()} == set(RANGES["calibration"].eps)
    assert {data(case).train_rows for case in found.values()} == set(RANGES["calibration"].train_rows)
    assert len({(c.attack.eps, c.data, c.train.epochs, c.sources, c.targets) for c in found.values()}) > 100
    assert max(data(case).train_rows * case.train.epochs for case in found.values()) <= DEAREST


def test_worlds_without_have_no_toogit_that_tells_and_the_others_one_that_the_radius_turns() -> None:
    for name, case in drawn("calibration").items():
        says = data(case).toogit_amplitude > 0 and data(case).toogit_reliability > SAYS_NOTHING
        assert says == name.startswith("having")
        if says:
            assert flippable(data(case).world(case.seeds[0]), "toogit", case.attack.eps, 50) == 1.0


def test_the_plan_is_that_of_every_case() -> None:
    config = WorldStudy(without=1, having=2, seeds=2)
    cells = plan(config)
    assert {cell.case for cell in cells} == {"without 0", "having 0", "having 1"}
    alone = transfer_matrix.plan(cases(config)["having 1"])
    assert {cell.of_matrix: stage.key for cell, stage in cells.items() if cell.case == "having 1"} == {
        cell: stage.key for cell, stage in alone.items()
    }
    assert {cell.control for cell in cells if cell.role == "student"} == {"", "unperturbed", "robust"}


@pytest.mark.parametrize("changed", [{"seeds": 1}, {"without": 0}, {"split": "test"}])
def test_what_cannot_be_judged_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(changed))):
        WorldStudy.model_validate(changed)


def test_the_old_name_of_reliance_is_still_read() -> None:
    assert load(WorldStudy, "{usage: true}") == WorldStudy(reliance=True)
    with pytest.raises(ConfigError, match="usage"):
        load(WorldStudy, "{usage: true, reliance: true}")


def test_reliance_adds_four_cells_a_world_and_changes_no_other() -> None:
    plain, asked = (
        plan(WorldStudy(without=1, having=1, seeds=2)),
        plan(WorldStudy(without=1, having=1, seeds=2, reliance=True)),
    )
    assert {cell: asked[cell].key for cell in plain} == {cell: stage.key for cell, stage in plain.items()}
    added = [cell for cell in asked if cell not in plain]
    assert sorted(cell.role for cell in added) == ["alone"] * 8 + ["oracles"] * 4 + ["usage"] * 4
    assert all(bool(cell.source) == (cell.role != "oracles") for cell in added)
    assert {cell.kind for cell in added if cell.role == "alone"} == {"", "det"}


def test_toogits_alone_are_shown_to_the_very_networks_of_the_matrix() -> None:
    asked = plan(WorldStudy(without=1, having=1, seeds=2, reliance=True))
    shown = {cell: stage for cell, stage in asked.items() if cell.role == "alone"}
    assert len(shown) == 8
    for cell, stage in shown.items():
        assert stage.inputs["model"].key == asked[cell._replace(role="network")].key
