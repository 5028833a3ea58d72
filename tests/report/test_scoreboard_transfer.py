"""What a transfer matrix tells the scoreboard: fits, robust sources, correlations by seed, and Restricted ImageNet."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rows import estimate, matrix, robust, row
from scipy import stats

from raylab.core.statistics import Coefficient, Correlation, Estimate
from raylab.recipes.transfer_matrix import Cell
from raylab.report.scoreboard.evidence import Evidence
from raylab.report.scoreboard.verdict import scored
from raylab.report.transfer import protocol
from raylab.report.transfer.matrix import TRANSFER, Matrix, Row
from raylab.report.transfer.scoreboard import ERRS, evidence
from raylab.stages.data_config import RestrictedImageNetData, ShiftedData

SEEDS = (0, 1, 2)


@pytest.fixture(autouse=True)
def sized(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "size_of", lambda _: SimpleNamespace(train=1437))


def of(made: Matrix, number: int) -> dict[str, Evidence]:
    return {one.name: one for one in evidence(made) if one.row == number}


def fitted(*fits: float) -> Matrix:
    networks: dict[Any, Any] = {
        Cell("network", seed, "mlp", "mlp", "rand"): SimpleNamespace(metrics={"accuracy": (0.1, fit), "examples": 100})
        for seed, fit in zip(SEEDS, fits, strict=True)
    }
    return replace(matrix([row(kind="rand")]), artifacts=networks)


def test_a_row_is_judged_where_the_student_of_every_seed_fits_its_set() -> None:
    made = fitted(0.99, 0.95, 0.97)
    told = of(made, 1)["fit of its own set, lowest seed"]
    assert (told.ours.mean, told.bounds, told.undecided) == (0.95, (0.95, 0.95), "")
    assert scored(evidence(made))[0].code == "same_direction"
    slow = fitted(0.99, 0.62, 0.97)
    assert of(slow, 1)["fit of its own set, lowest seed"].undecided == "a student fits 62 % of its set only"
    assert scored(evidence(slow))[0].code == "inconclusive"


def beside_robust(success: float, above: float) -> Matrix:
    shares = {seed: estimate(0.03, n=100, seeds=1) for seed in SEEDS}
    source = robust(success=estimate(success), above=estimate(above))
    return matrix(
        [row(kind="det", controls={"robust": estimate(0.03)}, controls_by_seed={"robust": shares}, robust=source)]
    )


def test_a_robust_source_s_students_are_held_against_both_gates() -> None:
    found = of(beside_robust(0.03, 0.5), 4)
    assert found["relabelled above clean"].ours.mean == 0.5
    assert found["det above chance"].ours.mean == pytest.approx(-0.07)
    assert scored(evidence(beside_robust(0.03, 0.5)))[3].code == "same_direction"
    assert scored(evidence(beside_robust(0.03, -0.5)))[3].code == "contradicted"
    assert scored(evidence(beside_robust(0.4, -0.5)))[3].code == "inconclusive"  # it does not hold the radius


def pairs(sources: tuple[str, ...] = ("mlp", "cnn"), targets: tuple[str, ...] = ("mlp", "cnn", "linear")) -> Matrix:
    rng = np.random.default_rng(0)

    def one(source: str, target: str) -> Row:
        learnt = {seed: estimate(float(rng.uniform()), n=100, seeds=1) for seed in SEEDS}
        rates = {
            seed: {TRANSFER: estimate(float(rng.uniform())), ERRS: estimate(float(rng.uniform()))} for seed in SEEDS
        }
        return row(source, target, "det", by_seed=learnt, transfer_by_seed=rates)

    return matrix([one(source, target) for source in sources for target in targets])


@pytest.mark.parametrize("sources", [("mlp", "cnn"), ("mlp",)])
def test_correlations_are_means_over_seeds(sources: tuple[str, ...]) -> None:
    """One source too, as was published."""
    made = pairs(sources)
    found = of(made, 15)
    for name, rate, oracle in (
        ("Pearson, untargeted", ERRS, stats.pearsonr),
        ("Pearson, targeted", TRANSFER, stats.pearsonr),
        ("Spearman", TRANSFER, stats.spearmanr),
    ):
        by_seed = [
            oracle([r.transfer_by_seed[s][rate].mean for r in made.rows], [r.by_seed[s].mean for r in made.rows])[0]
            for s in SEEDS
        ]
        assert found[name].ours.mean == pytest.approx(np.mean(by_seed))
        assert found[name].ours.se == pytest.approx(np.std(by_seed, ddof=1) / math.sqrt(3))
        assert found[name].ours.seeds == 3


def test_an_interval_over_architectures_widens_that_over_seeds_and_never_narrows_it() -> None:
    """Within what a correlation can be."""
    made = pairs()
    for low, high in ((-1.0, 1.0), (0.1, 0.2)):
        unsure = Correlation(Coefficient(0.5, low, high), Coefficient(0.5, low, high), 18)
        found = of(replace(made, correlations={"det": {"pooled": unsure}}), 15)
        for name in ("Spearman", "Pearson, targeted"):
            bounds = found[name].bounds
            assert bounds is not None
            t = 4.302652730 * found[name].ours.se
            mean = found[name].ours.mean
            assert bounds == pytest.approx((max(min(low, mean - t), -1.0), min(max(high, mean + t), 1.0)))
    unknown = Coefficient(0.5, math.nan, math.nan)
    assert (
        of(replace(made, correlations={"det": {"pooled": Correlation(unknown, unknown, 9)}}), 15)["Spearman"].bounds
        is None
    )


def test_what_meaningless_patterns_teach_as_well_is_remarked() -> None:
    weak, strong = (row(kind="rand", controls={"leakage": estimate(leaked)}) for leaked in (0.05, 0.99))
    told = [of(matrix([one]), 1)["above chance"].remark for one in (weak, strong)]
    assert told == ["", "its leakage-only set teaches 99.0 %"]


def test_other_test_images_tell_row_6_and_none_that_is_about_cifar10() -> None:
    made = matrix([row(kind="rand"), row(kind="det")], data=ShiftedData(name="cifar10_1"))
    assert {(one.row, one.name) for one in evidence(made) if one.row != 15} == {(6, "rand"), (6, "det")}
    assert of(made, 6)["rand"].on.startswith("CIFAR-10.1, mlp")
    assert of(made, 6)["rand"].protocol.startswith("mlp; ")  # not another data set


def test_restricted_imagenet_tells_row_5_alone() -> None:
    data = RestrictedImageNetData(name="restricted_imagenet")
    made = matrix(
        [row(kind="rand"), row(kind="det", by_seed={s: Estimate(0.5, 0.01, 100, 1) for s in SEEDS})], data=data
    )
    told = list(evidence(made))
    assert {one.row for one in told} <= {5, 15}
    assert {one.name for one in told if one.row == 5} == {
        "clean",
        "rand",
        "det",
        "rand above det",
    }  # no clean by seed here
    assert of(made, 5)["rand above det"].ours.mean == pytest.approx(0.38)
