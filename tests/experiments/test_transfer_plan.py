"""The plan of the transfer matrix: what a seed changes, what cells share, what is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from raylab.core import networks
from raylab.engine.stage import Stage, closure
from raylab.experiments.transfer import Controls, RobustSource, StudentRecipes, TransferCell, TransferMatrix, plan
from raylab.stages.construction import Attack
from raylab.stages.dataset import DigitsData, SeeFarData, open_data
from raylab.stages.recipe import Adversary, Recipe
from raylab.stages.training import Training

SMALL: dict[str, Any] = {"sources": ("linear", "mlp"), "targets": ("mlp", "cnn"), "seeds": (0, 1)}


def small(**changed: Any) -> dict[TransferCell, Stage]:
    return plan(TransferMatrix(**{**SMALL, **changed}))


def training(stage: Stage) -> Training:
    """Of the network that a stage evaluates."""
    config = stage.inputs["model"].config
    assert isinstance(config, Training)
    return config


def test_every_pair_kind_and_seed_has_a_student_and_its_controls() -> None:
    cells = small()
    students = Counter(cell.control for cell in cells if cell.role == "student")
    pairs, kinds, seeds = 4, 2, 2
    assert students == {
        "": pairs * kinds * seeds,
        "unperturbed": 2 * kinds * seeds,  # no source is behind it: one for each target
        "random_labels": pairs * kinds * seeds,
        "untrained": pairs * kinds * seeds,
        "robust": pairs * kinds * seeds,
        "leakage": pairs * kinds * seeds,
    }
    assert Counter(cell.role for cell in cells)["transfer"] == pairs * 2 * seeds


def test_a_seed_changes_the_split_the_source_its_targets_and_the_student() -> None:
    cells = small()
    first, second = (cells[TransferCell("student", seed, "mlp", "mlp", "rand")] for seed in (0, 1))
    made = [stage.inputs["model"].inputs["data"] for stage in (first, second)]
    sources = [stage.inputs["model"].config for stage in made]
    assert training(first).seed != training(second).seed
    assert sources[0].seed != sources[1].seed  # type: ignore[attr-defined]
    assert made[0].config.seed != made[1].config.seed  # type: ignore[attr-defined]
    assert made[0].inputs["data"].key != made[1].inputs["data"].key
    assert first.inputs["data"].key != second.inputs["data"].key


def test_source_student_and_independent_network_of_one_architecture_are_three_networks() -> None:
    cells = small()
    source = training(cells[TransferCell("source", 0, "mlp")]).seed
    student = training(cells[TransferCell("student", 0, "mlp", "mlp", "rand")]).seed
    standard = training(cells[TransferCell("standard", 0, target="mlp")]).seed
    assert len({source, student, standard}) == 3


def test_the_unperturbed_control_differs_from_the_student_in_its_images_only() -> None:
    cells = small()
    student = cells[TransferCell("student", 0, "mlp", "cnn", "rand")].inputs["model"]
    control = cells[TransferCell("student", 0, "", "cnn", "rand", "unperturbed")].inputs["model"]
    a, b = student.config, control.config
    assert isinstance(a, Training)
    assert isinstance(b, Training)
    assert (a.network, a.recipe, a.seed) == (b.network, b.recipe, b.seed)
    assert (a.labels, b.labels) == (None, "rand")
    assert b.labels_seed == student.inputs["data"].config.seed  # type: ignore[attr-defined]
    assert control.inputs["data"].key == student.inputs["data"].inputs["data"].key


def test_students_are_tested_on_the_untouched_test_set() -> None:
    for cell, stage in small().items():
        if cell.role in ("student", "source", "standard"):
            assert stage.inputs["data"].kind == "data"
            assert stage.inputs["data"].config.split == "test"  # type: ignore[attr-defined]


def test_two_matrices_share_what_is_the_same() -> None:
    """Another budget needs no other source; another keep needs no other set."""
    base = {stage.key for stage in closure(small().values())}
    other_eps = small(attack=Attack(eps=1.25))
    assert {s.key for s in closure(other_eps.values()) if s.kind == "data"} <= base
    assert other_eps[TransferCell("source", 0, "mlp")].key in base
    other_keep = small(keep="success")
    assert {s.key for s in closure(other_keep.values()) if s.kind == "constructed"} <= base
    assert other_keep[TransferCell("student", 0, "mlp", "cnn", "rand")].key not in base


def test_recipes_of_students_are_by_kind_and_learning_rates_by_network() -> None:
    cells = small(
        students=StudentRecipes(det=Recipe(epochs=3)),
        network_lr={"linear": 0.01},
        sources=("linear",),
        targets=("mlp",),
    )
    assert training(cells[TransferCell("student", 0, "linear", "mlp", "det")]).recipe.epochs == 3
    assert training(cells[TransferCell("student", 0, "linear", "mlp", "rand")]).recipe.epochs == 12
    assert training(cells[TransferCell("source", 0, "linear")]).recipe.lr == 0.01


def test_a_selection_of_examples_is_controlled_by_the_same_selection() -> None:
    """Successful attacks are often those towards the own class: without its perturbation, such a set still teaches."""
    cells = small(keep="success")
    student = cells[TransferCell("student", 0, "mlp", "cnn", "rand")].inputs["model"]
    control = cells[TransferCell("student", 0, "mlp", "cnn", "rand", "unperturbed")].inputs["model"]
    assert control.inputs["kept_as"].key == student.inputs["data"].key
    assert control.inputs["data"].key == student.inputs["data"].inputs["data"].key
    assert isinstance(control.config, Training)
    assert (control.config.keep, control.config.labels) == ("success", "rand")


def test_controls_can_be_confined_and_turned_off() -> None:
    off = small(controls=Controls(unperturbed=False, random_labels=False, untrained=False, robust=None, leakage=None))
    assert {cell.control for cell in off} == {""}
    few = small(controls=Controls(sources=("mlp",), targets=("cnn",)))
    assert {(c.source, c.target) for c in few if c.control == "untrained" and c.target} == {("mlp", "cnn")}


def test_the_robust_source_is_trained_at_the_radius_of_the_attack_unless_told_otherwise() -> None:
    def adversary(robust: RobustSource, **changed: Any) -> Adversary | None:
        cells = small(controls=Controls(robust=robust), **changed)
        config = cells[TransferCell("network", 0, "mlp", control="robust")].config
        assert isinstance(config, Training)
        return config.recipe.adversary

    assert adversary(RobustSource(), attack=Attack(eps=0.7)) == Adversary(eps=0.7)
    linf = Attack(norm="linf", eps=0.1)
    assert adversary(RobustSource(), attack=linf) == Adversary(norm="linf", eps=0.1)
    assert adversary(RobustSource(adversary=Adversary(eps=1.5))) == Adversary(eps=1.5)
    assert adversary(RobustSource(recipe=Recipe(preset="ilyas2019_adversarial"))) == Adversary(eps=0.5)
    with pytest.raises(ValidationError, match="give one of them"):
        RobustSource(recipe=Recipe(preset="ilyas2019_adversarial"), adversary=Adversary(eps=1.0))


def test_the_robust_source_is_tested_clean_and_under_the_attack_of_the_sets() -> None:
    cells = small()
    network = cells[TransferCell("network", 0, "mlp", control="robust")]
    assert cells[TransferCell("source", 0, "mlp", control="robust")].inputs["model"].key == network.key
    attacked, own = (cells[TransferCell("attacked", 0, "mlp", "", "untargeted", control)] for control in ("robust", ""))
    assert attacked.inputs["model"].key == network.key
    assert attacked.config == own.config
    assert attacked.inputs["data"].key == own.inputs["data"].key


def test_leakage_only_sets_have_the_size_and_targets_of_the_attack_and_a_weak_selector() -> None:
    cells = small(attack=Attack(eps=0.7), keep="success")
    made = {kind: cells[TransferCell("set", 0, "mlp", "", kind, "leakage")] for kind in ("rand", "det")}
    weak = cells[TransferCell("network", 0, "mlp", control="leakage")]
    assert made["det"].inputs["selector"].key == weak.key
    assert "selector" not in made["rand"].inputs  # some images have their own label
    assert isinstance(weak.config, Training)
    assert weak.config.recipe.epochs == 1
    for kind, stage in made.items():
        assert stage.config.seed == cells[TransferCell("set", 0, "mlp", "", kind)].config.seed  # type: ignore[attr-defined]
        assert stage.inputs["patterns"].config.eps == 0.7  # type: ignore[attr-defined]
        student = cells[TransferCell("network", 0, "mlp", "cnn", kind, "leakage")].config
        assert isinstance(student, Training)
        assert student.keep == "all"  # nothing attacked these images


def test_robustness_is_measured_of_the_students_beside_whom_controls_stand() -> None:
    few = small(controls=Controls(sources=("mlp",), targets=("cnn",)))
    measured = {(c.source, c.target) for c in few if c.role == "robustness"}
    assert measured == {("mlp", "cnn"), ("", "cnn")}
    assert not [c for c in small(robustness=None) if c.role == "robustness"]


def test_margins_select_with_their_share() -> None:
    config = small(keep="top", keep_share=0.25)[TransferCell("student", 0, "mlp", "cnn", "rand")].inputs["model"].config
    assert isinstance(config, Training)
    assert (config.keep, config.keep_share) == ("top", 0.25)


def test_the_recipe_of_a_control_source_keeps_its_milestones_in_proportion() -> None:
    recipe = Recipe(epochs=30, optimizer="sgd", schedule="step", milestones=(10, 20))
    cells = small(train=recipe, controls=Controls(random_label_epochs=60))
    noise, untrained = (
        cells[TransferCell("network", 0, "mlp", control=name)].config for name in ("random_labels", "untrained")
    )
    assert isinstance(noise, Training)
    assert isinstance(untrained, Training)
    assert (noise.recipe.epochs, noise.recipe.milestones) == (60, (20, 40))
    assert (untrained.recipe.epochs, untrained.recipe.milestones) == (0, ())


def test_the_size_of_the_test_set_is_no_part_of_the_training_set() -> None:
    one, other = (open_data(SeeFarData(name="seefar", test_rows=rows), 0) for rows in (100, 200))
    assert one.train.key == other.train.key
    assert one.test.key != other.test.key


def test_on_see_far_students_are_asked_which_feature_they_follow() -> None:
    cells = small(data=SeeFarData(name="seefar"))
    assert sum(cell.role == "usage" for cell in cells) == 16
    assert sum(cell.role == "oracles" for cell in cells) == 8
    assert not [cell for cell in small() if cell.role in ("usage", "oracles")]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sources": ("mlpp",)}, "did you mean 'mlp'"),
        ({"sources": ()}, "at least 1 item"),
        ({"seeds": (1, 1)}, "each at most once"),
        ({"controls": {"sources": ("vgg16",)}}, "not among sources"),
        ({"attack": {"eps": -1.0}}, "greater than 0"),
        ({"epochs": 3}, "Extra inputs"),
    ],
)
def test_a_wrong_config_is_refused(changed: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TransferMatrix(**{**SMALL, **changed})


def test_a_network_that_cannot_take_the_images_is_refused_by_the_plan() -> None:
    with pytest.raises(ValueError, match="vgg16: images must be at least 32x32"):
        small(targets=("vgg16",))


def test_a_plan_runs_nothing_and_is_the_same_every_time(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "build", lambda *_: pytest.fail("a network was built"))
    assert {c: s.key for c, s in small().items()} == {c: s.key for c, s in small().items()}
    assert list(tmp_path.iterdir()) == []


def test_the_embedded_default_is_the_digits_matrix() -> None:
    config = TransferMatrix()
    assert isinstance(config.data, DigitsData)
    assert (len(config.sources), len(config.targets), len(config.seeds)) == (4, 4, 3)


@pytest.mark.parametrize(("changed", "said"), [
    ({"train": Recipe(adversary=Adversary(eps=0.3))}, "adversary: trained in the standard way"),
    ({"students": {"det": {"adversary": {"eps": 0.3}}}}, r"students.det\n.*adversary: trained in the standard way"),
    ({"controls": Controls(robust=RobustSource(adversary=Adversary(norm="linf", eps=0.1)))}, "bounds nothing"),
])  # fmt: skip
def test_a_source_that_is_not_what_its_name_says_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TransferMatrix(**changed)
