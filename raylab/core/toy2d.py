"""Errors in the plane: does a network learn random labels from adversarial points?  (Wallace, Distill 2019)

Some random points with random labels; a teacher that fits them; every point pushed until the teacher changes its mind,
labelled with the new class; a student that sees only these; its score on the original points and labels.

Many worlds train at once, a matrix product each.  They meet in fixed groups, so that the result of a world does not
depend on which others are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from raylab.core import seeding
from raylab.core.balls import unit
from raylab.core.later import F, Tensor, torch

GROUP = 8  # worlds that train together: world s always with 8 * (s // 8), ..., 8 * (s // 8) + 7
Weights = list[Tensor]  # W (G, in, out) and b (G, 1, out), layer by layer
Floats = NDArray[np.float64]

# linf: signed steps in a ball, only points that changed class are kept.  minimal: steps along the gradient until the
# logit of the new class is at least `margin` (of 0: until it is just past the boundary), all points are kept.
Push = Literal["linf", "minimal"]


@dataclass(frozen=True)
class Protocol:
    """One way to run it. The article gives the 32 points, the square, Linf and 0.12; the rest is ours."""

    push: Push
    amount: float  # linf: the radius; minimal: the margin of the logit
    points: int = 32
    low: float = 0.0  # of the square
    high: float = 1.0
    hidden: tuple[int, ...] = (100, 100)
    steps: int = 1500  # of Adam, all points at once
    lr: float = 1e-2
    push_steps: int = 50  # minimal: at most
    push_step: float = 0.01


class Worlds(NamedTuple):
    """What came out of some worlds, in the order in which they were asked for."""

    seeds: NDArray[np.int64]  # (S,)
    points: Floats  # (S, N, 2)
    labels: NDArray[np.bool_]  # (S, N)
    pushed: Floats  # (S, N, 2)
    kept: NDArray[np.bool_]  # (S, N), the points that the student sees
    fitted: NDArray[np.int64]  # (S,) original points that the teacher has right
    right: NDArray[np.int64]  # (S,) original points that the student has right
    control: NDArray[np.int64]  # (S,) the same of the student of random directions
    agreement: Floats  # (S,) share of the square where teacher and student say the same
    teacher: Floats  # (S, side, side) logits over the square: row y, column x
    student: Floats  # (S, side, side)


def run(protocol: Protocol, seeds: Sequence[int], side: int = 48) -> Worlds:
    """Teacher, pushed points, student and control of every world; `side` points a side where the two are compared."""
    wanted = np.asarray(seeds, dtype=np.int64)
    groups = {int(group): _group(protocol, int(group), side) for group in np.unique(wanted // GROUP)}
    picked = [[column[seed % GROUP] for column in groups[int(seed) // GROUP]] for seed in wanted]
    return Worlds(*map(np.stack, zip(*picked, strict=True)))


def _group(p: Protocol, group: int, side: int) -> Worlds:
    seeds = GROUP * group + np.arange(GROUP)
    x, y = _points(p, seeds)
    teacher = _teacher(replace(p, push="linf", amount=0.0, push_steps=0, push_step=0.0), group)
    pushed, kept = _push(p, teacher, x, y)
    # The same lengths and labels, in directions that know nothing of the teacher.
    length = (pushed - x).norm(dim=2, keepdim=True)
    angle = 2 * np.pi * seeding.uniform(0, "toy2d/angles", seeds, p.points)
    away = x + length * torch.from_numpy(np.stack([np.cos(angle), np.sin(angle)], axis=2)).float()
    student, control = _fits(p, seeds, "student", (pushed, away), ~y, kept)
    plane = _plane(p, side)
    over = [_logits(weights, plane).reshape(GROUP, side, side) for weights in (teacher, student)]
    return Worlds(
        seeds=seeds,
        points=x.double().numpy(),
        labels=y.numpy(),
        pushed=pushed.double().numpy(),
        kept=kept.numpy(),
        fitted=_right(teacher, x, y),
        right=_right(student, x, y),
        control=_right(control, x, y),
        agreement=((over[0] > 0) == (over[1] > 0)).double().mean(dim=(1, 2)).numpy(),
        teacher=over[0].double().numpy(),
        student=over[1].double().numpy(),
    )


def _points(p: Protocol, seeds: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    draws = seeding.uniform(0, "toy2d/points", seeds, 3 * p.points).reshape(GROUP, p.points, 3)
    x = torch.from_numpy(p.low + (p.high - p.low) * draws[..., :2]).float()
    return x, torch.from_numpy(draws[..., 2] < 0.5)


@lru_cache(maxsize=64)  # ways to push differ after their teachers; a page has several of the same worlds
def _teacher(p: Protocol, group: int) -> Weights:
    seeds = GROUP * group + np.arange(GROUP)
    x, y = _points(p, seeds)
    return _fit(p, seeds, "teacher", x, y, torch.ones_like(y))


def _fits(
    p: Protocol, seeds: NDArray[np.int64], role: str, several: Sequence[Tensor], y: Tensor, kept: Tensor
) -> list[Weights]:
    """The same networks on several sets of points; side by side, for a step of so small ones is mostly overhead."""
    count = len(several)
    weights = _fit(p, np.tile(seeds, count), role, torch.cat(list(several)), y.repeat(count, 1), kept.repeat(count, 1))
    return [
        [w[low : low + len(seeds)].contiguous() for w in weights] for low in range(0, count * len(seeds), len(seeds))
    ]


def _fit(p: Protocol, seeds: NDArray[np.int64], role: str, x: Tensor, y: Tensor, kept: Tensor) -> Weights:
    """Full-batch Adam on the mean cross-entropy of the kept points, by world: none enters another's sum."""
    weights = [w.requires_grad_() for w in _initial(p, seeds, role)]
    descent = torch.optim.Adam(weights, p.lr, fused=True)
    share = kept.float() / kept.sum(dim=1, keepdim=True).clamp(min=1)
    wanted = y.float()
    for _ in range(p.steps):
        loss = (F.binary_cross_entropy_with_logits(_logits(weights, x), wanted, reduction="none") * share).sum()
        descent.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        descent.step()
    return [w.detach() for w in weights]


