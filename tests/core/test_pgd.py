"""Projected gradient descent: closed forms on linear networks, a plain reference loop, and its costs."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raylab.core.balls import Ball, Free, L2Ball, LinfBall
from raylab.core.objectives import away, towards
from raylab.core.pgd import cosine, descend

BALLS = [L2Ball(0.3), LinfBall(0.05)]


def _linear(pixels: int = 12, classes: int = 2, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, classes)).double().eval().requires_grad_(False)


def _convolutional(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    layers = [nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Conv2d(8, 8, 3), nn.Tanh(), nn.Flatten(), nn.Linear(32, 4)]
    return nn.Sequential(*layers).double().eval().requires_grad_(False)


def _images(count: int, *shape: int, seed: int = 1, low: float = 0.0, high: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(count, *shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("objective", "sign"), [(towards, 1.0), (away, -1.0)])
@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)])
@pytest.mark.parametrize("steps", [1, 7])
def test_l2_on_a_linear_network_goes_straight_along_w(objective, sign, bounds, steps: int) -> None:
    """With two classes the margin grows along u = w / ||w||: z = x +- r u, r = min(steps a, eps)."""
    network, x, one = _linear(), _images(5, 3, 2, 2, low=0.4, high=0.6), torch.ones(5, dtype=torch.int64)
    w = network[1].weight[1] - network[1].weight[0]
    eps, step_size = 0.3, 0.11
    radius = sign * min(steps * step_size, eps)
    result = descend(objective(network, one), x, L2Ball(eps), step_size, steps, bounds)
    torch.testing.assert_close(result.last, x + radius * (w / w.norm()).view(3, 2, 2), rtol=0.0, atol=1e-14)
    margin = network(x)[:, 1] - network(x)[:, 0] + radius * w.norm()
    torch.testing.assert_close(result.last_loss, -sign * margin, rtol=1e-12, atol=0.0)
    torch.testing.assert_close(result.best, result.last, rtol=0.0, atol=1e-14)  # downhill all the way


@pytest.mark.parametrize(("objective", "sign"), [(towards, 1.0), (away, -1.0)])
@pytest.mark.parametrize("steps", [1, 7])
def test_linf_on_a_linear_network_goes_to_the_corner(objective, sign, steps: int) -> None:
    network, x, one = _linear(), _images(5, 3, 2, 2, low=0.4, high=0.6), torch.ones(5, dtype=torch.int64)
    w = network[1].weight[1] - network[1].weight[0]
    eps, step_size = 0.1, 0.03
    radius = sign * min(steps * step_size, eps)
    result = descend(objective(network, one), x, LinfBall(eps), step_size, steps)
    torch.testing.assert_close(result.last, x + radius * w.sign().view(3, 2, 2), rtol=0.0, atol=1e-15)
    margin = network(x)[:, 1] - network(x)[:, 0] + radius * w.abs().sum()
    torch.testing.assert_close(result.last_loss, -sign * margin)


def _reference(
    network: nn.Module, image: Tensor, target: int, norm: str, eps: float, step: float, steps: int
) -> tuple[list[Tensor], list[float]]:
    """One image at a time, as MadryLab/robustness writes it down; every iterate kept."""
    z, iterates = image.clone(), [image.clone()]
    for _ in range(steps):
        z = z.clone().requires_grad_()
        F.cross_entropy(network(z[None]), torch.tensor([target])).backward()
        if norm == "l2":
            z = z.detach() - step * z.grad / (z.grad.norm() + 1e-10)
            delta = z - image
            z = image + delta * min(1.0, eps / float(delta.norm()))
        else:
            z = z.detach() - step * z.grad.sign()
            z = image + (z - image).clamp(-eps, eps)
        z = z.clamp(0.0, 1.0)
        iterates.append(z)
    losses = [float(F.cross_entropy(network(i[None]), torch.tensor([target]))) for i in iterates]
    return iterates, losses


@pytest.mark.parametrize(("norm", "ball", "step"), [("l2", L2Ball(0.8), 0.5), ("linf", LinfBall(0.2), 0.15)])
def test_a_batch_follows_the_plain_loop_on_each_image(norm: str, ball: Ball, step: float) -> None:
    """Large steps on a curved loss, images at the edge of [0, 1]: ball, bounds and best all matter."""
    network, x = _convolutional(), _images(12, 3, 6, 6, low=-0.3, high=1.3).clamp(0.0, 1.0)
    target = torch.arange(12) % 4
    result = descend(towards(network, target), x, ball, step, 12)
    improved = 0
    for i in range(len(x)):
        iterates, losses = _reference(network, x[i], int(target[i]), norm, ball.eps, step, 12)
        lowest = min(range(len(losses)), key=losses.__getitem__)
        improved += lowest < 12
        # float64, 12 steps of a smooth network: rounding grows to some 1e-13; anything wrong is above 1e-3
        torch.testing.assert_close(result.last[i], iterates[-1], rtol=0.0, atol=1e-9)
        torch.testing.assert_close(result.best[i], iterates[lowest], rtol=0.0, atol=1e-9)
        # softplus of the log-odds is the cross-entropy
        assert float(F.softplus(result.last_loss[i])) == pytest.approx(losses[-1], abs=1e-9)
        assert float(F.softplus(result.best_loss[i])) == pytest.approx(losses[lowest], abs=1e-9)
    assert improved > 0  # else the best was never tried


@pytest.mark.parametrize("ball", BALLS)
@pytest.mark.parametrize("objective", [towards, away])
def test_results_lie_in_the_ball_and_in_the_bounds(objective, ball: Ball) -> None:
    x = _images(32, 3, 6, 6, low=-0.5, high=1.5).clamp(0.0, 1.0)  # half of the pixels at an edge
    label = torch.arange(32) % 4
    result = descend(objective(_convolutional(), label), x, ball, ball.eps / 2, 10)
    for image, loss in ((result.last, result.last_loss), (result.best, result.best_loss)):
        order = 2 if isinstance(ball, L2Ball) else math.inf
        size = torch.linalg.vector_norm((image - x).flatten(1), order, dim=1)
        assert (size <= ball.eps * (1 + 1e-12)).all()
        assert image.min() >= 0.0
        assert image.max() <= 1.0
        torch.testing.assert_close(objective(_convolutional(), label)(image), loss)
    assert (result.best_loss <= result.last_loss).all()
    assert (result.best_loss < objective(_convolutional(), label)(x)).all()


def test_the_start_is_the_best_where_every_step_overshoots() -> None:
    x = torch.full((3, 2), 0.5, dtype=torch.float64)
    near = x + 0.01
    result = descend(lambda z: (z - near).square().sum(1), x, L2Ball(0.4), 0.3, 5)
    assert torch.equal(result.best, x)
    assert (result.last_loss > result.best_loss).all()


def test_of_equally_good_iterates_the_first_is_the_best() -> None:
    """|z - .625| from .5 in steps of .25: the iterates .5, .75, .5 ... all lose .125."""
    x = torch.full((1, 1), 0.5)
    result = descend(lambda z: (z - 0.625).abs().sum(1), x, LinfBall(0.5), 0.25, 3)
    assert (float(result.best), float(result.last)) == (0.5, 0.75)


def test_each_example_is_independent_of_its_batch_mates() -> None:
    network, x, target = _linear(classes=3), _images(8, 3, 2, 2), torch.arange(8) % 3
    ball, order = L2Ball(0.3), torch.tensor([5, 2, 7, 0, 1, 3, 6, 4])
    whole = descend(towards(network, target), x, ball, 0.1, 6)
    turned = descend(towards(network, target[order]), x[order], ball, 0.1, 6)
    alone = [descend(towards(network, target[i : i + 1]), x[i : i + 1], ball, 0.1, 6) for i in range(8)]
    for name in whole._fields:  # 1e-12: a matrix product may round by its batch; a coupling is above 1e-3
        expected = getattr(whole, name)
        torch.testing.assert_close(getattr(turned, name), expected[order], rtol=0.0, atol=1e-12)
        torch.testing.assert_close(torch.cat([getattr(one, name) for one in alone]), expected, rtol=0.0, atol=1e-12)


def test_the_best_iterate_costs_one_forward_pass_more_than_the_steps() -> None:
    network, calls = _convolutional(), 0

    def counting(x: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return network(x)

    descend(towards(counting, torch.arange(4)), _images(4, 3, 6, 6), L2Ball(0.3), 0.1, 9)
    assert calls == 9 + 1


def test_no_parameter_gets_a_gradient() -> None:
    network = _convolutional().requires_grad_(True)
    result = descend(towards(network, torch.arange(4)), _images(4, 3, 6, 6), L2Ball(0.3), 0.1, 2)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(tensor.requires_grad for tensor in result)


def test_the_images_are_left_alone_and_keep_their_memory_format() -> None:
    x = _images(4, 3, 6, 6).contiguous(memory_format=torch.channels_last)
    before = x.clone()
    result = descend(towards(_convolutional(), torch.arange(4)), x, L2Ball(0.3), 0.1, 3)
    assert torch.equal(x, before)
    assert result.last.is_contiguous(memory_format=torch.channels_last)
    assert result.best.is_contiguous(memory_format=torch.channels_last)
    result.best.zero_()
    assert torch.equal(x, before)  # even a best iterate that is the start is a copy


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_works_where_gradients_are_off(mode: Callable[[], torch.no_grad]) -> None:
    network, target = _convolutional(), torch.arange(4)
    expected = descend(towards(network, target), _images(4, 3, 6, 6), L2Ball(0.3), 0.1, 3)
    with mode():
        result = descend(towards(network, target), _images(4, 3, 6, 6), L2Ball(0.3), 0.1, 3)
    assert torch.equal(result.last, expected.last)


@pytest.mark.parametrize("ball", BALLS)
def test_a_start_is_brought_into_the_ball_and_the_bounds_and_then_used(ball: Ball) -> None:
    seen: list[Tensor] = []

    def watching(z: Tensor) -> Tensor:
        seen.append(z.detach().clone())
        return z.flatten(1).sum(1)

    x = torch.full((2, 3), 0.98, dtype=torch.float64)
    far = torch.tensor([[5.0, -5.0, 0.0]], dtype=torch.float64).expand(2, 3)
    start = x + far
    descend(watching, x, ball, 0.01, 1, start=start)
    torch.testing.assert_close(seen[0], (x + ball.project(far)).clamp(0.0, 1.0))
    assert torch.equal(start, x + far)  # the caller's start is left alone


@pytest.mark.parametrize("ball", BALLS)
def test_a_nan_is_an_error_that_counts_the_examples(ball: Ball) -> None:
    network, x = _convolutional(), _images(5, 3, 6, 6)
    x[3, 0, 0, 0] = math.nan
    with pytest.raises(ValueError, match="not finite for 1 of 5 examples"):
        descend(towards(network, torch.arange(5) % 4), x, ball, 0.1, 2)
    network[0].weight[:] = math.nan
    with pytest.raises(ValueError, match="not finite for 5 of 5 examples"):
        descend(towards(network, torch.arange(5) % 4), _images(5, 3, 6, 6), ball, 0.1, 2)


@pytest.mark.parametrize("ball", BALLS)
def test_a_nan_gradient_of_a_finite_loss_is_an_error_too(ball: Ball) -> None:
    """sqrt at 0 has the value 0 and the slope inf; times 0 that is nan, which sign() turns into 0."""
    with pytest.raises(ValueError, match="not finite for 2 of 2"):
        descend(lambda z: (0.0 * z).sqrt().sum(1), torch.rand(2, 3), ball, 0.1, 2)


def test_an_infinite_loss_at_the_very_end_is_an_error() -> None:
    with pytest.raises(ValueError, match="not finite for 1 of 1"):
        descend(lambda z: z.log().sum(1), torch.full((1, 1), 0.5), LinfBall(0.5), 0.5, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(2, 3, dtype=torch.uint8)}, "divide bytes by 255"),
        ({"x": torch.zeros(3)}, "batch of decoded images"),
        ({"x": torch.tensor([[0.2, -1.5]])}, "got -1.5 to 0.2; .*normalisation is the network's first layer"),
        ({"step_size": 0.0}, "step_size"),
        ({"step_size": math.nan}, "step_size"),
        ({"steps": 0}, "steps: at least 1, got 0"),
        ({"momentum": 1.0}, r"momentum: in \[0, 1\), got 1.0"),
        ({"momentum": -0.1}, r"momentum: in \[0, 1\)"),
        ({"objective": lambda z: z.sum()}, "loss per example"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, object], message: str) -> None:
    arguments = {"objective": lambda z: z.sum(1), "x": torch.zeros(2, 3), "step_size": 0.1, "steps": 2}
    with pytest.raises(ValueError, match=message):
        descend(**(arguments | change), ball=L2Ball(1.0))  # type: ignore[arg-type]


def test_a_network_in_another_number_format_moves_a_float32_iterate() -> None:
    """bf16 has 8 bits: its gradient signs agree with float32's where the weights are not near 0, as here."""
    w = torch.tensor([[1.0], [-2.0], [0.5]])
    result = descend(lambda z: (z.bfloat16() @ w.bfloat16())[:, 0], torch.full((2, 3), 0.5), LinfBall(0.1), 0.05, 4)
    assert result.last.dtype == torch.float32
    torch.testing.assert_close(result.last, 0.5 - 0.1 * w.sign().T.expand(2, 3))


