"""A world with known features: one robust and a hundred non-robust ones, where the theory gives the numbers.

x1 equals y = +-1 with probability .95; x2 ... x101 ~ N(eta y, 1) with eta = 3 / sqrt(100).  Each of the
hundred is nearly useless, together they are nearly perfect; an Linf step of eta cancels them, one of 2 eta
reverses them, and neither turns x1.  The numbers stand in the specification (section 10.1) and came from one
run of another implementation with another optimiser.
"""

from __future__ import annotations

from functools import cache
from math import erf, sqrt

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raylab.core import construct, evaluate, seeding
from raylab.core.balls import LinfBall
from raylab.core.objectives import Objective, away, towards
from raylab.core.pgd import descend

ETA = 0.3
N = 10_000
IDS = np.arange(N)

# (eps / eta, clean accuracy, tolerance).  Up to eta, D_rand hangs on how many random labels happen to be y.
# 12 seeds gave D_rand .682, .777, .986, .997 (sd .011, .009, .003, .0005) and D_det .001, .051, .987, .997
# (sd .0004, .003, .002, .0005); one published run against the mean of SEEDS errs by 1.15 sd, the tolerances
# are about twice that or more.
D_RAND = [(0.5, 0.684, 0.03), (1.0, 0.789, 0.03), (1.5, 0.987, 0.01), (2.0, 0.998, 0.005)]
D_DET = [(0.5, 0.001, 0.005), (1.0, 0.050, 0.01), (1.5, 0.988, 0.01), (2.0, 0.997, 0.005)]
SEEDS = range(3)


@cache
def _world(split: str, seed: int = 0) -> tuple[Tensor, Tensor]:
    label = seeding.integers(seed, f"label/{split}", IDS, 2)
    sign = 2.0 * label[:, None] - 1.0
    robust = np.where(seeding.uniform(seed, f"robust/{split}", IDS) < 0.95, sign, -sign)
    others = ETA * sign + seeding.normal(seed, f"others/{split}", IDS, 100)
    return torch.from_numpy(np.hstack([robust, others])), torch.from_numpy(label)


def _network(weight: Tensor) -> nn.Module:
    """Logits (0, w.x): class 1 where w.x > 0."""
    network = nn.Linear(101, 2, bias=False).double().eval().requires_grad_(False)
    network.weight[:] = torch.stack([torch.zeros_like(weight), weight])
    return network


def _logistic_regression(x: Tensor, label: Tensor) -> nn.Module:
    """By L-BFGS, penalised, for the classes are almost separable; a tenth of it moves no number by .02."""
    weight = torch.zeros(101, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.binary_cross_entropy_with_logits(x @ weight, label.double()) + 5e-4 * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return _network(weight.detach())


def _attack(objective: Objective, x: Tensor, eps: float) -> Tensor:
    return descend(objective, x, LinfBall(eps), step_size=eps / 2, steps=3, bounds=None).last


def _accuracy(network: nn.Module, x: Tensor, label: Tensor) -> float:
    logits = evaluate.logits(network, x, batch_rows=2048).numpy()
    return float(evaluate.is_correct(logits, label.numpy()).mean())


def _robust_accuracy(network: nn.Module, eps: float) -> float:
    x, label = _world("test")
    return _accuracy(network, _attack(away(network, label), x, eps), label)


@cache
def _standard(seed: int = 0) -> nn.Module:
    return _logistic_regression(*_world("train", seed))


def _student(kind: construct.Kind, source: nn.Module, ratio: float, seed: int = 0) -> nn.Module:
    """Trained on the constructed set alone: examples pushed to their targets and labelled with them."""
    x, label = _world("train", seed)
    target = torch.from_numpy(construct.targets(kind, label.numpy(), IDS, 2, seed, split="train"))
    return _logistic_regression(_attack(towards(source, target), x, ratio * ETA), target)


def _phi(z: float) -> float:
    return 0.5 * (1.0 + erf(z / sqrt(2.0)))


@pytest.mark.parametrize(("ratio", "closed_form"), [(1.0, _phi(0.0)), (2.0, _phi(-3.0))])
def test_the_averaging_classifier_meets_its_closed_form(ratio: float, closed_form: float) -> None:
    """w = (0, 1/d, ..., 1/d): accuracy Phi((eta - eps) sqrt(d))."""
    weight = torch.full((101,), 0.01, dtype=torch.float64)
    weight[0] = 0.0
    network = _network(weight)
    # .005 is one standard error of a share of one half over 10,000 examples
    assert _accuracy(network, *_world("test")) == pytest.approx(_phi(3.0), abs=0.002)
    assert _robust_accuracy(network, ratio * ETA) == pytest.approx(closed_form, abs=0.015)


def test_standard_training_is_accurate_and_not_robust() -> None:
    assert _accuracy(_standard(), *_world("test")) == pytest.approx(0.9993, abs=0.002)
    # 12 seeds: .612 with sd .006
    assert _robust_accuracy(_standard(), ETA) == pytest.approx(0.602, abs=0.025)
    assert _robust_accuracy(_standard(), 2 * ETA) == pytest.approx(0.0023, abs=0.003)


def test_adversarial_training_keeps_the_robust_feature_alone() -> None:
    x, label = _world("train")
    network = _network(torch.zeros(101, dtype=torch.float64)).requires_grad_(True)
    optimizer = torch.optim.Adam(network.parameters(), 0.2)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=60)
    for _ in range(60):
        attacked = descend(away(network, label), x, LinfBall(2 * ETA), 2 * ETA, 1, bounds=None).last
        optimizer.zero_grad()
        F.cross_entropy(network(attacked), label).backward()
        optimizer.step()
        decay.step()
    network.requires_grad_(False)
    assert _accuracy(network, *_world("test")) == pytest.approx(0.95, abs=0.007)  # 3 standard errors
    assert _robust_accuracy(network, 2 * ETA) == pytest.approx(0.95, abs=0.007)


@pytest.mark.parametrize(("ratio", "expected", "tolerance"), D_RAND)
def test_d_rand_teaches_the_non_robust_features(ratio: float, expected: float, tolerance: float) -> None:
    students = [_student("rand", _standard(seed), ratio, seed) for seed in SEEDS]
    accuracy = np.mean([_accuracy(student, *_world("test")) for student in students])
    assert accuracy == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("kind", ["det", "other"])  # with two classes they are one and the same
@pytest.mark.parametrize(("ratio", "expected", "tolerance"), D_DET)
def test_d_det_flips_between_eta_and_one_and_a_half_eta(
    kind: construct.Kind, ratio: float, expected: float, tolerance: float
) -> None:
    """Below eta the non-robust features still tell the old class and the student learns the relabelling."""
    student = _student(kind, _standard(), ratio)
    assert _accuracy(student, *_world("test")) == pytest.approx(expected, abs=tolerance)


def test_a_source_that_knows_only_the_robust_feature_teaches_the_relabelling() -> None:
    """Its attack moves x1 alone.  What D_rand then still teaches is leakage of the robust feature."""
    x, label = _world("test")
    source = _network(F.one_hot(torch.tensor(0), 101).double())
    relabelled = _student("det", source, 2.0)
    assert _accuracy(relabelled, x, label) == pytest.approx(0.0012, abs=0.005)
    assert _accuracy(relabelled, x, 1 - label) == pytest.approx(0.9988, abs=0.005)
    # 12 seeds: .687 with sd .007
    assert _accuracy(_student("rand", source, 2.0), x, label) == pytest.approx(0.673, abs=0.03)
