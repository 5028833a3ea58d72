"""Auto-PGD: projected gradient ascent that sets its own steps (Croce and Hein 2020, arXiv:2003.01690, algorithm 1).

A loop beside `pgd.descend`: its steps remember the one before and depend, example by example, on the losses so far.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

from raylab.core.balls import Ball
from raylab.core.later import Tensor, torch
from raylab.core.objectives import Classifier, log_odds_against, margin, require_eval

# Section 3 of the paper: the first step, what the new direction weighs against the last move, the share of steps that
# have to rise, and the checkpoints as shares of all steps.
FIRST_STEP, WEIGHT, RISING = 2.0, 0.75, 0.75
FIRST_CHECK, SHORTER, SHORTEST = 0.22, 0.03, 0.06

ALL = slice(None)


class Loss(Protocol):
    """To be maximised."""

    def __call__(
        self,
        logits: Tensor,  # (R, num_classes)
        rows: Tensor | slice = ALL,  # of the labels that the loss was made with
    ) -> Tensor:  # (R,)
        ...


class Found(NamedTuple):
    """The image of least margin that an attack came by, and its margin: at 0 and below the network errs."""

    image: Tensor  # (B, C, H, W), in [0, 1], detached
    margin: Tensor  # (B,)


def cross_entropy(
    label: Tensor,  # (B,) int64
) -> Loss:
    """The cross-entropy by its log-odds, which rise with it: APGD takes steps of its own length and compares losses, so
    that it goes the same way, and on confident networks does not stand still."""

    def loss(logits: Tensor, rows: Tensor | slice = ALL) -> Tensor:
        return log_odds_against(logits, label[rows])

    return loss


def targeted_dlr(
    label: Tensor,  # (B,) int64
    target: Tensor,  # (B,) int64, another class
) -> Loss:
    """-(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2), the difference of logits ratio (equation 7): it does not care
    for the scale of the logits, with which a cross-entropy underflows.  At least 4 classes."""

    def loss(logits: Tensor, rows: Tensor | slice = ALL) -> Tensor:
        top = logits.topk(4, dim=1).values
        own, other = (logits.gather(1, wanted[rows][:, None])[:, 0] for wanted in (label, target))
        gap = own - other
        return -gap / (top[:, 0] - 0.5 * (top[:, 2] + top[:, 3]) + 1e-12)  # the floor is the authors'

    return loss


def ascend(
    network: Classifier,  # in eval mode with frozen parameters
    loss: Loss,
    x: Tensor,  # (B, C, H, W), within `bounds`
    label: Tensor,  # (B,) int64
    ball: Ball,
    start: Tensor,  # (B, C, H, W), brought into ball and bounds
    steps: int = 100,
    bounds: tuple[float, float] | None = (0.0, 1.0),
) -> Found:
    """Maximise the loss over x + ball within bounds; the iterate of least margin, of all.

    Costs steps + 1 forward and backward passes; an image that is broken rests from the next checkpoint on.
    """
    require_eval(network)
    if steps < 1 or start.shape != x.shape:
        raise ValueError(f"apgd: at least 1 step and a start for every image, got {steps} and {tuple(start.shape)}")

    def feasible(z: Tensor) -> Tensor:
        z = x + ball.project(z - x)
        return z if bounds is None else z.clamp(*bounds)

    def look(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z = z.detach().requires_grad_()
        logits = network(z)
        value = loss(logits, rows)
        (gradient,) = torch.autograd.grad(value.sum(), z)
        return value.detach(), gradient, margin(logits.detach(), label[rows])

    with torch.inference_mode(False), torch.enable_grad():
        x, rows = x.detach().clone(), torch.arange(len(x), device=x.device)
        z = before = feasible(start.detach())
        value, gradient, least = look(z)
        image = best = z
        best_value, best_gradient = value, gradient
        size = x.new_full((len(x), *[1] * (x.ndim - 1)), FIRST_STEP * ball.eps)
        rises, halved, value_at_check = torch.zeros_like(value), torch.zeros_like(value, dtype=torch.bool), value
        checks, last_check = checkpoints(steps), 0
        found, found_margin = torch.empty_like(x), torch.empty_like(value)
        for step in range(1, steps + 1):
            move, before = z - before, z
            weight = WEIGHT if step > 1 else 1.0
            there = feasible(z + size * ball.steepest(gradient))
            z = feasible(z + weight * (there - z) + (1.0 - weight) * move)
            last_value = value
            value, gradient, now = look(z)
            image, least = _where(now < least, z, image), torch.minimum(now, least)
            rises += value > last_value
            better = value > best_value
            best, best_gradient = _where(better, z, best), _where(better, gradient, best_gradient)
            best_value = torch.maximum(value, best_value)
            if step in checks:
                stuck = ~halved & (best_value <= value_at_check)
                halved = stuck | (rises < RISING * (step - last_check))
                size = _where(halved, size / 2.0, size)
                z, gradient = _where(halved, best, z), _where(halved, best_gradient, gradient)
                value = torch.where(halved, best_value, value)
                rises, value_at_check, last_check = torch.zeros_like(rises), best_value, step
                found[rows], found_margin[rows] = image, least
                if not (stands := least > 0).all():
                    x, z, before, gradient, image, best, best_gradient, size = (
                        t[stands] for t in (x, z, before, gradient, image, best, best_gradient, size)
                    )
                    rows, value, least, best_value, rises, halved, value_at_check = (
                        t[stands] for t in (rows, value, least, best_value, rises, halved, value_at_check)
                    )
                if len(rows) == 0:
                    break
        found[rows], found_margin[rows] = image, least
    return Found(found, found_margin)


def checkpoints(steps: int) -> set[int]:
    """The steps after which a size may be halved: w_j = ceil(p_j steps), p_1 = .22, each gap .03 less, at least .06."""
    share, gap, found = FIRST_CHECK, FIRST_CHECK, set()
    while share <= 1.0:
        found.add(math.ceil(round(share * steps, 9)))  # .22 + .19 is .41 and no more
        gap = max(gap - SHORTER, SHORTEST)
        share += gap
    return found


def _where(choice: Tensor, one: Tensor, other: Tensor) -> Tensor:
    return torch.where(choice.view(-1, *[1] * (other.ndim - 1)), one, other)