def test_steps_may_each_have_their_size() -> None:
    network, x, target = _convolutional(), _images(4, 3, 6, 6), torch.arange(4)
    one = descend(towards(network, target), x, L2Ball(0.3), 0.1, 3)
    each = descend(towards(network, target), x, L2Ball(0.3), [0.1, 0.1, 0.1], 3)
    assert torch.equal(one.last, each.last)
    straight = descend(lambda z: z.flatten(1).sum(1), torch.full((1, 4), 0.5), LinfBall(0.5), [0.1, 0.02], 2)
    torch.testing.assert_close(straight.last, torch.full((1, 4), 0.38))
    with pytest.raises(ValueError, match="one for each of the 3, got 2"):
        descend(towards(network, target), x, L2Ball(0.3), [0.1, 0.1], 3)


def test_a_cosine_falls_from_the_first_size_to_the_last_and_is_half_way_in_the_middle() -> None:
    sizes = cosine(0.5, 0.01, 31)
    assert (sizes[0], sizes[-1]) == pytest.approx((0.5, 0.01))
    assert sizes[15] == pytest.approx((0.5 + 0.01) / 2)
    assert sizes == sorted(sizes, reverse=True)
    assert cosine(0.5, 0.01, 1) == [0.5]


@pytest.mark.parametrize("ball", [L2Ball(0.15), L2Ball(0.3), LinfBall(0.3)])  # the first is left, and projected onto
def test_momentum_weighs_the_last_move_against_the_new_step(ball: Ball) -> None:
    """As Croce and Hein 2020, algorithm 1, written down: every point is brought into ball and bounds."""
    network, x, target = _convolutional(), _images(4, 3, 6, 6), torch.arange(4)
    objective, sizes = towards(network, target), [0.1, 0.08, 0.05]
    found = descend(objective, x, ball, sizes, 3, momentum=0.25)

    def feasible(z: Tensor) -> Tensor:
        return (x + ball.project(z - x)).clamp(0, 1)

    z = before = x
    for step, size in enumerate(sizes):
        leaf = z.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(objective(leaf).sum(), leaf)
        there = feasible(z - size * ball.steepest(gradient))
        weight = 0.75 if step else 1.0
        z, before = feasible(z + weight * (there - z) + (1 - weight) * (z - before)), z
    torch.testing.assert_close(found.last, z, rtol=0, atol=1e-5)
    differs = (found.last - descend(objective, x, ball, sizes, 3).last).abs().amax()
    assert differs > 1e-5


