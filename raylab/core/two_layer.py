"""Wide two-layer networks that learn from perturbations alone (Kumano et al., NeurIPS 2024, scenario (a)).

f(x) = a' relu(W x + b) with fixed a.  One network is trained on (x, y) with the loss -y f; every x gets one normalised
gradient step of L2 size eps towards a *random* label t; a second network sees the perturbations with these labels and
nothing else, and is asked for y.  Full batch, momentum .9, W and b trained.

While few units change side, the second network says sign(N eps g.x + sum t), g the first one's unit gradient: the
bias answers to every label alike, so the chance imbalance sum t of the random labels sets the eps that is needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from raylab.core import philox, seeding
from raylab.core.balls import unit
from raylab.core.gaussian import normal_cdf
from raylab.core.later import Tensor, torch

SHIFT = 0.3  # the classes' means are +-SHIFT in every coordinate
MOMENTUM = 0.9
PUBLISHED_SEED = 0  # of the authors' single run


@dataclass(frozen=True)
class Weights:
    hidden: Tensor  # W, (m, d)
    bias: Tensor  # b, (m,)
    readout: Tensor  # a, (m,), never trained

    def __call__(self, x: Tensor) -> Tensor:
        """f(x), (N,)."""
        value: Tensor = torch.relu(x @ self.hidden.T + self.bias) @ self.readout
        return value

    def gradient(self, x: Tensor) -> Tensor:
        """The unit vector of d f / d x, (N, d)."""
        slope = ((x @ self.hidden.T + self.bias > 0.0) * self.readout) @ self.hidden
        return unit(slope)


@dataclass(frozen=True)
class Draws:
    """All that is random in a run: two initial networks and the random labels t (N,) of +-1."""

    first: Weights
    second: Weights
    towards: Tensor


@dataclass(frozen=True)
class Outcome:
    """Of one radius; agreement is on test data, the accuracies as the paper has them, on the training data."""

    learned: float  # accuracy of the second network
    learned_test: float
    agreement: float  # share of test points on which the two networks say the same


def initial(seed: int, dimension: int, width: int) -> Weights:
    """W ~ N(0, 1 / d), b ~ N(0, 1), a ~ N(0, 1 / m)."""
    drawn = torch.from_numpy(seeding.normal(seed, "two_layer/initial", np.arange(width), dimension + 2)).float()
    return Weights(drawn[:, :-2] / math.sqrt(dimension), drawn[:, -2], drawn[:, -1] / math.sqrt(width))


def draws(seed: int, num_examples: int, dimension: int, width: int) -> Draws:
    """Of any seed: labels by fair coins, whose sum is about +-sqrt(N)."""
    t = 2.0 * seeding.integers(seed, "two_layer/towards", np.arange(num_examples), 2) - 1.0
    nets = [initial(seeding.derive(seed, f"two_layer/{role}"), dimension, width) for role in ("first", "second")]
    return Draws(nets[0], nets[1], torch.from_numpy(t).float())


def published_draws(num_examples: int, dimension: int, width: int, calls: int, loader: bool) -> Draws:
    """Those of the authors' code at seed 0: networks from PyTorch's CPU generator, labels from its CUDA generator.

    calls: what the CUDA generator was asked for before the labels (synthetic data: twice); loader: whether a DataLoader
    took its one number from the CPU generator between the networks (real data).
    """
    generator = torch.Generator().manual_seed(PUBLISHED_SEED)

    def network() -> Weights:
        torch.empty(width * (dimension + 1)).uniform_(generator=generator)  # nn.Linear's own, overwritten
        hidden = torch.empty(width, dimension).normal_(0.0, 1.0 / math.sqrt(dimension), generator=generator)
        bias = torch.empty(width).normal_(generator=generator)
        readout = torch.empty(1, width).normal_(0.0, 1.0 / math.sqrt(width), generator=generator)
        return Weights(hidden, bias, readout[0])

    first = network()
    if loader:
        torch.empty((), dtype=torch.int64).random_(generator=generator)
    labels = torch.from_numpy(philox.signs(PUBLISHED_SEED, calls, num_examples))
    return Draws(first, network(), labels)


def shifted_gaussians(seed: int, split: str, n: int, dimension: int) -> tuple[Tensor, Tensor]:
    """x ~ N(+-.3, I), half of each class: (n, d) and (n,) of +-1."""
    y = np.where(np.arange(n) < n // 2, 1.0, -1.0)
    x = seeding.normal(seed, f"two_layer/data/{split}", np.arange(n), dimension) + SHIFT * y[:, None]
    return torch.from_numpy(x).float(), torch.from_numpy(y).float()


def published_gaussians(split: str, n: int, dimension: int) -> tuple[Tensor, Tensor]:
    """Those of the authors' code at seed 0; the test points follow the random labels."""
    call = 0 if split == "train" else 3
    halves = [
        np.float32(sign * SHIFT) + philox.normals(PUBLISHED_SEED, call + i, n // 2 * dimension).reshape(-1, dimension)
        for i, sign in enumerate((1.0, -1.0))
    ]
    return torch.from_numpy(np.concatenate(halves)), torch.cat([torch.ones(n // 2), -torch.ones(n // 2)])


def train(start: Weights, x: Tensor, y: Tensor, lr: float, steps: int) -> Weights:
    """Minimise the mean of -y f(x) by full-batch gradient descent with momentum; nothing bounds it from below.

    The gradient changes only where a unit changes its side for an example, which four steps in five see none do. So the
    pre-activations are moved along, and neither they nor the gradient are computed anew until one changes its sign.
    """
    w, b, a = start.hidden.clone(), start.bias.clone(), start.readout
    v, u = torch.zeros_like(w), torch.zeros_like(b)
    reached = torch.addmm(b, x, w.T)
    moving = torch.zeros_like(reached)
    pull = (y / len(y))[:, None] * a
    on: Tensor | None = None
    for _ in range(steps):
        now = reached > 0.0
        if on is None or not torch.equal(now, on):
            on, slope = now, pull * now
            of_w, of_b = slope.T @ x, slope.sum(dim=0)
            push = torch.addmm(of_b, x, of_w.T)
        v.mul_(MOMENTUM).add_(of_w)
        u.mul_(MOMENTUM).add_(of_b)
        w.add_(v, alpha=lr)
        b.add_(u, alpha=lr)
        reached.add_(moving.mul_(MOMENTUM).add_(push), alpha=lr)
    return Weights(w, b, a)


def learn(first: Weights, drawn: Draws, x: Tensor, y: Tensor, test: tuple[Tensor, Tensor], eps: float, lr: float,
          steps: int) -> Outcome:  # fmt: skip
    """Train the second network on perturbations of x towards the random labels, and ask it for y."""
    student = train(drawn.second, eps * drawn.towards[:, None] * first.gradient(x), drawn.towards, lr, steps)
    agree = (student(test[0]).sign() == first(test[0]).sign()).float().mean()
    return Outcome(is_right(student, x, y), is_right(student, *test), float(agree))


def is_right(network: Weights, x: Tensor, y: Tensor) -> float:
    """The share of points with y f(x) > 0."""
    return float((network(x) * y > 0.0).float().mean())


def expected(label_sum: float, num_examples: int, dimension: int, eps: float) -> float:
    """The closed form for shifted Gaussians and g = the direction between the means.

    N eps g.x ~ N(+-N eps .3 sqrt(d), (N eps)^2), so with r = sum t / (N eps) the accuracy is the mean of
    Phi(.3 sqrt(d) - r) and Phi(.3 sqrt(d) + r): 1 where the labels balance, 1/2 where their sum outweighs the data.
    """
    reach, tilt = SHIFT * math.sqrt(dimension), label_sum / (num_examples * eps)
    return 0.5 * (normal_cdf(reach - tilt) + normal_cdf(reach + tilt))
