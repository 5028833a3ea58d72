"""Square attack: what it keeps, what it may depend on, and its patterns."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from raylab.core import square as module
from raylab.core.balls import Ball, L2Ball, LinfBall
from raylab.core.objectives import margin
from raylab.core.square import HALVED_AFTER, _blocks, _l2, _pyramids, square, window

BALLS = [L2Ball(0.8), LinfBall(0.1)]


def _network(shape: tuple[int, int, int] = (3, 8, 8)) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), 16), nn.Tanh(), nn.Linear(16, 4)).eval()


def _images(count: int, shape: tuple[int, int, int] = (3, 8, 8)) -> Tensor:
    return (1.6 * torch.rand(count, *shape, generator=torch.Generator().manual_seed(1)) - 0.3).clamp(0, 1)


@pytest.mark.parametrize("ball", BALLS)
@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 6, 9), (2, 2, 2)])
def test_results_lie_in_the_ball_and_in_the_bounds(ball: Ball, shape: tuple[int, int, int]) -> None:
    network, x = _network(shape), _images(12, shape)
    label, before = network(x).argmax(1), x.clone()
    found = square(network, x, label, ball, np.arange(12), seed=0, queries=60)
    size = torch.linalg.vector_norm((found.image - x).flatten(1), 2 if isinstance(ball, L2Ball) else math.inf, dim=1)
    assert (size <= ball.eps * (1 + 1e-5)).all()  # float32
    assert found.image.min() >= 0
    assert found.image.max() <= 1
    torch.testing.assert_close(margin(network(found.image), label), found.margin, rtol=0, atol=1e-6)
    assert torch.equal(x, before)


@pytest.mark.parametrize("ball", BALLS)
def test_more_queries_never_raise_a_margin_and_mostly_lower_it(ball: Ball) -> None:
    network, x = _network(), _images(20)
    label = network(x).argmax(1)
    few, many = (square(network, x, label, ball, np.arange(20), seed=0, queries=q).margin for q in (5, 300))
    assert (many <= few).all()
    alive = few > 0
    assert float((many < few)[alive].float().mean()) > 0.9


@pytest.mark.parametrize("ball", BALLS)
def test_an_example_gets_its_own_squares_whatever_is_beside_it(ball: Ball) -> None:
    network, x, ids = _network(), _images(8), 100 + 7 * np.arange(8)
    label, order = network(x).argmax(1), np.array([5, 2, 7, 0])
    whole = square(network, x, label, ball, ids, seed=0, queries=40)
    part = square(network, x[order], label[order], ball, ids[order], seed=0, queries=40)
    # float32 sums round by their batch; another window would move pixels by eps / 10 at least
    torch.testing.assert_close(part.image, whole.image[order], rtol=0, atol=1e-5)
    assert not torch.equal(square(network, x, label, ball, ids, seed=1, queries=40).image, whole.image)


@pytest.mark.parametrize("ball", BALLS)
def test_several_queries_at_once_are_the_queries_one_by_one(ball: Ball, monkeypatch: pytest.MonkeyPatch) -> None:
    network, x, found = _network(), _images(6), []
    label = network(x).argmax(1)
    for together in (1, 20, 1000):
        monkeypatch.setattr(module, "TOGETHER", together)
        found.append(square(network, x, label, ball, np.arange(6), seed=0, queries=230))
    for other in found[1:]:
        torch.testing.assert_close(other.image, found[0].image, rtol=0, atol=1e-5)


def test_blocks_are_all_queries_in_order_under_one_window_each() -> None:
    for queries in (1, 11, 12, 777, 5000, 8001, 9000):
        blocks = list(_blocks(queries))
        assert [q for block in blocks for q in block] == list(range(queries))
        assert all(window(block[0], 16, 16) == window(block[-1], 16, 16) for block in blocks)
        assert max(map(len, blocks)) <= 100
    assert HALVED_AFTER[-1] < 9000


@pytest.mark.parametrize("ball", BALLS)
def test_on_a_linear_network_it_comes_near_the_best_there_is(ball: Ball) -> None:
    """Two classes on 16 pixels far from 0 and 1: the least margin is z - eps ||w||, in the dual norm."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).eval().requires_grad_(False)
    torch.manual_seed(0)
    network[1].weight.normal_()
    network[1].bias[:] = torch.tensor([100.0, 0.0])  # never broken, so that it goes on
    x, ball = 0.4 + 0.2 * torch.rand(6, 1, 4, 4), type(ball)(ball.eps / 4)
    label, w = torch.zeros(6).long(), network[1].weight[0] - network[1].weight[1]
    found = square(network, x, label, ball, np.arange(6), seed=0, queries=2000)
    best = ball.eps * float(w.norm() if isinstance(ball, L2Ball) else w.abs().sum())
    gained = (margin(network(x), label) - found.margin) / best
    assert (gained <= 1 + 1e-4).all()  # margins near 100 are known to 1e-5
    # Linf: every corner can be reached; L2 moves mass between windows of 3 pixels or more
    assert (gained > (0.8 if isinstance(ball, L2Ball) else 0.99)).all(), gained


@pytest.mark.parametrize("side", [3.0, 4.0, 9.0])
def test_an_l2_proposal_is_algorithm_3_window_by_window(side: float) -> None:
    """Written with slices, one image and channel at a time."""
    generator = torch.Generator().manual_seed(3)
    eps, delta = 2.0, torch.randn(6, 3, 8, 8, generator=generator, dtype=torch.float64)
    delta *= 1.5 / delta.flatten(1).norm(dim=1).view(-1, 1, 1, 1)  # not all of eps is in use
    u = torch.rand(6, 8, generator=generator, dtype=torch.float64)
    s = min(int(side) + (int(side) % 2 == 0), 8)
    expected = delta.clone()
    for i in range(6):
        (r1, c1, r2, c2), lying = (int(v) for v in u[i, :4] * (8 - s + 1)), bool(u[i, 4] > 0.5)
        one, two = np.s_[r1 : r1 + s, c1 : c1 + s], np.s_[r2 : r2 + s, c2 : c2 + s]
        for c in range(3):
            union = torch.zeros(8, 8, dtype=torch.bool)
            union[one] = union[two] = True
            budget = float((eps**2 - 1.5**2) / 3 + delta[i, c][union].square().sum()) ** 0.5
            pattern = (_pyramids(s).T if lying else _pyramids(s)).double() * (-1.0 if u[i, 5 + c] < 0.5 else 1.0)
            fresh = pattern + delta[i, c][one] / delta[i, c][one].norm()
            expected[i, c][two] = 0.0
            expected[i, c][one] = fresh / fresh.norm() * budget
        expected[i] *= eps / expected[i].norm()
    torch.testing.assert_close(_l2(delta, eps, side, u), expected, rtol=0, atol=1e-7)


def test_the_window_shrinks_by_the_authors_table() -> None:
    shares = [round(window(query, 10, 10) ** 2 / 100, 6) for query in (0, 10, 11, 51, 4001)]
    assert shares == [0.8, 0.8, 0.4, 0.2, 0.00625]


@pytest.mark.parametrize("side", [1, 3, 5, 8])
def test_pyramids_have_norm_one_and_opposite_halves(side: int) -> None:
    pattern = _pyramids(side)
    assert float(pattern.norm()) == pytest.approx(1)
    assert (pattern[: side // 2] >= 0).all()
    assert (pattern[side // 2 :] <= 0).all()
    if side % 2 == 0:
        torch.testing.assert_close(pattern[: side // 2], -pattern[side // 2 :])
