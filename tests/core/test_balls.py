"""Balls: projection, steepest direction and sampling, against their definitions."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
import torch

from raylab.core import seeding
from raylab.core.balls import BALLS, BORDER, AnyBall, Ball, BandBall, L1Ball, L2Ball, LinfBall, Norm
from raylab.core.square import PROPOSALS

EPS = 0.7
BOTH = [L2Ball(EPS), LinfBall(EPS)]
NEW = [L1Ball(EPS), BandBall(EPS, "low"), BandBall(EPS, "high")]
EACH = [*BOTH, *NEW]


def _random(*shape: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _size(ball: AnyBall, delta: torch.Tensor) -> torch.Tensor:
    order = 1 if isinstance(ball, L1Ball) else math.inf if isinstance(ball, LinfBall) else 2
    return torch.linalg.vector_norm(delta.flatten(1), order, dim=1)


@pytest.mark.parametrize("ball", EACH)
def test_projection_lands_in_the_ball_and_is_idempotent(ball: AnyBall) -> None:
    projected = ball.project(_random(50, 3, 4, 4, scale=2.0))
    assert (_size(ball, projected) <= EPS * (1 + 1e-14)).all()  # rounding of one norm and one product
    # A Fourier transform and back rounds in every pixel.
    torch.testing.assert_close(ball.project(projected), projected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("ball", [*BOTH, L1Ball(EPS)])
def test_projection_leaves_what_is_inside_where_it_is(ball: AnyBall) -> None:
    delta = _random(50, 3, 4, 4, scale=0.01)  # L1 norm 0.38
    assert torch.equal(ball.project(delta), delta)
    assert torch.equal(ball.project(torch.zeros(2, 3)), torch.zeros(2, 3))  # the centre is no 0 / 0


@pytest.mark.parametrize("ball", EACH)
def test_projection_is_the_nearest_point_of_the_ball(ball: AnyBall) -> None:
    """Against its variational form: (delta - p) . (q - p) <= 0 for every q of the ball (convexity)."""
    delta = _random(200, 1, 5, 4)
    projected = ball.project(delta)
    for seed in range(1, 20):
        other = ball.project(_random(200, 1, 5, 4, seed=seed))
        assert (((delta - projected) * (other - projected)).flatten(1).sum(1) <= 1e-12).all()


def test_projection_treats_each_example_alone() -> None:
    delta = torch.stack([torch.full((2, 2), 100.0), torch.full((2, 2), 0.1)])
    torch.testing.assert_close(L2Ball(1.0).project(delta)[0], torch.full((2, 2), 0.5))
    assert torch.equal(L2Ball(1.0).project(delta)[1], delta[1])


@pytest.mark.parametrize(("ball", "dual"), [(L2Ball(EPS), 2), (LinfBall(EPS), 1), (L1Ball(EPS), math.inf)])
def test_steepest_direction_attains_the_dual_norm(ball: AnyBall, dual: int) -> None:
    """No direction of unit size gains more than ||g|| in the dual norm; this one gains just that."""
    gradient = _random(20, 3, 4)
    direction = ball.steepest(gradient)
    gain = (gradient * direction).flatten(1).sum(1)
    torch.testing.assert_close(gain, torch.linalg.vector_norm(gradient.flatten(1), dual, dim=1))
    torch.testing.assert_close(_size(ball, direction), torch.ones(20, dtype=torch.float64))


@pytest.mark.parametrize("ball", EACH)
def test_a_zero_gradient_gives_no_step(ball: AnyBall) -> None:
    assert torch.equal(ball.steepest(torch.zeros(2, 1, 3, 3)), torch.zeros(2, 1, 3, 3))


def test_a_sparse_step_moves_its_share_of_the_pixels_by_one_amount() -> None:
    gradient = _random(7, 2, 5, 5)
    step = L1Ball(EPS, share=0.1).steepest(gradient).flatten(1)
    largest = gradient.flatten(1).abs().argsort(dim=1, descending=True)[:, :5]
    expected = torch.zeros_like(step).scatter(1, largest, 0.2 * gradient.flatten(1).sign().gather(1, largest))
    torch.testing.assert_close(step, expected)


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 6, 9), (3, 7, 5)])
def test_the_two_bands_part_the_waves_between_them_at_half_nyquist(shape: tuple[int, int, int]) -> None:
    delta, (low, high) = _random(4, *shape), (BandBall(1e9, "low"), BandBall(1e9, "high"))
    torch.testing.assert_close(low.project(delta) + high.project(delta), delta)
    frequency = torch.hypot(torch.fft.fftfreq(shape[1])[:, None], torch.fft.fftfreq(shape[2])[None])
    assert BORDER == 0.25
    for ball, outside in ((low, frequency > 0.25), (high, frequency <= 0.25)):
        for one in (ball.project(delta), ball.steepest(delta), ball.sample(_noise(4, math.prod(shape)), delta)):
            assert float(torch.fft.fft2(one)[..., outside].abs().max()) < 1e-6 * float(one.norm())
    constant = torch.ones(1, *shape, dtype=torch.float64)
    torch.testing.assert_close(low.project(constant), constant)
    torch.testing.assert_close(low.steepest(delta).flatten(1).norm(dim=1), torch.ones(4, dtype=torch.float64))
    with pytest.raises(ValueError, match="images"):
        low.project(torch.zeros(2, 9))


def test_l1_samples_are_uniform_in_the_ball() -> None:
    delta = L1Ball(EPS).sample(_noise(20_000, 6), torch.zeros(20_000, 6, dtype=torch.float64))
    volume = (delta.abs().sum(dim=1) / EPS) ** 6
    counts = torch.histc(volume, 20, 0.0, 1.0)
    assert counts.sum() == 20_000
    assert float(((counts - 1000.0) ** 2 / 1000.0).sum()) < 53.0
    second = delta.T @ delta / len(delta)  # E[d_i^2] = 2 eps^2 / ((D + 1)(D + 2))
    torch.testing.assert_close(second, torch.eye(6, dtype=torch.float64) * EPS**2 / 28, atol=0.001, rtol=0.0)


def test_band_samples_are_uniform_over_the_waves_of_the_band() -> None:
    """8 x 8 pixels have 13 waves of radius 2 cycles an image or less, real and imaginary parts counted."""
    like = torch.zeros(20_000, 1, 8, 8, dtype=torch.float64)
    delta = BandBall(EPS, "low").sample(_noise(20_000, 64), like).flatten(1)
    counts = torch.histc((delta.norm(dim=1) / EPS) ** 13, 20, 0.0, 1.0)
    assert counts.sum() == 20_000
    assert float(((counts - 1000.0) ** 2 / 1000.0).sum()) < 53.0


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


@pytest.mark.parametrize("ball", EACH)
def test_samples_follow_their_own_noise_and_the_images_format(ball: AnyBall) -> None:
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


def test_every_ball_that_a_config_may_name_can_be_attacked_in_all_ways() -> None:
    assert get_args(Norm) == tuple(BALLS)
    assert set(BALLS.values()) == set(get_args(Ball)) == set(PROPOSALS)
    assert len({ball.label for ball in BALLS.values()}) == len(BALLS)


@pytest.mark.parametrize("kind", BALLS.values())
def test_points_of_the_border_have_norm_eps_and_follow_their_ids(kind: type[L2Ball]) -> None:
    ball = kind(EPS)
    points = torch.from_numpy(ball.border(0, "ball", np.arange(9), (3, 2, 2)))
    torch.testing.assert_close(_size(ball, points), torch.full((9,), EPS, dtype=torch.float64))
    assert torch.equal(torch.from_numpy(ball.border(0, "ball", np.arange(4, 9), (3, 2, 2))), points[4:])


@pytest.mark.parametrize("kind", BALLS.values())
def test_the_ball_of_all_images_holds_them_and_a_smaller_one_does_not(kind: type[L2Ball]) -> None:
    whole, far = kind.whole((3, 2, 2)), torch.ones(1, 3, 2, 2, dtype=torch.float64)  # from black to white
    torch.testing.assert_close(kind(whole).project(far), far)
    assert float((kind(0.99 * whole).project(far) - far).abs().max()) > 1e-3
