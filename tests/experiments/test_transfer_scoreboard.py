"""What a transfer matrix tells the scoreboard: fits, robust sources, correlations by seed, and Restricted ImageNet."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import runs
from rows import below, estimate, matrix, robust, row, shares, with_config
from scipy import stats

from raylab.config import load
from raylab.core.statistics import Coefficient, Correlation
from raylab.engine.store import Store
from raylab.experiments.transfer import TRANSFER, Matrix, Row, StudentRecipes, TransferCell, TransferMatrix, measure
from raylab.experiments.transfer.measure import ERRS
from raylab.experiments.transfer.scoreboard import evidence
from raylab.report.per_seed import PerSeed
from raylab.scoreboard.evidence import Evidence
from raylab.scoreboard.verdict import scored
from raylab.stages.construction import Attack
from raylab.stages.data_config import DigitsData, RestrictedImageNetData, ShiftedData
from raylab.stages.recipe import Recipe

SEEDS = (0, 1, 2)


def of(made: Matrix, number: int) -> dict[str, Evidence]:
    return {one.name: one for one in evidence(made) if one.row == number}


def fitted(*fits: float) -> Matrix:
    networks: dict[Any, Any] = {
        TransferCell("network", seed, "mlp", "mlp", "rand"): SimpleNamespace(
            metrics={"accuracy": (0.1, fit), "examples": 100}
        )
        for seed, fit in zip(SEEDS, fits, strict=True)
    }
    made = matrix([row(kind="rand")])
    return replace(made, built=replace(made.built, artifacts=networks))


def test_a_row_is_judged_where_the_student_of_every_seed_fits_its_set() -> None:
    made = fitted(0.99, 0.95, 0.97)
    told = of(made, 1)["fit of its own set, lowest seed"]
    assert (told.ours.mean, told.bounds, told.undecided) == (0.95, (0.95, 0.95), "")
    assert scored(evidence(made))[0].code == "same_direction"
    slow = fitted(0.99, 0.62, 0.97)
    assert of(slow, 1)["fit of its own set, lowest seed"].undecided == "a student fits 62 % of its set only"
    assert scored(evidence(slow))[0].code == "inconclusive"


def beside_robust(success: float, above: float) -> Matrix:
    taught = shares(0.03)
    source = robust(success=shares(success), p1=below(-above, of=taught))
    return matrix([row(kind="det", controls={"robust": taught}, robust=source)])


def test_a_robust_source_s_students_are_held_against_both_gates() -> None:
    found = of(beside_robust(0.03, 0.5), 4)
    assert found["relabelled above clean"].ours.mean == pytest.approx(0.5)
    assert found["det above chance"].ours.mean == pytest.approx(-0.07)
    assert scored(evidence(beside_robust(0.03, 0.5)))[3].code == "same_direction"
    assert scored(evidence(beside_robust(0.03, -0.5)))[3].code == "contradicted"
    assert scored(evidence(beside_robust(0.4, -0.5)))[3].code == "inconclusive"  # it does not hold the radius


def pairs(sources: tuple[str, ...] = ("mlp", "cnn"), targets: tuple[str, ...] = ("mlp", "cnn", "linear")) -> Matrix:
    rng = np.random.default_rng(0)

    def one(source: str, target: str) -> Row:
        def drawn() -> PerSeed:
            return PerSeed({seed: estimate(float(rng.uniform()), n=100, seeds=1) for seed in SEEDS})

        return row(source, target, "det", accuracy=drawn(), transfer={TRANSFER: drawn(), ERRS: drawn()})

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
            oracle([r.transfer[rate][s].mean for r in made.rows], [r.accuracy[s].mean for r in made.rows])[0]
            for s in SEEDS
        ]
        assert found[name].ours.mean == pytest.approx(np.mean(by_seed))
        assert found[name].ours.se == pytest.approx(np.std(by_seed, ddof=1) / math.sqrt(3))
        assert found[name].ours.seeds == 3


def correlated(made: Matrix, of: Correlation) -> Matrix:
    made = replace(made)
    made.__dict__["correlations"] = {"det": {"pooled": of}}  # as if it had been computed
    return made


def test_an_interval_over_architectures_widens_that_over_seeds_and_never_narrows_it() -> None:
    """Within what a correlation can be."""
    made = pairs()
    for low, high in ((-1.0, 1.0), (0.1, 0.2)):
        unsure = Correlation(Coefficient(0.5, low, high), Coefficient(0.5, low, high), 18)
        found = of(correlated(made, unsure), 15)
        for name in ("Spearman", "Pearson, targeted"):
            bounds = found[name].bounds
            assert bounds is not None
            t = 4.302652730 * found[name].ours.se
            mean = found[name].ours.mean
            assert bounds == pytest.approx((max(min(low, mean - t), -1.0), min(max(high, mean + t), 1.0)))
    unknown = Coefficient(0.5, math.nan, math.nan)
    assert of(correlated(made, Correlation(unknown, unknown, 9)), 15)["Spearman"].bounds is None


def test_what_meaningless_patterns_teach_as_well_is_remarked() -> None:
    weak, strong = (row(kind="rand", controls={"leakage": shares(leaked, 0.001)}) for leaked in (0.05, 0.99))
    told = [of(matrix([one]), 1)["above chance"].remark for one in (weak, strong)]
    assert told == ["", "a student of its leakage-only set reaches 99.0 %"]


def test_other_test_images_tell_row_6_and_none_that_is_about_cifar10() -> None:
    made = matrix([row(kind="rand"), row(kind="det")], data=ShiftedData(name="cifar10_1"))
    assert {(one.row, one.name) for one in evidence(made) if one.row != 15} == {(6, "rand"), (6, "det")}
    assert of(made, 6)["rand"].on.startswith("CIFAR-10.1, mlp")
    assert of(made, 6)["rand"].protocol.startswith("mlp; ")  # not another data set


def test_restricted_imagenet_tells_row_5_alone() -> None:
    data = RestrictedImageNetData(name="restricted_imagenet")
    made = matrix([row(kind="rand"), row(kind="det", accuracy=shares(0.5))], data=data)
    told = list(evidence(made))
    assert {one.row for one in told} <= {5, 15}
    names = {one.name for one in told if one.row == 5}
    assert names == {"clean", "rand", "det", "clean above rand", "rand above det"}
    assert of(made, 5)["rand above det"].ours.mean == pytest.approx(0.38)


def test_what_was_not_built_tells_nothing() -> None:
    made = matrix([row(kind=kind, accuracy=PerSeed({})) for kind in ("rand", "det")])
    assert list(evidence(made)) == []
    lacking = row(kind="det", controls={"robust": PerSeed({}), "leakage": PerSeed({})}, robust=robust(p1=PerSeed({})))
    assert {one.row for one in evidence(matrix([lacking]))} == {2, 3}


# -- row 46: what its config counts as, and what any other digits do

PATH = Path(__file__).parents[2] / "configs" / "transfer_matrix" / "digits_eps1.5.yaml"
SMALL = ["data.per_class=10", "seeds=[0, 1]", "train.epochs=1", "attack.steps=3", "attack.step_size=0.5"]


@pytest.fixture(scope="module")
def digits_1_5(report_store: Store) -> Matrix:
    return measure(runs.built(load(TransferMatrix, PATH, SMALL), report_store))


def protocols(made: Matrix, **changed: Any) -> set[str]:
    config = load(TransferMatrix, PATH).model_copy(update=changed)
    return {one.protocol for one in evidence(with_config(made, config)) if one.row == 46}


def test_the_row_s_numbers_are_those_of_the_matrix(digits_1_5: Matrix) -> None:
    found = of(digits_1_5, 46)
    by_kind = {row.kind: row for row in digits_1_5.rows}
    assert found["rand"].ours == by_kind["rand"].accuracy.mean
    assert found["det"].ours == by_kind["det"].accuracy.mean
    assert found["relabelled"].ours == by_kind["det"].p1.mean
    assert found["det above relabelled"].ours == by_kind["det"].above_p1.mean
    assert {one.protocol for one in found.values()} == {"100 training images; L2 1.5, 3 steps of 0.5; 1 epoch"}
    assert scored(found.values())[45].code in ("same_direction", "inconclusive", "contradicted")


def test_only_the_recipe_that_is_stated_is_the_published_protocol(digits_1_5: Matrix) -> None:
    """With the config as it is, only the size of this small run differs."""
    made, size = digits_1_5, "100 training images"
    assert protocols(made) == {size}
    assert protocols(made, train=load(TransferMatrix, PATH).train.model_copy(update={"batch_size": 32})) == {size}
    assert protocols(made, data=DigitsData(train_rows=1400)) == {f"{size}; a normalising layer"}
    other = "learning rate 0.002, one_cycle schedule"
    assert protocols(made, train=Recipe(epochs=40)) == {f"{size}; {other}"}
    assert protocols(made, students=StudentRecipes(det=Recipe(epochs=40))) == {size, f"{size}; {other}"}
    assert protocols(made, network_lr={"mlp": 0.1}) == {f"{size}; learning rate 0.1"}
    assert protocols(made, attack=Attack(eps=1.5, steps=20)) == {f"{size}; L2 1.5, 20 steps of 0.188"}
    assert protocols(made, attack=Attack(eps=1.0, steps=100)) == set()
