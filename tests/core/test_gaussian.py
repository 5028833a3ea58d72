"""The Gaussian model against its closed forms, and the closed forms against each other."""

from __future__ import annotations

import numpy as np
import pytest

from raylab.core import gaussian, seeding

MEAN, VARIANCES = (2.0, 1.0), (4.0, 0.25)


def test_theorem_1_has_its_value_and_sampling_agrees() -> None:
    assert gaussian.misalignment_gain((1.0, 4.0), 2.0) == pytest.approx(3.3061224, abs=1e-7)
    sampled = gaussian.sampled_gain((1.0, 4.0), 2.0, 300_000, seed=0)
    assert sampled.mean == pytest.approx(3.3061224, abs=4 * sampled.se)
    assert sampled.se == pytest.approx(4.26 / np.sqrt(300_000), rel=0.05)  # of 3 chi^2 + .31 chi^2


def test_at_a_fixed_trace_the_gain_is_least_where_data_and_adversary_agree() -> None:
    gains = [gaussian.misalignment_gain((2.5 - t, 2.5 + t), 2.0) for t in (0.0, 0.5, 1.0, 1.5)]
    assert gains == sorted(gains)
    assert gains[0] < gains[1]


@pytest.mark.parametrize(
    ("variances", "eps", "multiplier", "learned"),
    [
        ((1.0,), 0.5, 4 / 3, (2.25,)),
        ((100.0, 1.0), 1.0, 0.514091, (103.85393, 3.92680)),
        ((100.0, 1.0), 10.0, 0.0124013, (233.41644, 90.13042)),
        ((4.0, 1.0, 0.25), 0.5, 2.898369, (4.66452, 1.61640, 0.78921)),
    ],
)
def test_theorem_2_has_its_values(
    variances: tuple[float, ...], eps: float, multiplier: float, learned: tuple[float, ...]
) -> None:
    fit = gaussian.robust_fit(variances, eps)
    assert fit.multiplier == pytest.approx(multiplier, abs=1e-5)
    assert fit.variances == pytest.approx(learned, abs=1e-5)


def test_the_robust_fit_moves_the_scale_by_eps_and_satisfies_the_stationarity_of_appendix_e() -> None:
    """M = sqrt(s_r / s) - 1 spends E ||M v||^2 = eps^2, and lambda M s_r = M + 1: the optimal step of lemma 1."""
    s = np.array([9.0, 1.0, 0.04])
    fit = gaussian.robust_fit(s.tolist(), 0.7)
    m = np.sqrt(fit.variances / s) - 1
    assert (m**2 * s).sum() == pytest.approx(0.49, rel=1e-12)
    assert fit.multiplier * m * fit.variances == pytest.approx(m + 1, rel=1e-10)


def test_without_an_adversary_nothing_changes() -> None:
    fit = gaussian.robust_fit((4.0, 1.0), 0.0)
    assert fit.variances.tolist() == [4.0, 1.0]
    assert fit.multiplier == float("inf")


def test_no_direction_between_the_classes_is_aligned_worse_than_theorem_3_says_and_one_is_so() -> None:
    variances, kappa = (100.0, 1.0), 100.0
    worst = gaussian.worst_alignment(kappa)
    means = seeding.normal(0, "test", np.arange(2000), 2)
    assert min(gaussian.alignment(mu.tolist(), variances) for mu in means) >= worst
    assert gaussian.alignment((kappa**0.5, 1.0), variances) == pytest.approx(worst, rel=1e-12)


def test_robust_training_improves_the_worst_alignment() -> None:
    before = gaussian.worst_alignment(gaussian.condition((100.0, 1.0)))
    after = [
        gaussian.worst_alignment(gaussian.condition(gaussian.robust_fit((100.0, 1.0), e).variances)) for e in (1, 10)
    ]
    assert before == pytest.approx(0.198020, abs=1e-6)
    assert after == pytest.approx([0.374731, 0.896591], abs=1e-6)


@pytest.mark.parametrize(("eps", "expected"), [(0.0, 0.98733), (0.25, 0.96290), (0.5, 0.90901), (1.0, 0.66760)])
def test_accuracies_have_their_values_and_an_attack_finds_them(eps: float, expected: float) -> None:
    w = gaussian.weights(MEAN, VARIANCES)
    assert gaussian.accuracy(w, MEAN, VARIANCES, eps) == pytest.approx(expected, abs=1e-5)
    sampled = gaussian.sampled_accuracy(w, MEAN, VARIANCES, eps, 40_000, seed=1)
    assert sampled.mean == pytest.approx(expected, abs=4 * sampled.se)


def test_a_hard_constraint_is_weaker_than_the_relaxed_one_and_becomes_it_in_many_dimensions() -> None:
    assert gaussian.hard_variance(1.0, 0.5) == pytest.approx(2.047885, abs=1e-6)
    assert gaussian.hard_variance(1.0, 0.5) < gaussian.robust_fit((1.0,), 0.5).variances[0]
    many = 4000
    assert gaussian.hard_variance(1.0, 0.5 * many**0.5, many) == pytest.approx(2.25, abs=1e-3)


def test_adversarial_training_finds_the_hard_constraint_and_not_the_relaxed_one() -> None:
    (found,) = gaussian.learned_hard_variances((1.0,), 0.5, seed=0, steps=300, batch=500)
    assert found == pytest.approx(2.047885, rel=0.02)
    isotropic = gaussian.learned_hard_variances((1.0, 1.0, 1.0, 1.0), 1.0, seed=0, steps=300, batch=500)
    assert isotropic == pytest.approx([gaussian.hard_variance(1.0, 1.0, 4)] * 4, rel=0.04)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gaussian.misalignment_gain((1.0, 4.0), 1.0), "without bound"),
        (lambda: gaussian.robust_fit((1.0, 0.0), 1.0), "finite and > 0"),
        (lambda: gaussian.robust_fit((1.0,), -1.0), "at least 0"),
    ],
)
def test_what_has_no_answer_is_refused(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
