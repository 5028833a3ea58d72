"""Square attack: random search that asks for logits alone (Andriushchenko et al. 2020, arXiv:1912.00049).

What it finds and gradients miss says that the gradients are masked.  Each image has its own windows, as in the paper
(in AutoAttack a batch shares them), from (seed, query, id).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from raylab.core import seeding
from raylab.core.apgd import ALL, Found
from raylab.core.balls import Ball, L2Ball, LinfBall
from raylab.core.later import Tensor, torch
from raylab.core.objectives import Classifier, margin, require_eval

FIRST_SHARE = 0.8  # of the image that the first window covers
HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # queries: AutoAttack's, whatever their number
TOGETHER = 128  # proposals tried in one pass of the network
BLOCK = 100  # queries drawn at a time
TILES = 5  # a side, of the first perturbation of an L2 ball


def square(
    network: Classifier,  # in eval mode
    x: Tensor,  # (B, C, H, W), in [0, 1]
    label: Tensor,  # (B,) int64
    ball: Ball,
    ids: NDArray[np.int64],  # (B,)
    seed: int,
    queries: int = 5000,
) -> Found:
    """Lower the margin by new squares in the perturbation, each kept where it helps; broken images rest."""
    require_eval(network)
    if queries < 1 or not len(x) == len(label) == len(ids):
        raise ValueError(f"square: at least 1 query, equally many images, labels and ids, got {queries} and {len(ids)}")
    with torch.no_grad():
        x = x.clone()
        z = PROPOSALS[type(ball)].first(x, ball.eps, ids, seed)
        least = margin(network(z), label)
        for block in _blocks(queries):
            rows = (least > 0).nonzero()[:, 0]
            if len(rows) == 0:
                break
            left = ids[rows.cpu().numpy()]
            draws = [seeding.uniform(seed, f"square/{query}", left, 5 + x.shape[1]) for query in block]
            u = torch.from_numpy(np.stack(draws, axis=1)).to(x)
            _try(network, x, label, ball, z, least, rows, u, window(block[0], *x.shape[2:]))
    return Found(z, least)


def _try(
    network: Classifier,
    x: Tensor,
    label: Tensor,
    ball: Ball,
    z: Tensor,  # (B, C, H, W), and below: what is known of each image, improved in place
    least: Tensor,  # (B,)
    rows: Tensor,  # (R,): those to be worked on
    u: Tensor,  # (R, queries, 5 + C)
    side: float,
) -> None:
    """Each row's queries, one after the other: several are tried at once where few rows are left, and of those the
    first that helps is taken and what follows it is tried again."""
    propose, queries = PROPOSALS[type(ball)].then, u.shape[1]
    done = torch.zeros_like(rows)  # queries, of each row
    start, best, lowest, own = x[rows], z[rows], least[rows], label[rows]
    while len(rows) > 0:
        ahead = min(max(TOGETHER // len(rows), 1), queries)
        at = torch.arange(len(rows), device=x.device)
        # Past its last query a row asks that again, which helps no more than before.
        query = (done[:, None] + torch.arange(ahead, device=x.device)).clamp(max=queries - 1)
        each = at.repeat_interleave(ahead) if ahead > 1 else ALL
        delta = propose((best - start)[each], ball.eps, side, u[at[:, None], query].flatten(0, 1))
        tried = delta.add_(start[each]).clamp_(0, 1)
        now = margin(network(tried), own[each]).view(-1, ahead)
        helps = now < lowest[:, None]
        hit, first = helps.any(dim=1), helps.byte().argmax(dim=1)
        best[hit] = tried[(at * ahead + first)[hit]]
        lowest = torch.where(hit, now[at, first], lowest)
        done += torch.where(hit, first + 1, ahead)
        stay = (done < queries) & (lowest > 0)
        if not stay.all():
            z[rows[~stay]], least[rows[~stay]] = best[~stay], lowest[~stay]
            rows, done, u, start, best, lowest, own = (t[stay] for t in (rows, done, u, start, best, lowest, own))


def _blocks(queries: int) -> Iterator[range]:
    """All queries in order, by BLOCK at most; within a block the window has one size."""
    first = 0
    for last in (*(after + 1 for after in HALVED_AFTER if after + 1 < queries), queries):
        yield from (range(i, min(i + BLOCK, last)) for i in range(first, last, BLOCK))
        first = last


def window(query: int, height: int, width: int) -> float:
    """The side of a window that covers its share of the image, before rounding."""
    share = FIRST_SHARE / 2 ** sum(query > after for after in HALVED_AFTER)
    return math.sqrt(share * height * width)


def _stripes(x: Tensor, eps: float, ids: NDArray[np.int64], seed: int) -> Tensor:
    """Vertical stripes of +-eps."""
    count, channels, _, width = x.shape
    signs = _signs(torch.from_numpy(seeding.uniform(seed, "square/first", ids, channels * width)).to(x))
    return (x + eps * signs.view(count, channels, 1, width)).clamp(0, 1)


def _tiles(x: Tensor, eps: float, ids: NDArray[np.int64], seed: int) -> Tensor:
    """A grid of small pyramids of random sign."""
    count, channels, height, width = x.shape
    side = max(min(height, width) // TILES, 1)
    down, across = height // side, width // side
    draws = torch.from_numpy(seeding.uniform(seed, "square/first", ids, channels * down * across + 1)).to(x)
    tile = _turned(_pyramids(side).to(x), draws[:, -1:].view(-1, 1, 1) > 0.5)[:, None]
    signs = _signs(draws[:, :-1]).view(count, channels, down, across)
    delta = torch.zeros_like(x)
    grid = signs.repeat_interleave(side, 2).repeat_interleave(side, 3) * tile.repeat(1, 1, down, across)
    top, left = (height - down * side) // 2, (width - across * side) // 2
    delta[:, :, top : top + down * side, left : left + across * side] = grid
    return (x + _scaled(delta, eps)).clamp(0, 1)


def _linf(delta: Tensor, eps: float, side: float, u: Tensor) -> Tensor:
    """A square of one sign a channel (algorithm 2)."""
    size = min(max(round(side), 1), *delta.shape[2:])
    here = _window(u[:, 0], u[:, 1], size, delta)
    value = (eps * _signs(u[:, 5:]))[:, :, None].expand_as(here)
    return delta.flatten(2).scatter(2, here, value).view_as(delta)


def _l2(delta: Tensor, eps: float, side: float, u: Tensor) -> Tensor:
    """Mass moves from one window to another, as two pyramids of opposite sign (algorithm 3)."""
    size = max(round(side), 3)
    size = min(size + (size % 2 == 0), *delta.shape[2:])
    here, there = _window(u[:, 0], u[:, 1], size, delta), _window(u[:, 2], u[:, 3], size, delta)
    flat = delta.flatten(2).clone()
    free = (eps**2 - flat.square().sum(dim=(1, 2), keepdim=True)).clamp(min=0) / delta.shape[1]
    old = flat.gather(2, here)
    flat.scatter_(2, here, 0.0)
    taken = flat.gather(2, there)  # what lies in both windows counts once
    pyramids = _pyramids(size).to(delta)
    pattern = torch.stack([pyramids.flatten(), pyramids.T.flatten()])[(u[:, 4] > 0.5).long()]
    fresh = pattern[:, None] * _signs(u[:, 5:])[:, :, None] + old / (1e-12 + _norm(old, (2,)))
    budget = (free + old.square().sum(2, keepdim=True) + taken.square().sum(2, keepdim=True)).sqrt()
    fresh = fresh / (1e-12 + _norm(fresh, (2,))) * budget
    return _scaled(flat.scatter_(2, there, 0.0).scatter_(2, here, fresh).view_as(delta), eps)


class _Proposals(NamedTuple):
    """What is tried in a ball: the first perturbation, and the changes of it."""

    first: Callable[[Tensor, float, NDArray[np.int64], int], Tensor]  # images, eps, ids, seed -> images
    then: Callable[[Tensor, float, float, Tensor], Tensor]  # perturbation, eps, side of a window, draws -> another


# A ball without its own would be left by squares of another norm, and nobody would see it.
PROPOSALS: dict[type[Ball], _Proposals] = {L2Ball: _Proposals(_tiles, _l2), LinfBall: _Proposals(_stripes, _linf)}


def _window(down: Tensor, across: Tensor, size: int, delta: Tensor) -> Tensor:
    """The pixels of a random window in each image, as places in its flattened channels: (B, C, size * size)."""
    height, width = delta.shape[2:]
    top, left = ((u * (n - size + 1)).long().clamp(max=n - size) for u, n in ((down, height), (across, width)))
    offset = torch.arange(size, device=delta.device)
    inside = (offset[:, None] * width + offset).flatten()
    return (top * width + left)[:, None, None].add(inside).expand(-1, delta.shape[1], -1)


@lru_cache(maxsize=64)
def _pyramids(side: int) -> Tensor:
    """(side, side), L2 norm 1: a pyramid above its negative (equation 2 and figure 3)."""
    return _normed(torch.cat([_pyramid(side // 2, side), -_pyramid(side - side // 2, side)]))


def _pyramid(height: int, width: int) -> Tensor:
    """At distance d (of the maximum norm) from the centre: the sum of 1 / k^2 over k > d; L2 norm 1."""
    if height == 0:
        return torch.zeros(0, width)
    levels = max(height // 2, width // 2) + 1
    heights = (1.0 / torch.arange(1, levels + 1) ** 2).flip(0).cumsum(0).flip(0)
    rows, columns = (torch.arange(height) - height // 2).abs(), (torch.arange(width) - width // 2).abs()
    return _normed(heights[torch.maximum(rows[:, None], columns[None, :])])


def _normed(pattern: Tensor) -> Tensor:
    return pattern.div(torch.linalg.vector_norm(pattern))


def _turned(pattern: Tensor, turn: Tensor) -> Tensor:
    return torch.where(turn, pattern.T, pattern)


def _signs(u: Tensor) -> Tensor:
    return torch.where(u < 0.5, -1.0, 1.0).to(u)


def _scaled(delta: Tensor, norm: float) -> Tensor:
    return delta.mul(norm / (1e-12 + _norm(delta, (1, 2, 3))))


def _norm(delta: Tensor, dim: tuple[int, ...]) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(delta, dim=dim, keepdim=True)
    return norm
