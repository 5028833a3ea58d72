"""Square attack: random search that asks for logits alone (Andriushchenko et al. 2020, arXiv:1912.00049).

What it finds and gradients miss says that the gradients are masked.  Each image has its own windows, as in the paper
(in AutoAttack a batch shares them), from (seed, query, id).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raylab.core import seeding
from raylab.core.apgd import Found
from raylab.core.balls import Ball, L2Ball
from raylab.core.objectives import Classifier, margin, require_eval

FIRST_SHARE = 0.8  # of the image that the first window covers
HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # queries: AutoAttack's, whatever their number
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
    propose = _l2 if isinstance(ball, L2Ball) else _linf
    with torch.no_grad():
        x, position = x.clone(), torch.arange(len(x), device=x.device)
        z = _first(x, ball, ids, seed)
        least = margin(network(z), label)
        for query in range(queries):
            rows = position[least > 0]
            if len(rows) == 0:
                break
            draws = seeding.uniform(seed, f"square/{query}", ids[rows.cpu().numpy()], 5 + x.shape[1])
            u = torch.from_numpy(draws).to(x)
            tried = (x[rows] + propose(z[rows] - x[rows], ball.eps, window(query, x.shape[2], x.shape[3]), u)).clamp(
                0, 1
            )
            now = margin(network(tried), label[rows])
            helps = now < least[rows]
            z[rows[helps]], least[rows[helps]] = tried[helps], now[helps]
    return Found(z, least)


def window(query: int, height: int, width: int) -> float:
    """The side of a window that covers its share of the image, before rounding."""
    share = FIRST_SHARE / 2 ** sum(query > after for after in HALVED_AFTER)
    return math.sqrt(share * height * width)


def _first(x: Tensor, ball: Ball, ids: NDArray[np.int64], seed: int) -> Tensor:
    """Linf: vertical stripes of +-eps.  L2: a grid of small pyramids of random sign."""
    count, channels, height, width = x.shape
    if not isinstance(ball, L2Ball):
        signs = _signs(torch.from_numpy(seeding.uniform(seed, "square/first", ids, channels * width)).to(x))
        return (x + ball.eps * signs.view(count, channels, 1, width)).clamp(0, 1)
    side = max(min(height, width) // TILES, 1)
    down, across = height // side, width // side
    draws = torch.from_numpy(seeding.uniform(seed, "square/first", ids, channels * down * across + 1)).to(x)
    tile = _turned(_pyramids(side).to(x), draws[:, -1:].view(-1, 1, 1) > 0.5)[:, None]
    signs = _signs(draws[:, :-1]).view(count, channels, down, across)
    delta = torch.zeros_like(x)
    grid = signs.repeat_interleave(side, 2).repeat_interleave(side, 3) * tile.repeat(1, 1, down, across)
    top, left = (height - down * side) // 2, (width - across * side) // 2
    delta[:, :, top : top + down * side, left : left + across * side] = grid
    return (x + _scaled(delta, ball.eps)).clamp(0, 1)


def _linf(delta: Tensor, eps: float, side: float, u: Tensor) -> Tensor:
    """A square of one sign a channel (algorithm 2)."""
    height, width = delta.shape[2:]
    side = min(max(round(side), 1), height, width)
    inside = _offset(u[:, 0], side, height)[1][:, :, None] & _offset(u[:, 1], side, width)[1][:, None, :]
    return torch.where(inside[:, None], eps * _signs(u[:, 5:])[:, :, None, None], delta)


def _l2(delta: Tensor, eps: float, side: float, u: Tensor) -> Tensor:
    """Mass moves from one window to another, as two pyramids of opposite sign (algorithm 3)."""
    height, width = delta.shape[2:]
    side = max(round(side), 3)
    side = min(side + (side % 2 == 0), height, width)
    (row, in_row), (column, in_column) = _offset(u[:, 0], side, height), _offset(u[:, 1], side, width)
    here = (in_row[:, :, None] & in_column[:, None, :])[:, None]
    there = (_offset(u[:, 2], side, height)[1][:, :, None] & _offset(u[:, 3], side, width)[1][:, None, :])[:, None]
    pyramids = _pyramids(side).to(delta)
    upright, lying = (p[row[:, :, None], column[:, None, :]] for p in (pyramids, pyramids.T))
    turn = (u[:, 4] > 0.5).view(-1, 1, 1)
    fresh = here * torch.where(turn, lying, upright)[:, None] * _signs(u[:, 5:])[:, :, None, None]
    fresh = fresh + here * delta / (1e-12 + _channel_norm(here * delta))
    free = (eps**2 - delta.square().sum(dim=(1, 2, 3), keepdim=True)).clamp(min=0) / delta.shape[1]
    budget = (free + _channel_norm((here | there) * delta).square()).sqrt()
    fresh = fresh / (1e-12 + _channel_norm(fresh)) * budget
    return _scaled(torch.where(here, fresh, delta * ~there), eps)


def _offset(u: Tensor, side: int, length: int) -> tuple[Tensor, Tensor]:
    """Of every pixel along a side of the image: its place in a random window, and whether it is in it, (B, length)."""
    start = (u * (length - side + 1)).long().clamp(max=length - side)
    place = torch.arange(length, device=u.device) - start[:, None]
    return place.clamp(0, side - 1), (place >= 0) & (place < side)


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


def _channel_norm(delta: Tensor) -> Tensor:
    return _norm(delta, (2, 3))


def _norm(delta: Tensor, dim: tuple[int, ...]) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(delta, dim=dim, keepdim=True)
    return norm
