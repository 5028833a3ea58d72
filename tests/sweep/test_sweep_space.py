"""What a sweep may search, and everything that is refused before anything is computed."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import sweeps

from raylab.config import ConfigError, load
from raylab.engine import space
from raylab.engine.space import Distribution
from raylab.sweep.config import Sweep
from raylab.sweep.prepare import prepare

USAGE = {"name": "usage", "cell": {"role": "usage", "network": "standard", "kind": "conflict"}}


def problems(**changes: Any) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        sweeps.prepared(**changes)
    return refused.value.problems


@pytest.mark.parametrize(
    ("path", "distribution", "told"),
    [
        ("attack.epz", {"uniform": [0.5, 1.0]}, "did you mean eps"),
        ("students.det.lr", {"uniform": [-1.0, 0.1]}, "space.students.det.lr"),
        ("students.det.epochs", {"uniform": [1.0, 4.0]}, "space.students.det.epochs"),  # an integer
        ("students.det.optimizer", {"choice": ["adamw", "adam"]}, "adam"),
        ("sources", {"choice": [["mlp"], ["mlpp"]]}, "did you mean 'mlp'"),
        ("seeds", {"choice": [[0], 1]}, "space.seeds"),
    ],
)
def test_a_field_that_does_not_take_all_of_its_distribution_is_refused(
    path: str, distribution: dict[str, Any], told: str
) -> None:
    found = problems(space={path: distribution})
    assert any(told in line for line in found), found
    assert all(line.startswith(f"space.{path}") for line in found), found


def test_all_mistakes_are_told_at_once() -> None:
    found = problems(
        space={"attack.epz": {"uniform": [0.5, 1.0]}, "students.det.lr": {"uniform": [-1.0, 0.1]}},
        objectives=[{"name": "x", "cell": {"roll": "student"}}, {**sweeps.OBJECTIVE, "metric": "acuracy"}],
    )
    for told in ("did you mean eps", "space.students.det.lr", "did you mean role", "did you mean accuracy"):
        assert any(told in line for line in found), (told, found)


def test_every_point_of_a_random_search_is_tried_against_the_rules_between_fields() -> None:
    step = {"students.det.schedule": {"choice": ["step"]}, "students.det.milestones": {"choice": [[3]]}}
    found = problems(space={**step, "students.det.epochs": {"integers": [1, 6]}}, trials=12)
    assert found
    assert all("milestones lie before the last" in line and "epochs=" in line for line in found)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"objectives": [{"name": "x", "cell": {"roll": "student"}}]}, "did you mean role"),
        ({"objectives": [{"name": "x", "cell": {"role": "studnet"}}]}, "did you mean student"),
        ({"objectives": [{**sweeps.OBJECTIVE, "metric": "acuracy"}]}, "did you mean accuracy"),
        ({"objectives": [{"name": "x", "cell": {"role": "network"}}]}, "differ in"),
        ({"final": {"seeds": [0, 9]}}, "fresh ones, but trials use [0]"),
        (
            {"space": {"seeds": {"choice": [[0], [1000], [1]]}}, "sampler": "tpe", "final": {"seeds": [1000]}},
            "fresh ones, but trials use [1000]",
        ),
        (
            {"experiment": "erm", "config": {}, "space": {"train.lr": {"uniform": [0.1, 0.2]}}, "objectives": [USAGE]},
            "judges on no test images",
        ),
        (
            {
                "experiment": "worlds",
                "config": {"without": 1, "having": 1},
                "space": {"attack_steps": {"integers": [1, 3]}},
                "objectives": [{"name": "accuracy", "cell": {"case": "having 0"}}],
            },
            "differ in role",
        ),
        (
            {"final": {"seeds": [7], "beside": [{"name": "training", "cell": {"role": "data"}}]}},
            "final: training: judges on no test images",
        ),
        ({"objectives": [{**sweeps.OBJECTIVE, "name": "done"}]}, "is a name of ours"),
        ({"objectives": [{**sweeps.OBJECTIVE, "name": "judged_on"}]}, "is a name of ours"),
        ({"space": {"students.det.lr": {"grid": [0.1]}}}, "grid belongs to sampler: grid"),
        ({"sampler": "grid"}, "a list for each field"),
        ({"space": {"students.det.lr": {"uniform": [2.0, 1.0]}}}, "low < high"),
        ({"space": {"students.det.lr": {"uniforn": [2.0, 1.0]}}}, "did you mean uniform"),
        ({"scheduler": {"name": "asha"}, "config": {**sweeps.BASE, "seeds": [0, 1]}}, "a mean over 2; take one seed"),
        ({"scheduler": {"name": "fifo", "grace": 4}}, "grace belongs to asha"),
        ({"config": "transfer_matrix/mnits.yaml"}, "did you mean mnist.yaml"),
        ({"config": {**sweeps.BASE, "sauces": ["mlp"]}}, "did you mean sources"),
        ({"constraints": [{"name": "c", "cell": sweeps.STUDENT}]}, "one of at_most and at_least"),
        (
            {"controls": [{"name": "c", "cell": sweeps.STUDENT}], "sampler": "tpe"},
            "tune the control by this same sweep",
        ),
        ({"scheduler": {"name": "pbt"}, "sampler": "tpe"}, "take sampler: random"),
        (
            {"scheduler": {"name": "pbt"}, "space": {"students.det.epochs": {"integers": [5, 9]}}},
            "['epochs'] cannot change during a training",
        ),
        ({**sweeps.PBT, "scheduler": {"name": "pbt", "interval": 8}}, "set interval below that"),
        ({**sweeps.PBT, "space": {"train.lr": {"uniform": [0.1, 0.2]}}}, "that network's own recipe alone"),
        ({**sweeps.PBT, "space": {"attack.eps": {"uniform": [0.1, 0.2]}}}, "that network's own recipe alone"),
    ],
)
def test_a_mistake_is_told_with_its_remedy(changes: dict[str, Any], told: str) -> None:
    found = problems(**changes)
    assert any(told in line for line in found), found


def test_the_controls_are_not_averaged_into_an_objective_unasked() -> None:
    config = {**sweeps.BASE, "controls": {**sweeps.BASE["controls"], "random_labels": True}}
    found = problems(config=config, objectives=[{"name": "x", "cell": {"role": "student", "kind": "det"}}])
    assert len(found) == 1
    assert "differ in control: ['', 'random_labels']" in found[0]


def test_a_longer_random_search_begins_with_the_shorter_one_whatever_else_is_swept() -> None:
    lr, eps = Distribution(loguniform=(1e-4, 1.0)), Distribution(uniform=(0.5, 2.0))
    short = space.random({"lr": lr}, 5, seed=3)
    assert space.random({"lr": lr}, 9, seed=3)[:5] == short
    assert [{"lr": point["lr"]} for point in space.random({"eps": eps, "lr": lr}, 5, seed=3)] == short
    assert space.random({"lr": lr}, 5, seed=4) != short


@pytest.mark.parametrize(
    "one",
    [
        Distribution(uniform=(0.5, 2.0)),
        Distribution(loguniform=(1e-4, 1.0)),
        Distribution(integers=(1, 4)),
        Distribution(choice=("a", "b", "c")),
    ],
)
def test_draws_fill_a_distribution_and_never_leave_it(one: Distribution) -> None:
    drawn = [point["x"] for point in space.random({"x": one}, 2000, seed=0)]
    if one.values:
        assert set(drawn) == set(one.values)
    elif one.integers:
        assert set(drawn) == {1, 2, 3, 4}
    else:
        assert min(drawn) >= one.low
        assert max(drawn) <= one.high
        middle = sum(value < one.at(0.5) for value in drawn) / len(drawn)
        assert middle == pytest.approx(0.5, abs=0.05)  # 4.5 standard errors of 2000 draws


@pytest.mark.parametrize("fields", [1, 3, 6, 8, 12])
def test_corners_show_both_ends_of_every_field_beside_those_of_any_other(fields: int) -> None:
    ranges = {f"f{n}": Distribution(uniform=(0.0, 1.0)) for n in range(fields)}
    found = space.corners(ranges)
    assert found == space.corners(ranges)
    assert len(found) == min(2**fields, 64)
    for one, other in itertools.combinations(ranges, 2):
        assert {(corner[one], corner[other]) for corner in found} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert {tuple({*corner.values()}) for corner in found} >= {(0.0,), (1.0,)}


def test_the_key_names_the_search_and_not_its_report() -> None:
    key = sweeps.prepared().key
    assert sweeps.prepared(study="other", final={"seeds": [50]}, tensorboard=True).key == key
    assert sweeps.prepared(trials=7).key != key
    assert sweeps.prepared(seed=1).key != key
    assert sweeps.prepared(config={**sweeps.BASE, "keep": "success"}).key != key


@pytest.mark.parametrize("path", sorted((sweeps.CONFIGS / "sweep").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_sweep_that_comes_with_it_can_be_prepared(
    path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYLAB_DATA", str(data_root))
    assert path.read_text().startswith("# ")
    assert len(prepare(load(Sweep, path), sweeps.CONFIGS))
