"""Auto-PGD against its algorithm written out for one image, and the scale that its losses must not care for."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from raylab.core import apgd
from raylab.core.balls import Ball, L2Ball, LinfBall
from raylab.core.objectives import margin


def _network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    layers = [nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Conv2d(8, 8, 3), nn.Tanh(), nn.Flatten(), nn.Linear(32, 5)]
    return nn.Sequential(*layers).double().eval().requires_grad_(False)


def _images(count: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (1.6 * torch.rand(count, 3, 6, 6, generator=generator, dtype=torch.float64) - 0.3).clamp(0, 1)


def _written_out(network, loss, x: Tensor, label: Tensor, ball: Ball, start: Tensor, steps: int) -> tuple[float, int]:
    """Algorithm 1 with conditions 1 and 2, on one image: the least margin, and how often the step was halved."""

    def project(z: Tensor) -> Tensor:
        delta = z - x
        if isinstance(ball, L2Ball):
            delta = delta * min(1.0, ball.eps / float(delta.norm()))
        else:
            delta = delta.clamp(-ball.eps, ball.eps)
        return (x + delta).clamp(0, 1)

    def f(z: Tensor) -> float:
        return float(loss(network(z)))

    def direction(z: Tensor) -> Tensor:
        z = z.clone().requires_grad_()
        (g,) = torch.autograd.grad(loss(network(z)).sum(), z)
        return g.sign() if isinstance(ball, LinfBall) else g / g.norm()

    checks, share, gap = [0], 0.22, 0.22
    while share <= 1.0 + 1e-9:
        checks.append(math.ceil(share * steps - 1e-9))
        gap = max(gap - 0.03, 0.06)
        share += gap
    eta, halvings, old_eta, old_max = 2 * ball.eps, 0, 2 * ball.eps, -math.inf
    xs = [project(start)]
    margins, best = [float(margin(network(xs[0]), label))], xs[0]
    old_max, rises = f(best), 0
    for k in range(steps):
        z = project(xs[k] + eta * direction(xs[k]))
        new = z if k == 0 else project(xs[k] + 0.75 * (z - xs[k]) + 0.25 * (xs[k] - xs[k - 1]))
        xs.append(new)
        margins.append(float(margin(network(new), label)))
        rises += f(new) > f(xs[k])
        best = new if f(new) > f(best) else best
        if k + 1 in checks:
            window = k + 1 - checks[checks.index(k + 1) - 1]
            halve = rises < 0.75 * window or (old_eta == eta and old_max == f(best))
            old_eta, old_max, rises = eta, f(best), 0
            if halve:
                eta, halvings = eta / 2, halvings + 1
                xs[k + 1] = best
            if min(margins) <= 0:
                break  # ours: a broken image rests
    return min(margins), halvings


@pytest.mark.parametrize("ball", [L2Ball(0.8), LinfBall(0.1)])
@pytest.mark.parametrize("loss", ["ce", "dlr"])
def test_a_batch_follows_the_algorithm_on_each_image(ball: Ball, loss: str) -> None:
    network, x = _network(), _images(24)
    label = network(x).argmax(1)
    target = (label + 1) % 5
    start = x + 0.1 * (_images(24, seed=2) - 0.5)

    def losses(rows: slice) -> apgd.Loss:
        return apgd.cross_entropy(label[rows]) if loss == "ce" else apgd.targeted_dlr(label[rows], target[rows])

    found = apgd.ascend(network, losses(slice(None)), x, label, ball, start, steps=60)
    halved = 0
    for i in range(len(x)):
        one = slice(i, i + 1)
        least, halvings = _written_out(network, losses(one), x[one], label[one], ball, start[one], 60)
        halved += halvings
        # float64; the floors under norms and ratios are below 1e-10 of what they are added to
        assert float(found.margin[i]) == pytest.approx(least, abs=1e-7)
    assert halved > 0
    torch.testing.assert_close(margin(network(found.image), label), found.margin)
    size = torch.linalg.vector_norm((found.image - x).flatten(1), 2 if isinstance(ball, L2Ball) else math.inf, dim=1)
    assert (size <= ball.eps * (1 + 1e-12)).all()
    assert found.image.min() >= 0
    assert found.image.max() <= 1


def test_a_best_loss_that_stands_still_halves_the_step_unless_it_was_just_halved() -> None:
    """Condition 2 alone: losses that always rise and never reach the first, with a constant slope up to the edge."""
    seen: list[float] = []

    def network(z: Tensor) -> Tensor:
        seen.append(float(z.detach()))
        return torch.cat([z + 9.0, -z], dim=1)

    def loss(logits: Tensor, rows: object = None) -> Tensor:
        del rows
        return logits[:, 0] - logits[:, 0].detach() + (100.0 if len(seen) == 1 else len(seen) / 10)

    x = torch.zeros(1, 1)
    apgd.ascend(network, loss, x, torch.zeros(1).long(), LinfBall(1.0), x, bounds=None)
    assert seen[1] == seen[22] == 1.0
    assert seen[23] == 0.75 * 1.0 - 0.25  # the first checkpoint, 22: back to the start at half the step
    assert seen[42] == 1.0  # the second, 41: it was just halved
    assert seen[58] == 0.75 * 0.5 - 0.25  # the third, 57


def test_checkpoints_are_those_of_the_paper() -> None:
    assert sorted(apgd.checkpoints(100)) == [22, 41, 57, 70, 80, 87, 93, 99]


def test_the_dlr_loss_cares_for_neither_scale_nor_shift_of_the_logits() -> None:
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    loss = apgd.targeted_dlr(torch.arange(6) % 5, (torch.arange(6) + 1) % 5)
    torch.testing.assert_close(loss(1000 * logits + 7), loss(logits))
    assert float(apgd.targeted_dlr(torch.tensor([0]), torch.tensor([1]))(torch.tensor([[4.0, 3.0, 2.0, 0.0]]))) == (
        pytest.approx(-1 / 3)
    )


def test_wrong_arguments_are_named() -> None:
    network, x = _network(), _images(2)
    with pytest.raises(ValueError, match="at least 1 step"):
        apgd.ascend(network, apgd.cross_entropy(torch.zeros(2).long()), x, torch.zeros(2).long(), L2Ball(1), x, 0)
    with pytest.raises(ValueError, match="training mode"):
        apgd.ascend(network.train(), apgd.cross_entropy(torch.zeros(2).long()), x, torch.zeros(2).long(), L2Ball(1), x)
