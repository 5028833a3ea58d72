"""A world with one robust and d faint features, in which every construction of Ilyas et al. 2019 has a number.

x_0 equals y = +-1 with probability .95; x_1 ... x_d ~ N(eta y, 1) with eta = 3 / sqrt(d).  Each of the d is nearly
useless, together they are nearly perfect; an Linf step of eta cancels them, one of 2 eta reverses them, and neither
turns x_0.  Linear classifiers through the origin, Linf, no bounds.

`population` gives the limits of endless data: by symmetry a classifier has two weights, of x_0 and of the sum of the
rest, and logistic regression on any constructed set is a minimum in two variables under an integral over one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from raylab.core import seeding
from raylab.core.gaussian import normal_cdf
from raylab.core.later import F, Tensor, torch

RELIABILITY = 0.95  # of x_0
REACH = 3.0  # eta sqrt(d): the mean of the d together, in units of their scatter
PENALTY = 5e-4  # on the squared weights, for the classes are almost separable; a tenth of it moves no number by .02
Set = Literal["clean", "rand", "det"]


@dataclass(frozen=True)
class SyntheticWorld:
    dimension: int = 100  # d, of the faint features

    @property
    def eta(self) -> float:
        return REACH / math.sqrt(self.dimension)

    def sample(self, seed: int, split: str, n: int) -> tuple[Tensor, Tensor]:
        """x (n, d + 1) float64 and y (n,) of +-1."""
        ids = np.arange(n)
        y = 2.0 * seeding.integers(seed, f"synthetic/label/{split}", ids, 2)[:, None] - 1.0
        robust = np.where(seeding.uniform(seed, f"synthetic/robust/{split}", ids) < RELIABILITY, y, -y)
        faint = self.eta * y + seeding.normal(seed, f"synthetic/faint/{split}", ids, self.dimension)
        return torch.from_numpy(np.hstack([robust, faint])), torch.from_numpy(y[:, 0])

    @property
    def averaging(self) -> Tensor:
        """The classifier that averages the faint features: Phi(3) clean, Phi((eta - eps) sqrt(d)) at radius eps."""
        return torch.cat([torch.zeros(1), torch.ones(self.dimension)]).double() / self.dimension

    @property
    def robust_only(self) -> Tensor:
        """The classifier that knows x_0 alone."""
        return torch.cat([torch.ones(1), torch.zeros(self.dimension)]).double()


def fit(x: Tensor, y: Tensor) -> Tensor:
    """Logistic regression by L-BFGS, (d + 1,)."""
    with torch.inference_mode(False), torch.enable_grad():
        weight = torch.zeros(x.shape[1], dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([weight], max_iter=200, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            value: Tensor = F.softplus(-y * (x @ weight)).mean() + PENALTY * weight.square().sum()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimizer.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach()


def fit_adversarially(x: Tensor, y: Tensor, eps: float, steps: int = 60) -> Tensor:
    """The same on worst cases, exact for a linear classifier: softplus(-(y w.x - eps ||w||_1)); by Adam."""
    with torch.inference_mode(False), torch.enable_grad():
        weight = torch.zeros(x.shape[1], dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.Adam([weight], 0.2)
        decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=steps)
        for _ in range(steps):
            optimizer.zero_grad()
            F.softplus(-(y * (x @ weight) - eps * weight.abs().sum())).mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            decay.step()
    return weight.detach()


def accuracy(weight: Tensor, x: Tensor, y: Tensor, eps: float = 0.0) -> float:
    """The share that sign(w.x) has right within an Linf radius: exact, for the worst step is eps sign(w)."""
    return float((y * (x @ weight) > eps * weight.abs().sum()).double().mean())


def constructed(kind: Set, source: Tensor, x: Tensor, y: Tensor, eps: float, seed: int) -> tuple[Tensor, Tensor]:
    """Examples pushed by eps towards a target in the eyes of the source, and the targets: drawn, or -y."""
    drawn = 2.0 * seeding.integers(seed, "synthetic/target", np.arange(len(y)), 2) - 1.0
    target = -y if kind == "det" else torch.from_numpy(drawn)
    return x + eps * target[:, None] * source.sign(), target


def with_features_of(x: Tensor, others: Tensor, weight: Tensor) -> Tensor:
    """D_R and D_NR: other examples, moved the least (L2) that gives them the feature w.x of x.

    For w = x_0 alone that replaces the robust feature; for a standard classifier's w it moves all a little.
    """
    return others + ((x - others) @ weight)[:, None] * weight / weight.square().sum()


def shuffled(x: Tensor, seed: int) -> Tensor:
    """The examples in another order: where the inversions start."""
    return x[torch.from_numpy(seeding.permutation(seed, "synthetic/start", np.arange(len(x))))]


@dataclass(frozen=True)
class Population:
    """A classifier of endless data: score = w_0 x_0 + w_s s, with s = sum(x_1..d) / sqrt(d), which scatters by 1."""

    robust: float  # w_0
    faint: float  # w_s

    def accuracy(self, world: SyntheticWorld, eps: float = 0.0) -> float:
        """On clean data within an Linf radius, which moves x_0 by eps and s by eps sqrt(d)."""
        lost = eps * (abs(self.robust) + math.sqrt(world.dimension) * abs(self.faint))
        shares = ((RELIABILITY, 1.0), (1.0 - RELIABILITY, -1.0))
        reach = [(share, self.robust * sign + self.faint * REACH - lost) for share, sign in shares]
        if self.faint == 0.0:
            return sum(share * float(value > 0.0) for share, value in reach)
        return sum(share * normal_cdf(value / abs(self.faint)) for share, value in reach)


def population(world: SyntheticWorld, kind: Set, eps: float = 0.0, moved: Sequence[bool] = (True, True)) -> Population:
    """Logistic regression on endless data of a set whose source has positive weights (of x_0, of the rest: `moved`).

    By Newton's method; the penalty is that of `fit`.
    """
    # (share of the examples, t x_0, t E[s]) with t the label in the set; a push adds eps to x_0 and eps sqrt(d) to s.
    same = [(RELIABILITY, 1.0, REACH), (1.0 - RELIABILITY, -1.0, REACH)]
    other = [(share, -value, -mean) for share, value, mean in same]
    mixture = {"clean": same, "det": other, "rand": [(p / 2, a, m) for p, a, m in same + other]}[kind]
    push = (0.0 if kind == "clean" else eps) * np.asarray([moved[0], moved[1] * math.sqrt(world.dimension)])
    nodes, heights = np.polynomial.hermite_e.hermegauss(80)
    share = np.concatenate([p * heights / heights.sum() for p, _, _ in mixture])
    first = np.concatenate([np.full_like(nodes, a + push[0]) for _, a, _ in mixture])
    second = np.concatenate([m + push[1] + nodes for _, _, m in mixture])
    found = _newton(np.stack([first, second], axis=1), share)
    return Population(float(found[0]), float(found[1]))


def _newton(x: NDArray[np.float64], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """The minimum of sum share softplus(-x.w) + penalty: convex. w_s stands for d weights of w_s / sqrt(d)."""
    w = np.zeros(2)

    def loss(at: NDArray[np.float64]) -> float:
        return float(share @ np.logaddexp(0.0, -(x @ at)) + PENALTY * at @ at)

    for _ in range(100):
        wrong = 1.0 / (1.0 + np.exp(np.clip(x @ w, -700, 700)))
        gradient = -(share * wrong) @ x + 2 * PENALTY * w
        curvature = (x * (share * wrong * (1 - wrong))[:, None]).T @ x + 2 * PENALTY * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while loss(w - size * step) > loss(w) and size > 1e-9:
            size /= 2
        w = w - size * step
        if np.abs(gradient).max() < 1e-12:
            break
    return np.asarray(w)