def test_without_a_ball_only_the_bounds_hold_it() -> None:
    x = torch.full((1, 4), 0.5)
    result = descend(lambda z: z.flatten(1).sum(1), x, Free(), 0.3, 10)
    torch.testing.assert_close(result.last, torch.zeros(1, 4))
    result = descend(lambda z: z.flatten(1).sum(1), x, Free(), 0.4, 10, bounds=None)
    torch.testing.assert_close(result.last, torch.full((1, 4), 0.5 - 10 * 0.2))


def test_who_goes_on_from_the_last_iterate_need_not_ask_for_its_loss() -> None:
    network, x, label = _convolutional(), _images(6, 3, 6, 6), torch.arange(6) % 4
    ball, passes = L2Ball(0.4), 0

    def objective(z: Tensor) -> Tensor:
        nonlocal passes
        passes += 1
        return towards(network, label)(z)

    half = descend(objective, x, ball, 0.1, 3, ask_last=False)
    assert passes == 3
    assert half.last_loss.isnan().all()
    assert (half.best_loss > towards(network, label)(half.last)).all()  # downhill: the last would have been the best
    on = descend(objective, x, ball, 0.1, 3, start=half.last)
    whole = descend(towards(network, label), x, ball, 0.1, 6)
    torch.testing.assert_close(on.last, whole.last, rtol=0.0, atol=1e-12)
    torch.testing.assert_close(on.best_loss, whole.best_loss, rtol=0.0, atol=1e-12)
