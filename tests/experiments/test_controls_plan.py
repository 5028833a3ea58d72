"""The plan of the controls: what is trained on what, and which configs are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raylab.config import load
from raylab.engine.stage import Stage, closure
from raylab.experiments.controls import Bugs, ControlsCell, ControlStudy, RobustCurve, plan
from raylab.stages.construction import Attack
from raylab.stages.dataset import DigitsData
from raylab.stages.recipe import Adversary, Recipe

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "controls").glob("*.yaml"))


def small(**changed: Any) -> ControlStudy:
    return ControlStudy(**{"data": DigitsData(per_class=10), "seeds": (0,), **changed})


def of_kind(stages: Any, kind: str) -> list[Stage]:
    return [stage for stage in closure(stages) if stage.kind == kind]


def test_no_student_of_bugs_and_no_network_they_are_tried_on_is_in_the_ensemble() -> None:
    cells = plan(small(bugs=Bugs(ensemble=("cnn", "mlp", "cnn"))))
    bugs = cells[ControlsCell("set", 0, "bugs", "det")]
    ensemble = {stage.key for role, stage in bugs.inputs.items() if role.startswith("ensemble")}
    fresh = cells[ControlsCell("transfer", 0, "bugs")].inputs["model"]
    source = bugs.inputs["model"]
    assert len(ensemble) == 3
    assert {fresh.key, source.key}.isdisjoint(ensemble)
    assert fresh.key != source.key
    plain = cells[ControlsCell("set", 0, "plain", "det")]
    assert set(plain.inputs) == {"data", "model"}
    assert plain.inputs["model"] == source
    assert plain.config == bugs.config  # the same attack, targets and images
    assert cells[ControlsCell("transfer", 0, "plain")].inputs["model"] == fresh


def test_the_parts_by_margin_are_cut_from_one_set_and_together_are_all_of_it() -> None:
    cells = plan(small(top_share=0.3, top_eps=0.5))
    whole, top, bottom = (
        cells[ControlsCell("student", 0, of, "other")].inputs["model"] for of in ("whole", "top", "bottom")
    )
    assert whole.inputs == top.inputs == bottom.inputs
    assert whole.inputs["data"].config.attack.eps == 0.5  # type: ignore[attr-defined]
    found = [(s.config.keep, s.config.keep_share) for s in (whole, top, bottom)]  # type: ignore[attr-defined]
    assert found == [("all", None), ("top", 0.3), ("bottom", 0.3)]


def test_every_set_of_a_kind_has_the_same_new_labels_and_its_student_the_same_start() -> None:
    cells = plan(small())
    for kind in ("rand", "det"):
        sets = [cells[ControlsCell("set", 0, of, kind)] for of in ("real", "leakage", "universal")]
        assert {s.config.seed for s in sets} == {0}  # type: ignore[attr-defined]
        students = [
            cells[ControlsCell("student", 0, of, kind)].inputs["model"] for of in ("real", "leakage", "universal")
        ]
        assert len({s.config for s in students}) == 1
        assert [s.inputs["data"] for s in students] == sets


def test_the_selector_is_weak_and_only_where_no_image_has_its_own_label() -> None:
    cells = plan(small(selector_epochs=2))
    assert "selector" not in cells[ControlsCell("set", 0, "leakage", "rand")].inputs
    selector = cells[ControlsCell("set", 0, "leakage", "det")].inputs["selector"]
    assert selector.config.recipe.epochs == 2  # type: ignore[attr-defined]


def test_the_curve_attacks_both_sources_at_every_radius() -> None:
    cells = plan(small(curve=RobustCurve(eps=(0.3, 0.5), expected_at=0.3)))
    found = {(c.of, c.eps): stage for c, stage in cells.items() if c.role == "set" and c.eps}
    assert set(found) == {(of, eps) for of in ("standard", "robust") for eps in (0.3, 0.5)}
    for (of, eps), made in found.items():
        assert made.config.attack.eps == eps  # type: ignore[attr-defined]
        recipe = made.inputs["model"].config.recipe  # type: ignore[attr-defined]
        assert (recipe.adversary is not None) == (of == "robust")
    probes = {c.of: stage for c, stage in cells.items() if c.role == "features"}
    assert probes["deep"].inputs["model"] == found["robust", 0.3].inputs["model"]
    assert probes["linear"].inputs["model"].config.recipe.adversary is not None  # type: ignore[attr-defined]


def test_what_is_not_wanted_is_not_planned() -> None:
    cells = plan(small(bugs=None, curve=None, kinds=("rand",)))
    assert not {c for c in cells if c.of in ("bugs", "plain") or c.eps or c.kind == "det"}
    assert ControlsCell("student", 0, "top", "other") in cells


def test_seeds_share_nothing_but_the_files_of_the_data() -> None:
    one, two = (closure(plan(small(seeds=(seed,))).values()) for seed in (0, 1))
    assert {s.key for s in one}.isdisjoint(s.key for s in two)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"robust": Recipe()}, "adversary: trained against one, got none"),
        ({"train": Recipe(adversary=Adversary(eps=1.0))}, "adversary: trained in the standard way"),
        ({"bugs": {"train": Recipe(adversary=Adversary(eps=1.0))}}, "adversary: trained in the"),
        ({"curve": {"eps": (0.5, 0.3)}}, r"increasing, each once, got \[0.5, 0.3\]"),
        ({"curve": {"eps": (0.3, 0.5), "expected_at": 0.4}}, r"one of eps \[0.3, 0.5\], got 0.4"),
        ({"kinds": ("rand", "other")}, "kinds: rand and det"),
        ({"attack": Attack(norm="linf", eps=0.1)}, "robust.adversary.norm"),
    ],
)
def test_a_config_that_cannot_mean_what_it_says_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**changed)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_valid_says_what_it_is_and_can_be_planned(path: Path) -> None:
    config = load(ControlStudy, path)
    text = path.read_text()
    assert text.startswith("# ")
    assert "Expected" in text.split("study:")[0]
    assert "Cost" in text.split("study:")[0]
    if config.data.name in ("digits", "seefar"):  # others need a data root
        assert closure(plan(config).values())


def test_the_embedded_default_is_the_see_far_config() -> None:
    path = next(path for path in CONFIGS if path.stem == "seefar")
    assert load(ControlStudy, path) == ControlStudy()
