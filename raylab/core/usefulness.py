"""How useful and how robust linear features are, exactly.

Goh, "Two examples of useful, non-robust features" (Distill 2019).  Two classes y = +-1, x centred, Sigma = E[x x'].
A feature is f = a.x / ||a||_Sigma: E[f^2] = 1.  Its usefulness is E[y f]; an adversary of radius eps takes
eps ||a||_* / ||a||_Sigma from it, ||.||_* the dual norm.  log(||a||_Sigma / ||a||_2) is its robustness: for an
eigenvector of Sigma the log of the singular value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Norm = Literal["l2", "linf"]
# Published points of his figure: two eigenvectors of CIFAR-10's trucks and frogs, and their mixture.
_GOH = ((-11.62, -4.10), (-4.445, -1.158), (-10.85, -1.253))
SMALLEST = 1e-6  # singular values below this share of the largest are constant pixels and rounding


class Point(NamedTuple):
    """A feature in Goh's plane."""

    robustness: float  # log ||a||_Sigma / ||a||_2
    usefulness: float  # log |E[y f]|


GOH_NON_ROBUST, GOH_ROBUST, GOH_CONTAINED = (Point(*pair) for pair in _GOH)


@dataclass(frozen=True)
class TwoClasses:
    """The first two moments of a data set: all that the usefulness of a linear feature depends on."""

    mean: Vector  # E[y x], (d,), of centred x
    vectors: Vector  # (d, k): eigenvectors of Sigma, of falling eigenvalue
    singular: Vector  # (k,): square roots of the eigenvalues

    def usefulness(self, a: Vector) -> float:
        """E[y f] of direction a, (d,)."""
        return float(a @ self.mean / self.scale(a))

    def robust_usefulness(self, a: Vector, eps: float, norm: Norm = "l2") -> float:
        """E[y f] less what an adversary takes, the sign of f chosen to be useful."""
        dual = np.linalg.norm(a) if norm == "l2" else np.abs(a).sum()
        return abs(self.usefulness(a)) - eps * float(dual) / self.scale(a)

    def scale(self, a: Vector) -> float:
        """||a||_Sigma."""
        return float(np.linalg.norm(self.singular * (self.vectors.T @ a)))

    def point(self, a: Vector) -> Point:
        useful = abs(self.usefulness(a))
        return Point(math.log(self.scale(a) / np.linalg.norm(a)), math.log(useful) if useful > 0.0 else -math.inf)

    def spectrum(self) -> list[Point]:
        """Of every eigenvector."""
        return [self.point(a) for a in self.vectors.T]

    def ensemble(self, members: NDArray[np.int64]) -> Vector:
        """a_f = sum_i sign(E[y a_i.x]) a_i over eigenvectors: all of them useful a little, none of them robust."""
        chosen = self.vectors[:, members]
        return np.asarray(chosen @ np.sign(chosen.T @ self.mean))

    def contain(self, non_robust: int, robust: int, share: float) -> Vector:
        """(1 - share) a_n + share a_r of two eigenvectors, signs chosen to be useful: useless and non-robust, but for a
        contamination that is neither."""
        pair = self.vectors[:, [non_robust, robust]]
        return np.asarray(pair @ (np.sign(pair.T @ self.mean) * [1.0 - share, share]))

    @property
    def most_useful(self) -> Vector:
        """Sigma^-1 E[y x]: no linear feature is more useful."""
        return np.asarray(self.vectors @ ((self.vectors.T @ self.mean) / self.singular**2))


def two_classes(
    x: Vector,  # (N, d)
    y: Vector,  # (N,) of +-1
) -> TwoClasses:
    """Moments and spectrum; directions in which the data do not vary are left out."""
    if x.ndim != 2 or len(x) != len(y) or set(np.unique(y)) != {-1.0, 1.0}:
        raise ValueError(f"two_classes: rows of both labels -1 and 1, got {x.shape} and {sorted(set(y.tolist()))[:5]}")
    centred = x - x.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(x))
    singular = np.sqrt(np.maximum(values[::-1], 0.0))
    kept = singular > SMALLEST * singular[0]
    return TwoClasses(centred.T @ y / len(y), vectors[:, ::-1][:, kept], singular[kept])


def mixed(non_robust: Point, robust: Point, share: float) -> Point:
    """Where (1 - share) a_n + share a_r lies, from the two eigenvectors' points alone."""
    low, high = math.exp(non_robust.robustness), math.exp(robust.robustness)
    first, second = (1.0 - share) * low, share * high
    scale = math.hypot(first, second)
    useful = (first * math.exp(non_robust.usefulness) + second * math.exp(robust.usefulness)) / scale
    return Point(math.log(scale / math.hypot(1.0 - share, share)), math.log(useful))


def share_of(non_robust: Point, robust: Point, robustness: float) -> float:
    """The share at which that mixture is as robust as asked; it grows with the share.

    Raises ValueError unless the value lies between those of the two.
    """
    if not non_robust.robustness < robustness < robust.robustness:
        raise ValueError(f"robustness: between {non_robust.robustness} and {robust.robustness}, got {robustness}")
    low, high = 0.0, 1.0
    while (middle := (low + high) / 2.0) not in (low, high):
        if mixed(non_robust, robust, middle).robustness < robustness:
            low = middle
        else:
            high = middle
    return high
