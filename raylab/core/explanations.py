"""What a gradient shows: how much of its energy lies in a feature that is known.

Simonyan et al. 2014 take the gradient of a class score by the pixels for an explanation of what a network sees there.
SmoothGrad (Smilkov et al. 2017) is its mean over noisy copies of the image. Where features are known it can be checked
whether such a picture highlights what the network uses, or hides it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from raylab.core import seeding
from raylab.core.later import Tensor, torch
from raylab.core.objectives import Classifier

Floats = NDArray[np.float64]
RANK = 1e-6  # singular values below this share of the largest are rounding


def gradients(
    network: Classifier,  # in eval mode with frozen parameters
    x: Tensor,  # (B, C, H, W), in [0, 1]
    label: Tensor,  # (B,) int64
) -> Tensor:  # (B, C, H, W)
    """Of the log-odds of the label, log p / (1 - p): a constant added to all logits changes nothing."""
    pixels = x.detach().clone().requires_grad_(True)
    with torch.enable_grad():
        logits = network(pixels)
        own = torch.nn.functional.one_hot(label, logits.shape[1]).bool()
        others = logits.masked_fill(own, -torch.inf).logsumexp(dim=1)
        score = (logits[own] - others).sum()  # images do not meet in eval mode
        (gradient,) = torch.autograd.grad(score, pixels)
    return gradient.detach()


def smoothed(
    network: Classifier,
    x: Tensor,  # (B, C, H, W), in [0, 1]
    label: Tensor,  # (B,)
    ids: NDArray[np.int64],  # (B,)
    sigma: float,  # standard deviation of the noise of a pixel, in units of [0, 1]; 0: the plain gradient
    draws: int,
    seed: int,
) -> Tensor:  # (B, C, H, W)
    """SmoothGrad: the mean gradient over noisy copies, whose pixels may leave [0, 1] as published."""
    if sigma == 0.0:
        return gradients(network, x, label)
    total = torch.zeros_like(x)
    for draw in range(draws):
        noise = seeding.normal(seed, f"explanations/noise/{draw}", ids, x.shape[1:].numel())
        noisy = x + sigma * torch.from_numpy(noise).to(x).reshape(x.shape)
        total += gradients(network, noisy, label)
    return total / draws


def basis(
    patterns: Floats,  # (M, ...)
) -> Floats:  # (R, D)
    """Orthonormal rows that span the patterns; R is their rank."""
    flat = patterns.reshape(len(patterns), -1)
    _, values, rows = np.linalg.svd(flat, full_matrices=False)
    if not len(values) or values[0] == 0.0:
        raise ValueError("basis: patterns that are not all zero are needed, for they span nothing")
    spanned: Floats = rows[values > RANK * values[0]]
    return spanned


def energy_share(
    vectors: NDArray[np.floating],  # (N, ...)
    rows: Floats,  # (R, D), orthonormal
) -> Floats:  # (N,), in [0, 1]
    """|P v|^2 / |v|^2 with P the projection on the rows; nan where v is 0. A random direction has R / D on average."""
    flat = _flat(vectors)
    inside, whole = ((flat @ rows.T) ** 2).sum(axis=1), (flat**2).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(whole > 0.0, inside / whole, np.nan)


def correlation(
    vectors: NDArray[np.floating],  # (N, ...)
    patterns: NDArray[np.floating],  # (N, ...)
) -> Floats:  # (N,), in [-1, 1]
    """The cosine of the angle between each pair; nan where either is 0."""
    one, other = _flat(vectors), _flat(patterns)
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(norms > 0.0, (one * other).sum(axis=1) / norms, np.nan)


def _flat(vectors: NDArray[np.floating]) -> Floats:  # (N, D), of no rows too
    return vectors.reshape(len(vectors), math.prod(vectors.shape[1:])).astype(np.float64)
