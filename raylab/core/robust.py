"""Robust accuracy one can trust: per example the worst over attacks and restarts, in the manner of AutoAttack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raylab.core import apgd, objectives, seeding
from raylab.core.apgd import Found
from raylab.core.balls import Ball, L2Ball
from raylab.core.objectives import Classifier, margin, require_eval
from raylab.core.pgd import descend
from raylab.core.square import square

Ids = NDArray[np.int64]
Attack = Callable[[Classifier, Tensor, Tensor, Ids], Found]  # of images (B, C, H, W) in [0, 1], labels, ids

CLEAN = "clean"  # the images themselves


class Worst(NamedTuple):
    """What the attacks made of each example."""

    image: Tensor  # (B, C, H, W): of least margin
    margin: Tensor  # (B,): of that image; the example is robust where it is above 0
    margins: dict[str, Tensor]  # of each attack, (B,), and of the clean images; inf where it had nothing left to do


def worst_case(
    network: Classifier,  # in eval mode with frozen parameters
    x: Tensor,  # (B, C, H, W), in [0, 1]
    label: Tensor,  # (B,) int64
    ids: Ids,  # (B,)
    attacks: Mapping[str, Attack],  # in this order
) -> Worst:
    """The least margin over the clean image and all attacks.

    An example that is broken is not handed on: robust accuracy is the same, sooner.
    """
    require_eval(network)
    with torch.no_grad():
        least = margin(network(x), label)
    image, margins = x.detach().clone(), {CLEAN: least.clone()}
    for name, attack in attacks.items():
        rows = (least > 0).nonzero()[:, 0]
        margins[name] = torch.full_like(least, torch.inf)
        if len(rows) == 0:
            continue
        found = attack(network, x[rows], label[rows], ids[rows.cpu().numpy()])
        margins[name][rows] = found.margin
        lower = found.margin < least[rows]
        image[rows[lower]], least[rows[lower]] = found.image[lower], found.margin[lower]
    return Worst(image, least, margins)


def standard(ball: Ball, num_classes: int, seed: int, steps: int = 100, queries: int = 5000) -> dict[str, Attack]:
    """AutoAttack "standard" without FAB: APGD on the cross-entropy, on the targeted DLR of the 9 likeliest classes (all
    others, where there are fewer; none below 4 classes, for which it is not defined), and Square."""
    attacks: dict[str, Attack] = {"apgd_ce": partial(_apgd_ce, ball=ball, seed=seed, steps=steps)}
    if num_classes >= 4:
        for rank in range(1, min(9, num_classes - 1) + 1):
            attacks[f"apgd_t{rank}"] = partial(_apgd_targeted, ball=ball, seed=seed, steps=steps, rank=rank)
    return attacks | {"square": partial(_square, ball=ball, seed=seed, queries=queries)}


def pgd(ball: Ball, seed: int, steps: int, restarts: int = 1) -> dict[str, Attack]:
    """PGD of steps 2.5 eps / steps: from the clean image, and `restarts` - 1 times from a random point of the ball."""
    return {f"pgd_{i}": partial(_pgd, ball=ball, seed=seed, steps=steps, restart=i) for i in range(restarts)}


def random_start(x: Tensor, ball: Ball, ids: Ids, seed: int, purpose: str) -> Tensor:
    """x and a perturbation of norm eps: L2 a normal direction, Linf uniform pixels (AutoAttack)."""
    size = x[:1].numel()
    if isinstance(ball, L2Ball):
        draws = seeding.normal(seed, purpose, ids, size)
        delta = draws / np.linalg.norm(draws, axis=1, keepdims=True)
    else:
        draws = 2.0 * seeding.uniform(seed, purpose, ids, size) - 1.0
        delta = draws / np.abs(draws).max(axis=1, keepdims=True)
    return x + torch.from_numpy(ball.eps * delta).to(x).view_as(x)


def _apgd_ce(network: Classifier, x: Tensor, label: Tensor, ids: Ids, *, ball: Ball, seed: int, steps: int) -> Found:
    start = random_start(x, ball, ids, seed, "apgd/ce")
    return apgd.ascend(network, apgd.cross_entropy(label), x, label, ball, start, steps)


def _apgd_targeted(
    network: Classifier, x: Tensor, label: Tensor, ids: Ids, *, ball: Ball, seed: int, steps: int, rank: int
) -> Found:
    with torch.no_grad():
        target = network(x).scatter(1, label[:, None], torch.inf).argsort(dim=1, descending=True)[:, rank]
    start = random_start(x, ball, ids, seed, f"apgd/t{rank}")
    return apgd.ascend(network, apgd.targeted_dlr(label, target), x, label, ball, start, steps)


def _square(network: Classifier, x: Tensor, label: Tensor, ids: Ids, *, ball: Ball, seed: int, queries: int) -> Found:
    return square(network, x, label, ball, ids, seed, queries)


def _pgd(
    network: Classifier, x: Tensor, label: Tensor, ids: Ids, *, ball: Ball, seed: int, steps: int, restart: int
) -> Found:
    start = None
    if restart > 0:
        noise = seeding.uniform(seed, f"pgd/{restart}", ids, x[:1].numel() + 1)
        start = x + ball.sample(torch.from_numpy(noise).to(x.device), x)
    found = descend(objectives.away(network, label), x, ball, 2.5 * ball.eps / steps, steps, start=start).best
    with torch.no_grad():
        return Found(found, margin(network(found), label))
