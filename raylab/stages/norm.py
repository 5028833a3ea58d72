"""The ball of an attack: of a built-in norm, or one's own by `module:object`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

from raylab.core.balls import BALLS, Ball, Norm
from raylab.core.later import Tensor, torch
from raylab.stages.images import ImageSpec
from raylab.stages.own_object import check_call, name_or_own, own, pinned

# l2, linf, or module:object of a dataclass with the one field eps, and the methods `project` and `steepest` of L2Ball.
BallName = Annotated[str, name_or_own(BALLS, "norm")]
CLOSE = 1e-4  # of the radius: what float32 may round in a projection


def ball(norm: str, eps: float) -> Ball:
    """Raises ValueError where there is no such ball."""
    made: Ball = BALLS[norm](eps) if norm in BALLS else own(norm)(eps)
    return made


def built_in(norm: str, where: str) -> Norm:
    """The norm. Raises ValueError for one's own, where patterns and attacks of other kinds need to know it."""
    if norm not in BALLS:
        raise ValueError(f"{where} needs a norm of {', '.join(BALLS)}, got {norm}; leave it out, or take one of these")
    return norm


def pinned_norm(norm: str, eps: float, images: ImageSpec) -> str:
    """The norm with its code. Raises ValueError where the ball of that radius is none on such images."""
    if norm in BALLS:
        ball(norm, eps)
        return norm
    make = own(norm)
    check_call(norm, make, "Ball(eps)", 1)
    made = make(eps)
    try:
        half = replace(made, eps=eps / 2)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{norm}: must be a dataclass with the one field eps: {error}; make it one") from error
    if missing := [name for name in ("project", "steepest") if not callable(getattr(made, name, None))]:
        raise ValueError(f"{norm}: methods project and steepest are needed, got no {' and no '.join(missing)}; add it")
    for one in (made, half):
        _check(norm, one, images)
    return pinned(norm)


def _check(norm: str, made: Any, images: ImageSpec) -> None:
    """A ball around the centre, whose projection stays where it leads, each example alone."""
    wide = 4.0 * made.eps * torch.linspace(-1, 1, 2 * torch.Size(images.shape).numel()).view(2, *images.shape)
    inside = _called(norm, "project", made.project, wide)
    _called(norm, "steepest", made.steepest, wide)
    alone = torch.cat([made.project(one[None].clone()) for one in wide])
    for rule, found, wanted in (
        ("project must keep 0 where it is", made.project(torch.zeros_like(wide)), torch.zeros_like(wide)),
        ("project must keep what it has projected", made.project(inside.clone()), inside),
        ("project must treat each example alone", alone, inside),
    ):
        if (off := float((found - wanted).abs().max())) > CLOSE * made.eps:
            raise ValueError(f"{norm}: {rule}, at radius {made.eps:g} it is {off:.3g} off; mend it")


def _called(norm: str, method: str, call: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    try:
        found = call(x.clone())
    except Exception as error:  # whatever somebody's method does
        shape = "x".join(map(str, x.shape))
        raise ValueError(f"{norm}: {method} fails on images of {shape}: {type(error).__name__}: {error}") from error
    if not isinstance(found, torch.Tensor) or found.shape != x.shape or not bool(found.isfinite().all()):
        got = f"{tuple(found.shape)}" if isinstance(found, torch.Tensor) else type(found).__name__
        raise ValueError(f"{norm}: {method} must give finite numbers of shape {tuple(x.shape)}, got {got}; mend it")
    return found
