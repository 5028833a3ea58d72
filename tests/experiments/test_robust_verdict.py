"""The verdict on robust sets: what it takes, and that whatever fails is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import robust_runs

from raylab.experiments.robust.verdict import answer, verdict
from raylab.report.blocks import Verdict

ALONE = robust_runs.CONFIG.model_copy(update={"students": ("mlp_bottleneck16",)})


def judged(*, robust: dict[str, tuple[float, float]] | None = None, **changed: Any) -> Verdict:
    numbers = {**robust_runs.ROBUST, **(robust or {})}
    found = robust_runs.study(robust=numbers, **{"config": ALONE, **changed})
    return verdict(found, "mlp_bottleneck16")


def test_robustness_came_with_the_data_where_everything_holds() -> None:
    found = judged()
    assert (found.badge.look, found.badge.words) == ("good", "came with the data")
    for part in (
        "36.0",
        "33.0",
        "34.0",
        "27.0",
        "79.0",
        "radius 0.8",
        "D_NR",
        "D, spectrum of D_R",
        "A blur of D gives 11.0",
    ):
        assert part in found.sentence


@pytest.mark.parametrize(("of", "label"), [("clean", "D ("), ("nr_image", "D_NR (")])
def test_each_comparison_is_needed_and_named(of: str, label: str) -> None:
    found = judged(robust={of: (0.7, 0.36)})
    assert (found.badge.look, found.badge.words) == ("warn", "not shown")
    assert f"not above {label}" in found.sentence
    assert " and D" not in found.sentence


def test_what_the_spectrum_gives_as_well_is_not_credited_to_d_r() -> None:
    found = judged(robust={"filtered": (0.7, 0.36)})
    assert (found.badge.look, found.badge.words) == ("warn", "no more than spectrum")
    assert "D_R is not shown to add to that" in found.sentence
    worse = judged(robust={"filtered": (0.7, 0.36), "nr_image": (0.7, 0.36)})
    assert worse.badge.words == "not shown"


def test_a_blur_that_does_as_well_is_an_explanation_of_its_own() -> None:
    found = judged(robust={"blurred": (0.7, 0.40)})
    assert (found.badge.look, found.badge.words) == ("warn", "no more than a blur")
    assert "blurred as D_R" in found.sentence
    assert "A blur of D gives" in judged().sentence


def test_a_small_advantage_within_the_error_is_none() -> None:
    assert judged(robust={"clean": (0.7, 0.31)}).badge.look == "warn"


@pytest.mark.parametrize(("place", "said", "badge"), [
    (("network", "adversarial"), {"collapse": "it collapsed"}, "source failed"),
    (("network", "standard"), {"collapse": "it collapsed"}, "source failed"),
    (("set", "r_image"), {"doubts": ("as wide as the image",)}, "set in doubt"),
    (("set", "nr_image"), {"doubts": ("not converged",)}, "set in doubt"),
    (("robust", "r_image"), {"warnings": ("zero gradients",)}, "attack in doubt"),
    (("test", "r_image"), {"accuracy": 0.3}, "not learned"),
])  # fmt: skip
def test_a_doubt_forbids_the_claim_and_is_quoted(place: tuple[str, str], said: dict[str, Any], badge: str) -> None:
    found = judged(metrics={place: said})
    assert (found.badge.look, found.badge.words) == ("warn", badge)
    (value,) = said.values()
    assert badge == "not learned" or (value if isinstance(value, str) else value[0]) in found.sentence


def test_doubts_of_sets_and_networks_that_the_claim_does_not_need_are_no_hindrance() -> None:
    """A masked control only looks more robust than it is."""
    metrics = {
        ("set", "r_noise"): {"doubts": ("not converged",)},
        ("robust", "clean"): {"warnings": ("zero gradients",)},
    }
    assert judged(metrics=metrics).badge.look == "good"


def test_one_seed_is_not_judged() -> None:
    config = ALONE.model_copy(update={"seeds": (0,)})
    found = judged(config=config)
    assert (found.badge.look, found.badge.words) == ("open", "one seed")
    assert "35.0" in found.sentence


def test_a_comparison_that_was_not_run_is_said() -> None:
    config = ALONE.model_copy(update={"sets": ("r_image", "nr_image")})
    assert judged(config=config).sentence.endswith("D, spectrum of D_R was not run.")


def test_the_answer_of_a_study_names_the_architectures_where_it_holds_and_where_not() -> None:
    both = robust_runs.study()
    assert answer(both).badge.words == "came with the data"
    assert "the student of D_R has more robust accuracy than those of D, D_NR and D with" in answer(both).sentence
    assert "cnn (36.0 ± 0.6 %, of D 3.0 ± 0.6 %)" in answer(both).sentence
    spectrum = replace(both.network("filtered", "cnn"), at=both.network("r_image", "cnn").at)
    others = (one for one in both.networks if (one.set, one.architecture) != ("filtered", "cnn"))
    worse = replace(both, networks=(*others, spectrum))
    mixed = answer(worse)
    assert (mixed.badge.look, mixed.badge.words) == ("warn", "came with the data: 1 of 2")
    assert "That is not shown with cnn (no more than spectrum: 36.0" in mixed.sentence
    failed = robust_runs.study(robust={**robust_runs.ROBUST, "r_image": (0.7, 0.02)})
    assert answer(failed).badge.words == "not shown"
    assert answer(robust_runs.study(ALONE)) == verdict(both, "mlp_bottleneck16")
