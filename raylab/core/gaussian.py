"""The Gaussian model of Ilyas et al. 2019, section 4 and appendix E: y = +-1, x ~ N(y mu, Sigma), Sigma diagonal.

Everything here has a closed form or a bisection; what is sampled is sampled to check them.  A classifier is
fitted by maximum likelihood, robust or not, and says sign(w.x) with w = Sigma^-1 mu.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from raylab.core import seeding
from raylab.core.balls import unit
from raylab.core.later import torch
from raylab.core.statistics import Estimate, proportion

Vector = NDArray[np.float64]
BLOCK = 250_000  # samples that are in memory at once


class RobustFit(NamedTuple):
    """Theorem 2: robust maximum likelihood under the relaxed constraint E ||delta||^2 = eps^2."""

    variances: Vector  # of Sigma_r
    multiplier: float  # lambda of lemma 1; inf at eps = 0


def misalignment_gain(variances: Sequence[float], penalty: float) -> float:
    """Theorem 1: what an adversary adds to E (x - mu)' Sigma^-1 (x - mu), tr[(I + (C Sigma - I)^-1)^2] - d.

    Its perturbation is delta = (C Sigma - I)^-1 (x - mu), the maximum of the likelihood's quadratic form less
    C ||delta||^2; the penalty is not subtracted here.  At a fixed trace of Sigma the gain is least for a multiple of I:
    vulnerability is the misalignment of the data's metric with the adversary's.

    Raises ValueError unless C > 1 / min variance (appendix E has >=, where the maximum is infinite).
    """
    factor = 1.0 + 1.0 / (_beyond(variances, penalty) - 1.0)
    return float((factor**2).sum() - len(factor))


def sampled_gain(variances: Sequence[float], penalty: float, samples: int, seed: int) -> Estimate:
    """The same by sampling x - mu and perturbing it."""
    scaled = _beyond(variances, penalty)
    total = squares = 0.0
    for ids in _blocks(samples):
        v = seeding.normal(seed, "gaussian/gain", ids, len(scaled)) * np.sqrt(variances)
        moved = v + v / (scaled - 1.0)
        gain = ((moved**2 - v**2) / np.asarray(variances)).sum(axis=1)
        total, squares = total + float(gain.sum()), squares + float((gain**2).sum())
    mean = total / samples
    return Estimate(mean, math.sqrt((squares / samples - mean**2) / samples), samples, 1)


def robust_fit(variances: Sequence[float], eps: float) -> RobustFit:
    """Theorem 2 and lemma 4: sqrt(s_r) = sqrt(s) / 2 + sqrt(s / 4 + 1 / lambda) of every variance s.

    lambda follows from sum (sqrt(s_r) - sqrt(s))^2 = eps^2, which grows with 1 / lambda: the Gaussian's scale is pushed
    by a Wasserstein-2 distance of eps.  (Appendix E.3.6 prints eps where E.2 defines eps^2.)
    """
    s = _positive(variances)
    if not (math.isfinite(eps) and eps >= 0.0):
        raise ValueError(f"eps: a finite L2 radius of at least 0, got {eps}")
    if eps == 0.0:
        return RobustFit(s, math.inf)

    def scale(inverse: float) -> Vector:
        return np.asarray(np.sqrt(s) / 2.0 + np.sqrt(s / 4.0 + inverse))

    def pushed(inverse: float) -> float:
        return float(((scale(inverse) - np.sqrt(s)) ** 2).sum())

    low, high = 0.0, 1.0
    while pushed(high) < eps**2:
        high *= 2.0
    while (middle := (low + high) / 2.0) not in (low, high):  # until no number lies between
        low, high = (middle, high) if pushed(middle) < eps**2 else (low, middle)
    return RobustFit(scale(high) ** 2, 1.0 / high)


def condition(variances: Sequence[float] | Vector) -> float:
    """kappa: the largest variance over the smallest."""
    s = _positive(variances)
    return float(s.max() / s.min())


def worst_alignment(kappa: float) -> float:
    """Theorem 3: min over mu of cos(Sigma^-1 mu, mu) = 2 sqrt(kappa) / (1 + kappa) (Kantorovich).

    How badly the gradient of the fitted classifier can point away from the direction between the classes.
    """
    return 2.0 * math.sqrt(kappa) / (1.0 + kappa)


def alignment(mean: Sequence[float], variances: Sequence[float] | Vector) -> float:
    """cos(Sigma^-1 mu, mu) of one mu."""
    mu, w = np.asarray(mean, dtype=np.float64), weights(mean, variances)
    return float(mu @ w / (np.linalg.norm(mu) * np.linalg.norm(w)))


def weights(mean: Sequence[float], variances: Sequence[float] | Vector) -> Vector:
    """w = Sigma^-1 mu, of the classifier sign(w.x)."""
    return np.asarray(mean, dtype=np.float64) / _positive(variances)


def accuracy(w: Vector, mean: Sequence[float], variances: Sequence[float], eps: float = 0.0) -> float:
    """Phi((w.mu - eps ||w||_2) / sqrt(w' Sigma w)): the share that sign(w.x) has right within an L2 radius of eps."""
    reach = w @ np.asarray(mean) - eps * np.linalg.norm(w)
    return normal_cdf(float(reach / np.sqrt(w**2 @ np.asarray(variances))))


def sampled_accuracy(
    w: Vector, mean: Sequence[float], variances: Sequence[float], eps: float, samples: int, seed: int
) -> Estimate:
    """The same by sampling labels and points and moving each point by eps against its label."""
    step, right = eps * w / np.linalg.norm(w), 0
    for ids in _blocks(samples):
        y = 2.0 * seeding.integers(seed, "gaussian/label", ids, 2)[:, None] - 1.0
        v = seeding.normal(seed, "gaussian/accuracy", ids, len(w)) * np.sqrt(variances)
        right += int((((y * np.asarray(mean) + v - y * step) @ w) * y[:, 0] > 0.0).sum())
    return proportion(right, samples)


def hard_variance(sigma: float, eps: float, dimension: int = 1) -> float:
    """sigma_r^2 of N(0, sigma^2 I) where every sample moves by exactly eps: E (||v|| + eps)^2 / d.

    = sigma^2 + 2 sigma eps E[chi_d] / d + eps^2 / d; in one dimension sigma^2 + 2 sqrt(2 / pi) sigma eps + eps^2.
    Under the relaxed constraint it is (sigma + eps / sqrt(d))^2; the two agree as d grows: ||v|| concentrates.
    """
    chi = math.sqrt(2.0) * math.exp(math.lgamma((dimension + 1) / 2.0) - math.lgamma(dimension / 2.0))
    return sigma**2 + 2.0 * sigma * eps * chi / dimension + eps**2 / dimension


def learned_hard_variances(
    variances: Sequence[float], eps: float, seed: int, steps: int = 800, batch: int = 1000, lr: float = 0.02
) -> Vector:
    """The same by adversarial training: Adam on log Sigma_r, each sample moved by eps where it hurts most.

    The inner maximum of (v + delta)' Sigma_r^-1 (v + delta) over the sphere is a power iteration; one step in d = 1.
    """
    s = torch.from_numpy(_positive(variances))
    with torch.inference_mode(False), torch.enable_grad():
        log = s.log().clone().requires_grad_()
        optimizer = torch.optim.Adam([log], lr)
        decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.005, total_iters=steps)
        for step in range(steps):
            ids = np.arange(step * batch, (step + 1) * batch)
            v = torch.from_numpy(seeding.normal(seed, "gaussian/hard", ids, len(s))) * s.sqrt()
            precision, moved = (-log.detach()).exp(), v
            for _ in range(1 if len(s) == 1 else 10):
                direction = moved * precision
                moved = v + eps * unit(direction)
            loss = 0.5 * (log + moved.square().mean(dim=0) * (-log).exp()).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            decay.step()
    return np.asarray(log.detach().exp().numpy())


def normal_cdf(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def _positive(variances: Sequence[float] | Vector) -> Vector:
    s = np.asarray(variances, dtype=np.float64)
    if s.ndim != 1 or not len(s) or not (np.isfinite(s) & (s > 0.0)).all():
        raise ValueError(f"variances: finite and > 0, the diagonal of Sigma, got {variances}")
    return s


def _beyond(variances: Sequence[float], penalty: float) -> Vector:
    """C Sigma, whose entries must exceed 1."""
    scaled = penalty * _positive(variances)
    if not (scaled > 1.0).all():
        raise ValueError(
            f"penalty: above 1 / {min(variances)} = 1 / (least variance), or the adversary gains without bound; "
            f"got {penalty}"
        )
    return np.asarray(scaled)


def _blocks(samples: int) -> list[NDArray[np.int64]]:
    return [np.arange(low, min(low + BLOCK, samples)) for low in range(0, samples, BLOCK)]