def _initial(p: Protocol, seeds: NDArray[np.int64], role: str) -> Weights:
    """Uniform within 1 / sqrt(inputs), as torch's Linear."""
    weights: Weights = []
    sizes = (2, *p.hidden, 1)
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        drawn = seeding.uniform(0, f"toy2d/{role}/{layer}", seeds, (inputs + 1) * outputs)
        bounded = torch.from_numpy((2 * drawn - 1) / np.sqrt(inputs)).float().reshape(len(seeds), inputs + 1, outputs)
        weights += [bounded[:, :-1].contiguous(), bounded[:, -1:].contiguous()]
    return weights


def _logits(
    weights: Weights,
    x: Tensor,  # (G, N, 2)
) -> Tensor:
    """(G, N); above 0 the network says the class `True`."""
    for layer in range(0, len(weights) - 2, 2):
        x = F.relu(torch.baddbmm(weights[layer + 1], x, weights[layer]))
    return torch.baddbmm(weights[-1], x, weights[-2]).squeeze(2)


def _push(p: Protocol, teacher: Weights, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The pushed points, and which of them the student sees. They may leave the square, as any input may."""
    sign = torch.where(y, -1.0, 1.0)  # towards the other class
    moved = x.clone()
    for _ in range(p.push_steps):
        moved.requires_grad_()
        logit = sign * _logits(teacher, moved)
        (gradient,) = torch.autograd.grad(logit.sum(), moved)
        moved = moved.detach()
        if p.push == "linf":
            moved = x + (moved + p.push_step * gradient.sign() - x).clamp(-p.amount, p.amount)
        else:
            moved = moved + p.push_step * unit(gradient, (2,)) * (logit.detach() <= p.amount).unsqueeze(2)
    if p.push == "minimal":
        return moved, torch.ones_like(y)
    was_right, flipped = (_logits(teacher, x) > 0) == y, (_logits(teacher, moved) > 0) != y
    return moved, was_right & flipped


def _plane(p: Protocol, side: int) -> Tensor:
    """(G, side * side, 2): a grid over the square, row by row of y."""
    ticks = torch.linspace(p.low, p.high, side)
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    return torch.stack([x.ravel(), y.ravel()], dim=1).expand(GROUP, -1, -1).contiguous()


def _right(weights: Weights, x: Tensor, y: Tensor) -> NDArray[np.int64]:
    return ((_logits(weights, x) > 0) == y).sum(dim=1).numpy()
