"""The plan of robust and non-robust sets: what each is made from, what students share, what is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from raylab.config import load
from raylab.core import networks
from raylab.engine.stage import Stage, closure
from raylab.experiments.robust import RobustCell, RobustFeatures, plan
from raylab.experiments.robust.config import SETS as ALL
from raylab.stages.dataset import DigitsData, KnownData, SeeFarData
from raylab.stages.inversion import Inversion
from raylab.stages.recipe import Adversary, Recipe
from raylab.stages.robustness import Robustness

SETS = ALL[:6]  # the two released ones are read, not made
CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "robust_features").rglob("*.yaml"))
STUDENTS = ("mlp_bottleneck16", "mlp")
ATTACKED = Adversary(eps=0.8)
PART_OF_CIFAR10, SUBSET = KnownData(name="cifar10", fraction=0.5), KnownData(name="cifar10_lossless_subset")


def small(**changed: Any) -> dict[RobustCell, Stage]:
    return plan(RobustFeatures(**{"students": STUDENTS, "seeds": (0, 1), **changed}))


def network(cells: dict[RobustCell, Stage], of: str, name: str, seed: int = 0) -> Any:
    """The identity of a trained network."""
    return cells[RobustCell("network", seed, of, name)].config


def test_every_set_has_its_students_and_every_student_is_asked_everything() -> None:
    roles = Counter(cell.role for cell in small())
    sets, students, seeds = len(SETS), len(STUDENTS), 2
    trained = (sets + 1) * students + 1  # on D too, and the adversarially trained source
    assert roles["set"] == sets * seeds
    assert roles["network"] == (trained + 1) * seeds  # and D_NR's source
    assert roles["test"] == roles["network"]
    assert roles["robust"] == roles["usage"] == trained * seeds
    assert roles["own"] == roles["moved"] == students * seeds


@pytest.mark.parametrize(("name", "of", "start"), [
    ("r_image", "adversarial", True), ("r_noise", "adversarial", False),
    ("nr_image", "standard", True), ("nr_noise", "standard", False),
])  # fmt: skip
def test_a_set_is_made_by_its_own_source_from_its_own_start(name: str, of: str, start: bool) -> None:
    cells = small()
    made = cells[RobustCell("set", 1, name)]
    assert made.inputs["model"].key == cells[RobustCell("network", 1, of, "mlp_bottleneck16")].key
    assert made.inputs["data"].key == cells[RobustCell("data", 1)].key
    assert ("start" in made.inputs) == start


def test_only_the_robust_source_and_the_references_are_attacked_in_training() -> None:
    cells = small(references=("mlp",))
    attacked = {
        (cell.set, cell.network)
        for cell, stage in cells.items()
        if cell.role == "network" and stage.config.recipe.adversary is not None  # type: ignore[attr-defined]
    }
    assert attacked == {("adversarial", "mlp_bottleneck16"), ("adversarial", "mlp")}


def test_test_images_are_inverted_from_training_images() -> None:
    cells = small()
    moved = cells[RobustCell("test_set", 0, "r_image")]
    assert moved.inputs["data"].config.split == "test"  # type: ignore[attr-defined]
    assert moved.inputs["start"].key == cells[RobustCell("data", 0)].key
    assert moved.inputs["model"].key == cells[RobustCell("set", 0, "r_image")].inputs["model"].key


def test_students_of_one_architecture_differ_in_their_images_alone() -> None:
    cells = small()
    for name in STUDENTS:
        identities = {(c.seed, c.recipe) for c in (network(cells, of, name) for of in ("clean", *SETS))}
        assert len(identities) == 1
        data = {cells[RobustCell("network", 0, of, name)].inputs["data"].key for of in ("clean", *SETS)}
        assert len(data) == 1 + len(SETS)


def test_sources_and_the_student_of_one_architecture_begin_apart() -> None:
    cells = small()
    seeds = {network(cells, of, "mlp_bottleneck16").seed for of in ("standard", "adversarial", "clean")}
    assert len(seeds) == 3


def test_a_seed_changes_the_world_both_sources_the_starts_and_the_students() -> None:
    cells = small()
    for of in ("standard", "adversarial", "clean"):
        assert network(cells, of, "mlp_bottleneck16", 0).seed != network(cells, of, "mlp_bottleneck16", 1).seed
    first, second = (cells[RobustCell("set", seed, "r_noise")] for seed in (0, 1))
    assert first.config.seed != second.config.seed  # type: ignore[attr-defined]
    assert first.inputs["data"].key != second.inputs["data"].key


def test_the_blur_is_made_of_d_after_d_r() -> None:
    cells = small()
    made = closure([cells[RobustCell("set", 0, "filtered")]])
    assert cells[RobustCell("data", 0)].key in {stage.key for stage in made}
    inverted = [stage.key for stage in made if stage.kind == "inverted"]
    assert inverted == [cells[RobustCell("set", 0, "r_image")].key]


def test_the_shift_is_one_attack_on_the_own_images_and_on_test_images_made_alike() -> None:
    cells = small()
    own, moved, test = (cells[RobustCell(role, 0, "r_image", "mlp")] for role in ("own", "moved", "robust"))
    assert own.config == moved.config
    assert own.config.robustness.eps == (0.8,)  # type: ignore[attr-defined]
    assert own.config.robustness.ensemble is None  # type: ignore[attr-defined]
    assert own.inputs["model"].key == moved.inputs["model"].key == test.inputs["model"].key
    assert own.inputs["data"].key == cells[RobustCell("set", 0, "r_image")].key
    assert moved.inputs["data"].key == cells[RobustCell("test_set", 0, "r_image")].key


def test_everything_is_measured_on_the_untouched_test_images() -> None:
    for cell, stage in small().items():
        if cell.role in ("test", "robust"):
            assert stage.inputs["data"].kind == "data"
            assert stage.inputs["data"].config.split == "test"  # type: ignore[attr-defined]


def test_recipes_are_by_set_and_learning_rates_by_network() -> None:
    cells = small(student_on={"r_image": Recipe(epochs=3)}, network_lr={"mlp": 0.01})
    assert [network(cells, of, "mlp").recipe.epochs for of in ("clean", "r_image", "nr_image")] == [8, 3, 8]
    assert [network(cells, "r_image", name).recipe.lr for name in STUDENTS] == [2e-3, 0.01]


def test_another_radius_needs_no_other_set() -> None:
    made = {stage.key for stage in closure(small().values()) if stage.kind in ("inverted", "network")}
    other = small(eps=0.5, robustness=Robustness(eps=(0.5,)))
    assert {stage.key for stage in closure(other.values()) if stage.kind in ("inverted", "network")} == made


def test_what_is_known_of_see_far_is_asked_only_there() -> None:
    assert not [cell for cell in small(data=DigitsData()) if cell.role == "usage"]


@pytest.mark.parametrize(("changed", "said"), [
    ({"adversarial": Recipe()}, "adversary: trained against one, got none"),
    ({"train": Recipe(adversary=ATTACKED)}, "adversary: trained in the standard way"),
    ({"student_on": {"r_image": Recipe(adversary=ATTACKED)}}, "adversary: trained in the standard way"),
    ({"from_image": Inversion(start="noise")}, "from_image.start is image"),
    ({"from_noise": Inversion(start="image")}, "from_noise.start is noise"),
    ({"sets": ("nr_image", "filtered")}, "r_image is what all others are compared with"),
    ({"sets": ("r_image", "r_image")}, "each at most once"),
    ({"references": ("mlp", "mlp")}, "each at most once"),
    ({"sets": ("r_image", "released_r")}, "released_r is of cifar10, got seefar"),
    ({"released_network": "cifar_l2_0_5.pt"}, "released_network is of cifar10, got seefar"),
    ({"sets": ("r_image", "released_r"), "data": PART_OF_CIFAR10}, "all of cifar10 beside released_r, which is whole"),
    ({"sets": ("r_image", "released_r"), "data": SUBSET}, "released_r is of cifar10, got cifar10_lossless_subset"),
    ({"eps": 0.75}, "eps is one of robustness.eps"),
    ({"robustness": Robustness(eps=(0.2, 0.8), ensemble_eps=(0.2,))}, "robustness.ensemble_eps holds eps"),
    ({"robustness": Robustness(norm="linf", eps=(0.2, 0.8))}, "robustness.norm: l2, the adversary's"),
    ({"student_on": {"released_r": Recipe()}}, "student_on"),
    ({"source": "mlp_botleneck16"}, "did you mean 'mlp_bottleneck16'"),
])  # fmt: skip
def test_what_cannot_be_is_refused_with_its_remedy(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RobustFeatures(**changed)


def test_a_source_without_a_relu_is_refused_before_anything_runs() -> None:
    with pytest.raises(ValueError, match="identity_relu: linear has no ReLU"):
        small(source="linear")
    small(source="linear", **{name: Inversion(start=start, identity_relu=False) for name, start in (
        ("from_image", "image"), ("from_noise", "noise"))})  # fmt: skip


def test_a_plan_computes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small()  # what a network's features are is asked once a process
    monkeypatch.setattr(networks.Network, "forward", lambda *_: pytest.fail("a network was asked"))
    assert {c: s.key for c, s in small().items()} == {c: s.key for c, s in small().items()}
    assert list(tmp_path.iterdir()) == []


def test_the_demo_is_the_embedded_default_at_one_world() -> None:
    (demo,) = (load(RobustFeatures, path) for path in CONFIGS if path.parent.name == "demo")
    default = RobustFeatures()
    assert isinstance(default.data, SeeFarData)
    assert demo == default.model_copy(update={"seeds": (0,)})


def test_layers_are_asked_of_networks_of_one_architecture_and_can_be_left_out() -> None:
    cells = small()
    asked = {cell: stage for cell, stage in cells.items() if cell.role == "layers"}
    assert {(cell.set, cell.network) for cell in asked} == {
        (of, "mlp_bottleneck16") for of in ("standard", "adversarial", "r_image")
    }
    for cell, stage in asked.items():
        assert stage.inputs["model"].key == cells[RobustCell("network", cell.seed, cell.set, cell.network)].key
        assert stage.inputs["data"].config.split == "test"  # type: ignore[attr-defined]
        assert stage.config.eps == 0.8  # type: ignore[attr-defined]
    others = small(layers=None)
    assert others == {cell: stage for cell, stage in cells.items() if cell.role != "layers"}
    only = {cell.set for cell in small(students=("mlp",)) if cell.role == "layers"}
    assert only == {"standard", "adversarial"}
