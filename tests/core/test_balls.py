"""Balls: projection, steepest direction and sampling, against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from raylab.core import seeding
from raylab.core.balls import BALLS, Ball, L2Ball, LinfBall

EPS = 0.7
BOTH = [L2Ball(EPS), LinfBall(EPS)]


def _random(*shape: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _size(ball: Ball, delta: torch.Tensor) -> torch.Tensor:
    order = 2 if isinstance(ball, L2Ball) else math.inf
    return torch.linalg.vector_norm(delta.flatten(1), order, dim=1)


@pytest.mark.parametrize("ball", BOTH)
def test_projection_lands_in_the_ball_and_is_idempotent(ball: Ball) -> None:
    projected = ball.project(_random(50, 3, 4, 4, scale=2.0))
    assert (_size(ball, projected) <= EPS * (1 + 1e-14)).all()  # rounding of one norm and one product
    torch.testing.assert_close(ball.project(projected), projected, rtol=1e-14, atol=0.0)


@pytest.mark.parametrize("ball", BOTH)
def test_projection_leaves_what_is_inside_where_it_is(ball: Ball) -> None:
    delta = _random(50, 3, 4, 4, scale=0.01)
    assert torch.equal(ball.project(delta), delta)
    assert torch.equal(ball.project(torch.zeros(2, 3)), torch.zeros(2, 3))  # the centre is no 0 / 0


@pytest.mark.parametrize("ball", BOTH)
def test_projection_is_the_nearest_point_of_the_ball(ball: Ball) -> None:
    """Against its variational form: (delta - p) . (q - p) <= 0 for every q of the ball (convexity)."""
    delta = _random(200, 5)
    projected = ball.project(delta)
    for seed in range(1, 20):
        other = ball.project(_random(200, 5, seed=seed))
        assert (((delta - projected) * (other - projected)).sum(1) <= 1e-12).all()


def test_projection_treats_each_example_alone() -> None:
    delta = torch.stack([torch.full((2, 2), 100.0), torch.full((2, 2), 0.1)])
    torch.testing.assert_close(L2Ball(1.0).project(delta)[0], torch.full((2, 2), 0.5))
    assert torch.equal(L2Ball(1.0).project(delta)[1], delta[1])


@pytest.mark.parametrize(("ball", "dual"), [(L2Ball(EPS), 2), (LinfBall(EPS), 1)])
def test_steepest_direction_attains_the_dual_norm(ball: Ball, dual: int) -> None:
    """No direction of unit size gains more than ||g|| in the dual norm; this one gains just that."""
    gradient = _random(20, 3, 4)
    direction = ball.steepest(gradient)
    gain = (gradient * direction).flatten(1).sum(1)
    torch.testing.assert_close(gain, torch.linalg.vector_norm(gradient.flatten(1), dual, dim=1))
    torch.testing.assert_close(_size(ball, direction), torch.ones(20, dtype=torch.float64))


@pytest.mark.parametrize("ball", BOTH)
def test_a_zero_gradient_gives_no_step(ball: Ball) -> None:
    assert torch.equal(ball.steepest(torch.zeros(2, 3)), torch.zeros(2, 3))


@pytest.mark.parametrize("ball", BOTH)
def test_memory_format_is_kept(ball: Ball) -> None:
    images = torch.rand(4, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    for result in (ball.project(images), ball.steepest(images)):
        assert result.is_contiguous(memory_format=torch.channels_last)


def _noise(count: int, size: int) -> torch.Tensor:
    return torch.from_numpy(seeding.uniform(0, "ball", np.arange(count), size + 1))


def test_l2_samples_are_uniform_in_the_ball() -> None:
    delta = L2Ball(EPS).sample(_noise(20_000, 6), torch.zeros(20_000, 2, 3, dtype=torch.float64)).flatten(1)
    volume = (delta.norm(dim=1) / EPS) ** 6  # the share of the ball's volume inside the radius: uniform
    assert volume.min() >= 0.0
    assert volume.max() <= 1.0 + 1e-12
    counts = torch.histc(volume, 20, 0.0, 1.0)
    assert float(((counts - 1000.0) ** 2 / 1000.0).sum()) < 53.0  # 19 degrees of freedom: P(above) < 1e-4
    second = delta.T @ delta / len(delta)  # E[d d'] = eps^2 / (D + 2) I, with an error of about .0004 here
    torch.testing.assert_close(second, torch.eye(6, dtype=torch.float64) * EPS**2 / 8, atol=0.002, rtol=0.0)


def test_linf_samples_are_uniform_in_the_ball() -> None:
    delta = LinfBall(EPS).sample(_noise(20_000, 6), torch.zeros(20_000, 6, dtype=torch.float64))
    counts = torch.histc(delta, 20, -EPS, EPS)
    assert counts.sum() == delta.numel()
    assert float(((counts - 6000.0) ** 2 / 6000.0).sum()) < 53.0


@pytest.mark.parametrize("ball", BOTH)
def test_samples_follow_their_own_noise_and_the_images_format(ball: Ball) -> None:
    noise, like = _noise(4, 12), torch.zeros(4, 3, 2, 2)
    delta = ball.sample(noise, like)
    assert delta.shape == like.shape
    assert delta.dtype == like.dtype
    assert torch.equal(ball.sample(noise[2:3], like[2:3]), delta[2:3])
    assert ball.sample(torch.zeros(1, 13), like[:1]).isfinite().all()  # the noise may be exactly 0


def test_a_wrong_noise_shape_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"noise: .* \(4, 13\), got \(4, 12\)"):
        L2Ball(EPS).sample(torch.zeros(4, 12), torch.zeros(4, 3, 2, 2))


@pytest.mark.parametrize("kind", BALLS.values())
@pytest.mark.parametrize("eps", [0.0, -1.0, math.nan, math.inf])
def test_a_radius_must_be_finite_and_positive(kind: type[L2Ball], eps: float) -> None:
    with pytest.raises(ValueError, match="eps"):
        kind(eps)
