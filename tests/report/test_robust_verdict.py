"""The verdict on robust sets: what it takes, and that whatever fails is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import robust_runs

from raylab.report.robust.verdict import Verdict, verdict
from raylab.store import Store

ALONE = robust_runs.CONFIG.model_copy(update={"students": ("mlp_bottleneck16",)})


def judged(folder: Path, *, robust: dict[str, tuple[float, float]] | None = None, **changed: Any) -> Verdict:
    numbers = {**robust_runs.ROBUST, **(robust or {})}
    table = robust_runs.table(Store(str(folder)), robust=numbers, **{"config": ALONE, **changed})
    return verdict(table, "mlp_bottleneck16")


def test_robustness_came_with_the_data_where_everything_holds(tmp_path: Path) -> None:
    found = judged(tmp_path)
    assert (found.code, found.badge) == ("good", "came with the data")
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
def test_each_comparison_is_needed_and_named(tmp_path: Path, of: str, label: str) -> None:
    found = judged(tmp_path, robust={of: (0.7, 0.36)})
    assert (found.code, found.badge) == ("warn", "not shown")
    assert f"not above {label}" in found.sentence
    assert " and D" not in found.sentence


def test_what_the_spectrum_gives_as_well_is_not_credited_to_d_r(tmp_path: Path) -> None:
    found = judged(tmp_path, robust={"filtered": (0.7, 0.36)})
    assert (found.code, found.badge) == ("warn", "no more than spectrum")
    assert "D_R is not shown to add to that" in found.sentence
    worse = judged(tmp_path, robust={"filtered": (0.7, 0.36), "nr_image": (0.7, 0.36)})
    assert worse.badge == "not shown"


def test_a_blur_that_does_as_well_is_an_explanation_of_its_own(tmp_path: Path) -> None:
    found = judged(tmp_path, robust={"blurred": (0.7, 0.40)})
    assert (found.code, found.badge) == ("warn", "no more than a blur")
    assert "blurred as D_R" in found.sentence
    assert "A blur of D gives" in judged(tmp_path).sentence


def test_a_small_advantage_within_the_error_is_none(tmp_path: Path) -> None:
    assert judged(tmp_path, robust={"clean": (0.7, 0.31)}).code == "warn"


@pytest.mark.parametrize(("place", "said", "badge"), [
    (("network", "adversarial"), {"collapse": "it collapsed"}, "source failed"),
    (("network", "standard"), {"collapse": "it collapsed"}, "source failed"),
    (("set", "r_image"), {"doubts": ("as wide as the image",)}, "set in doubt"),
    (("set", "nr_image"), {"doubts": ("not converged",)}, "set in doubt"),
    (("robust", "r_image"), {"warnings": ("zero gradients",)}, "attack in doubt"),
    (("test", "r_image"), {"accuracy": 0.3}, "not learned"),
])  # fmt: skip
def test_a_doubt_forbids_the_claim_and_is_quoted(
    tmp_path: Path, place: tuple[str, str], said: dict[str, Any], badge: str
) -> None:
    found = judged(tmp_path, metrics={place: said})
    assert (found.code, found.badge) == ("warn", badge)
    (value,) = said.values()
    assert badge == "not learned" or (value if isinstance(value, str) else value[0]) in found.sentence


def test_doubts_of_sets_and_networks_that_the_claim_does_not_need_are_no_hindrance(tmp_path: Path) -> None:
    """A masked control only looks more robust than it is."""
    metrics = {
        ("set", "r_noise"): {"doubts": ("not converged",)},
        ("robust", "clean"): {"warnings": ("zero gradients",)},
    }
    assert judged(tmp_path, metrics=metrics).code == "good"


def test_one_seed_is_not_judged(tmp_path: Path) -> None:
    config = ALONE.model_copy(update={"seeds": (0,)})
    found = judged(tmp_path, config=config)
    assert (found.code, found.badge) == ("open", "one seed")
    assert "35.0" in found.sentence


def test_a_comparison_that_was_not_run_is_said(tmp_path: Path) -> None:
    config = ALONE.model_copy(update={"sets": ("r_image", "nr_image")})
    assert judged(tmp_path, config=config).sentence.endswith("D, spectrum of D_R was not run.")
