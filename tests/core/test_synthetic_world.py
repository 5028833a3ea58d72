"""The limits of endless data of the synthetic world, against samples and against what needs no computing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from raylab.core import synthetic
from raylab.core.gaussian import normal_cdf
from raylab.core.synthetic import Population, Set, SyntheticWorld, population

WORLD = SyntheticWorld()
ETA = WORLD.eta


def test_logistic_regression_on_endless_data_solves_its_own_equations() -> None:
    """On clean data both features are independent given y: log odds ln 19 x_0 and 6 s, up to the penalty."""
    found = population(WORLD, "clean")
    assert found.robust == pytest.approx(math.log(19), rel=0.6)
    assert found.faint > 2.0
    assert population(WORLD, "clean").accuracy(WORLD) > 0.999


@pytest.mark.parametrize(("kind", "ratio"), [("rand", 1.0), ("rand", 1.5), ("det", 0.5), ("det", 1.0), ("det", 1.5)])
def test_samples_come_near_the_limit(kind: Set, ratio: float) -> None:
    x, y = WORLD.sample(5, "train", 6000)
    student = synthetic.fit(*synthetic.constructed(kind, torch.ones(101).double(), x, y, ratio * ETA, 5))
    # rand hangs on how many random labels happen to be y: half of 6000, with a standard error of .6 %
    limit = population(WORLD, kind, ratio * ETA).accuracy(WORLD)
    assert synthetic.accuracy(student, *WORLD.sample(5, "test", 6000)) == pytest.approx(
        limit, abs=0.035 if kind == "rand" else 0.012
    )


def test_at_eta_the_faint_features_of_d_det_say_nothing_and_the_robust_one_says_the_relabelling() -> None:
    found = population(WORLD, "det", ETA)
    assert found.faint == pytest.approx(0.0, abs=1e-9)
    assert found.accuracy(WORLD) == pytest.approx(0.05, abs=1e-9)


def test_d_det_flips_between_eta_and_one_and_a_half_eta() -> None:
    at = [population(WORLD, "det", r * ETA).accuracy(WORLD) for r in (0.5, 1.0, 1.5, 2.0)]
    assert at == pytest.approx([0.001, 0.050, 0.988, 0.997], abs=0.001)


def test_a_source_that_moves_the_robust_feature_alone_teaches_the_relabelling() -> None:
    assert population(WORLD, "det", 2 * ETA, (True, False)).accuracy(WORLD) == pytest.approx(0.0012, abs=0.001)


def test_accuracy_of_a_population_is_exact() -> None:
    averaging = Population(0.0, 1.0)
    assert averaging.accuracy(WORLD) == pytest.approx(normal_cdf(3.0))
    assert averaging.accuracy(WORLD, 2 * ETA) == pytest.approx(normal_cdf(-3.0))
    only = Population(1.0, 0.0)
    assert (only.accuracy(WORLD), only.accuracy(WORLD, 0.9)) == (pytest.approx(0.95), pytest.approx(0.95))
    assert only.accuracy(WORLD, 1.1) == 0.0


def test_robust_accuracy_is_that_of_the_worst_step() -> None:
    x, y = WORLD.sample(0, "test", 2000)
    w = torch.from_numpy(np.random.default_rng(0).normal(size=101))
    moved = x - 0.1 * y[:, None] * w.sign()
    assert synthetic.accuracy(w, x, y, 0.1) == synthetic.accuracy(w, moved, y)


def test_an_inversion_has_the_feature_and_moves_along_it_only() -> None:
    x, _ = WORLD.sample(0, "train", 50)
    others, w = synthetic.shuffled(x, 1), torch.from_numpy(np.random.default_rng(0).normal(size=101))
    made = synthetic.with_features_of(x, others, w)
    torch.testing.assert_close(made @ w, x @ w)
    along = w / w.norm()
    torch.testing.assert_close((made - others) - ((made - others) @ along)[:, None] * along, torch.zeros_like(x))
    robust = synthetic.with_features_of(x, others, WORLD.robust_only)
    assert torch.equal(robust[:, 1:], others[:, 1:])


def test_adversarial_training_keeps_the_robust_feature_alone() -> None:
    x, y = WORLD.sample(0, "train", 4000)
    w = synthetic.fit_adversarially(x, y, 2 * ETA)
    test = WORLD.sample(0, "test", 4000)
    assert synthetic.accuracy(w, *test, 2 * ETA) == pytest.approx(0.95, abs=0.012)
