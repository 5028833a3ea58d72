"""Projected gradient descent on images: the one loop behind every attack and construction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from raylab.core.balls import AnyBall, Free, L1Ball, largest_entry
from raylab.core.later import Tensor, torch
from raylab.core.objectives import Objective


class Descent(NamedTuple):
    """Where the descent ended, and its iterate of lowest loss (the first of equals; start and end count)."""

    last: Tensor  # (B, ...), detached
    last_loss: Tensor  # (B,)
    best: Tensor  # (B, ...), detached
    best_loss: Tensor  # (B,)
    blind: Tensor  # (B,) bool: at some step the gradient was exactly 0, and the example stayed where it was


def descend(
    objective: Objective,  # (B, ...) -> (B,), of a network in eval mode with frozen parameters
    x: Tensor,  # (B, ...), within `bounds`
    ball: AnyBall | Free,
    step_size: float | Sequence[float],  # pixel units; of every step, or one for each
    steps: int,
    bounds: tuple[float, float] | None = (0.0, 1.0),  # None: toys that leave the unit cube
    start: Tensor | None = None,  # (B, ...), brought into ball and bounds; default x, no random start
    momentum: float = 0.0,  # in [0, 1): what the last move weighs against the new step; 0: nothing is remembered
    ask_last: bool = True,  # False, for who goes on from there: its loss is nan, and it is not the best
) -> Descent:
    """Minimise the objective over x + ball, within bounds, by `steps` steps of size `step_size`.

    One step is z <- clip(x + project(z - step_size * steepest(gradient) - x)): Ilyas et al. 2019, appendices
    C.3 to C.5, in the order of their code (MadryLab/robustness).  It costs one forward and one backward pass.
    With momentum m the next iterate is z + (1 - m) * (that step - z) + m * (z - the iterate before), brought into ball
    and bounds, from the second step on (Croce and Hein 2020, algorithm 1, with 1/4).
    The best iterate is read off the losses of these passes, for one more forward pass in all.

    Raises ValueError on bad arguments, and where a loss or a gradient was not finite.
    """
    sizes = [step_size] * steps if isinstance(step_size, float | int) else list(step_size)
    _check_arguments(x, sizes, steps, bounds, momentum)
    # The caller may be in inference mode, whose tensors carry no gradients: leave it; z is a copy.
    with torch.inference_mode(False), torch.enable_grad():
        x = x.detach()
        z = x.clone() if start is None else _feasible_(start.detach().clone(), x, ball, bounds)
        best, best_loss = z.clone(), x.new_full((len(x),), math.inf)
        check, blind = torch.zeros_like(best_loss), torch.zeros_like(best_loss, dtype=torch.bool)
        before: Tensor | None = None
        for size in sizes:
            loss = _per_example(objective(z.requires_grad_()), x)
            # Of the input only: the usual loss.backward() fills the parameters' gradients too, and is slower.
            (gradient,) = torch.autograd.grad(loss, z, grad_outputs=torch.ones_like(loss))
            z, loss = z.detach(), loss.detach()
            best_loss = _keep_better_(best, best_loss, z, loss)
            largest = largest_entry(gradient).flatten()
            check += largest  # carries any nan or inf; z would not, as sign(nan) is 0
            blind |= largest == 0
            if isinstance(ball, L1Ball) and bounds is not None:  # else a pixel at its edge takes every sparse step
                gradient.masked_fill_(((z <= bounds[0]) & (gradient > 0)) | ((z >= bounds[1]) & (gradient < 0)), 0.0)
            last, before = before, z.clone() if momentum else None
            # In place, here and below: fresh buffers would cost a small network a sixth of its speed.
            _feasible_(z.sub_(ball.steepest(gradient), alpha=size), x, ball, bounds)
            if before is not None and last is not None:
                z.mul_(1.0 - momentum).add_(before, alpha=2.0 * momentum).sub_(last, alpha=momentum)
                _feasible_(z, x, ball, bounds)
        last_loss = torch.full_like(best_loss, math.nan)
        if ask_last:
            with torch.no_grad():
                last_loss = _per_example(objective(z), x)
            best_loss = _keep_better_(best, best_loss, z, last_loss)
            check += last_loss
        check += best_loss
    # Asked once, at the end: at every step it would stall a GPU.
    if (broken := int((~check.isfinite()).sum())) > 0:
        raise ValueError(
            f"descend: loss or gradient not finite for {broken} of {len(x)} examples; "
            "look for nan in the images or a diverged network"
        )
    return Descent(z, last_loss, best, best_loss, blind)


def cosine(first: float, last: float, steps: int) -> list[float]:
    """A size for each step, falling from the first to the last along half a cosine."""
    shares = (0.5 * (1.0 + math.cos(math.pi * i / max(steps - 1, 1))) for i in range(steps))
    return [last + (first - last) * share for share in shares]


def _feasible_(z: Tensor, x: Tensor, ball: AnyBall | Free, bounds: tuple[float, float] | None) -> Tensor:
    """Into the ball, then the bounds: x is within them, so clipping moves towards x and stays in the ball."""
    torch.add(x, ball.project(z.sub_(x)), out=z)
    return z if bounds is None else z.clamp_(*bounds)


def _keep_better_(best: Tensor, best_loss: Tensor, z: Tensor, loss: Tensor) -> Tensor:
    # All of one or all of the other, exactly; `torch.where` takes six times as long, a twentieth of an MLP's step.
    best.lerp_(z, (loss < best_loss).to(z).view(-1, *[1] * (z.ndim - 1)))
    return torch.minimum(loss, best_loss)  # a nan stays in it


def _per_example(loss: Tensor, x: Tensor) -> Tensor:
    if loss.shape != (len(x),):
        raise ValueError(f"objective: a loss per example, shape ({len(x)},), got {tuple(loss.shape)}; do not reduce it")
    return loss


def _check_arguments(
    x: Tensor, sizes: Sequence[float], steps: int, bounds: tuple[float, float] | None, momentum: float
) -> None:
    if x.ndim < 2 or not x.is_floating_point():
        raise ValueError(f"x: a batch of decoded images, got {x.dtype} {tuple(x.shape)}; divide bytes by 255")
    if steps < 1:
        raise ValueError(f"steps: at least 1, got {steps}; without an attack use the images themselves")
    if len(sizes) != steps:
        raise ValueError(f"step_size: one for all steps, or one for each of the {steps}, got {len(sizes)}")
    if not 0.0 <= momentum < 1.0:
        raise ValueError(f"momentum: in [0, 1), got {momentum}; at 1 no step would be taken")
    if not all(math.isfinite(size) and size > 0.0 for size in sizes):
        raise ValueError(f"step_size: finite and > 0 in pixel units, got {min(sizes)} to {max(sizes)}")
    if bounds is not None and ((x < bounds[0]) | (x > bounds[1])).any():
        raise ValueError(
            f"x: within bounds {bounds}, got {float(x.min()):.4g} to {float(x.max()):.4g}; "
            "attacks live in pixel space: normalisation is the network's first layer"
        )
